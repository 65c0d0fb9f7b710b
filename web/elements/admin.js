// <octroi-admin>: what an operator looks at: money, what waits for a person, accounts and the whole story of one.
import {OctroiElement, css, define, html, nothing} from "../element.js";
import {columns} from "../chart.js";
import {bar} from "../bar.js";
import en from "../lang/admin-en.js";
import fr from "../lang/admin-fr.js";

const SPANS = [7, 30, 90];
const GROUPS = ["day", "plan", "model", "workspace"];
const STATES = ["any", "active", "past_due", "suspended", "unpaid", "debt"];
const DAY_MS = 86_400_000;
const POLL_MS = 60_000;
const LISTS = {
	states: "reports/accounts", ages: "reports/holds", charges: "charges", outbox: "outbox", events: "events",
	providers: "providers", prices: "prices?limit=20", alerts: "alerts?limit=50",
	operator: "operator-alerts?limit=20",
};

class Admin extends OctroiElement {
	static path = null;
	static properties = {
		by: {type: String, reflect: true},
		days: {type: Number, reflect: true},
		account: {type: String, reflect: true},
		lists: {state: true},
		margins: {state: true},
		shares: {state: true},
		found: {state: true},
		story: {state: true},
		history: {state: true},
		refused: {state: true},
		busy: {state: true},
	};
	static styles = [OctroiElement.styles, css`
		.page { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
		.pair { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
		.figures { display: flex; flex-wrap: wrap; gap: 0.75rem 2.5rem; }
		.figures dt { color: var(--_muted); font-size: 0.875rem; }
		.figures dd:not(.small) { font-size: 1.5rem; font-weight: 650; }
		.card { align-content: start; grid-template-columns: minmax(0, 1fr); }
		.card > .row.between { min-block-size: 2.5rem; }
		.chart { inline-size: 100%; display: block; overflow: visible; }
		.value { fill: var(--_accent); }
		.reach { fill: transparent; }
		.bar:hover .reach { fill: var(--_soft); }
		.line { stroke: var(--_line); stroke-dasharray: 2 4; }
		.floor { stroke: var(--_line); }
		text { fill: var(--_muted); font-size: 11px; }
		.label { text-anchor: middle; }
		.choices { display: inline-flex; flex-wrap: wrap; gap: 0.25rem; }
		.choices button { min-height: 2rem; padding: 0.15rem 0.7rem; font-size: 0.875rem; }
		.choices button[aria-pressed="true"] { background: var(--_tint); border-color: var(--_accent); }
		form { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: end; }
		label { display: grid; gap: 0.2rem; font-size: 0.8125rem; color: var(--_muted); }
		label input { inline-size: min(20rem, 70vw); color: var(--_ink); font-size: 0.9375rem; }
		.share { display: grid; gap: 0.25rem; }
		table { font-size: 0.9375rem; }
		tbody th { color: var(--_ink); font-size: inherit; }
		th, td { padding-inline-end: 1.25rem; min-inline-size: 4.5rem; }
		td:not(.number), tbody th { overflow-wrap: normal; min-inline-size: 6rem; max-inline-size: 24rem; }
		th bdi, td bdi { overflow-wrap: break-word; }
		.plain { padding: 0; min-height: 0; text-align: start; }
		.bad { color: var(--_bad); }
		@media (forced-colors: active) { .value, text { fill: CanvasText; } .choices button[aria-pressed="true"] { border-width: 3px; } }
	`];

	constructor() {
		super();
		this.by = "day";
		this.days = 30;
		this.lists = {};
		this.state = "any";
		this.match = "";
	}

	// The words of these pages are beside those of the elements.
	say(key, values = {}) {
		const own = this.words.short === "fr" ? fr : en;
		const name = values.count === undefined ? key : `${key}.${this.words.plural.select(values.count)}`;
		const sentence = own[name] ?? own[values.count === undefined ? key : `${key}.other`];
		return sentence === undefined ? super.say(key, values) : sentence.replace(/\{(\w+)\}/g, (_, n) => values[n] ?? "");
	}

	get currency() {
		return this.margins?.currency ?? "EUR";
	}

	amount(micros, unit = "money", fine = false) {
		return this.words.amount(micros, {unit, currency: this.currency}, {fine});
	}

