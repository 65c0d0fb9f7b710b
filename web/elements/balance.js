// <octroi-balance>: what the account has.  compact: the amount alone.
import {OctroiElement, css, define, html, nothing} from "../element.js";

class Balance extends OctroiElement {
	static properties = {compact: {type: Boolean, reflect: true}};
	static styles = [OctroiElement.styles, css`
		:host([compact]) { display: inline-block; }
		.amount { font-size: clamp(2.25rem, 8vw, 3.25rem); font-weight: 680; letter-spacing: -0.03em; line-height: 1.1; }
		.amount.low { color: var(--_bad); }
		.compact { display: inline-flex; gap: 0.4rem; align-items: baseline; font-weight: 600; }
		.compact .low { color: var(--_bad); }
		dl { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; margin-block-start: 0.75rem; }
		dt { font-size: 0.8125rem; color: var(--_muted); }
		dd { font-weight: 600; }
	`];

	heard(answer) {
		if (this.last !== undefined && this.last !== answer.balanceMicros)
			this.fire("octroi-balance-changed", {balanceMicros: answer.balanceMicros, beforeMicros: this.last});
		this.last = answer.balanceMicros;
	}

	view(c) {
		const amount = this.words.amount(c.balanceMicros, c);
		const low = c.low ? "low" : "";
		if (this.compact)
			return html`<span class="compact" part="balance" role="status"><span class="hide">${this.say("balance")}</span>
				<span class=${low} part="amount">${amount}</span>${c.low ? html`<span class="small">${this.say("low")}</span>` : nothing}</span>`;
		return html`<section class="card" part="card" aria-labelledby="title">
			<h2 id="title" class="muted">${this.say(c.balanceMicros < 0 ? "owed" : "balance")}</h2>
			<p class="amount ${low}" part="amount" aria-live="polite" aria-atomic="true">${amount}</p>
			${c.low ? html`<p class="notice warn small" part="low">${this.say(c.mode === "postpaid" ? "low.postpaid" : "low.prepaid")}</p>` : nothing}
			<dl part="figures">
				<div><dt>${this.say("spendable")}</dt><dd>${this.words.amount(c.spendableMicros ?? c.availableMicros, c)}</dd></div>
				${c.heldMicros > 0 ? html`<div><dt>${this.say("held")}</dt><dd>${this.words.amount(c.heldMicros, c)}</dd></div>` : nothing}
				${c.hasByok ? html`<div><dt>${this.say("byok")}</dt><dd>${this.say("byok.on")}</dd></div>` : nothing}
			</dl>
		</section>`;
	}

	waiting() {
		return this.compact ? html`<span class="muted">…</span>` : super.waiting();
	}
}

define("octroi-balance", Balance);
