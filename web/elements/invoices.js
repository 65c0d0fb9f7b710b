// <octroi-invoices>: invoices and receipts, which the payment service keeps.
import {OctroiElement, define, html, nothing} from "../element.js";

class Invoices extends OctroiElement {
	static properties = {items: {state: true}, next: {state: true}, refused: {state: true}};

	heard(c) {
		const mayRead = c.member === undefined || c.member.role === "manager";
		const paid = c.transactions[0]?.id;
		// A payment is a movement: a new one may have an invoice.
		if (mayRead && (this.items === undefined || paid !== this.paid))
			this.load(null);
		else if (!mayRead)
			this.items = [];
		this.paid = paid;
	}

	async load(cursor) {
		const page = await this.ask(`/api/credits/invoices?limit=12${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
		if (page === undefined)
			return;
		this.refused = undefined;
		this.items = [...cursor ? this.items : [], ...page.items];
		this.next = page.nextCursor;
	}

	render() {
		// Where no payments are set up, and before the first one, there is nothing to show.
		if (this.items === undefined)
			return this.refused === undefined ? this.waiting() : this.refused.status === 404 || this.refused.status === 403 ? nothing : this.trouble(this.refused);
		if (this.items.length === 0)
			return nothing;
		return html`<section class="card stack" part="card" aria-labelledby="title">
			<div class="row between"><h2 id="title">${this.say("invoices")}</h2>
				<button class="plain small no-print" part="csv" @click=${() => this.download("/api/credits/invoices?limit=100", "octroi-invoices.csv")}>${this.say("csv")}<span class="hide"> ${this.say("invoices")}</span></button></div>
			<div class="scroll" role="group" aria-labelledby="title" tabindex="0"><table part="table"><thead><tr><th scope="col">${this.say("date")}</th><th scope="col">${this.say("invoice")}</th>
				<th scope="col">${this.say("state")}</th><th scope="col" class="number">${this.say("amount")}</th></tr></thead>
				<tbody>${this.items.map((i) => this.line(i))}</tbody></table></div>
			${this.next ? html`<div><button @click=${() => this.load(this.next)}>${this.say("more")}</button></div>` : nothing}
		</section>`;
	}

	line(i) {
		const state = `invoice.${i.status}`;
		const digits = new Intl.NumberFormat("en", {style: "currency", currency: i.currency}).resolvedOptions().maximumFractionDigits;
		const link = (url, text) => /^https:\/\//.test(url ?? "") || /^http:\/\/127\.0\.0\.1/.test(url ?? "") ?
			html`<a href=${url} rel="noreferrer">${text}</a>` : text;
		return html`<tr><td>${this.words.date(i.createdAt)}</td>
			<td>${link(i.url, i.number ?? this.say("invoice"))}${i.pdfUrl ? html` · ${link(i.pdfUrl, "PDF")}` : nothing}</td>
			<td>${this.words.has(state) ? this.say(state) : i.status}</td>
			<td class="number">${this.words.number(i.amount / 10 ** digits, {style: "currency", currency: i.currency})}</td></tr>`;
	}
}

define("octroi-invoices", Invoices);
