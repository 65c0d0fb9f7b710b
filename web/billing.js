// The page /billing: takes the token from its own address, and keeps it for this tab, for the way to the payment page
// and back.
import en from "./lang/en.js";
import fr from "./lang/fr.js";

const KEPT = "octroi-token";
const given = new URLSearchParams(location.hash.slice(1));
const meta = document.querySelector('meta[name="octroi-token"]');
const wanted = given.get("lang") ?? navigator.language;
const french = wanted.toLowerCase().startsWith("fr");

document.documentElement.lang = french ? wanted : wanted.toLowerCase().startsWith("en") ? wanted : "en";
document.title = document.getElementById("title").textContent = (french ? fr : en).title;

function take(parameters) {
	const token = parameters.get("token");
	if (token !== null) {
		sessionStorage.setItem(KEPT, token);
		// An address is copied, logged and kept: the token leaves it at once.
		history.replaceState(null, "", location.pathname + location.search);
	}
	meta.content = token ?? sessionStorage.getItem(KEPT) ?? "";
}

take(given);
addEventListener("hashchange", () => take(new URLSearchParams(location.hash.slice(1))));