	minor(amount, currency) {
		const money = {style: "currency", currency: (currency || this.currency).toUpperCase()};
		const {maximumFractionDigits} = new Intl.NumberFormat("en", money).resolvedOptions();
		return this.words.number(amount / 10 ** maximumFractionDigits, money);
	}

	when(time) {
		return time === null || time === undefined ? "–" : this.words.time(time);
	}

	disconnectedCallback() {
		super.disconnectedCallback();
		clearTimeout(this.timer);
	}

	begin() {
		clearTimeout(this.timer);
		this.load();
	}

	// Asked one after the other: an operator's page takes no more than one of octroi's places for reports.
	async load() {
		const run = this.run = (this.run ?? 0) + 1;
		clearTimeout(this.timer);
		this.refused = undefined;
		if (await this.money() && run === this.run) {
			for (const [name, path] of Object.entries(LISTS)) {
				const answer = await this.ask(`/api/admin/${path}`);
				if (run !== this.run || answer === undefined)
					break;
				this.lists = {...this.lists, [name]: answer.items};
			}
			this.asOf = new Date().toISOString();
			if (this.account)
				await this.tellStory(this.account);
			else if (this.found === undefined)
				await this.search(true);
		}
		const over = this.refused?.status === 401 || this.refused?.status === 403 || this.refused?.status === 404;
		if (run === this.run && this.isConnected && !over)
			this.timer = setTimeout(() => document.hidden ? this.begin() : this.load(), POLL_MS);
	}

	async money() {
		const start = new Date();
		start.setUTCHours(0, 0, 0, 0);
		const from = new Date(start.getTime() - (this.days - 1) * DAY_MS).toISOString();
		const by = this.by;
		const margins = await this.ask(`/api/admin/reports/margin?${new URLSearchParams({by, from, limit: 200})}`);
		const shares = margins && await this.ask(`/api/admin/reports/settlements?${new URLSearchParams({from})}`);
		if (shares === undefined)
			return false;
		this.margins = {...margins, by, start: Date.parse(from)};
		this.shares = shares.items;
		return true;
	}

	async search(first) {
		const query = new URLSearchParams({state: this.state, limit: 50});
		if (this.match)
			query.set("match", this.match);
		if (!first)
			query.set("cursor", this.found.next);
		this.busy = true;
		const page = await this.ask(`/api/admin/accounts?${query}`);
		this.busy = false;
		if (page !== undefined)
			this.found = {items: [...first ? [] : this.found.items, ...page.items], next: page.nextCursor};
	}

	async tellStory(account) {
		const at = `/api/admin/accounts/${encodeURIComponent(account)}`;
		this.account = account;
		const story = await this.ask(at);
		const diagnosis = story && await this.ask(`${at}/diagnosis`);
		const transactions = diagnosis && await this.ask(`${at}/transactions?limit=50`);
		const usages = transactions && await this.ask(`${at}/usages?limit=50`);
		if (usages === undefined || account !== this.account)
			return;
		this.story = {...story, diagnosis};
		this.history = {transactions, usages};
	}

	async further(kind) {
		const at = `/api/admin/accounts/${encodeURIComponent(this.account)}`;
		const old = this.history[kind];
		const page = await this.ask(`${at}/${kind}?${new URLSearchParams({limit: 50, cursor: old.nextCursor})}`);
		if (page !== undefined)
			this.history = {...this.history, [kind]: {...page, items: [...old.items, ...page.items]}};
	}

	choose(what) {
		Object.assign(this, what);
		this.load();
	}

	open(account) {
		this.story = this.history = undefined;
		this.tellStory(account);
		this.updateComplete.then(() => this.renderRoot.getElementById("back")?.focus());
	}

	close() {
		this.account = this.story = this.history = this.refused = undefined;
		if (this.found === undefined)
			this.search(true);
	}

	sentence(refusal) {
		if (refusal.status === 401)
			return this.say("admin.ended");
		if (refusal.status === 403 || (refusal.status === 404 && !this.account))
			return this.say("admin.forbidden");
		return refusal.status === 404 ? this.say("story.none") : super.sentence(refusal);
	}

	// ---- what is shown ----

