// <octroi-usage>: the cost of some days, by day, model, action or member; a day's bar opens its hours.  The table is the
// truth, the chart its picture.  Days and hours are those of the account's time zone.
import {OctroiElement, css, define, html, nothing} from "../element.js";
import {columns} from "../chart.js";

const GROUPS = ["day", "model", "action", "member"];
const SPANS = [7, 30, 90];
const DAY_MS = 86_400_000;
const FEW = 10;
// A day of another length has an hour twice, or lacks one.
const HOURS = 24;

// "2026-11-21" and a number of days: another such date.
const later = (day, days) => new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);

// Today's date in the zone.
function today(timeZone) {
	const date = new Intl.DateTimeFormat("en-US", {timeZone, year: "numeric", month: "2-digit", day: "2-digit"});
	const parts = Object.fromEntries(date.formatToParts(new Date()).map((part) => [part.type, part.value]));
	return `${parts.year}-${parts.month}-${parts.day}`;
}

// A zone that is younger than the browser is shown as UTC.
function known(timeZone) {
	try {
		today(timeZone);
		return timeZone;
	} catch {
		return "UTC";
	}
}

class Usage extends OctroiElement {
	static properties = {
		by: {type: String, reflect: true},
		days: {type: Number, reflect: true},
		day: {type: String, reflect: true},
		summary: {state: true},
		all: {state: true},
		room: {state: true},
		refused: {state: true},
	};
	static styles = [OctroiElement.styles, css`
		.chart { inline-size: 100%; display: block; overflow: visible; }
		.value { fill: var(--_accent); }
		.reach { fill: transparent; }
		.bar:hover .reach, .bar:focus-visible .reach { fill: var(--_soft); }
		.bar[role="button"] { cursor: pointer; }
		.bar:focus-visible { outline: none; }
		.bar:focus-visible .reach { stroke: var(--_accent); stroke-width: 2px; }
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
		.time { overflow-wrap: normal; }
		.day { min-height: 1.5rem; padding: 0; }
		summary { cursor: pointer; padding-block: 0.4rem; font-weight: 550; }
		@media print { button.day { display: inline !important; color: inherit; } }
		@media (forced-colors: active) { .value { fill: CanvasText; } .bar:focus-visible .reach { stroke: Highlight; } text { fill: CanvasText; } .choices button[aria-pressed="true"] { border-width: 3px; } }
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

	heard(answer, turn) {
		this.zone = known(answer.timeZone);
		if (this.summary === undefined || this.refused !== undefined || turn !== this.turn)
			this.load();
		this.turn = turn;
	}

	async load() {
		const {by, days, day} = this;
		const query = String(new URLSearchParams(day ? {by: "hour", from: day} : {by, from: later(today(this.zone), 1 - days)}));
		const summary = await this.ask(`/api/credits/summary?${query}`);
		if (summary === undefined) {
			this.again(this.refused);
			return;
		}
		this.refused = undefined;
		this.all = false;
		this.summary = {...summary, by: day ? "hour" : by, days, day, query};
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
		Object.assign(this, {day: undefined, ...what});
		return this.load();
	}

	// Shows the hours of the day; without one, the days again.  The focus goes where the way leads on.
	async open(day) {
		const left = this.day;
		await this.choose(day ? {day} : {by: "day"});
		await this.updateComplete;
		const found = this.renderRoot.querySelector(day ? "[part=back]" : `[role=button][data-key="${CSS.escape(left)}"]`);
		found?.focus();
	}

	view(c) {
		const s = this.summary;
		if (s === undefined)
			return this.refused === undefined || this.refused.status === 429 ? this.waiting() : this.trouble(this.refused);
		const back = html`<div class="row no-print"><button part="back" class="small" @click=${() => this.open()}>${this.say("usage.back")}</button></div>`;
		const pressed = (name, value, text) => html`<button aria-pressed=${this[name] === value ? "true" : "false"}
			@click=${() => this.choose({[name]: value})}>${text}</button>`;
		// A reason that the figures of the account have too is told once.
		const failed = this.refused !== undefined && this.refused.status !== 429 && this.news.refusal === undefined;
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("usage")}</h2>
				<div class="row no-print">
					<span class="choices" role="group" aria-label=${this.say("usage.span")}>${SPANS.map((n) => pressed("days", n, this.say("days", {count: n, number: n})))}</span>
					<span class="choices" role="group" aria-label=${this.say("usage.by")}>${GROUPS.map((by) => pressed("by", by, this.say(`by.${by}`)))}</span>
					<button class="plain small" part="csv" @click=${() => this.download(`/api/credits/summary?${s.query}`, `octroi-usage-${s.by}.csv`)}>${this.say("csv")}<span class="hide"> ${this.say("usage")}</span></button></div></div>
			${s.day ? back : nothing}
			<div aria-live="polite">${failed ? this.trouble(this.refused) : nothing}<p class="total" part="total">${this.words.amount(s.totalMicros, c, {fine: s.totalMicros < 1_000_000})}</p>
				<p class="muted small">${s.day ? this.date(s.day, {dateStyle: "full"}) : html`${this.say("usage.in", {count: s.days, number: s.days})}
					· ${this.say("usage.forecast", {amount: this.words.amount(s.forecast.monthEndMicros, c)})}`}</p></div>
			${s.items.every((item) => item.requests === 0) ? html`<p class="muted">${this.say("none")}</p>` : this.figures(c, s)}
		</section>`;
	}

