// <octroi-plan>: the plan's allowance of this period, and credit that expires.
import {OctroiElement, css, define, html, nothing} from "../element.js";
import {bar} from "../bar.js";

class Plan extends OctroiElement {
	static styles = [OctroiElement.styles, css`
		.figures { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; }
		.left { font-size: 1.5rem; font-weight: 650; }
	`];

	static properties = {grants: {state: true}};

	// Grants come with movements; use changes those that are there.
	async heard(c, turn) {
		const moved = c.transactions[0]?.id ?? "";
		const changed = moved !== this.moved || (turn !== this.turn && this.grants?.length > 0);
		Object.assign(this, {moved, turn});
		if (changed && (c.member === undefined || c.member.role === "manager"))
			this.grants = (await this.ask("/api/credits/grants"))?.items.filter((g) => g.expiresAt !== null) ?? this.grants;
	}

	view(c) {
		const a = c.allowance;
		const expiring = this.grants ?? [];
		if (c.plan === undefined && a === undefined)
			return expiring.length === 0 ? nothing : html`<section class="card stack" part="card" aria-labelledby="title">
				<h2 id="title">${this.say("grants.expire")}</h2>${this.expiring(c, expiring)}</section>`;
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("plan")}</h2><bdi part="name">${c.plan ?? ""}</bdi></div>
			${a === undefined ? nothing : this.allowance(c, a)}
			${this.expiring(c, expiring.filter((g) => g.type !== "PLAN_ALLOWANCE"))}
			${c.nextPlan ? html`<p class="small">${this.say("plan.next", {plan: c.nextPlan})}</p>` : nothing}
			${c.nextPlan === null ? html`<p class="small">${this.say("plan.ends")}</p>` : nothing}
		</section>`;
	}

	expiring(c, grants) {
		return grants.map((g) => html`<p class="small">${this.say(`type.${g.type}`)}: ${this.say("grants.expires",
			{amount: this.words.amount(g.remainingMicros, c), time: this.words.time(g.expiresAt)})}</p>`);
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
