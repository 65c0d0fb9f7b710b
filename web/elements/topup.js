// <octroi-topup>: five amounts, or one of one's own, and the way to the payment page and back.
import {OctroiElement, css, define, html, hundredths, nothing, session} from "../element.js";
import {openPayment, takePayment} from "../payment.js";

const AMOUNTS = [500, 1000, 2500, 5000];
const LOWEST = 500;
const HIGHEST = 100_000;
const POLL_MS = 1_500;
const POLLS = 40;

class TopUp extends OctroiElement {
	static properties = {
		amounts: {type: String},
		chosen: {state: true},
		busy: {state: true},
		refused: {state: true},
		arrival: {state: true},
	};
	static styles = [OctroiElement.styles, css`
		fieldset { border: 0; padding: 0; margin: 0; min-inline-size: 0; }
		legend { padding: 0; margin-block-end: 0.5rem; font-size: 0.875rem; color: var(--_muted); }
		.amounts { display: grid; grid-template-columns: repeat(auto-fit, minmax(4.5rem, 1fr)); gap: 0.5rem; }
		.choice { position: relative; }
		.choice input { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; opacity: 0; margin: 0; cursor: pointer; }
		.choice span {
			display: grid; place-items: center; min-height: 3rem; border: 1px solid var(--_line); border-radius: 9px;
			font-weight: 600; background: var(--_surface); padding: 0.25rem 0.5rem; text-align: center;
		}
		.choice input:checked + span { border-color: var(--_accent); background: var(--_tint); box-shadow: inset 0 0 0 1px var(--_accent); }
		.choice input:focus-visible + span { outline: 3px solid var(--_accent); outline-offset: 2px; }
		.own { display: grid; gap: 0.25rem; }
		.own input { inline-size: 10rem; }
		@media (forced-colors: active) { .choice input:checked + span { border: 3px solid Highlight; } }
	`];

	constructor() {
		super();
		this.chosen = 1000;
		this.own = "";
	}

	connectedCallback() {
		super.connectedCallback();
		this.come();
	}

	disconnectedCallback() {
		super.disconnectedCallback();
		clearTimeout(this.timer);
	}

	// Back from the payment page: the credit comes with the payment service's own word, not with the browser.
	come() {
		const back = new URLSearchParams(location.search).get("topup");
		const left = takePayment();
		if (back === "canceled")
			this.arrival = "canceled";
		if (back !== "success")
			return;
		this.arrival = "waiting";
		this.poll(left?.newest ?? null, POLLS);
	}

	async poll(newest, left) {
		const page = await this.ask("/api/credits/transactions?limit=20");
		const fresh = page?.items ?? [];
		const known = fresh.findIndex((t) => t.id === newest);
		const arrived = fresh.slice(0, known < 0 ? fresh.length : known).find((t) => t.type === "TOP_UP");
		if (arrived !== undefined) {
			this.arrival = arrived;
			session.refresh();
			this.fire("octroi-topup", {amountMicros: arrived.amountMicros, id: arrived.id});
		} else if (left > 1 && this.isConnected) {
			this.timer = setTimeout(() => this.poll(newest, left - 1), POLL_MS);
		} else {
			this.arrival = "late";
		}
	}

	cents() {
		return this.chosen === "own" ? hundredths(this.own) : this.chosen;
	}

	async submit(event) {
		event.preventDefault();
		const amount = this.cents();
		if (!(amount >= LOWEST && amount <= HIGHEST)) {
			this.refused = {message: this.say("topup.bounds", {low: this.money(LOWEST), high: this.money(HIGHEST)})};
			this.renderRoot.querySelector("[name=own]")?.focus();
			return;
		}
		this.busy = true;
		this.refused = undefined;
		await openPayment(this, {amount}, this.news?.answer?.transactions[0]?.id ?? null);
		this.busy = false;
	}

	money(cents) {
		return this.words.paid(cents, this.news.answer.currency);
	}

	told(c) {
		if (this.arrival === undefined)
			return nothing;
		if (this.arrival === "waiting")
			return html`<p class="notice" part="arrival">${this.say("topup.waiting")}</p>`;
		if (this.arrival === "canceled")
			return html`<p class="notice" part="arrival">${this.say("topup.canceled")}</p>`;
		if (this.arrival === "late")
			return html`<p class="notice warn" part="arrival">${this.say("topup.late")}</p>`;
		return html`<p class="notice good" part="arrival">✓ ${this.say("topup.arrived",
			{amount: this.words.amount(this.arrival.amountMicros, c)})}</p>`;
	}

	view(c) {
		if (c.member !== undefined && c.member.role !== "manager")
			return nothing;
		const choices = this.amounts ? this.amounts.split(/[ ,]+/).map(Number).filter((n) => n > 0) : AMOUNTS;
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<h2 id="title">${this.say("topup")}</h2>
			<div aria-live="polite">${this.told(c)}</div>
			<form class="stack" @submit=${this.submit} novalidate>
				<fieldset><legend>${this.say("topup.choose")}</legend>
					<div class="amounts" part="amounts">${choices.map((cents) => html`<label class="choice">
						<input type="radio" name="amount" .checked=${this.chosen === cents} @change=${() => { this.chosen = cents; }}>
						<span>${this.money(cents)}</span></label>`)}
						<label class="choice"><input type="radio" name="amount" .checked=${this.chosen === "own"}
							@change=${() => { this.chosen = "own"; }}><span>${this.say("topup.own")}</span></label>
					</div></fieldset>
				${this.chosen === "own" ? html`<label class="own small">${this.say("topup.amount", {currency: c.currency})}
					<input name="own" inputmode="decimal" autocomplete="off" .value=${this.own} aria-describedby="bounds"
						@input=${(e) => { this.own = e.target.value; }}>
					<span id="bounds" class="muted">${this.say("topup.bounds", {low: this.money(LOWEST), high: this.money(HIGHEST)})}</span></label>` : nothing}
				<div role="alert">${this.refused ? html`<p class="notice bad small" part="refusal">${this.refused.status === undefined ?
					this.refused.message : this.sentence(this.refused)}</p>` : nothing}</div>
				<div class="row"><button class="primary" part="button" ?disabled=${this.busy}>${this.say(this.busy ? "topup.opening" : "topup.pay")}</button>
					<span class="muted small">${this.say("topup.note")}</span></div>
			</form>
		</section>`;
	}
}

define("octroi-topup", TopUp);
