// The base of all elements: words, session, states, and the looks that they share.
import {LitElement, css, html, nothing} from "./vendor/lit/lit-element.js";
import {session, Refusal} from "./session.js";
import {Words, hundredths, languageOf} from "./words.js";

export {css, html, hundredths, nothing, session, Refusal};

const look = css`
	:host {
		--_ink: var(--octroi-ink, #16202a);
		--_muted: var(--octroi-muted, #57636f);
		--_surface: var(--octroi-surface, #fff);
		--_soft: var(--octroi-soft, #f2f5f7);
		--_line: var(--octroi-line, #dbe2e8);
		--_accent: var(--octroi-accent, #0b6b57);
		--_on-accent: var(--octroi-on-accent, #fff);
		--_tint: var(--octroi-tint, #e3f3ee);
		--_good: var(--octroi-good, #0b6b4f);
		--_bad: var(--octroi-bad, #b3261e);
		--_bad-tint: var(--octroi-bad-tint, #fdecea);
		--_warn: var(--octroi-warn, #8a5200);
		--_warn-tint: var(--octroi-warn-tint, #fff4dd);
		--_radius: var(--octroi-radius, 14px);
		display: block;
		color: var(--_ink);
		font: 400 1rem/1.5 var(--octroi-font, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif);
		font-variant-numeric: tabular-nums;
		overflow-wrap: break-word;
		min-inline-size: 0;
	}
	@media (prefers-color-scheme: dark) {
		:host {
			--_ink: var(--octroi-ink, #e8edf2);
			--_muted: var(--octroi-muted, #a3b0bc);
			--_surface: var(--octroi-surface, #171d23);
			--_soft: var(--octroi-soft, #212932);
			--_line: var(--octroi-line, #35404b);
			--_accent: var(--octroi-accent, #56c9ab);
			--_on-accent: var(--octroi-on-accent, #06231c);
			--_tint: var(--octroi-tint, #16332c);
			--_good: var(--octroi-good, #62d3a4);
			--_bad: var(--octroi-bad, #ff9a90);
			--_bad-tint: var(--octroi-bad-tint, #3a1d1b);
			--_warn: var(--octroi-warn, #f5c26b);
			--_warn-tint: var(--octroi-warn-tint, #362a12);
		}
	}
	:host([hidden]), :host([data-empty]), [hidden] { display: none !important; }
	*, ::before, ::after { box-sizing: border-box; }
	.card {
		background: var(--_surface); border: 1px solid var(--_line); border-radius: var(--_radius);
		padding: clamp(1rem, 3vw, 1.5rem); min-block-size: 100%;
	}
	h2, h3, p, ul, dl, dd, figure { margin: 0; padding: 0; }
	h2 { font-size: 1.0625rem; font-weight: 650; letter-spacing: -0.005em; }
	h3 { font-size: 0.9375rem; font-weight: 650; }
	.muted { color: var(--_muted); }
	.small { font-size: 0.875rem; }
	.row { display: flex; flex-wrap: wrap; gap: 0.5rem 0.75rem; align-items: center; }
	.between { justify-content: space-between; }
	.stack { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); align-content: start; }
	/* A place for news that has none is no row, but stays known to screen readers. */
	.stack > div:empty, form > div:empty { position: absolute; }
	button, input, select, .button {
		font: inherit; color: inherit; min-height: 2.5rem; padding: 0.4rem 0.9rem; border-radius: 9px;
		border: 1px solid var(--_line); background: var(--_surface); max-width: 100%;
	}
	button, .button { cursor: pointer; font-weight: 550; text-decoration: none; display: inline-flex; align-items: center; }
	button:hover, .button:hover { border-color: var(--_accent); }
	button.primary, .button.primary { background: var(--_accent); border-color: var(--_accent); color: var(--_on-accent); }
	button.primary:hover { filter: brightness(1.08); }
	button[disabled] { cursor: progress; opacity: 0.65; }
	button.plain { border-color: transparent; background: none; color: var(--_accent); padding-inline: 0.5rem; }
	a { color: var(--_accent); }
	:focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }
	.notice { padding: 0.75rem 1rem; border-radius: 9px; background: var(--_soft); }
	.notice.bad { background: var(--_bad-tint); color: var(--_bad); }
	.notice.warn { background: var(--_warn-tint); color: var(--_warn); }
	.notice.good { background: var(--_tint); color: var(--_good); }
	.scroll { overflow-x: auto; }
	/* A page without a doctype gives its tables no colour and no font of their surroundings. */
	table { border-collapse: collapse; width: 100%; color: inherit; font: inherit; }
	caption { text-align: start; color: var(--_muted); font-size: 0.875rem; padding-block-end: 0.5rem; }
	th, td { text-align: start; padding: 0.6rem 0.75rem 0.6rem 0; border-block-end: 1px solid var(--_line); vertical-align: top; }
	th { font-size: 0.8125rem; font-weight: 600; color: var(--_muted); }
	td.number, th.number { text-align: end; white-space: nowrap; }
	td:last-child, th:last-child { padding-inline-end: 0; }
	bdi { unicode-bidi: isolate; overflow-wrap: anywhere; }
	.bar { inline-size: 100%; block-size: 0.625rem; display: block; border-radius: 99px; overflow: hidden; }
	.bar .track { fill: var(--_soft); }
	.bar .used { fill: var(--_accent); }
	.bar .used.near { fill: var(--_warn); }
	.bar .used.over { fill: var(--_bad); }
	.bar .mark { fill: var(--_surface); }
	.wait { block-size: 1.25rem; border-radius: 6px; background: var(--_soft); }
	.hide { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
	@media (forced-colors: active) {
		.card, .notice { border: 1px solid CanvasText; }
		.bar { border: 1px solid CanvasText; forced-color-adjust: none; background: Canvas; }
		.bar .track { fill: Canvas; }
		.bar .used, .bar .used.near, .bar .used.over { fill: Highlight; }
		button.primary { border: 2px solid ButtonText; }
	}
	@media (prefers-reduced-motion: no-preference) {
		.wait { animation: wait 1.2s ease-in-out infinite alternate; }
		@keyframes wait { to { opacity: 0.45; } }
	}
	@media print {
		button, form, .no-print { display: none !important; }
		.card { border: 0; padding: 0; break-inside: avoid; }
	}
`;

