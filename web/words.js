// Languages, amounts and times.
import en from "./lang/en.js";
import fr from "./lang/fr.js";

const LANGUAGES = {en, fr};
const MICROS = 1_000_000;

// Hundredths of an amount as a person writes it: "20", "20.5" or "20,50".  NaN where it is none.
export function hundredths(text) {
	const plain = text.trim().replace(",", ".");
	return /^\d{1,9}(\.\d{1,2})?$/.test(plain) ? Math.round(Number(plain) * 100) : NaN;
}

// The language of the closest element with a lang, also across shadow roots.
export function languageOf(node) {
	for (let at = node; at; at = at.parentNode ?? at.host) {
		const named = at.getAttribute?.("lang");
		if (named)
			return named;
	}
	return navigator.language || "en";
}

export class Words {
	constructor(tag) {
		this.short = tag.toLowerCase().startsWith("fr") ? "fr" : "en";
		try {
			this.tag = Intl.getCanonicalLocales(tag)[0];
		} catch {
			this.tag = this.short;
		}
		if (!this.tag.startsWith(this.short))
			this.tag = this.short;
		this.plural = new Intl.PluralRules(this.tag);
	}

	// The sentence of a key; {name} stands for a value.  A key with a count has .one and .other.
	say(key, values = {}) {
		const words = LANGUAGES[this.short];
		let sentence = words[key];
		if (values.count !== undefined)
			sentence = words[`${key}.${this.plural.select(values.count)}`] ?? words[`${key}.other`];
		return (sentence ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
	}

	has(key) {
		return LANGUAGES[this.short][key] !== undefined;
	}

	number(value, options) {
		return new Intl.NumberFormat(this.tag, options).format(value);
	}

	// An amount of the account's unit.  fine: all six decimals where there are any, as a charge has.
	amount(micros, account, {fine = false, sign = false} = {}) {
		const value = micros / MICROS;
		const options = sign ? {signDisplay: "exceptZero"} : {};
		if (account.unit === "credit") {
			const number = this.number(value, {...options, maximumFractionDigits: fine ? 6 : 2});
			return this.say("credits", {count: Math.abs(value), number});
		}
		return this.number(fine ? value : Math.floor(micros / 10_000) / 100, {
			...options, style: "currency", currency: account.currency, minimumFractionDigits: 2,
			maximumFractionDigits: fine ? 6 : 2,
		});
	}

	// Hundredths of a currency, as top-ups are paid.
	paid(cents, currency) {
		return this.number(cents / 100, {style: "currency", currency, minimumFractionDigits: cents % 100 === 0 ? 0 : 2});
	}

	date(text, options = {dateStyle: "medium"}) {
		return new Intl.DateTimeFormat(this.tag, options).format(new Date(text));
	}

	time(text) {
		return this.date(text, {dateStyle: "medium", timeStyle: "short"});
	}
}