	render() {
		const refused = this.refused === undefined ? nothing : html`<div role="alert">${this.trouble(this.refused)}</div>`;
		if (this.refused?.status === 401 || (this.margins === undefined && this.refused !== undefined))
			return refused;
		if (this.margins === undefined)
			return this.waiting();
		return html`<div class="page">${refused}${this.account ? this.viewStory() : html`
			${this.viewMoney(this.margins)}
			<div class="pair">${this.viewShares()}${this.viewAges()}</div>
			${this.viewWaiting()}
			${this.viewAccounts()}
			<div class="pair">${this.viewProviders()}${this.viewPrices()}</div>
			${this.viewOperator()}${this.viewAlerts(this.lists.alerts)}`}
			<p class="small muted">${this.asOf ? this.say("refreshed", {time: this.words.time(this.asOf)}) : nothing}</p></div>`;
	}

	card(id, title, body, more = nothing) {
		return html`<section class="card stack" part="card" aria-labelledby=${id}>
			<div class="row between"><h2 id=${id}>${title}</h2>${more}</div>${body}</section>`;
	}

	// fields: [heading, cell of a row, is a number].
	table(id, rows, fields) {
		if (rows === undefined)
			return html`<div class="wait"></div>`;
		if (rows.length === 0)
			return html`<p class="muted">${this.say("none")}</p>`;
		return html`<div class="scroll" role="group" aria-labelledby=${id} tabindex="0"><table part="table"><thead><tr>${fields.map(([heading, , number]) =>
			html`<th scope="col" class=${number ? "number" : ""}>${heading}</th>`)}</tr></thead>
			<tbody>${rows.map((row) => html`<tr>${fields.map(([, cell, number], i) => i === 0 ?
				html`<th scope="row"><bdi>${cell(row)}</bdi></th>` :
				html`<td class=${number ? "number" : ""}><bdi>${cell(row)}</bdi></td>`)}</tr>`)}</tbody></table></div>`;
	}

	link(account) {
		return account === undefined ? "" : html`<button class="plain" @click=${() => this.open(account)}><bdi>${account}</bdi></button>`;
	}

	pressed(name, value, text) {
		return html`<button aria-pressed=${this[name] === value ? "true" : "false"} @click=${() => this.choose({[name]: value})}>${text}</button>`;
	}

	csv(path, name) {
		return html`<button class="plain small no-print" part="csv" @click=${() => this.download(path, name)}>${this.say("csv")}<span class="hide"> ${name}</span></button>`;
	}

	viewMoney(m) {
		const t = m.total;
		const percent = (tenths) => tenths === null ? "–" : this.words.number(tenths / 1000, {style: "percent", maximumFractionDigits: 1});
		const short = (day) => this.words.date(`${day}T00:00:00Z`, {day: "numeric", month: "short", timeZone: "UTC"});
		const fine = (name) => (row) => this.amount(row[name], "money", true);
		const figure = (name, micros, more = nothing) => html`<div><dt>${this.say(name)}</dt><dd>${this.amount(micros)}</dd>${more}</div>`;
		return this.card("money", this.say("money.title"), html`
			<dl class="figures">${figure("revenue", t.revenueMicros)}${figure("provider.cost", t.providerMicros)}
				${figure("margin", t.marginMicros, html`<dd class="small muted">${this.say("margin.of", {percent: percent(t.marginPercentTenths)})}</dd>`)}</dl>
			${m.by === "day" ? this.picture(m, short) : nothing}
			${this.table("money", m.items.length === 0 ? [] : [...m.items, {key: null, ...t}], [
				[this.say(`by.${m.by}`), (row) => row.key === null ? this.say("sum") : m.by === "day" ? short(row.key) : row.key || this.say("by.none")],
				[this.say("requests"), (row) => this.words.number(row.requests), true],
				[this.say("used.sum"), fine("usedMicros"), true], [this.say("given"), fine("givenMicros"), true],
				[this.say("fees"), fine("feesMicros"), true], [this.say("revenue"), fine("revenueMicros"), true],
				[this.say("provider.cost"), fine("providerMicros"), true], [this.say("margin"), fine("marginMicros"), true],
				["%", (row) => percent(row.marginPercentTenths), true]])}
			${m.nextCursor ? html`<p class="small muted">${this.say("more.rows", {number: this.words.number(m.items.length)})}</p>` : nothing}`,
		html`<div class="row no-print">
			<span class="choices" role="group" aria-label=${this.say("usage.span")}>${SPANS.map((n) => this.pressed("days", n, this.say("days", {count: n, number: n})))}</span>
			<span class="choices" role="group" aria-label=${this.say("usage.by")}>${GROUPS.map((by) => this.pressed("by", by, this.say(`by.${by}`)))}</span></div>`);
	}

