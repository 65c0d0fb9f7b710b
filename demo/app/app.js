// The demo's page: a chat whose answers are paid for, and octroi's elements around it.
import {session} from "/octroi/ui/session.js";

const talk = document.getElementById("talk");
const form = document.getElementById("ask");
const refused = document.getElementById("refused");

async function post(path, document = {}) {
	const answer = await fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(document)});
	return {status: answer.status, ...await answer.json()};
}

// As an application does: its server asks octroi for a token of its customer.
async function renew() {
	document.querySelector('meta[name="octroi-token"]').content = (await post("/demo/app/token")).token ?? "";
}

function show(kind, text, more = "") {
	const item = Object.assign(document.createElement("li"), {className: kind, textContent: text});
	item.append(Object.assign(document.createElement("small"), {textContent: more}));
	talk.append(item);
	item.scrollIntoView({block: "nearest"});
}

form.addEventListener("submit", async (event) => {
	event.preventDefault();
	const prompt = form.prompt.value;
	const button = form.querySelector("button");
	button.disabled = true;
	show("me", prompt);
	const answer = await post("/demo/app/chat", {prompt, requestId: crypto.randomUUID?.() ?? String(Math.random()).slice(2)});
	button.disabled = false;
	refused.hidden = answer.status !== 402;
	if (answer.status === 402)
		document.getElementById("why").textContent = answer.guard.message;
	else if (answer.status === 200)
		show("model", answer.reply, `cost ${(answer.guard.costMicros / 1_000_000).toFixed(6)} EUR`);
	else
		show("model", "No answer.", `error ${answer.status}`);
	session.refresh();
});
addEventListener("octroi-token-needed", renew);
addEventListener("octroi-topup", () => { refused.hidden = true; });
await renew();
import("/octroi/ui/octroi.js");
