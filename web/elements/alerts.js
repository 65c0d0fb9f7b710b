// <octroi-alerts>: what the account was told, the newest first, and the thresholds of its balance, which its owner and
// managers change.
import {OctroiElement, css, define, html, hundredths, nothing} from "../element.js";

const THRESHOLDS_MAX = 4;
const BAD = ["balance_depleted", "limit_reached", "payment_failed", "past_due", "suspended", "disputed"];

class Alerts extends OctroiElement {
	static properties = {
		page: {state: true}, edits: {state: true}, busy: {state: true}, refused: {state: true}, saved: {state: true},
	};
	static styles = [OctroiElement.styles, css`
		ul { list-style: none; display: grid; gap: 0.5rem; }
		li { display: grid; gap: 0 0.75rem; grid-template-columns: minmax(0, 1fr) auto; border-block-end: 1px solid var(--_line); padding-block-end: 0.5rem; }
		.bad { color: var(--_bad); }
		form { display: grid; gap: 0.75rem; }
		label { display: grid; gap: 0.25rem; font-size: 0.875rem; }
		input { inline-size: 18rem; }
	`];

	heard(c) {
		this.mayRead = c.member === undefined || c.member.role === "manager";
		const newest = `${c.transactions[0]?.id} ${c.usages[0]?.id} ${c.balanceMicros}`;
		if (this.mayRead && newest !== this.newest)
			this.load(null);
		this.newest = newest;
	}

	async load(cursor) {
		const page = await this.ask(`/api/credits/alerts?limit=10${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
		if (page === undefined) {
			this.newest = undefined;
			return;
		}
		this.refused = undefined;
		this.page = cursor === null ? page : {...page, items: [...this.page.items, ...page.items]};
	}

	async save(event) {
		event.preventDefault();
		const cents = event.target.elements.thresholds.value.split(/[;\s]+/).filter(Boolean).map(hundredths);
		this.refused = undefined;
		if (cents.length > THRESHOLDS_MAX || !cents.every((amount) => amount > 0)) {
			this.refused = {message: this.say("alerts.number", {most: THRESHOLDS_MAX})};
			return;
		}
		this.busy = true;
		const thresholdsMicros = [...new Set(cents)].map((amount) => amount * 10_000);
		const page = await this.ask("/api/credits/alerts", {method: "PUT", body: {thresholdsMicros}});
		this.busy = false;
		if (page === undefined)
			return;
		this.page = page;
		this.edits = false;
		this.saved = true;
	}

	view(c) {
		if (!this.mayRead || this.page === undefined)
			return this.mayRead && this.refused !== undefined ? this.trouble(this.refused) : nothing;
		const p = this.page;
		const told = p.thresholdsMicros.map((micros) => this.words.amount(micros, c));
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("alerts")}</h2>
				${this.edits ? nothing : html`<button class="plain no-print" @click=${() => { this.edits = true; this.saved = false; }}>${this.say("change")}</button>`}</div>
			<div role="status">${this.saved ? html`<p class="notice good small">${this.say("saved")}</p>` : nothing}</div>
			${this.edits ? this.form(p) : html`<p class="small muted">${told.length === 0 ? this.say("alerts.none") :
				this.say("alerts.below", {amounts: new Intl.ListFormat(this.words.tag, {type: "disjunction"}).format(told)})}</p>`}
			${p.items.length === 0 ? html`<p class="muted">${this.say("none")}</p>` : html`<ul>${p.items.map((a) => this.line(c, a))}</ul>`}
			${p.nextCursor ? html`<div><button @click=${() => this.load(p.nextCursor)}>${this.say("more")}</button></div>` : nothing}
		</section>`;
	}

	line(c, a) {
		return html`<li><span class=${BAD.includes(a.kind) ? "bad" : ""}>${this.say(`alert.${a.kind}`)}${a.member ? html` · <bdi>${a.member}</bdi>` : nothing}</span>
			<span>${this.words.amount(a.balanceMicros, c)}</span>
			<span class="small muted">${this.words.time(a.createdAt)}</span></li>`;
	}

	form(p) {
		return html`<form @submit=${this.save} novalidate><label>${this.say("alerts.thresholds")}
			<input name="thresholds" inputmode="decimal" autocomplete="off" aria-describedby="hint" .value=${p.thresholdsMicros.map((micros) => micros / 1_000_000).join("; ")}></label>
			<p id="hint" class="muted small">${this.say("alerts.number", {most: THRESHOLDS_MAX})}</p>
			<div role="alert">${this.refused ? html`<p class="notice bad small">${this.refused.status === undefined ? this.refused.message : this.sentence(this.refused)}</p>` : nothing}</div>
			<div class="row"><button class="primary" ?disabled=${this.busy}>${this.say("save")}</button>
				<button type="button" @click=${() => { this.edits = false; this.refused = undefined; }}>${this.say("cancel")}</button></div></form>`;
	}
}

define("octroi-alerts", Alerts);
