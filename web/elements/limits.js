// <octroi-limits>: spending limits of the account, which its owner and managers change.
import {OctroiElement, css, define, html, hundredths, nothing, session} from "../element.js";
import {bar} from "../bar.js";

const WINDOWS = ["daily", "monthly"];

class Limits extends OctroiElement {
	// <octroi-members> asks the same: one request is for both.
	static path = "/api/credits/settings?limit=100";
	static properties = {edits: {state: true}, busy: {state: true}, refused: {state: true}, saved: {state: true}};
	static styles = [OctroiElement.styles, css`
		.limit { display: grid; gap: 0.35rem; }
		form { display: grid; gap: 0.75rem; }
		label { display: grid; gap: 0.25rem; font-size: 0.875rem; }
		input { inline-size: 12rem; }
	`];

	#credits;

	connectedCallback() {
		super.connectedCallback();
		this.#credits = session.watch("/api/credits", this.words.tag, (news) => {
			this.account = news.answer ?? this.account;
			this.requestUpdate();
		});
	}

	disconnectedCallback() {
		super.disconnectedCallback();
		this.#credits();
	}

	async save(event) {
		event.preventDefault();
		const body = {};
		for (const name of WINDOWS) {
			const text = event.target.elements[name].value.trim();
			const cents = hundredths(text);
			if (text !== "" && Number.isNaN(cents)) {
				this.refused = {message: this.say("limits.number")};
				return;
			}
			body[`${name}LimitMicros`] = text === "" ? null : cents * 10_000;
		}
		this.busy = true;
		this.refused = undefined;
		const done = await this.ask("/api/credits/settings", {method: "PUT", body});
		this.busy = false;
		if (done === undefined)
			return;
		this.edits = false;
		this.saved = true;
		session.refresh();
	}

	view(s) {
		if (this.account === undefined)
			return this.waiting();
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("limits")}</h2>
				${s.mayChange && !this.edits ? html`<button class="plain" @click=${() => { this.edits = true; this.saved = false; }}>${this.say("change")}</button>` : nothing}</div>
			<div role="status">${this.saved ? html`<p class="notice good small">${this.say("saved")}</p>` : nothing}</div>
			${this.edits ? this.form(s) : WINDOWS.map((name) => this.window(s.limits ?? s.members[0] ?? {}, name))}
		</section>`;
	}

	window(limits, name) {
		const limit = limits[`${name}LimitMicros`] ?? null;
		const used = limits[`${name}UsedMicros`] ?? 0;
		const values = {used: this.words.amount(used, this.account)};
		if (limit === null)
			return html`<div class="limit"><h3>${this.say(name)}</h3><p class="muted small">${this.say("limits.none")}</p></div>`;
		values.limit = this.words.amount(limit, this.account);
		return html`<div class="limit"><h3>${this.say(name)}</h3><p>${this.say("limits.of", values)}</p>${bar(used, limit)}
			<p class="muted small">${this.say(used >= limit ? "limits.reached" : "limits.then")}
				${this.say("resets", {time: this.words.time(limits[`${name}ResetsAt`])})}</p></div>`;
	}

	form(s) {
		const shown = (name) => {
			const limit = s.limits?.[`${name}LimitMicros`];
			return limit === undefined || limit === null ? "" : String(limit / 1_000_000);
		};
		return html`<form @submit=${this.save}>
			${WINDOWS.map((name) => html`<label>${this.say(name)}<input name=${name} inputmode="decimal" autocomplete="off" .value=${shown(name)}></label>`)}
			<p class="muted small">${this.say("limits.empty")}</p>
			<div role="alert">${this.refused ? html`<p class="notice bad small">${this.refused.status === undefined ? this.refused.message : this.sentence(this.refused)}</p>` : nothing}</div>
			<div class="row"><button class="primary" ?disabled=${this.busy}>${this.say("save")}</button>
				<button type="button" @click=${() => { this.edits = false; }}>${this.say("cancel")}</button></div></form>`;
	}
}

define("octroi-limits", Limits);
