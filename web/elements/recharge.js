// <octroi-recharge>: automatic top-ups: the switch, the settings, the consent to them, and the step out of a pause.
import {OctroiElement, css, define, html, hundredths, nothing, session} from "../element.js";
import {bar} from "../bar.js";
import {openPayment} from "../payment.js";

const PATH = "/api/credits/recharge";
const PENDING_MS = 3_000;
const PENDING_POLLS = 40;
const MICROS = 10_000;
const FIELDS = ["below", "amount", "cap"];
// The fields by their names in the API.
const NAMES = {belowMicros: "below", amount: "amount", monthlyCap: "cap"};
// The step out of a pause: a payment that saves the card, a consent to the settings as they are now, or going on.
const STEPS = {
	no_card: "pay", card_declined: "pay", action_needed: "pay", charge_refused: "pay",
	currency_changed: "agree", unit_changed: "agree", charge_returned: "resume",
};

class Recharge extends OctroiElement {
	static properties = {
		recharge: {state: true}, away: {state: true}, draft: {state: true}, agreed: {state: true},
		busy: {state: true}, refused: {state: true}, saved: {state: true},
	};
	static styles = [OctroiElement.styles, css`
		form { display: grid; gap: 1rem; }
		.fields { display: grid; gap: 0.75rem 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); align-items: end; }
		.fields label { display: grid; gap: 0.25rem; font-size: 0.875rem; }
		.fields input { inline-size: 100%; }
		.fields input[aria-invalid="true"] { border-color: var(--_bad); border-width: 2px; }
		.consent { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0.75rem; align-items: start; }
		.consent input { inline-size: 1.25rem; block-size: 1.25rem; min-height: 0; margin: 0.15rem 0 0; accent-color: var(--_accent); }
		.state { border: 1px solid var(--_line); border-radius: 99px; padding: 0.1rem 0.7rem; font-size: 0.8125rem; font-weight: 600; }
		.state.ready, .state.pending { background: var(--_tint); border-color: var(--_accent); }
		.state.waiting { background: var(--_warn-tint); color: var(--_warn); }
		.state.paused { background: var(--_bad-tint); color: var(--_bad); }
		.spent { display: grid; gap: 0.35rem; }
		summary { cursor: pointer; font-weight: 550; padding-block: 0.4rem; }
	`];

	#leave;

