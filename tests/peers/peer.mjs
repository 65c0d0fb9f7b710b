// Other people's code on the other side of a contract: reads one JSON request per line, answers one per
// line, {"value": …} or {"error": "…"}.  tests/peers/peer.py drives it.
import readline from "node:readline";

const keys = new Map(); // name → {alg, privateKey, publicKey}

const load = {
	jose: () => import("jose"),
	svix: () => import("svix"),
	standard: () => import("standardwebhooks"),
	clerk: () => import("@clerk/backend"),
	clerkWebhooks: () => import("@clerk/backend/webhooks"),
	stripe: () => import("stripe"),
	ajv: () => import("ajv"),
	qs: () => import("qs"),
};

async function webhookOf(library, secret) {
	const { Webhook } = await load[library]();
	return new Webhook(secret);
}

/* Never asked for anything: the key opens nothing. */
async function stripeClient() {
	const { default: Stripe } = await load.stripe();
	return new Stripe("sk_test_of_nobody");
}

/* Names that Stripe does not know are refused at every depth. */
function closed(schema) {
	if (Array.isArray(schema)) return schema.map(closed);
	if (schema === null || typeof schema !== "object") return schema;
	const made = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
	if (made.type === "object" && made.properties && typeof made.properties === "object" && !made.additionalProperties)
		made.additionalProperties = false;
	return made;
}

const operations = {
	// ---- webhooks -------------------------------------------------------------------------------
	async "webhook.sign"({ library, secret, id, timestamp, body }) {
		return (await webhookOf(library, secret)).sign(id, new Date(timestamp * 1000), body);
	},
	async "webhook.verify"({ library, secret, headers, body }) {
		if (library !== "clerk") return (await webhookOf(library, secret)).verify(body, headers);
		const { verifyWebhook } = await load.clerkWebhooks();
		const request = new Request("https://octroi.example/api/webhooks/clerk", { method: "POST", headers, body });
		return verifyWebhook(request, { signingSecret: secret });
	},

	async "stripe.sign"({ secret, timestamp, body }) {
		const stripe = await stripeClient();
		return stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp });
	},
	async "stripe.verify"({ secret, header, body, now }) {
		const stripe = await stripeClient();
		return stripe.webhooks.constructEvent(body, header, secret, 300, undefined, now * 1000).id ?? null;
	},

	/* text: a form's body or a query; everything in it is a text, as Stripe gets it. */
	async "form.validate"({ schema, text }) {
		const [{ default: Ajv }, { default: qs }] = await Promise.all([load.ajv(), load.qs()]);
		const ajv = new Ajv({ strict: false, coerceTypes: true, validateFormats: false, allErrors: true });
		const form = qs.parse(text, { depth: 10, arrayLimit: 100, strictDepth: true });
		const validate = ajv.compile(closed(schema));
		if (!validate(form)) throw new Error(ajv.errorsText(validate.errors));
		return form;
	},
	/* A method of the SDK's client: ["checkout", "sessions", "create"]. */
	async "stripe.call"({ url, key, method, args }) {
		const { default: Stripe } = await load.stripe();
		const { hostname, port } = new URL(url);
		const client = new Stripe(key, { protocol: "http", host: hostname, port, maxNetworkRetries: 0, telemetry: false });
		const name = method.pop();
		const owner = method.reduce((at, part) => at[part], client);
		try {
			return await owner[name](...(args ?? []));
		} catch (error) {
			throw new Error(`${error.type}: ${error.message}`);
		}
	},
	/* Everything that a list holds, page by page. */
	async "stripe.all"({ url, key, method, args }) {
		const { default: Stripe } = await load.stripe();
		const { hostname, port } = new URL(url);
		const client = new Stripe(key, { protocol: "http", host: hostname, port, maxNetworkRetries: 0, telemetry: false });
		const rows = [];
		for await (const row of method.reduce((at, part) => at[part], client).list(...(args ?? []))) rows.push(row);
		return rows;
	},

	// ---- tokens ---------------------------------------------------------------------------------
	async "key.make"({ name, alg, modulusLength }) {
		const jose = await load.jose();
		const pair = await jose.generateKeyPair(alg, { extractable: true, modulusLength });
		keys.set(name, { alg, ...pair });
		return { ...(await jose.exportJWK(pair.publicKey)), kid: name, alg, use: "sig" };
	},
	async "token.sign"({ name, header, claims }) {
		const jose = await load.jose();
		const key = keys.get(name);
		const whole = { alg: key.alg, typ: "JWT", kid: name, ...header };
		for (const member of Object.keys(whole)) if (whole[member] === null) delete whole[member];
		return new jose.SignJWT(claims).setProtectedHeader(whole).sign(key.privateKey);
	},
	async "token.hmac"({ header, claims, secret }) {
		const jose = await load.jose();
		return new jose.SignJWT(claims).setProtectedHeader(header).sign(new TextEncoder().encode(secret));
	},
	async "token.unsecured"({ claims }) {
		const jose = await load.jose();
		return new jose.UnsecuredJWT(claims).encode();
	},
	async "token.verify.jose"({ jwks, token, options }) {
		const jose = await load.jose();
		return (await jose.jwtVerify(token, jose.createLocalJWKSet({ keys: jwks }), options)).payload;
	},
	async "token.verify.clerk"({ name, token, options }) {
		const [jose, clerk] = await Promise.all([load.jose(), load.clerk()]);
		const jwtKey = await jose.exportSPKI(keys.get(name).publicKey);
		return clerk.verifyToken(token, { jwtKey, ...options });
	},
};

for await (const line of readline.createInterface({ input: process.stdin })) {
	const { op, ...more } = JSON.parse(line);
	let answer;
	try {
		answer = { value: (await operations[op](more)) ?? null };
	} catch (error) {
		answer = { error: String(error?.message ?? error) };
	}
	process.stdout.write(JSON.stringify(answer) + "\n");
}
