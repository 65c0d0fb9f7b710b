// Scenes with OpenAI's package for Node, pointed at octroi-meter; sdk.py has those of Python.
// METER is its address, KEY an application's key, POOR one of an account without credit.  Prints the outcome of each
// scene, or the name of its exception, as one JSON object.
import { createRequire } from "node:module";

// The packages that tests/peers pins.
const require = createRequire(new URL("../peers/package.json", import.meta.url));
const OpenAI = require("openai");

const { METER, KEY, POOR } = process.env;
const client = (apiKey, name = "openai") => new OpenAI({ baseURL: `${METER}/${name}/v1`, apiKey });
const rich = client(KEY), poor = client(POOR), wrong = client("sk-proj-wrong"), mistral = client(KEY, "mistral");
const asked = { model: "gpt-4o", max_completion_tokens: 100 };

/* A question, as what is to be played. */
const ask = (id, more) => JSON.stringify({ id, pad: "x".repeat(1500), ...more });
const user = (id, more) => [{ role: "user", content: ask(id, more) }];

async function textOf(chunks) {
	let text = "";
	for await (const chunk of chunks) text += chunk.choices[0].delta.content ?? "";
	return text;
}

const tool = { type: "function", function: { name: "get_weather", parameters: { type: "object", properties: {} } } };

const scenes = {
	async chat() {
		return (await rich.chat.completions.create({ ...asked, messages: user("chat") })).choices[0].message.content;
	},
	async stream() {
		return textOf(await rich.chat.completions.create({ ...asked, messages: user("stream"), stream: true }));
	},
	async "stream-with-usage"() {
		let last;
		const more = { stream: true, stream_options: { include_usage: true } };
		for await (last of await rich.chat.completions.create({ ...asked, messages: user("usage"), ...more }));
		return last.usage.total_tokens;
	},
	async "early-break"() {
		const chunks = await rich.chat.completions.create({ ...asked, messages: user("break", { wait_at: 3 }), stream: true });
		for await (const chunk of chunks) if (chunk.choices[0].delta.content) return chunk.choices[0].delta.content;
	},
	async tools() {
		const more = { tools: [tool], messages: user("tools", { stream: "openai-tools" }), stream: true };
		let name = "", text = "";
		for await (const chunk of await rich.chat.completions.create({ ...asked, ...more }))
			for (const call of chunk.choices[0].delta.tool_calls ?? []) {
				name ||= call.function.name;
				text += call.function.arguments;
			}
		return [name, text];
	},
	async "stream-helper"() {
		const stream = rich.chat.completions.stream({ ...asked, messages: user("helper") });
		return (await stream.finalChatCompletion()).choices[0].message.content;
	},
	async responses() {
		return (await rich.responses.create({ model: "gpt-4o", input: ask("responses"), max_output_tokens: 50 })).status;
	},
	async "responses-stream"() {
		let last;
		const more = { model: "gpt-4o", max_output_tokens: 50, stream: true };
		for await (last of await rich.responses.create({ ...more, input: ask("responses-stream") }));
		return last.type;
	},
	async embeddings() {
		return (await rich.embeddings.create({ model: "gpt-4o", input: ask("embeddings"), encoding_format: "float" })).data[0].index;
	},
	async models() {
		for await (const model of rich.models.list()) if (model.id === "gpt-4o") return true;
		return false;
	},
	async "one-failure-and-a-retry"() {
		const messages = user("retry", { fail_first: 1 });
		return (await rich.chat.completions.create({ ...asked, messages })).choices[0].message.content;
	},
	async "refused-by-the-provider"() {
		await rich.chat.completions.create({ ...asked, messages: user("refused", { status: 400 }) });
	},
	async "no-credit"() {
		await poor.chat.completions.create({ ...asked, messages: user("poor") });
	},
	async "no-credit-for-a-stream"() {
		await textOf(await poor.chat.completions.create({ ...asked, messages: user("poor"), stream: true }));
	},
	async "wrong-key"() {
		await wrong.chat.completions.create({ ...asked, messages: user("wrong") });
	},
	async "another-provider"() {
		const more = { model: "mistral-small-latest", max_tokens: 100, stream: true };
		return textOf(await mistral.chat.completions.create({ ...more, messages: user("mistral", { stream: "mistral" }) }));
	},
	async "streams-at-once"() {
		const one = async (n) => textOf(await rich.chat.completions.create({ ...asked, messages: user(`all-${n}`), stream: true }));
		return new Set(await Promise.all(Array.from({ length: 8 }, (_, n) => one(n)))).size;
	},
};

const found = {};
for (const [name, play] of Object.entries(scenes)) {
	try {
		found[name] = await play();
	} catch (error) { // what an application would see
		found[name] = `${error.constructor.name} ${error.status} ${error.code}`;
	}
}
console.log(JSON.stringify(found));
