// <octroi-billing>: all of it, in the order of a customer's questions: what is left, what did it cost, how to pay.
import {OctroiElement, css, define, html} from "../element.js";
import "./alerts.js";
import "./balance.js";
import "./diagnosis.js";
import "./history.js";
import "./invoices.js";
import "./limits.js";
import "./members.js";
import "./plan.js";
import "./recharge.js";
import "./topup.js";
import "./usage.js";

class Billing extends OctroiElement {
	static properties = {ended: {state: true}};
	static styles = [OctroiElement.styles, css`
		.page { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
		.pair { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); }
		.column { display: flex; flex-direction: column; gap: 1rem; }
		.column > octroi-balance { flex: 1; }
		.column > octroi-balance::part(card) { block-size: 100%; }
	`];

	heard() {
		this.ended = false;
	}

	connectedCallback() {
		super.connectedCallback();
		this.renderRoot.addEventListener("octroi-token-needed", () => { this.ended = true; });
	}

	// A reason that holds for all elements is told once.
	get over() {
		return this.ended ? "ended" : this.news?.refusal?.status === 403 ? "closed" : "";
	}

	render() {
		return html`<div class="page">
			<div role="alert" class=${this.over ? "" : "hide"}>${this.over ? html`<p class="notice warn" part="ended">${this.say(this.over)}</p>` : ""}</div>
			<div class="page" ?hidden=${this.over !== ""}>
				<octroi-diagnosis quiet></octroi-diagnosis>
				<div class="pair"><div class="column"><octroi-balance></octroi-balance><octroi-plan></octroi-plan></div><octroi-topup></octroi-topup></div>
				<octroi-recharge></octroi-recharge>
				<octroi-usage></octroi-usage>
				<octroi-history></octroi-history>
				<div class="pair"><octroi-limits></octroi-limits><octroi-members></octroi-members></div>
				<octroi-invoices></octroi-invoices>
				<octroi-alerts></octroi-alerts>
			</div></div>`;
	}
}

define("octroi-billing", Billing);