// A file of so many pages at most.
const PAGES_MAX = 1000;

export class OctroiElement extends LitElement {
	static styles = look;
	static properties = {
		token: {type: String},
		news: {state: true},
	};
	// The path that the element watches; an element that asks for itself has none.
	static path = "/api/credits";

	#stop;
	// The refusal of the token before is over.
	#renewed = () => {
		if (this.news?.refusal?.status === 401)
			this.news = this.news.answer === undefined ? undefined : {answer: this.news.answer};
		if (this.refused?.status === 401)
			this.refused = undefined;
		this.#begin();
	};

	set token(token) {
		if (token)
			session.token = token;
	}

	get token() {
		return session.token;
	}

	get words() {
		const tag = languageOf(this);
		if (this._words?.named !== tag)
			this._words = Object.assign(new Words(tag), {named: tag});
		return this._words;
	}

	say(key, values) {
		return this.words.say(key, values);
	}

	connectedCallback() {
		super.connectedCallback();
		session.addEventListener("token", this.#renewed);
		this.#begin();
	}

	disconnectedCallback() {
		super.disconnectedCallback();
		session.removeEventListener("token", this.#renewed);
		this.#stop?.();
		this.#stop = undefined;
	}

	#begin() {
		const path = this.constructor.path;
		if (path !== null && this.#stop === undefined)
			this.#stop = session.watch(path, this.words.tag, (news) => this.#hear(news));
		if (path === null)
			this.begin();
	}

	begin() {}

	#hear(news) {
		if (news.refusal === undefined)
			this.heard?.(news.answer, news.turn);
		else
			this.tell(news.refusal);
		// The last figures stay while the server is away.
		this.news = news.refusal !== undefined && this.news?.answer !== undefined ?
			{answer: this.news.answer, refusal: news.refusal} : news;
	}

	// The events of a refusal.
	tell(refusal) {
		if (refusal.status === 401 && !refusal.stale)
			this.fire("octroi-token-needed", {});
		else if (refusal.status === 402)
			this.fire("octroi-refused", refusal.answer);
	}

	fire(name, detail) {
		this.dispatchEvent(new CustomEvent(name, {bubbles: true, composed: true, detail}));
	}

	// Asks octroi; undefined after a refusal, which is kept for the view.
	async ask(path, options = {}) {
		try {
			return await session.ask(path, {lang: this.words.tag, ...options});
		} catch (refusal) {
			if (!(refusal instanceof Refusal))
				throw refusal;
			this.tell(refusal);
			this.refused = refusal;
			return undefined;
		}
	}

	// Saves every page of a list of the API, as CSV.
	async download(path, name) {
		const parts = [];
		let cursor = null;
		do {
			const query = new URLSearchParams(path.split("?")[1]);
			query.set("format", "csv");
			if (cursor !== null)
				query.set("cursor", cursor);
			const page = await this.ask(`${path.split("?")[0]}?${query}`, {csv: true});
			if (page === undefined)
				return;
			// Each page begins with the names of the columns.
			parts.push(parts.length === 0 ? page.text : page.text.slice(page.text.indexOf("\r\n") + 2));
			cursor = page.next;
		} while (cursor !== null && parts.length < PAGES_MAX);
		const link = Object.assign(document.createElement("a"), {
			href: URL.createObjectURL(new Blob(parts, {type: "text/csv"})), download: name,
		});
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 1000);
	}

	render() {
		const {answer, refusal} = this.news ?? {};
		if (answer !== undefined)
			return html`${refusal === undefined ? nothing : this.trouble(refusal)}${this.view(answer)}`;
		if (refusal !== undefined)
			return this.trouble(refusal);
		return this.waiting();
	}

	// An element with nothing to show takes no room.
	updated() {
		this.toggleAttribute("data-empty", this.renderRoot.childElementCount === 0);
	}

	waiting() {
		return html`<div class="card" aria-busy="true"><p class="hide">${this.say("loading")}</p><div class="wait"></div></div>`;
	}

	sentence(refusal) {
		if (refusal.status === 401)
			return this.say("ended");
		if (refusal.status === 0 || refusal.status >= 500)
			return this.say("away");
		return refusal.message || this.say("away");
	}

	trouble(refusal) {
		return html`<p class="notice warn" part="trouble" role="status">${this.sentence(refusal)}</p>`;
	}

	view() {
		return nothing;
	}
}

// Registers an element once, also where two copies of a module are loaded.
export function define(name, element) {
	if (customElements.get(name) === undefined)
		customElements.define(name, element);
}
