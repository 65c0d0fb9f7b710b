// <octroi-usage>: the cost of a month or of some days, by day, model, action or member.  The table is the truth, the
// chart its picture.
import {OctroiElement, css, define, html, nothing} from "../element.js";
import {columns} from "../chart.js";

const GROUPS = ["day", "model", "action", "member"];
const SPANS = [7, 30, 90];
const DAY_MS = 86_400_000;
const FEW = 10;

class Usage extends OctroiElement {
	static properties = {
		by: {type: String, reflect: true},
		days: {type: Number, reflect: true},
		summary: {state: true},
		all: {state: true},
		room: {state: true},
		refused: {state: true},
	};
	static styles = [OctroiElement.styles, css`
		.chart { inline-size: 100%; display: block; overflow: visible; }
		.value { fill: var(--_accent); }
		.reach { fill: transparent; }
		.bar:hover .reach { fill: var(--_soft); }
		.line { stroke: var(--_line); stroke-dasharray: 2 4; }
		.floor { stroke: var(--_line); }
		text { fill: var(--_muted); font-size: 11px; }
		.label { text-anchor: middle; }
		.total { font-size: 1.5rem; font-weight: 650; }
		.choices { display: inline-flex; flex-wrap: wrap; gap: 0.25rem; }
		.choices button { min-height: 2rem; padding: 0.15rem 0.7rem; font-size: 0.875rem; }
		.choices button[aria-pressed="true"] { background: var(--_tint); border-color: var(--_accent); }
		.share { inline-size: 8rem; }
		.share svg { display: block; inline-size: 100%; block-size: 0.5rem; }
		.share .track { fill: var(--_soft); }
		summary { cursor: pointer; padding-block: 0.4rem; font-weight: 550; }
		@media (forced-colors: active) { .value { fill: CanvasText; } text { fill: CanvasText; } .choices button[aria-pressed="true"] { border-width: 3px; } }
	`];

	constructor() {
		super();
		this.by = "day";
		this.days = 30;
		this.room = 720;
		this.sizes = new ResizeObserver(([entry]) => {
			this.room = Math.max(200, Math.round(entry.contentRect.width));
		});
	}

	updated(changes) {
		super.updated(changes);
		const figure = this.renderRoot.querySelector("figure");
		if (figure === this.figure)
			return;
		this.sizes.disconnect();
		this.figure = figure;
		if (figure !== null)
			this.sizes.observe(figure);
	}

	heard(answer) {
		const newest = answer.usages[0]?.id;
		if (this.summary === undefined || newest !== this.newest)
			this.load();
		this.newest = newest;
	}

	async load() {
		const by = this.by;
		const start = new Date();
		start.setUTCHours(0, 0, 0, 0);
		const from = new Date(start.getTime() - (this.days - 1) * DAY_MS).toISOString();
		const summary = await this.ask(`/api/credits/summary?${new URLSearchParams({by, from})}`);
		if (summary === undefined) {
			this.again(this.refused);
			return;
		}
		this.refused = undefined;
		this.all = false;
		this.summary = {...summary, by, start: Date.parse(from)};
	}

	// Too much was asked at once: another question of the same page is being answered.
	again(refusal) {
		clearTimeout(this.timer);
		if (refusal.status === 429 && this.isConnected)
			this.timer = setTimeout(() => this.load(), Math.max(1, refusal.retryAfter) * 1000);
	}

	disconnectedCallback() {
		super.disconnectedCallback();
		clearTimeout(this.timer);
	}

	choose(what) {
		Object.assign(this, what);
		this.load();
	}