	picture(m, short) {
		const found = new Map(m.items.map((item) => [item.key, item]));
		const days = Array.from({length: this.days}, (_, i) => new Date(m.start + i * DAY_MS).toISOString().slice(0, 10));
		const bars = days.map((day) => {
			const value = Math.max(0, found.get(day)?.revenueMicros ?? 0);
			return {label: short(day), value, title: `${short(day)}: ${this.amount(value, "money", true)}`};
		});
		return html`<figure>${columns(bars, (value) => this.amount(value, "money", value < 1_000_000), 1000)}</figure>`;
	}

	viewShares() {
		const count = (fits) => this.shares.filter(fits).reduce((sum, s) => sum + s.requests, 0);
		const total = count(() => true);
		const share = (name, fits) => {
			const number = count(fits);
			return html`<div class="share"><div class="row between"><span>${this.say(`share.${name}`)}</span>
				<span>${this.words.number(total > 0 ? number / total : 0, {style: "percent", maximumFractionDigits: 2})}
				<span class="muted small">${this.say("share.of", {number: this.words.number(number), total: this.words.number(total)})}</span></span></div>
				${bar(number, Math.max(1, total))}</div>`;
		};
		return this.card("shares", this.say("shares"), html`
			${share("estimated", (s) => s.settlement === "estimated")}
			${share("late", (s) => s.settlement === "late")}
			${share("expired", (s) => s.state === "expired")}`);
	}

	viewAges() {
		return this.card("ages", this.say("ages"), this.table("ages", this.lists.ages, [
			[this.say("age"), (a) => this.say(`age.${a.age}`)],
			[this.say("holds"), (a) => this.words.number(a.holds), true],
			[this.say("reserved"), (a) => this.amount(a.reservedMicros, a.unit, true), true],
			[this.say("overdue"), (a) => a.overdue > 0 ? html`<span class="bad">${this.words.number(a.overdue)}</span>` : "0", true]]));
	}

	viewWaiting() {
		const account = [this.say("account"), (row) => this.link(row.account)];
		return html`${this.card("charges", this.say("charges"), this.table("charges", this.lists.charges, [
			account, [this.say("kind"), (c) => this.say(`charge.${c.kind}`)],
			[this.say("amount"), (c) => this.minor(c.amountMinor, c.currency), true],
			[this.say("failures"), (c) => this.words.number(c.failures), true],
			[this.say("reason"), (c) => c.failure ?? ""], [this.say("date"), (c) => this.when(c.createdAt)]]), this.csv("charges?limit=200", "charges"))}
		${this.card("outbox", this.say("outbox"), this.table("outbox", this.lists.outbox, [
			account, [this.say("kind"), (t) => t.kind], [this.say("state"), (t) => t.state],
			[this.say("failures"), (t) => this.words.number(t.attempts), true],
			[this.say("next"), (t) => this.when(t.nextAt)], [this.say("reason"), (t) => t.error ?? ""]]), this.csv("outbox?limit=200", "outbox"))}
		${this.card("events", this.say("events"), this.table("events", this.lists.events, [
			[this.say("event"), (e) => html`${e.type}<br><span class="small muted">${e.event}</span>`], [this.say("account"), (e) => this.link(e.account)],
			[this.say("state"), (e) => e.state], [this.say("reason"), (e) => e.note ?? ""],
			[this.say("received"), (e) => this.when(e.receivedAt)]]), this.csv("events?limit=200", "events"))}`;
	}