	figures(c, s) {
		return s.by === "day" ? this.daily(c, s) : s.by === "hour" ? this.hourly(c, s) : this.shares(c, s);
	}

	// A date, which is the same in each zone.
	date(day, options) {
		return this.words.date(`${day}T00:00:00Z`, {...options, timeZone: "UTC"});
	}

	daily(c, s) {
		const found = new Map(s.items.map((item) => [item.key, item]));
		const from = new URLSearchParams(s.query).get("from");
		const short = (day) => this.date(day, {day: "numeric", month: "short"});
		const bars = Array.from({length: s.days}, (_, i) => later(from, i)).map((day) => {
			const value = found.get(day)?.costMicros ?? 0;
			const title = `${short(day)}: ${this.words.amount(value, c, {fine: true})}`;
			return {label: short(day), value, title, key: day, open: found.has(day) ? () => this.open(day) : undefined};
		});
		const name = (day) => html`<button class="plain small day" @click=${() => this.open(day)}>${short(day)}<span class="hide"> ${this.say("usage.hours")}</span></button>`;
		return this.picture(c, bars, this.table(c, s.items, name));
	}

	hourly(c, s) {
		const zone = s.items.length === HOURS ? {} : {timeZoneName: "short"};
		const clock = (key, more) => this.words.date(key, {hour: "numeric", minute: "2-digit", timeZone: this.zone, ...more});
		const bars = s.items.map(({key, costMicros}) => ({
			label: clock(key), value: costMicros, title: `${clock(key, zone)}: ${this.words.amount(costMicros, c, {fine: true})}`,
		}));
		return this.picture(c, bars, this.table(c, s.items.filter((item) => item.requests > 0), (key) => clock(key, zone)));
	}

	picture(c, bars, table) {
		const by = this.summary.by;
		return html`<figure>${columns(bars, (value) => this.words.amount(value, c, {fine: value < 1_000_000}), this.room, this.say("usage.bars"))}</figure>
			<details><summary>${this.say(`usage.table.${by}`)}</summary>${table}</details>`;
	}

	shares(c, s) {
		const items = [...s.items].sort((a, b) => b.costMicros - a.costMicros);
		const rest = items.length - FEW;
		return html`${this.table(c, this.all ? items : items.slice(0, FEW), (key) => key || this.say("by.none"), s.totalMicros)}
			${rest > 0 && !this.all ? html`<div><button class="plain" @click=${() => { this.all = true; }}>${this.say("usage.rest", {count: rest, number: this.words.number(rest)})}</button></div>` : nothing}`;
	}

	get timed() {
		return this.summary.by === "day" || this.summary.by === "hour";
	}

	caption(c) {
		const {by} = this.summary;
		return this.timed ? html`<caption>${this.say(`usage.zone.${by}`, {zone: by === "day" ? c.timeZone : this.zone})}</caption>` : nothing;
	}

	table(c, items, name, total = 0) {
		return html`<div class="scroll" role="group" aria-labelledby="title" tabindex="0"><table part="table">${this.caption(c)}<thead><tr><th scope="col">${this.say(`by.${this.summary.by}`)}</th>
			${total > 0 ? html`<th scope="col"><span class="hide">${this.say("share")}</span></th>` : nothing}
			<th scope="col" class="number">${this.say("requests")}</th><th scope="col" class="number">${this.say("tokens")}</th>
			<th scope="col" class="number">${this.say("cost")}</th></tr></thead>
			<tbody>${items.map((item) => html`<tr><th scope="row"><bdi class=${this.timed ? "time" : ""}>${name(item.key)}</bdi></th>
				${total > 0 ? html`<td class="share"><svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="4"></rect>
					<rect class="value" width=${item.costMicros / total * 100} height="4"></rect></svg>
					<span class="small muted">${this.words.number(item.costMicros / total, {style: "percent", maximumFractionDigits: 1})}</span></td>` : nothing}
				<td class="number">${this.words.number(item.requests)}</td><td class="number">${this.words.number(item.inputTokens + item.outputTokens)}</td>
				<td class="number">${this.words.amount(item.costMicros, c, {fine: true})}</td></tr>`)}</tbody></table></div>`;
	}
}

define("octroi-usage", Usage);
