// <octroi-alerts>: what the account was told, the newest first; thresholds of its balance, and addresses and language
// of the mails, which its owner and managers change.
import {OctroiElement, css, define, html, hundredths, nothing} from "../element.js";

const THRESHOLDS_MAX = 4;
const ADDRESSES_MAX = 5;
const LANGUAGES = ["en", "fr"];
const BAD = ["balance_depleted", "limit_reached", "payment_failed", "past_due", "suspended", "disputed",
	"recharge_failed", "recharge_paused", "recharge_action_needed"];

class Alerts extends OctroiElement {
	static properties = {
		page: {state: true}, edits: {state: true}, busy: {state: true}, refused: {state: true}, saved: {state: true}, mail: {state: true},
	};
	static styles = [OctroiElement.styles, css`
		ul { list-style: none; display: grid; gap: 0.5rem; }
		li { display: grid; gap: 0 0.75rem; grid-template-columns: minmax(0, 1fr) auto; border-block-end: 1px solid var(--_line); padding-block-end: 0.5rem; }
		.bad { color: var(--_bad); }
		form { display: grid; gap: 0.75rem; }
		label { display: grid; gap: 0.25rem; font-size: 0.875rem; }
		input, select { inline-size: min(100%, 24rem); }
	`];

	heard(c, turn) {
		this.mayRead = c.member === undefined || c.member.role === "manager";
		if (this.mayRead && turn !== this.turn)
			this.load(null);
		this.turn = turn;
	}

	async load(cursor) {
		const page = await this.ask(`/api/credits/alerts?limit=10${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
		if (page === undefined) {
			this.turn = undefined;
			return;
		}
		this.refused = undefined;
		this.page = cursor === null ? page : {...page, items: [...this.page.items, ...page.items]};
	}

	// The settings of the form; undefined where one is wrong, which is told.
	read(fields) {
		const p = this.page;
		const cents = fields.thresholds.value.split(/[;\s]+/).filter(Boolean).map(hundredths);
		const addresses = this.mail === "own" ? fields.addresses.value.split(/[;,\s]+/).filter(Boolean) : [];
		this.refused = undefined;
		if (cents.length > THRESHOLDS_MAX || !cents.every((amount) => amount > 0))
			this.refused = {message: this.say("alerts.number", {most: THRESHOLDS_MAX})};
		else if (this.mail === "own" && (addresses.length === 0 || addresses.length > ADDRESSES_MAX || !addresses.every((text) => /^[^@]+@[^@]+$/.test(text))))
			this.refused = {message: this.say("alerts.hint", {most: ADDRESSES_MAX})};
		if (this.refused !== undefined)
			return undefined;
		const thresholds = [...new Set(cents)].map((amount) => amount * 10_000);
		// The configured thresholds stay those, and a setting that is left out would be its standard again.
		const same = p.standard && String(thresholds) === String(p.thresholdsMicros);
		return {
			thresholdsMicros: same ? null : thresholds, addresses: this.mail === "account" ? null : addresses,
			language: fields.language.value || null, thresholdsPercent: p.thresholdsPercent,
		};
	}

	async save(event) {
		event.preventDefault();
		const body = this.read(event.target.elements);
		if (body === undefined)
			return;
		this.busy = true;
		const page = await this.ask("/api/credits/alerts", {method: "PUT", body});
		this.busy = false;
		if (page === undefined)
			return;
		this.page = page;
		this.edits = false;
		this.saved = true;
	}

	async edit() {
		const {addresses} = this.page;
		this.mail = addresses === null ? "account" : addresses.length > 0 ? "own" : "none";
		this.edits = true;
		this.saved = false;
		this.refused = undefined;
		await this.updateComplete;
		this.renderRoot.querySelector("[name=thresholds]")?.focus();
	}

	view(c) {
		if (!this.mayRead || this.page === undefined)
			return this.mayRead && this.refused !== undefined ? this.trouble(this.refused) : nothing;
		const p = this.page;
		const told = p.thresholdsMicros.map((micros) => this.words.amount(micros, c));
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("alerts")}</h2>
				${this.edits ? nothing : html`<button class="plain no-print" @click=${this.edit}>${this.say("change")}</button>`}</div>
			<div role="status">${this.saved ? html`<p class="notice good small">${this.say("saved")}</p>` : nothing}</div>
			${this.edits ? this.form(p) : html`<div class="small muted"><p>${told.length === 0 ? this.say("alerts.none") :
				this.say("alerts.below", {amounts: new Intl.ListFormat(this.words.tag, {type: "disjunction"}).format(told)})}</p>
				<p part="mail">${this.mailed(p)}</p></div>`}
			${p.items.length === 0 ? html`<p class="muted">${this.say("none")}</p>` : html`<ul>${p.items.map((a) => this.line(c, a))}</ul>`}
			${p.nextCursor ? html`<div><button @click=${() => this.load(p.nextCursor)}>${this.say("more")}</button></div>` : nothing}
		</section>`;
	}

	mailed(p) {
		const to = p.addresses === null ? this.say("alerts.mail.account") : p.addresses.length === 0 ? this.say("alerts.mail.none") :
			html`<bdi>${new Intl.ListFormat(this.words.tag, {type: "conjunction"}).format(p.addresses)}</bdi>`;
		return html`${this.say("alerts.mail")} ${to}${p.language === null ? nothing : html` · ${this.say(`language.${p.language}`)}`}`;
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
			<label>${this.say("alerts.mail")}<select name="mail" @change=${(e) => { this.mail = e.target.value; }}>${["account", "own", "none"].map((to) =>
				html`<option value=${to} ?selected=${this.mail === to}>${this.say(`alerts.mail.${to}`)}</option>`)}</select></label>
			${this.mail === "own" ? html`<label>${this.say("alerts.addresses")}<input name="addresses" inputmode="email" autocomplete="off" aria-describedby="most"
				.value=${(p.addresses ?? []).join("; ")}></label>
				<p id="most" class="muted small">${this.say("alerts.hint", {most: ADDRESSES_MAX})}</p>` : nothing}
			<label>${this.say("alerts.language")}<select name="language">${["", ...LANGUAGES].map((tag) =>
				html`<option value=${tag} ?selected=${(p.language ?? "") === tag}>${this.say(tag ? `language.${tag}` : "alerts.language.account")}</option>`)}</select></label>
			<div role="alert">${this.refused ? html`<p class="notice bad small">${this.refused.status === undefined ? this.refused.message : this.sentence(this.refused)}</p>` : nothing}</div>
			<div class="row"><button class="primary" ?disabled=${this.busy}>${this.say("save")}</button>
				<button type="button" @click=${() => { this.edits = false; this.refused = undefined; }}>${this.say("cancel")}</button></div></form>`;
	}
}

define("octroi-alerts", Alerts);