	viewAccounts() {
		const count = (fits) => (this.lists.states ?? []).filter(fits).reduce((sum, s) => sum + s.accounts, 0);
		const counts = {
			any: count(() => true), active: count((s) => s.status === "active"), past_due: count((s) => s.status === "past_due"),
			suspended: count((s) => s.reason === "manual"), unpaid: count((s) => s.reason === "unpaid"),
			debt: (this.lists.states ?? []).reduce((sum, s) => sum + s.inDebt, 0),
		};
		return this.card("accounts", this.say("accounts"), html`
			<span class="choices no-print" role="group" aria-labelledby="accounts">${STATES.map((state) => html`<button aria-pressed=${this.state === state ? "true" : "false"}
				@click=${() => { this.state = state; this.search(true); }}>${this.say(`state.${state}`)} · ${this.words.number(counts[state])}</button>`)}</span>
			<form class="no-print" role="search" @submit=${(e) => { e.preventDefault(); this.match = e.target.elements.match.value.trim(); this.search(true); }}>
				<label>${this.say("search")}<input name="match" type="search" maxlength="128" autocomplete="off"></label>
				<button ?disabled=${this.busy}>${this.say("search.go")}</button></form>
			<div aria-live="polite">${this.table("accounts", this.found?.items, [
				[this.say("account"), (a) => html`${this.link(a.account)}<br><span class="small muted">${[a.name, a.email].filter(Boolean).join(" · ")}</span>`],
				[this.say("state"), (a) => html`${this.say(`status.${a.status}`)} · ${this.say(`mode.${a.mode}`)}`],
				[this.say("plan"), (a) => a.plan ?? ""],
				[this.say("balance"), (a) => html`<span class=${a.balanceMicros < 0 ? "bad" : ""}>${this.amount(a.balanceMicros, a.unit)}</span>`, true],
				[this.say("reserved"), (a) => this.amount(a.heldMicros, a.unit), true],
				[this.say("date"), (a) => this.when(a.createdAt)]])}</div>
			${this.found?.next ? html`<div><button ?disabled=${this.busy} @click=${() => this.search(false)}>${this.say(this.found.items.length % 50 === 0 && this.found.items.length > 0 ? "more" : "search.further")}</button></div>` : nothing}`,
		this.csv("accounts?limit=200", "accounts"));
	}

	viewProviders() {
		return this.card("providers", this.say("providers"), this.table("providers", this.lists.providers, [
			[this.say("provider"), (p) => p.provider],
			[this.say("state"), (p) => p.configured ? p.message : this.say("configured.not")],
			[this.say("todo"), (p) => p.configured ? p.nextAction : ""],
			[this.say("checked"), (p) => this.when(p.checkedAt)]]));
	}

	viewPrices() {
		return this.card("prices", this.say("prices"), this.table("prices", this.lists.prices, [
			[this.say("version"), (p) => this.words.number(p.version)], [this.say("starts"), (p) => this.when(p.startsAt ?? p.createdAt)],
			[this.say("factor"), (p) => this.words.number(p.marginPpm / 1_000_000, {maximumFractionDigits: 6}), true],
			[this.say("description"), (p) => html`${p.prices > 0 ? this.say("new.prices", {count: p.prices, number: this.words.number(p.prices), first: p.first}) : nothing} ${p.note ?? ""}`]]),
		this.csv("prices?limit=200", "prices"));
	}

	viewOperator() {
		return this.card("operator", this.say("operator"), this.table("operator", this.lists.operator, [
			[this.say("alert"), (a) => html`<span class=${a.endedAt ? "" : "bad"}>${this.say(`operator.${a.kind}`)}</span>`],
			[this.say("subject"), (a) => a.subject ?? ""], [this.say("detail"), (a) => a.detail ?? ""],
			[this.say("date"), (a) => this.when(a.createdAt)]]), this.csv("operator-alerts?limit=200", "operator-alerts"));
	}

	viewAlerts(alerts, unit = "money") {
		return this.card("alerts", this.say("alerts"), this.table("alerts", alerts, [
			[this.say("alert"), (a) => this.say(`alert.${a.kind}`)],
			...this.account ? [] : [[this.say("account"), (a) => this.link(a.account)]],
			[this.say("member"), (a) => a.member ?? ""],
			[this.say("balance"), (a) => this.amount(a.balanceMicros, unit), true],
			[this.say("date"), (a) => this.when(a.createdAt)]]), this.account ? nothing : this.csv("alerts?limit=200", "alerts"));
	}

	// ---- one account ----

	viewStory() {
		return html`<div class="no-print"><button id="back" @click=${this.close}>${this.say("story.back")}</button></div>
			${this.story !== undefined ? this.told(this.story) : this.refused === undefined ? this.waiting() : nothing}`;
	}

