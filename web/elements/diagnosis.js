// <octroi-diagnosis>: which case a balance is, why, and the one next step.
import {OctroiElement, css, define, html, nothing} from "../element.js";

// The element that does what an action asks for.  Without it on the page, the link of the answer is followed.
const PARTS = {top_up: "octroi-topup", buy_credits: "octroi-topup", raise_daily_limit: "octroi-limits", raise_monthly_limit: "octroi-limits"};

class Diagnosis extends OctroiElement {
	static path = "/api/credits/diagnosis";
	static properties = {quiet: {type: Boolean}};
	static styles = [OctroiElement.styles, css`
		.card { border-inline-start: 4px solid var(--_warn); }
		.card.fine { border-inline-start-color: var(--_good); }
		ul { list-style: none; display: grid; gap: 0.4rem; }
		li { display: grid; grid-template-columns: 1.5rem 1fr; }
		summary { cursor: pointer; font-weight: 550; padding-block: 0.4rem; }
	`];

	act(event, part) {
		const root = this.getRootNode();
		const target = part && (root.querySelector(part) ?? document.querySelector(part));
		if (!target)
			return;
		event.preventDefault();
		target.scrollIntoView({block: "center"});
		target.renderRoot?.querySelector("input, button")?.focus();
	}

	view(d) {
		const fine = d.case === "nothing_wrong" || d.case === "postpaid_normal";
		// A balance below zero is explained also where it is as it should be.
		if (d.case === "nothing_wrong" && this.quiet)
			return nothing;
		return html`<section class="card stack ${fine ? "fine" : ""}" part="card" aria-labelledby="title">
			<h2 id="title">${d.title}</h2><p>${d.explanation}</p>
			${d.case === "nothing_wrong" ? nothing : this.action(d.nextAction)}
			<details><summary>${this.say("diagnosis.checklist")}</summary><ul part="checklist">${d.checklist.map((item) => html`
				<li><span aria-hidden="true">${item.done === null ? "?" : item.done ? "✓" : "•"}</span>
					<span>${item.text}<span class="hide"> ${this.say(item.done === null ? "unknown" : item.done ? "done" : "open")}</span></span></li>`)}</ul></details>
		</section>`;
	}

	action(next) {
		const part = PARTS[next.id];
		const safe = /^https?:\/\//.test(next.url ?? "");
		if (part !== undefined || safe)
			return html`<div><a class="button primary" part="action" href=${safe ? next.url : "#"} @click=${(e) => this.act(e, part)}>${next.text}</a></div>`;
		return html`<p part="action"><strong>${next.text}</strong></p>`;
	}
}

define("octroi-diagnosis", Diagnosis);
