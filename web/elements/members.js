// <octroi-members>: what each member has used of its limit, in pages.
import {OctroiElement, css, define, html, nothing, session} from "../element.js";
import {bar} from "../bar.js";

class Members extends OctroiElement {
	static path = "/api/credits/settings?limit=100";
	static properties = {more: {state: true}, next: {state: true}};
	static styles = [OctroiElement.styles, css`td .bar { min-inline-size: 6rem; margin-block-start: 0.35rem; }`];

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

	async further(cursor) {
		const page = await this.ask(`/api/credits/settings?limit=100&cursor=${encodeURIComponent(cursor)}`);
		if (page === undefined)
			return;
		this.more = [...this.more ?? [], ...page.members];
		this.next = page.nextCursor;
	}

	view(s) {
		const members = [...s.members, ...this.more ?? []];
		const next = this.next === undefined ? s.nextCursor : this.next;
		if (members.length === 0 || this.account === undefined)
			return nothing;
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("members")}</h2>
				<button class="plain small no-print" part="csv" @click=${() => this.download("/api/credits/settings?limit=100", "octroi-members.csv")}>${this.say("csv")}<span class="hide"> ${this.say("members")}</span></button></div>
			<div class="scroll" role="group" aria-labelledby="title" tabindex="0"><table part="table"><thead><tr>
				<th scope="col">${this.say("member")}</th><th scope="col">${this.say("role")}</th>
				<th scope="col">${this.say("members.used")}</th></tr></thead>
				<tbody>${members.map((m) => this.line(m))}</tbody></table></div>
			${next ? html`<div><button @click=${() => this.further(next)}>${this.say("more")}</button></div>` : nothing}
		</section>`;
	}

	line(m) {
		const amount = (micros) => this.words.amount(micros, this.account);
		const own = ["daily", "monthly"].filter((name) => (m[`${name}LimitMicros`] ?? null) !== null);
		const used = amount(m.usedMicros);
		return html`<tr><th scope="row"><bdi>${m.member}</bdi></th><td>${this.say(m.role)}${m.removedAt ? html` · ${this.say("removed")}` : nothing}</td>
			<td>${m.limitMicros === null ? used : html`${this.say("limits.of", {used, limit: amount(m.limitMicros)})}
				${bar(m.usedMicros, m.limitMicros)}`}${own.map((name) => html`<div class="small">${this.say(name)}: ${this.say("limits.of",
					{used: amount(m[`${name}UsedMicros`]), limit: amount(m[`${name}LimitMicros`])})}
				${bar(m[`${name}UsedMicros`], m[`${name}LimitMicros`])}</div>`)}</td></tr>`;
	}
}

define("octroi-members", Members);