	told(s) {
		const a = s.account, at = `accounts/${encodeURIComponent(this.account)}`;
		const amount = (micros, fine = false) => this.amount(micros, a.unit, fine);
		const figure = (name, text) => html`<div><dt>${this.say(name)}</dt><dd>${text}</dd></div>`;
		return html`${this.card("story", html`${this.say("story")}: <bdi>${a.account}</bdi>`, html`
			<p class="muted"><bdi>${[a.name, a.email].filter(Boolean).join(" · ")}</bdi></p>
			<dl class="figures">${figure("balance", amount(a.balanceMicros))}${figure("spendable", amount(a.availableMicros))}
				${figure("held", amount(a.heldMicros))}${figure("state", html`${this.say(`status.${a.status}`)} · ${this.say(`mode.${a.mode}`)}`)}
				${a.plan ? figure("plan", html`<bdi>${a.plan}</bdi>`) : nothing}</dl>
			<div class="notice"><p><strong>${s.diagnosis.title}</strong></p><p>${s.diagnosis.explanation}</p><p>${s.diagnosis.nextAction?.text}</p></div>`)}
		<div class="pair">${this.card("grants", this.say("grants"), this.table("grants", s.grants, [
			[this.say("kind"), (g) => super.say(`type.${g.type}`)], [this.say("left"), (g) => amount(g.remainingMicros, true), true],
			[this.say("amount"), (g) => amount(g.amountMicros, true), true], [this.say("expires"), (g) => g.expiresAt === null ? this.say("never") : this.when(g.expiresAt)]]))}
		${this.card("holds", this.say("holds"), this.table("holds", s.holds, [
			[this.say("used.for"), (h) => h.model ?? h.action], [this.say("member"), (h) => h.member ?? ""],
			[this.say("reserved"), (h) => amount(h.reservedMicros, true), true], [this.say("expires"), (h) => this.when(h.expiresAt)]]))}</div>
		<div class="pair">${this.card("orders", this.say("orders"), this.table("orders", s.orders, [
			[this.say("state"), (o) => o.state], [this.say("amount"), (o) => this.minor(o.amountMinor, o.currency), true],
			[this.say("date"), (o) => this.when(o.createdAt)], [this.say("paid"), (o) => this.when(o.paidAt)]]))}
		${this.card("statements", this.say("statements"), this.table("statements", s.statements, [
			[this.say("state"), (t) => t.state], [this.say("amount"), (t) => this.minor(t.amountMinor, t.currency), true],
			[this.say("failures"), (t) => this.words.number(t.failures), true], [this.say("date"), (t) => this.when(t.createdAt)]]))}</div>
		${this.viewAlerts(s.alerts, a.unit)}
		${this.card("transactions", super.say("transactions"), html`${this.table("transactions", this.history?.transactions.items, [
			[this.say("date"), (t) => this.when(t.createdAt)], [this.say("kind"), (t) => super.say(`type.${t.type}`)], [this.say("description"), (t) => t.description],
			[this.say("amount"), (t) => amount(t.amountMicros, true), true], [super.say("balance.after"), (t) => amount(t.balanceAfterMicros, true), true]])}
			${this.again("transactions")}`, this.csv(`${at}/transactions?limit=100`, "transactions"))}
		${this.card("usages", super.say("usages"), html`${this.table("usages", this.history?.usages.items, [
			[this.say("date"), (u) => this.when(u.createdAt)], [this.say("used.for"), (u) => u.model ?? u.action], [this.say("member"), (u) => u.member ?? ""],
			[this.say("tokens"), (u) => this.words.number(u.totalTokens), true], [this.say("state"), (u) => u.settlement],
			[this.say("cost"), (u) => amount(u.costMicros, true), true]])}
			${this.again("usages")}`, this.csv(`${at}/usages?limit=100`, "usages"))}`;
	}

	again(kind) {
		return this.history?.[kind].nextCursor ? html`<div><button @click=${() => this.further(kind)}>${this.say("more")}</button></div>` : nothing;
	}

	download(path, name) {
		return super.download(`/api/admin/${path}`, `octroi-${name}.csv`);
	}
}

define("octroi-admin", Admin);
