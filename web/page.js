// The beginning of octroi's pages: language, title and token.  The token leaves the address at once.  Token and language
// are kept for this tab, for the way to the payment page and back.
const meta = document.querySelector('meta[name="octroi-token"]');

function take(kept, parameters) {
	const token = parameters.get("token");
	if (token !== null) {
		sessionStorage.setItem(kept, token);
		// An address is copied, logged and kept.
		history.replaceState(null, "", location.pathname + location.search);
	}
	meta.content = token ?? sessionStorage.getItem(kept) ?? "";
}

// kept: the name of the token in the tab's storage.  titles: of the page, in each language.
export function open(kept, titles) {
	const given = new URLSearchParams(location.hash.slice(1));
	const language = `${kept}-language`;
	if (given.has("lang"))
		sessionStorage.setItem(language, given.get("lang"));
	else if (given.has("token"))
		sessionStorage.removeItem(language);
	const wanted = sessionStorage.getItem(language) ?? navigator.language;
	const french = wanted.toLowerCase().startsWith("fr");
	document.documentElement.lang = french ? wanted : wanted.toLowerCase().startsWith("en") ? wanted : "en";
	document.title = document.getElementById("title").textContent = french ? titles.fr : titles.en;
	take(kept, given);
	addEventListener("hashchange", () => take(kept, new URLSearchParams(location.hash.slice(1))));
}
