// <octroi-plan>: the plan's allowance of this period.
import {OctroiElement, css, define, html, nothing} from "../element.js";
import {bar} from "../bar.js";

class Plan extends OctroiElement {
	static styles = [OctroiElement.styles, css`
		.figures { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; }
		.left { font-size: 1.5rem; font-weight: 650; }
	`];

	view(c) {
		const a = c.allowance;
		if (c.plan === undefined && a === undefined)
			return nothing;
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("plan")}</h2><bdi part="name">${c.plan ?? ""}</bdi></div>
			${a === undefined ? nothing : this.allowance(c, a)}
			${c.nextPlan ? html`<p class="small">${this.say("plan.next", {plan: c.nextPlan})}</p>` : nothing}
			${c.nextPlan === null ? html`<p class="small">${this.say("plan.ends")}</p>` : nothing}
		</section>`;
	}

	allowance(c, a) {
		const left = Math.max(0, a.limitMicros - a.usedMicros);
		const amount = (micros) => this.words.amount(micros, c);
		return html`<p class="left">${this.say("plan.left", {left: amount(left), limit: amount(a.limitMicros)})}</p>
			${bar(a.usedMicros, a.limitMicros)}
			<p class="figures small muted"><span>${this.say("plan.used", {used: amount(a.usedMicros)})}</span>
				${a.carriedMicros > 0 ? html`<span>${this.say("plan.carried", {carried: amount(a.carriedMicros)})}</span>` : nothing}
				${a.reservedMicros > 0 ? html`<span>${this.say("plan.reserved", {reserved: amount(a.reservedMicros)})}</span>` : nothing}
				<span>${this.say("resets", {time: this.words.time(a.resetsAt)})}</span></p>`;
	}
}

define("octroi-plan", Plan);
