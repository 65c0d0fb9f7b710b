// The way to the payment page.  A note for the customer's return is kept for this tab.
const WAITING = "octroi-topup";

// body: of POST /api/credits/topup.  newest: id of the newest transaction, or null.  False after a refusal.
export async function openPayment(element, body, newest) {
	const opened = await element.ask("/api/credits/topup", {method: "POST", body});
	if (opened === undefined)
		return false;
	try {
		sessionStorage.setItem(WAITING, JSON.stringify({newest}));
	} catch {
		// Without storage the newest top-up of the account is shown on the way back.
	}
	location.assign(opened.url);
	return true;
}

// The note that openPayment kept, once; null without one.
export function takePayment() {
	try {
		const kept = JSON.parse(sessionStorage.getItem(WAITING));
		sessionStorage.removeItem(WAITING);
		return kept;
	} catch {
		return null;
	}
}
