// The session of a page: whose token is sent, and what several elements read together.  A page shows one customer.
const POLL_MS = 30_000;
// An account at rest is asked for less and less often.
const REST_MS = 120_000;
// Everything else follows what this path tells, and is asked for by itself much more seldom.
const LEADING = "/api/credits";
const FOLLOW_MS = 600_000;
// Use alone is followed no more often than this: an account in use changes with every reading.
const USED_MS = 180_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 30_000;
const TIMEOUT_MS = 30_000;
// octroi adds up the usages of an account for one request at a time.
const SUMS = /^\/api\/credits\/(summary|diagnosis|compare)\b/;

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

// A refusal of octroi's: status, the code of the answer, and the answer.
export class Refusal extends Error {
	constructor(status, answer, retryAfter) {
		super(answer.message ?? "");
		Object.assign(this, {status, answer, code: answer.error ?? "", retryAfter});
	}
}

class Session extends EventTarget {
	#token = meta("octroi-token");
	#watched = new Map();
	#sums = Promise.resolve();

	constructor() {
		super();
		new MutationObserver(() => {
			const token = meta("octroi-token");
			if (token !== "")
				this.token = token;
		}).observe(document.head, {attributes: true, attributeFilter: ["content"], childList: true, subtree: true});
		document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
	}

	get token() {
		return this.#token;
	}

	set token(token) {
		if (token === this.#token)
			return;
		this.#token = token;
		this.dispatchEvent(new Event("token"));
		this.refresh();
	}

	// The answer of octroi as an object.  Throws a Refusal; one of status 0 where no server answers.
	ask(path, options) {
		if (!SUMS.test(path))
			return this.#send(path, options);
		const answer = this.#sums.then(() => this.#send(path, options));
		this.#sums = answer.catch(() => undefined);
		return answer;
	}

	async #send(path, {method = "GET", body, lang = "en", csv = false} = {}) {
		const headers = {"Accept": "application/json", "Accept-Language": lang};
		let response, answer;
		const token = this.#token;
		if (token !== "")
			headers.Authorization = `Bearer ${token}`;
		if (body !== undefined)
			headers["Content-Type"] = "application/json";
		try {
			response = await fetch(path, {
				method, headers, body: body === undefined ? undefined : JSON.stringify(body),
				cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(TIMEOUT_MS),
			});
			answer = csv && response.ok ? {text: await response.text(), next: decodeURIComponent(response.headers.get("X-Octroi-Next-Cursor") ?? "") || null} : await response.json();
		} catch {
			throw new Refusal(response === undefined || response.ok ? 0 : response.status, {}, 0);
		}
		if (response.ok)
			return answer;
		const refusal = new Refusal(response.status, answer, Number(response.headers.get("Retry-After") ?? 0));
		// The page has another token by now, which this answer is not about.
		refusal.stale = token !== this.#token;
		throw refusal;
	}

	// One reading for all elements that show the same path, repeated while the page is visible.
	watch(path, lang, listener) {
		const key = `${lang} ${path}`;
		let watched = this.#watched.get(key);
		if (watched === undefined) {
			watched = new Watched(this, path, lang);
			this.#watched.set(key, watched);
		}
		watched.add(listener);
		return () => watched.remove(listener) || this.#watched.delete(key);
	}

	refresh() {
		this.#watched.forEach((watched) => watched.load(true));
	}

	reload(path) {
		this.#watched.forEach((watched) => watched.path === path && watched.load());
	}

	// A change of the account may have changed the answers of the other paths.
	follow() {
		this.#watched.forEach((watched) => watched.path === LEADING || watched.load());
	}
}

let turns = 0;

class Watched {
	#listeners = new Set();
	#last;
	#timer;
	#run = 0;
	#failures = 0;
	#told;
	#used;
	#turn;
	#turned = 0;
	#seen;
	#wait = POLL_MS;

	constructor(owner, path, lang) {
		Object.assign(this, {owner, path, lang});
	}

	add(listener) {
		this.#listeners.add(listener);
		if (this.#last !== undefined)
			listener(this.#last);
		else if (this.#listeners.size === 1)
			this.load();
	}

	// Whether anybody still listens.
	remove(listener) {
		this.#listeners.delete(listener);
		if (this.#listeners.size > 0)
			return true;
		clearTimeout(this.#timer);
		this.#run++;
		return false;
	}

	// eager: a person has come back to the page, who is told of use at once.
	async load(eager = false) {
		const run = ++this.#run;
		let wait = FOLLOW_MS;
		clearTimeout(this.#timer);
		try {
			const answer = await this.owner.ask(this.path, {lang: this.lang});
			this.#failures = 0;
			const turned = this.path === LEADING && run === this.#run && this.#lead(answer, eager);
			if (this.path === LEADING)
				wait = this.#wait;
			this.#tell(run, {answer, turn: this.#turn});
			if (turned)
				this.owner.follow();
		} catch (refusal) {
			wait = this.#pause(refusal);
			this.#tell(run, {refusal});
		}
		if (run === this.#run && wait > 0)
			this.#timer = setTimeout(() => document.hidden ? this.#later() : this.load(), wait);
	}

	// Whether the other paths are to be asked anew: the account has changed since the answer that they followed last.  Each
	// such answer has a turn of its own, by which elements that ask for themselves see the same.  A hold that comes and goes
	// changes nothing that the other paths tell.
	#lead(answer, eager) {
		const told = JSON.stringify([answer.status, answer.low, answer.plan, answer.members, answer.transactions?.[0]?.id]);
		const used = JSON.stringify([answer.balanceMicros, answer.limits, answer.statement, answer.usages?.[0]?.id]);
		const late = eager || Date.now() - this.#turned >= USED_MS;
		const first = this.#turn === undefined;
		const rests = !eager && told + used === this.#seen;
		this.#wait = rests ? Math.min(2 * this.#wait, REST_MS) : POLL_MS;
		this.#seen = told + used;
		if (told === this.#told && (used === this.#used || !late))
			return false;
		this.#told = told;
		this.#used = used;
		this.#turned = Date.now();
		this.#turn = ++turns;
		return !first;
	}

	#later() {
		this.#timer = setTimeout(() => document.hidden ? this.#later() : this.load(), POLL_MS);
	}

	// A token that is no longer taken, or a right that is missing, is not asked about again.
	#pause(refusal) {
		if (refusal.status !== 0 && refusal.status !== 429 && refusal.status < 500)
			return 0;
		const pause = Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_LAST_MS);
		return Math.max(pause, refusal.retryAfter * 1000);
	}

	#tell(run, news) {
		if (run !== this.#run)
			return;
		this.#last = news;
		[...this.#listeners].forEach((listener) => listener(news));
	}
}

export const session = new Session();