	// A member's question would be refused, so it is not asked.
	heard(c) {
		this.mayChange = c.member === undefined || c.member.role === "manager";
		if (this.mayChange && this.#leave === undefined)
			this.#leave = session.watch(PATH, this.words.tag, (news) => this.learn(news));
		else if (!this.mayChange)
			this.forget();
	}

	disconnectedCallback() {
		super.disconnectedCallback();
		this.forget();
	}

	forget() {
		clearTimeout(this.timer);
		this.#leave?.();
		this.#leave = undefined;
	}

	learn(news) {
		this.away = news.refusal;
		if (news.refusal !== undefined)
			this.tell(news.refusal);
		else
			this.take(news.answer);
	}

	// A charge that is under way ends soon, also without a change of the account.
	take(recharge) {
		this.polls = recharge.state === "pending" && this.recharge?.state === "pending" ? this.polls + 1 : 0;
		// The news of the last change is old once the state is another one.
		if (recharge.state !== this.recharge?.state)
			this.saved = undefined;
		this.recharge = recharge;
		clearTimeout(this.timer);
		if (recharge.state === "pending" && this.polls < PENDING_POLLS && this.isConnected)
			this.timer = setTimeout(() => document.hidden || session.reload(PATH), PENDING_MS);
	}

	// Terms of another version, or in another language, are not those that were agreed to.
	get terms() {
		return `${this.recharge.terms.version} ${this.recharge.terms.locale}`;
	}

	// Whether the settings of the form need a consent.
	needs() {
		const r = this.recharge;
		const amount = hundredths(this.draft.amount);
		return this.draft.insisted || !r.enabled || r.consent === null || amount !== r.amount || hundredths(this.draft.cap) > r.monthlyCap ||
			STEPS[r.reason] === "agree" || r.currency !== this.news.answer.currency;
	}

	write(name, text) {
		this.draft = {...this.draft, [name]: text, wrong: this.draft.wrong === name ? undefined : this.draft.wrong};
		if (!this.needs())
			this.agreed = undefined;
	}

	async edit() {
		const r = this.recharge;
		const shown = (value, unit) => value === null ? "" : String(value / unit);
		this.draft = {below: shown(r.belowMicros, 100 * MICROS), amount: shown(r.amount, 100), cap: shown(r.monthlyCap, 100)};
		this.agreed = this.refused = this.saved = undefined;
		await this.updateComplete;
		this.renderRoot.querySelector("[name=below]")?.focus();
	}

	async close() {
		this.draft = this.agreed = this.refused = undefined;
		await this.updateComplete;
		this.renderRoot.querySelector("[name=edit]")?.focus();
	}

	async point(name, sentence) {
		this.refused = sentence === undefined ? this.refused : {message: sentence};
		this.draft = {...this.draft, wrong: name};
		await this.updateComplete;
		this.renderRoot.querySelector(`[name=${name}]`)?.focus();
	}

	async save(event) {
		event.preventDefault();
		const values = Object.fromEntries(FIELDS.map((name) => [name, hundredths(this.draft[name])]));
		const wrong = FIELDS.find((name) => !(values[name] > 0));
		const needed = this.needs();
		if (wrong !== undefined)
			return this.point(wrong, this.say("recharge.number"));
		if (needed && this.agreed !== this.terms)
			return this.point("consent", this.say("recharge.agree"));
		const body = {enabled: true, belowMicros: values.below * MICROS, amount: values.amount, monthlyCap: values.cap};
		if (needed)
			body.consent = {version: this.recharge.terms.version, locale: this.recharge.terms.locale};
		return this.put(body);
	}

	async put(body) {
		this.busy = true;
		this.refused = this.saved = undefined;
		const answer = await this.ask(PATH, {method: "PUT", body});
		this.busy = false;
		if (answer === undefined)
			return this.explain(this.refused);
		this.take(answer);
		this.saved = this.say(answer.enabled ? "saved" : "recharge.off.done");
		this.fire("octroi-recharge", {enabled: answer.enabled, state: answer.state});
		session.refresh();
		return this.close();
	}

	// A refusal shows the field that it is about.  One for want of consent asks for it, to the terms of now.
	explain(refusal) {
		if (this.draft === undefined)
			return undefined;
		if (refusal.code !== "CONSENT_NEEDED")
			return NAMES[refusal.answer.field] && this.point(NAMES[refusal.answer.field]);
		this.agreed = undefined;
		this.draft = {...this.draft, insisted: true};
		session.reload(PATH);
		return this.point("consent");
	}

	async pay() {
		this.busy = true;
		this.refused = this.saved = undefined;
		await openPayment(this, {amount: this.recharge.amount, saveCard: true}, this.news.answer.transactions[0]?.id ?? null);
		this.busy = false;
	}

	money(cents) {
		return this.words.paid(cents, this.recharge.currency);
	}

	// ---- what is shown ----

	view(c) {
		const r = this.recharge;
		if (!this.mayChange || (this.away?.status === 403 && r === undefined))
			return nothing;
		if (r === undefined)
			return this.away === undefined ? this.waiting() : this.news.refusal === undefined ? this.trouble(this.away) : nothing;
		// A postpaid account pays by its statements.
		if (c.mode === "postpaid" && !r.enabled && r.state === "off")
			return nothing;
		return html`${this.away !== undefined && this.news.refusal === undefined ? this.trouble(this.away) : nothing}
			<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("recharge")}</h2>
				<span class="state ${r.state}" part="state">${this.say(`recharge.state.${r.state}`)}</span></div>
			<div role="status">${this.saved ? html`<p class="notice good small">${this.saved}</p>` : nothing}</div>
			${this.draft === undefined ? this.shown(c, r) : this.form(c, r)}
		</section>`;
	}

	shown(c, r) {
		return html`<p>${r.enabled ? this.say("recharge.rule", {below: this.words.amount(r.belowMicros, c), amount: this.money(r.amount), cap: this.money(r.monthlyCap)}) :
				this.say("recharge.offer")}</p>
			${r.state === "pending" && r.pending ? html`<p class="notice" role="status">${this.say("recharge.pending", {amount: this.money(r.pending.amount)})}</p>` : nothing}
			${r.reasonText ? html`<p class="notice ${r.state === "paused" ? "bad" : "warn"}" role="status" part="reason">${r.reasonText}
				${r.nextAttemptAt ? this.say("recharge.next", {time: this.words.time(r.nextAttemptAt)}) : nothing}</p>` : nothing}
			${r.enabled || r.spentThisMonth > 0 ? html`<div class="spent"><p class="small">${this.say("recharge.spent", {spent: this.money(r.spentThisMonth), cap: this.money(r.monthlyCap)})}</p>
				${bar(r.spentThisMonth, r.monthlyCap)}</div>` : nothing}
			${this.alert()}
			<div class="row no-print">${r.state === "paused" ? this.step(r) : nothing}
				<button name="edit" @click=${this.edit}>${this.say(r.enabled ? "change" : "recharge.setup")}</button>
				${r.enabled ? html`<button part="off" ?disabled=${this.busy} @click=${() => this.put({enabled: false})}>${this.say("recharge.off")}</button>` : nothing}</div>
			${r.enabled && r.consent !== null ? html`<details><summary>${this.say("recharge.agreed", {time: this.words.time(r.consent.at)})}</summary>
				<p class="small muted" lang=${r.consent.locale}>${r.consent.text}</p></details>` : nothing}`;
	}

	step(r) {
		if (STEPS[r.reason] === "pay")
			return html`<button class="primary" part="action" ?disabled=${this.busy} @click=${this.pay}>${this.say("recharge.pay", {amount: this.money(r.amount)})}</button>`;
		if (STEPS[r.reason] === "agree")
			return html`<button class="primary" part="action" @click=${this.edit}>${this.say("recharge.look")}</button>`;
		if (STEPS[r.reason] === "resume")
			return html`<button class="primary" part="action" ?disabled=${this.busy} @click=${() =>
				this.put({enabled: true, belowMicros: r.belowMicros, amount: r.amount, monthlyCap: r.monthlyCap})}>${this.say("recharge.resume")}</button>`;
		return nothing;
	}

	alert() {
		return html`<div role="alert" id="refusal">${this.refused ? html`<p class="notice bad small" part="refusal">${this.refused.status === undefined ?
			this.refused.message : this.sentence(this.refused)}</p>` : nothing}</div>`;
	}

	form(c, r) {
		const unit = c.unit === "credit" ? this.say("credits.unit") : c.currency;
		const field = (name, label) => html`<label>${label}<input name=${name} inputmode="decimal" autocomplete="off" .value=${this.draft[name]}
			aria-invalid=${this.draft.wrong === name ? "true" : "false"} aria-describedby="refusal" @input=${(e) => this.write(name, e.target.value)}></label>`;
		return html`<form @submit=${this.save} novalidate>
			<div class="fields">${field("below", this.say("recharge.below", {unit}))}${field("amount", this.say("recharge.amount", {currency: c.currency}))}
				${field("cap", this.say("recharge.cap", {currency: c.currency}))}</div>
			<p class="muted small">${this.say("recharge.card")}</p>
			${this.needs() ? html`<label class="consent" part="consent"><input type="checkbox" name="consent" .checked=${this.agreed === this.terms}
				aria-invalid=${this.draft.wrong === "consent" ? "true" : "false"} aria-describedby="refusal"
				@change=${(e) => { this.agreed = e.target.checked ? this.terms : undefined; }}><span lang=${r.terms.locale}>${r.terms.text}</span></label>` : nothing}
			${this.alert()}
			<div class="row"><button class="primary" part="button" ?disabled=${this.busy}>${this.say(r.enabled ? "save" : "recharge.on")}</button>
				<button type="button" @click=${this.close}>${this.say("cancel")}</button></div></form>`;
	}
}

define("octroi-recharge", Recharge);
