// <octroi-history>: movements and usages in two tabs, page by page, with filters, a CSV of what is shown, and the lines
// of each charge.
import {OctroiElement, css, define, html, nothing, session} from "../element.js";

const PAGE = 20;
const TABS = ["transactions", "usages"];
const FILTERS = ["model", "action", "member"];
const COLUMNS = {
	transactions: ["id", "type", "amountMicros", "description", "balanceAfterMicros", "createdAt"],
	usages: ["id", "model", "action", "member", "inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens",
		"costMicros", "settlement", "createdAt"],
};

// A cell of CSV.  A spreadsheet takes some first characters for a formula: an apostrophe goes before them.
function cell(value) {
	const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// octroi describes its own movements by their type, which the row names already, in the page's language.
const plain = (text) => text.toLowerCase().replace(/[^a-z]+/g, " ");

class History extends OctroiElement {
	static properties = {
		tab: {type: String, reflect: true},
		pages: {state: true},
		filter: {state: true},
		busy: {state: true},
		refused: {state: true},
		lines: {state: true},
	};
	static styles = [OctroiElement.styles, css`
		.tabs { display: flex; gap: 0.25rem; border-block-end: 1px solid var(--_line); }
		.tabs button { border: 0; border-radius: 0; background: none; color: var(--_muted); border-block-end: 3px solid transparent; }
		.tabs button[aria-selected="true"] { color: var(--_ink); border-block-end-color: var(--_accent); }
		.plus { color: var(--_good); }
		form { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: end; }
		label { display: grid; gap: 0.2rem; font-size: 0.8125rem; color: var(--_muted); }
		label input { inline-size: 9rem; color: var(--_ink); font-size: 0.9375rem; }
		.why td { background: var(--_soft); padding-inline: 0.75rem; }
		.why table { font-size: 0.875rem; }
		.why :is(td, th):first-child { padding-inline-start: 0; }
		.why > td > .scroll > table > thead { display: table-header-group; }
		.tag { font-size: 0.75rem; border: 1px solid var(--_line); border-radius: 99px; padding: 0.05rem 0.5rem; color: var(--_muted); white-space: nowrap; }
		.unit { display: none; }
		[role="tabpanel"] { display: grid; gap: 1rem; }
		@media (max-width: 34rem) {
			.list > thead { display: none; }
			.list, .list > tbody { display: block; }
			.list > tbody > tr:not(.why) {
				display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0.1rem 0.75rem; align-items: baseline;
				padding-block: 0.6rem; border-block-end: 1px solid var(--_line);
			}
			.list > tbody > tr:not(.why) > td { border: 0; padding: 0; }
			.list > tbody > tr:not(.why) > td:first-child { grid-column: 1 / -1; }
			.list > tbody > tr.why, .list > tbody > tr.why > td { display: block; }
			.list:not(.used) > tbody > tr > td:nth-child(4) { grid-column: 1 / -1; text-align: end; }
			.list.used > tbody > tr:not(.why) > td:nth-child(3) { order: 4; text-align: start; }
			.list.used > tbody > tr:not(.why) > td:nth-child(5) { order: 5; }
			.unit { display: inline; }
		}
	`];

	constructor() {
		super();
		this.tab = "transactions";
		this.lines = {};
		this.filter = {};
		this.open("transactions");
	}

	open(tab) {
		this.tab = tab;
		this.pages = [];
		this.next = undefined;
		this.lines = {};
	}

	heard(answer, turn) {
		this.account = answer;
		// Another state of what the tab lists: the first page is out of date.
		const states = {transactions: answer.transactions[0]?.id ?? "", usages: turn};
		if (states[this.tab] !== this.states?.[this.tab] && (this.pages.length <= 1 || this.states === undefined))
			this.load(true);
		this.states = states;
	}

	async load(first) {
		const tab = this.tab;
		const query = new URLSearchParams({limit: PAGE});
		if (!first && this.next)
			query.set("cursor", this.next);
		if (tab === "usages")
			FILTERS.forEach((name) => this.filter[name] && query.set(name, this.filter[name]));
		this.busy = true;
		const page = await this.ask(`/api/credits/${tab}?${query}`);
		this.busy = false;
		if (page === undefined || tab !== this.tab)
			return;
		this.refused = undefined;
		this.pages = first ? [page.items] : [...this.pages, page.items];
		this.next = page.nextCursor;
	}

	choose(tab) {
		if (tab === this.tab)
			return;
		this.open(tab);
		this.load(true);
	}

	arrows(event) {
		if (event.key !== "ArrowRight" && event.key !== "ArrowLeft")
			return;
		const other = TABS[1 - TABS.indexOf(this.tab)];
		this.choose(other);
		this.updateComplete.then(() => this.renderRoot.getElementById(other).focus());
	}

	narrow(event) {
		event.preventDefault();
		this.filter = Object.fromEntries(FILTERS.map((name) => [name, event.target.elements[name]?.value.trim() ?? ""]));
		this.pages = [];
		this.load(true);
	}

	save() {
		const columns = COLUMNS[this.tab];
		const rows = [columns, ...this.pages.flat().map((item) => columns.map((name) => item[name]))];
		const file = new Blob(rows.map((row) => `${row.map(cell).join()}\r\n`), {type: "text/csv"});
		const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(file), download: `octroi-${this.tab}.csv`});
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 1000);
	}

	async why(id) {
		if (this.lines[id] !== undefined) {
			const {[id]: _, ...others} = this.lines;
			this.lines = others;
			return;
		}
		this.lines = {...this.lines, [id]: null};
		try {
			const usage = await session.ask(`/api/credits/usages/${encodeURIComponent(id)}`, {lang: this.words.tag});
			this.lines = {...this.lines, [id]: usage};
		} catch (refusal) {
			this.tell(refusal);
			this.lines = {...this.lines, [id]: {refusal}};
		}
	}

	view(c) {
		const items = this.pages.flat();
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("history")}</h2>
				<button class="plain small" part="csv" ?disabled=${items.length === 0} @click=${this.save}>${this.say("csv")}</button></div>
			<div class="tabs" role="tablist" part="tabs" aria-labelledby="title" @keydown=${this.arrows}>${TABS.map((tab) => html`
				<button role="tab" id=${tab} aria-selected=${this.tab === tab ? "true" : "false"} aria-controls="panel"
					tabindex=${this.tab === tab ? 0 : -1} @click=${() => this.choose(tab)}>${this.say(tab)}</button>`)}</div>
			<div role="tabpanel" id="panel" aria-labelledby=${this.tab} aria-busy=${this.busy ? "true" : "false"}>
				${this.tab === "usages" ? this.filters() : nothing}
				<div role="status">${this.refused ? this.trouble(this.refused) : nothing}</div>
				${items.length === 0 ? html`<p class="muted">${this.say(this.busy || this.next === undefined ? "loading" : this.next ? "none.yet" : "none")}</p>` :
					this.tab === "usages" ? this.usages(c, items) : this.transactions(c, items)}
				${this.next ? html`<div><button ?disabled=${this.busy} @click=${() => this.load(false)}>${this.say("more")}</button></div>` : nothing}
			</div>
		</section>`;
	}

	filters() {
		return html`<form class="no-print" @submit=${this.narrow}>
			${FILTERS.map((name) => html`<label>${this.say(name)}<input name=${name} autocomplete="off" .value=${this.filter[name] ?? ""}></label>`)}
			<button>${this.say("filter")}</button></form>`;
	}

	transactions(c, items) {
		return html`<div class="scroll" role="group" aria-labelledby="title" tabindex="0"><table class="list" part="table"><thead><tr><th scope="col">${this.say("date")}</th><th scope="col">${this.say("description")}</th>
			<th scope="col" class="number">${this.say("amount")}</th><th scope="col" class="number">${this.say("balance.after")}</th></tr></thead>
			<tbody>${items.map((t) => html`<tr><td class="small muted">${this.words.time(t.createdAt)}</td>
				<td>${this.say(`type.${t.type}`)}${t.description && plain(t.description) !== plain(t.type) ? html`<br><bdi class="small muted">${t.description}</bdi>` : nothing}</td>
				<td class="number ${t.amountMicros > 0 ? "plus" : ""}">${this.words.amount(t.amountMicros, c, {sign: true})}</td>
				<td class="number muted"><span class="unit small">${this.say("balance.after")} </span>${this.words.amount(t.balanceAfterMicros, c)}</td></tr>`)}</tbody></table></div>`;
	}

	usages(c, items) {
		return html`<div class="scroll" role="group" aria-labelledby="title" tabindex="0"><table class="list used" part="table"><thead><tr><th scope="col">${this.say("date")}</th><th scope="col">${this.say("used.for")}</th>
			<th scope="col" class="number">${this.say("tokens")}</th><th scope="col" class="number">${this.say("cost")}</th>
			<th scope="col"><span class="hide">${this.say("why")}</span></th></tr></thead>
			<tbody>${items.map((u) => this.usage(c, u))}</tbody></table></div>`;
	}

	usage(c, u) {
		const shown = this.lines[u.id] !== undefined;
		const name = u.model ?? u.action;
		return html`<tr><td class="small muted">${this.words.time(u.createdAt)}</td>
			<td><bdi>${name}</bdi>${u.quantity > 1 ? html` × ${this.words.number(u.quantity)}` : nothing}
				${u.settlement === "exact" ? nothing : html` <span class="tag">${this.say(`settlement.${u.settlement}`)}</span>`}
				${u.source === "byok" ? html` <span class="tag">${this.say("byok")}</span>` : nothing}
				${u.member ? html`<br><bdi class="small muted">${u.member}</bdi>` : nothing}</td>
			<td class="number muted">${this.words.number(u.totalTokens)}<span class="unit small"> ${this.say("tokens.short")}</span></td>
			<td class="number">${this.words.amount(u.costMicros, c, {fine: true})}</td>
			<td class="number"><button class="plain small no-print" aria-expanded=${shown ? "true" : "false"} @click=${() => this.why(u.id)}
				>${this.say("why")}<span class="hide"> ${name}, ${this.words.time(u.createdAt)}</span></button></td></tr>
			${shown ? html`<tr class="why" part="why"><td colspan="5" role="cell">${this.explain(c, this.lines[u.id])}</td></tr>` : nothing}`;
	}

	explain(c, usage) {
		if (usage === null)
			return html`<p class="muted">${this.say("loading")}</p>`;
		if (usage.refusal !== undefined)
			return this.trouble(usage.refusal);
		return html`<div class="scroll" role="group" aria-label=${this.say("why")} tabindex="0"><table><thead><tr><th scope="col">${this.say("counted")}</th><th scope="col" class="number">${this.say("count")}</th>
			<th scope="col" class="number">${this.say("unit.price")}</th><th scope="col" class="number">${this.say("cost")}</th></tr></thead>
			<tbody>${(usage.lines ?? []).map((line) => html`<tr><td>${this.dimension(line)}</td>
				<td class="number">${line.count === undefined ? "" : this.words.number(line.count)}</td>
				<td class="number">${this.price(c, line.unitPrice)}</td>
				<td class="number">${this.words.amount(line.costMicros, c, {fine: true})}</td></tr>`)}
			<tr><th scope="row" colspan="3">${this.say("sum")}</th><td class="number"><strong>${this.words.amount(usage.costMicros, c, {fine: true})}</strong></td></tr></tbody></table></div>`;
	}

	// Prices of tokens are told by the million, as providers do: the decimal point moves, no figure changes.
	price(c, text) {
		const found = /^0\.000(\d{3})(\d*)$/.exec(text ?? "");
		if (found === null)
			return text === undefined || text === null ? "" : this.words.amount(Number(text) * 1_000_000, c, {fine: true});
		const million = Number(`${found[1]}.${found[2]}`);
		return this.say("per.million", {price: this.words.amount(million * 1_000_000, c, {fine: true})});
	}

	dimension(line) {
		const key = `dimension.${line.dimension}`;
		return html`${this.words.has(key) ? this.say(key) : line.dimension}${line.variant ? html` · <bdi>${line.variant}</bdi>` : nothing}${
			line.serviceTier && line.serviceTier !== "standard" ? ` · ${line.serviceTier}` : nothing}${
			line.aboveTokens ? ` · > ${this.words.number(line.aboveTokens)}` : nothing}`;
	}
}

define("octroi-history", History);