	view(c) {
		const s = this.summary;
		if (s === undefined)
			return this.refused === undefined || this.refused.status === 429 ? this.waiting() : this.trouble(this.refused);
		const pressed = (name, value, text) => html`<button aria-pressed=${this[name] === value ? "true" : "false"}
			@click=${() => this.choose({[name]: value})}>${text}</button>`;
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("usage")}</h2>
				<div class="row no-print">
					<span class="choices" role="group" aria-label=${this.say("usage.span")}>${SPANS.map((n) => pressed("days", n, this.say("days", {count: n, number: n})))}</span>
					<span class="choices" role="group" aria-label=${this.say("usage.by")}>${GROUPS.map((by) => pressed("by", by, this.say(`by.${by}`)))}</span>
					<button class="plain small" part="csv" @click=${() => this.download(`/api/credits/summary?${new URLSearchParams({by: s.by, from: new Date(s.start).toISOString()})}`, `octroi-usage-${s.by}.csv`)}>${this.say("csv")}<span class="hide"> ${this.say("usage")}</span></button></div></div>
			<div aria-live="polite"><p class="total" part="total">${this.words.amount(s.totalMicros, c, {fine: s.totalMicros < 1_000_000})}</p>
				<p class="muted small">${this.say("usage.in", {count: this.days, number: this.days})}
					· ${this.say("usage.forecast", {amount: this.words.amount(s.forecast.monthEndMicros, c)})}</p></div>
			${s.items.length === 0 ? html`<p class="muted">${this.say("none")}</p>` : s.by === "day" ? this.daily(c, s) : this.shares(c, s)}
		</section>`;
	}

	daily(c, s) {
		const found = new Map(s.items.map((item) => [item.key, item]));
		const days = Array.from({length: this.days}, (_, i) => new Date(s.start + i * DAY_MS).toISOString().slice(0, 10));
		const short = (day) => this.words.date(`${day}T00:00:00Z`, {day: "numeric", month: "short", timeZone: "UTC"});
		const bars = days.map((day) => {
			const value = found.get(day)?.costMicros ?? 0;
			return {label: short(day), value, title: `${short(day)}: ${this.words.amount(value, c, {fine: true})}`};
		});
		return html`<figure>${columns(bars, (value) => this.words.amount(value, c, {fine: value < 1_000_000}), this.room)}</figure>
			<details><summary>${this.say("usage.table")}</summary>${this.table(c, s.items.filter((item) => item.requests > 0), (key) => short(key))}</details>`;
	}

	shares(c, s) {
		const items = [...s.items].sort((a, b) => b.costMicros - a.costMicros);
		const rest = items.length - FEW;
		return html`${this.table(c, this.all ? items : items.slice(0, FEW), (key) => key || this.say("by.none"), s.totalMicros)}
			${rest > 0 && !this.all ? html`<div><button class="plain" @click=${() => { this.all = true; }}>${this.say("usage.rest", {count: rest, number: this.words.number(rest)})}</button></div>` : nothing}`;
	}

	table(c, items, name, total = 0) {
		return html`<div class="scroll" role="group" aria-labelledby="title" tabindex="0"><table part="table">${this.summary.by === "day" ? html`<caption>${this.say("usage.utc")}</caption>` : nothing}<thead><tr><th scope="col">${this.say(`by.${this.summary.by}`)}</th>
			${total > 0 ? html`<th scope="col"><span class="hide">${this.say("share")}</span></th>` : nothing}
			<th scope="col" class="number">${this.say("requests")}</th><th scope="col" class="number">${this.say("tokens")}</th>
			<th scope="col" class="number">${this.say("cost")}</th></tr></thead>
			<tbody>${items.map((item) => html`<tr><th scope="row"><bdi>${name(item.key)}</bdi></th>
				${total > 0 ? html`<td class="share"><svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="4"></rect>
					<rect class="value" width=${item.costMicros / total * 100} height="4"></rect></svg>
					<span class="small muted">${this.words.number(item.costMicros / total, {style: "percent", maximumFractionDigits: 1})}</span></td>` : nothing}
				<td class="number">${this.words.number(item.requests)}</td><td class="number">${this.words.number(item.inputTokens + item.outputTokens)}</td>
				<td class="number">${this.words.amount(item.costMicros, c, {fine: true})}</td></tr>`)}</tbody></table></div>`;
	}
}

define("octroi-usage", Usage);
