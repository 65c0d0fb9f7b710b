#include "meter/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/memory.h"
#include "edge/response.h"
#include "meter/gauge.h"
#include "meter/ingress.h"
#include "meter/meter_error.h"
#include "meter/models.h"
#include "meter/want.h"

#define ARENA_MAX ((size_t)256 * 1024)
#define HEAD_MAX ((size_t)16 * 1024)
#define OUT_MAX ((size_t)1024 * 1024)
#define BODY_EXTRA ((size_t)4096) /* of the members that the meter puts in */
#define ID_MAX 64
#define LINE_MAX 512
#define NAME_MAX_BYTES 160
#define AUTHORIZE_TRIES 3
#define REPEATS_MAX 4 /* of a request that the provider refused, under the same Idempotency-Key */
#define GRACE_TRIES 2 /* before a grace is used */
#define GRACE_WAIT_US (2 * CLOCK_US_PER_SECOND) /* and for so long octroi may take to answer */
#define LATER_US (5 * CLOCK_US_PER_SECOND)
#define EXTEND_US (60 * CLOCK_US_PER_SECOND)
#define NONE (-1)

enum relay_state { AUTHORIZING, WAITING, KEEPING, ASKING };

struct relay {
	struct relays *all;
	struct relay *next, *previous;
	enum relay_state state;
	struct channel *channel; /* NULL: the client has gone, or has its whole answer */
	struct arena *arena;
	struct ingress in;
	struct want want;
	struct models models; /* of FORM_MODELS */
	bool counted;
	char request_id[ID_MAX];
	int tries, repeats;
	int64_t retry_us;   /* of WAITING */
	int64_t unknown_us; /* of the first try that may have made a hold; 0: none */
	struct asking *asking;
	struct leeway_ask ask; /* of a request that may have a grace */
	bool may_have_grace;
	/* Of the hold. */
	char hold[ID_MAX], model[NAME_MAX_BYTES], source[16];
	int64_t reserved, balance, granted, extend_us;
	bool extending;
	/* Of the answer. */
	struct transfer *transfer;
	int status;
	bool head_sent, paused, cut;
	struct buf head, out;
	struct gauge gauge;
	bool events;
	int64_t moved_us; /* of the provider's last byte */
	bool draining;
	int64_t drain_until_us;
};

static const struct answer_header {
	const char *name, *as;
} answer_headers[] = {
#define ANSWER(name, as) {name, as},
#include "meter/headers.def"
};

/* ---- life ------------------------------------------------------------------------------------ */

static struct relay *new_relay(struct relays *all, struct channel *c)
{
	struct relay *r = memory_part("relay", sizeof(*r));

	if (r == NULL)
		return NULL;
	r->arena = arena_new(ARENA_MAX);
	if (r->arena == NULL) {
		free(r);
		return NULL;
	}
	r->all = all;
	r->channel = c;
	r->granted = NONE;
	buf_init(&r->head, HEAD_MAX);
	buf_init(&r->out, OUT_MAX);
	gauge_init(&r->gauge);
	models_init(&r->models);
	r->next = all->first;
	if (all->first != NULL)
		all->first->previous = r;
	all->first = r;
	return r;
}

/* Ends the answer to the client, if it is still there, and the relay. */
static void finish_relay(struct relay *r)
{
	struct relays *all = r->all;
	const int digit = r->status / 100;

	CHECK(r->transfer == NULL);
	asker_forget(r->asking);
	if (r->channel != NULL)
		channel_end(r->channel);
	if (r->next != NULL)
		r->next->previous = r->previous;
	if (r->previous != NULL)
		r->previous->next = r->next;
	else
		all->first = r->next;
	if (r->counted) {
		all->counts.streams--;
		all->counts.draining -= r->draining ? 1 : 0;
		all->counts.answered[r->head_sent && digit < 6 ? digit : 0]++;
	}
	all->ended++;
	want_free(&r->want);
	models_free(&r->models);
	gauge_free(&r->gauge);
	buf_free(&r->head);
	buf_free(&r->out);
	arena_free(r->arena);
	free(r);
}

/* ---- answers to the client ------------------------------------------------------------------- */

static void put_numbers(struct relay *r, struct buf *head)
{
	if (r->hold[0] == '\0')
		return;
	buf_printf(head, "X-Octroi-Hold: %s\r\nX-Octroi-Reserved: %lld\r\nX-Octroi-Balance: %lld\r\n", r->hold,
	           (long long)r->reserved, (long long)r->balance);
	if (r->want.model_count > 1)
		buf_printf(head, "X-Octroi-Model: %s\r\n", r->model);
}

/* Sends the head that was collected. */
static void send_head(struct relay *r)
{
	struct buf head;

	if (r->head_sent)
		return;
	r->head_sent = true;
	if (r->channel == NULL)
		return;
	buf_init(&head, HEAD_MAX + LINE_MAX);
	buf_printf(&head, "Status: %d %s\r\n", r->status, response_reason(r->status));
	put_numbers(r, &head);
	buf_add_text(&head, "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
	if (r->head.length > 0)
		buf_add(&head, r->head.data, r->head.length);
	buf_add_text(&head, "\r\n");
	if (buf_ok(&head))
		channel_write(r->channel, head.data, head.length);
	buf_free(&head);
}

static void send_whole(struct relay *r, int status, const char *type, const struct buf *body)
{
	r->status = status;
	buf_reset(&r->head);
	buf_printf(&r->head, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body->length);
	send_head(r);
	if (r->channel != NULL && body->length > 0)
		channel_write(r->channel, body->data, body->length);
}

/* Sends the meter's own error.  An answer that has begun already is left half, for the client to see. */
static void send_error(struct relay *r, int status, const char *code, const char *message)
{
	struct buf body;

	if (r->head_sent) {
		if (r->channel != NULL)
			channel_break(r->channel);
		return;
	}
	buf_init(&body, HEAD_MAX);
	meter_error_body(r->in.shape, status, code, message, &body);
	r->status = status;
	buf_reset(&r->head);
	buf_printf(&r->head, "Content-Type: application/json\r\nContent-Length: %zu\r\nX-Octroi-Error: %s\r\n",
	           body.length, code);
	if (status == 503)
		buf_add_text(&r->head, "Retry-After: 1\r\n");
	send_head(r);
	if (r->channel != NULL && body.length > 0)
		channel_write(r->channel, body.data, body.length);
	buf_free(&body);
}

static void refuse_client(struct relay *r, int status, const char *code, const char *message)
{
	send_error(r, status, code, message);
	finish_relay(r);
}

/* ---- settling -------------------------------------------------------------------------------- */

/* Hands the settlement to the spool: from then on it is not lost. */
static void settle_hold(struct relay *r, enum tally_outcome outcome)
{
	const struct meter_config *c = r->all->config;
	struct buf settlement, counts;
	struct tally_facts facts = {
		.hold = r->hold,
		.outcome = outcome,
		.cap = r->granted,
		.bytes_per_token = c->bytes_per_token,
		.input_tokens = (r->want.bytes + c->bytes_per_token - 1) / c->bytes_per_token,
		.variant = r->want.variant,
		.estimate = r->want.stream && !r->want.hidden,
		.opaque = r->want.opaque,
	};

	CHECK(r->hold[0] != '\0');
	buf_init(&settlement, TALLY_SETTLEMENT_MAX);
	buf_init(&counts, 64);
	if (outcome == TALLY_COMPLETE)
		want_counts(&r->want, &counts);
	facts.counts = counts.length > 0 ? counts.data : NULL;
	tally_settlement(&r->gauge.tally, &facts, &settlement);
	if (!buf_ok(&settlement)) {
		buf_reset(&settlement);
		tally_reservation(r->hold, &settlement);
	}
	spool_add(r->all->spool, r->hold, settlement.data, settlement.length);
	r->all->counts.settled[outcome]++;
	r->all->counts.estimated += tally_is_estimated(&r->gauge.tally, &facts) ? 1 : 0;
	r->hold[0] = '\0';
	buf_free(&settlement);
	buf_free(&counts);
}

/* The outcome of an answer that has ended, by the provider or by the meter. */
static enum tally_outcome judge_answer(const struct relay *r, enum transfer_end end)
{
	const struct tally *t = &r->gauge.tally;
	const bool known = t->usage.length > 0;

	if (end == TRANSFER_NOT_SENT || r->status >= 300 || r->want.endpoint->form == FORM_FREE)
		return TALLY_FAILED;
	if (r->status != 0 && t->failed && !known)
		return TALLY_FAILED;
	if (r->status == 0 || !(t->whole || end == TRANSFER_WHOLE) || t->broken_off)
		return TALLY_PARTIAL;
	/* Without a usage only counts of the request can be complete. */
	return known || r->want.characters > 0 || r->want.images > 0 ? TALLY_COMPLETE : TALLY_PARTIAL;
}

/* ---- the provider's answer ------------------------------------------------------------------- */

static void on_status(void *context, int status)
{
	struct relay *r = context;

	r->status = status;
	r->moved_us = clock_monotonic_us();
	buf_reset(&r->head);
	r->events = false;
}

static void keep_header(struct relay *r, const char *line, size_t name, size_t length)
{
	for (size_t i = 0; i < sizeof(answer_headers) / sizeof(answer_headers[0]); i++) {
		const struct answer_header *a = &answer_headers[i];
		const size_t known = strlen(a->name);
		const bool begins = a->name[known - 1] == '-';

		if (strncasecmp(line, a->name, known) != 0 || (begins ? name <= known : name != known))
			continue;
		if (begins)
			buf_add(&r->head, line, name);
		else
			buf_add_text(&r->head, a->as);
		buf_add(&r->head, line + name, length - name);
		buf_add_text(&r->head, "\r\n");
		return;
	}
}

static void on_header(void *context, const char *line, size_t length)
{
	static const char events[] = "text/event-stream";
	struct relay *r = context;
	const char *colon = memchr(line, ':', length);
	const size_t name = colon != NULL ? (size_t)(colon - line) : 0;

	if (length == 0 && r->status >= 200) {
		gauge_begin(&r->gauge, r->events, r->want.hides_usage);
		if (r->status < 300)
			send_head(r);
	}
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 && line[i] != '\t')
			return;
	if (name == 0)
		return;
	if (name == strlen("content-type") && strncasecmp(line, "content-type", name) == 0) {
		const char *value = colon + 1 + strspn(colon + 1, " \t");

		r->events = length >= (size_t)(value - line) + strlen(events) &&
		            strncasecmp(value, events, strlen(events)) == 0;
	}
	keep_header(r, line, name, length);
}

/* True if the answer can be sent to the client as it came. */
static bool is_answer(const struct relay *r)
{
	return r->status >= 200 && (r->status < 300 || r->status >= 400);
}

static void count_drained(struct relay *r, size_t length)
{
	const struct meter_config *c = r->all->config;

	r->all->counts.drained_bytes += (int64_t)length;
	if (tally_estimate(&r->gauge.tally, c->bytes_per_token, NONE) > c->drain_tokens)
		r->cut = true;
}

/* Writes to the client what is in r->out. */
static void pass_on(struct relay *r)
{
	if (!buf_ok(&r->out)) {
		r->cut = true; /* no memory: half an answer would pass for a whole one */
	} else if (r->channel != NULL && r->out.length > 0) {
		send_head(r);
		channel_write(r->channel, r->out.data, r->out.length);
	}
	buf_reset(&r->out);
}

static bool on_body(void *context, const char *bytes, size_t length)
{
	struct relay *r = context;

	r->moved_us = clock_monotonic_us();
	if (r->channel != NULL && channel_is_full(r->channel)) {
		r->paused = true;
		return false;
	}
	gauge_feed(&r->gauge, bytes, length, &r->out);
	if (is_answer(r))
		pass_on(r);
	buf_reset(&r->out);
	if (r->draining)
		count_drained(r, length);
	return true;
}

static void on_end(void *context, enum transfer_end end, const char *error)
{
	struct relay *r = context;
	enum tally_outcome outcome;

	r->transfer = NULL;
	if (r->status != 0) {
		gauge_end(&r->gauge, &r->out);
		if (is_answer(r) && (end == TRANSFER_WHOLE || r->out.length > 0))
			pass_on(r);
	}
	outcome = judge_answer(r, end);
	if (end != TRANSFER_WHOLE || !is_answer(r)) {
		r->all->counts.provider_errors++;
		log_event(LOG_LEVEL_WARNING, "provider_failed", LOG_TEXT("provider", r->in.provider->name),
		          LOG_TEXT("hold", r->hold), LOG_NUMBER("status", r->status), LOG_TEXT("error", error));
	}
	settle_hold(r, outcome);
	if (end == TRANSFER_WHOLE && is_answer(r)) {
		send_head(r);
		finish_relay(r);
	} else {
		refuse_client(r, 502, "PROVIDER_UNAVAILABLE", "The provider did not answer.");
	}
}

/* Cuts the provider, and settles what is known. */
static void cut_relay(struct relay *r)
{
	enum transfer_end end = TRANSFER_BROKEN_OFF;

	CHECK(r->transfer != NULL);
	if (!transfer_cancel(r->transfer))
		end = TRANSFER_NOT_SENT;
	r->transfer = NULL;
	gauge_end(&r->gauge, &r->out);
	settle_hold(r, judge_answer(r, end));
}

/* ---- asking the provider --------------------------------------------------------------------- */

static const char *key_header(enum endpoint_shape shape)
{
	switch (shape) {
	case SHAPE_OPENAI:
		return "Authorization: Bearer ";
	case SHAPE_ANTHROPIC:
		return "x-api-key: ";
	case SHAPE_GEMINI:
		return "x-goog-api-key: ";
	}
	UNREACHABLE("every shape is in the switch");
}

static void fill_headers(const struct relay *r, struct transfer_options *options, const char *key)
{
	int count = 0;

	options->headers[count++] = key;
	options->headers[count++] = "Content-Type: application/json";
	options->headers[count++] = "User-Agent: octroi-meter/" OCTROI_VERSION;
	for (int i = 0; r->in.headers[i] != NULL; i++)
		options->headers[count++] = r->in.headers[i];
	CHECK(count < TRANSFER_HEADERS_MAX);
}

/* Begins the transfer.  False when memory is short. */
static bool begin_transfer(struct relay *r)
{
	const struct meter_provider *provider = r->in.provider;
	char url[LINE_MAX + 256], key[LINE_MAX];
	struct transfer_options options = {
		.method = "POST",
		.url = url,
		.connect_ms = r->all->config->connect_ms,
		.on_status = on_status,
		.on_header = on_header,
		.on_body = on_body,
		.on_end = on_end,
		.context = r,
	};
	struct buf body;

	(void)snprintf(url, sizeof(url), "%s%s", provider->url, r->in.rest);
	(void)snprintf(key, sizeof(key), "%s%s", key_header(provider->shape), provider->key);
	fill_headers(r, &options, key);
	buf_init(&body, 6 * (size_t)r->all->config->body_max + BODY_EXTRA);
	want_body(&r->want, r->model, r->granted, provider->newer, &body);
	if (buf_ok(&body) && body.length > 0) {
		options.body = body.data; /* the transfer's from now on */
		options.body_length = body.length;
		r->transfer = transfer_begin(r->all->transfers, &options);
	} else {
		buf_free(&body);
	}
	explicit_bzero(key, sizeof(key));
	return r->transfer != NULL;
}

static void send_to_provider(struct relay *r)
{
	const int64_t now_us = clock_monotonic_us();

	r->state = ASKING;
	r->moved_us = now_us;
	r->extend_us = now_us + EXTEND_US;
	if (r->in.provider->newer && want_may_reason(&r->want, r->model))
		r->want.hidden = true;
	if (begin_transfer(r)) {
		json_free(r->want.document); /* the copy for the provider is the only one from now on */
		r->want.document = NULL;
		channel_drop_body(r->channel);
		return;
	}
	settle_hold(r, TALLY_FAILED);
	refuse_client(r, 503, "UNAVAILABLE", "There is no memory for this request.");
}

/* ---- authorize ------------------------------------------------------------------------------- */

static void ask_octroi(struct relay *r);

/* The model as the client names it: without the prefix of prices.  False: octroi named another one. */
static bool take_model(struct relay *r, const char *model)
{
	const size_t prefix = strlen(r->in.provider->prices);

	if (strncmp(model, r->in.provider->prices, prefix) != 0)
		return false;
	for (int i = 0; i < r->want.model_count; i++) {
		if (strcmp(model + prefix, r->want.models[i]) != 0)
			continue;
		(void)snprintf(r->model, sizeof(r->model), "%s", r->want.models[i]);
		return true;
	}
	return false;
}

/* Reads the hold of an answer 200.  False: it is none. */
static bool read_hold(struct relay *r, const struct json *answer)
{
	const char *hold = json_get_text(answer, "hold");

	if (strcmp(json_get_text(answer, "decision"), "allow") != 0 || hold[0] == '\0' ||
	    strlen(hold) >= sizeof(r->hold))
		return false;
	(void)snprintf(r->hold, sizeof(r->hold), "%s", hold);
	(void)snprintf(r->source, sizeof(r->source), "%s", json_get_text(answer, "source"));
	r->reserved = json_get_int(answer, "reservedMicros", 0);
	r->balance = json_get_int(answer, "balanceMicros", 0);
	r->granted = r->want.endpoint->bounds[0] != NULL ? json_get_int(answer, "maxOutputTokens", NONE) : NONE;
	return true;
}

/* True if another relay of this process has the hold, or had it: its settlement may still be on its way. */
static bool is_held(const struct relay *r)
{
	if (spool_has(r->all->spool, r->hold))
		return true;
	for (const struct relay *other = r->all->first; other != NULL; other = other->next)
		if (other != r && strcmp(other->hold, r->hold) == 0)
			return true;
	return false;
}

/* A hold that pays for nothing the meter could send, or for a client that has gone, is given back. */
static void return_hold(struct relay *r, const char *message)
{
	settle_hold(r, TALLY_FAILED);
	refuse_client(r, 503, "UNAVAILABLE", message);
}

/* Answers with the list of models.  It was made before octroi was asked about the key. */
static void answer_models(struct relay *r)
{
	struct buf body;

	buf_init(&body, OUT_MAX);
	models_put(&r->models, &body);
	if (buf_ok(&body))
		send_whole(r, 200, "application/json", &body);
	else
		send_error(r, 503, "UNAVAILABLE", "The list is too long.");
	buf_free(&body);
	finish_relay(r);
}

/* The hold is this relay's own. */
static void take_own(struct relay *r)
{
	if (r->channel == NULL) {
		return_hold(r, "The client has gone.");
	} else if (r->want.endpoint->form == FORM_MODELS) {
		settle_hold(r, TALLY_FAILED);
		answer_models(r);
	} else
		send_to_provider(r);
}

/* Goes on with a hold of before: it pays for one request.  A hold that was released paid for none. */
static void take_replayed(struct relay *r, const struct json *answer)
{
	const char *state = json_get_text(answer, "holdState");

	if (strcmp(state, "released") == 0 && r->in.repeat != NULL && r->repeats + 1 < REPEATS_MAX) {
		r->hold[0] = '\0';
		r->repeats++;
		r->tries = 0;
		ask_octroi(r);
		return;
	}
	/* After a try without an answer, an open hold that nobody here has is this relay's own. */
	if (strcmp(state, "open") == 0 && r->tries > 1 && !is_held(r)) {
		take_own(r);
		return;
	}
	r->hold[0] = '\0';
	refuse_client(r, 409, "CONFLICT", "This Idempotency-Key was used by a request that was sent already.");
}

static void take_allowed(struct relay *r, const struct json *answer)
{
	const struct json *replayed = json_get(answer, "replayed");

	if (!read_hold(r, answer)) {
		refuse_client(r, 503, "UNAVAILABLE", "octroi's answer is not understood.");
		return;
	}
	if (!take_model(r, json_get_text(answer, "model")) || strcmp(r->source, "platform") != 0 || replayed == NULL ||
	    json_type(replayed) != JSON_BOOL)
		return_hold(r, "octroi's answer is not understood.");
	else if (json_bool(replayed))
		take_replayed(r, answer);
	else
		take_own(r);
}

/* ---- graces ---------------------------------------------------------------------------------- */

/* The key, or the account and the member, for its payer: no key has a NUL. */
static void name_payer(const struct relay *r, unsigned char digest[DIGEST_BYTES])
{
	const struct ingress *in = &r->in;
	const struct digest_piece pieces[] = {
		{in->key != NULL ? in->key : in->account, strlen(in->key != NULL ? in->key : in->account) + 1},
		{in->key != NULL ? "key" : in->member, in->key != NULL ? strlen("key") : strlen(in->member) + 1}};

	digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(pieces[0]), digest);
}

/* A request under an Idempotency-Key may have been sent before, which octroi alone knows. */
static void describe_request(struct relay *r)
{
	r->may_have_grace = r->all->leeway != NULL && r->in.repeat == NULL && want_may_have_grace(&r->want);
	if (r->all->leeway == NULL)
		return;
	name_payer(r, r->ask.payer);
	if (!r->may_have_grace)
		return;
	r->ask.account = r->in.key == NULL ? r->in.account : NULL;
	r->ask.member = r->in.member;
	r->ask.input = r->want.bytes;
	r->ask.output = want_output(&r->want);
	want_kind(&r->want, r->in.provider->prices, r->ask.kind);
}

/* Makes the booking: the same request to octroi, by the names of its payer. */
static bool keep_booking(struct relay *r, const struct leeway_use *use)
{
	const struct want_terms terms = {
		.account = use->account,
		.member = use->member,
		.request_id = r->request_id,
		.prefix = r->in.provider->prices,
		.grace = use->grace,
		.hold_seconds = r->all->config->hold_seconds,
	};
	struct buf booking;
	bool kept;

	buf_init(&booking, TALLY_SETTLEMENT_MAX);
	want_authorize(&r->want, &terms, &booking);
	kept = buf_ok(&booking) && spool_book(r->all->spool, booking.data, booking.length);
	buf_free(&booking);
	return kept;
}

/* Uses a grace, if one covers the request.  The request goes out once its booking is on the disk. */
static bool use_grace(struct relay *r)
{
	struct leeway *a = r->all->leeway;
	struct leeway_use use;

	CHECK(r->hold[0] == '\0' && r->transfer == NULL);
	if (!r->may_have_grace || r->channel == NULL || r->all->stopping || !spool_ready(r->all->spool) ||
	    !leeway_use(a, &r->ask, &use))
		return false;
	if (!keep_booking(r, &use)) {
		leeway_end(a, use.account, use.micros, false);
		return false;
	}
	asker_forget(r->asking); /* the booking finds the hold that this try may make */
	r->asking = NULL;
	r->state = KEEPING;
	(void)snprintf(r->hold, sizeof(r->hold), SPOOL_BOOKING "%.57s", r->request_id);
	(void)snprintf(r->model, sizeof(r->model), "%s", r->want.models[0]);
	r->reserved = use.micros;
	r->balance = 0;
	r->granted = r->want.endpoint->bounds[0] != NULL ? use.output : NONE;
	r->all->counts.graces++;
	log_event(LOG_LEVEL_WARNING, "grace_used", LOG_TEXT("hold", r->hold), LOG_TEXT("account", use.account),
	          LOG_NUMBER("micros", use.micros));
	return true;
}

static struct relay *find_relay(const struct relays *all, const char *hold)
{
	for (struct relay *r = all->first; r != NULL; r = r->next)
		if (strcmp(r->hold, hold) == 0)
			return r;
	return NULL;
}

void relay_kept(void *context, const char *name, bool kept)
{
	struct relay *r = find_relay(context, name);

	if (r == NULL || r->state != KEEPING)
		return;
	if (r->channel == NULL)
		return_hold(r, "The client has gone.");
	else if (!kept)
		return_hold(r, "The use of a grace cannot be kept.");
	else
		send_to_provider(r);
}

void relay_booked(void *context, const char *name, const char *account, int64_t micros, const char *hold)
{
	struct relays *all = context;
	struct relay *r = find_relay(all, name);

	if (all->leeway != NULL)
		leeway_end(all->leeway, account, micros, hold != NULL);
	if (hold == NULL) {
		all->counts.graces_refused++;
		all->counts.lost_micros += micros;
	} else if (r != NULL) {
		(void)snprintf(r->hold, sizeof(r->hold), "%s", hold);
		r->extend_us = clock_monotonic_us();
	}
}

/* ---- no permission --------------------------------------------------------------------------- */

/* True if octroi is away, as the clients have it: no answer, half an answer, or a web server's word for it. */
static bool is_outage(int status)
{
	return status <= 0 || status == 200 || status == 502 || status == 503 || status == 504;
}

/* octroi did not answer, or not for good.  After some tries the client is told; a hold that may have been made all the
 * same is asked for until it is known, or has expired, and given back. */
static void ask_later(struct relay *r, int status)
{
	const int64_t now_us = clock_monotonic_us();
	const bool last = r->tries >= AUTHORIZE_TRIES;

	if (status != ASKER_NOT_SENT && r->unknown_us == 0)
		r->unknown_us = now_us;
	if (r->tries >= GRACE_TRIES && is_outage(status) && use_grace(r))
		return;
	if (last &&
	    (r->unknown_us == 0 || now_us - r->unknown_us > r->all->config->hold_seconds * CLOCK_US_PER_SECOND)) {
		refuse_client(r, 503, "UNAVAILABLE", "octroi does not answer.");
		return;
	}
	r->state = WAITING;
	r->retry_us = now_us + (last ? LATER_US : r->tries * CLOCK_US_PER_SECOND / 2);
	if (!last || r->channel == NULL)
		return;
	send_error(r, 503, "UNAVAILABLE", "octroi does not answer.");
	channel_end(r->channel);
	r->channel = NULL;
}

/* octroi refused the request: the client's key, the meter's own one, or the account. */
static void pass_refusal(struct relay *r, int status, const struct json *answer)
{
	const char *code = answer != NULL ? json_get_text(answer, "error") : "";
	const char *message = answer != NULL ? json_get_text(answer, "message") : "";

	if (strcmp(code, "METER_KEY_REFUSED") == 0) {
		refuse_client(r, 401, "UNAUTHORIZED", "A key of octroi's meter is required.");
	} else if (status == 401 || strcmp(code, "FORBIDDEN") == 0) {
		log_event(LOG_LEVEL_ERROR, "meter_key_refused", LOG_NUMBER("status", status));
		refuse_client(r, 503, "UNAVAILABLE", "octroi does not know the meter.");
	} else if (r->want.endpoint->form == FORM_MODELS && status == 402) {
		answer_models(r); /* the key is good, which is all that was asked */
	} else {
		refuse_client(r, status, code[0] != '\0' ? code : "UNAVAILABLE",
		              message[0] != '\0' ? message : "octroi refused the request.");
	}
}

static void authorized(void *context, int status, const struct json *answer)
{
	struct relay *r = context;

	r->asking = NULL;
	if (status == 200 && answer != NULL) {
		if (r->may_have_grace)
			leeway_note(r->all->leeway, &r->ask, answer);
		take_allowed(r, answer);
	} else if (status >= 400 && status < 500) {
		if (r->all->leeway != NULL && (status == 401 || status == 402 || status == 403))
			leeway_forget(r->all->leeway, r->ask.payer);
		pass_refusal(r, status, answer);
	} else {
		ask_later(r, status);
	}
}

/* The id under which octroi knows the request: of the client's Idempotency-Key, or a random one. */
static void set_request_id(struct relay *r)
{
	unsigned char bytes[DIGEST_BYTES];
	struct buf id;

	if (r->in.repeat != NULL)
		digest_sha256(r->in.repeat, strlen(r->in.repeat), bytes);
	else if (r->request_id[0] == '\0')
		digest_random(bytes, sizeof(bytes));
	else
		return; /* a further try is the same request */
	buf_init(&id, sizeof(r->request_id));
	buf_add_text(&id, "meter-");
	buf_add_hex(&id, bytes, 20);
	buf_printf(&id, "-%d", r->repeats + 1);
	CHECK(buf_ok(&id));
	(void)snprintf(r->request_id, sizeof(r->request_id), "%s", buf_text(&id));
	buf_free(&id);
}

static void ask_octroi(struct relay *r)
{
	struct want_terms terms = {
		.meter_key = r->in.key,
		.account = r->in.account,
		.member = r->in.member,
		.request_id = r->request_id,
		.prefix = r->in.provider->prices,
		.hold_seconds = r->all->config->hold_seconds,
	};
	struct buf body;

	r->state = AUTHORIZING;
	r->tries++;
	set_request_id(r);
	if (r->tries == 1)
		describe_request(r);
	if (r->may_have_grace)
		terms.grace = leeway_place(r->all->leeway, &r->ask);
	buf_init(&body, HEAD_MAX);
	want_authorize(&r->want, &terms, &body);
	if (buf_ok(&body))
		r->asking = asker_ask(r->all->asker, "/api/guard/authorize", &body, authorized, r);
	if (body.data != NULL)
		explicit_bzero(body.data, body.length);
	buf_free(&body);
	if (r->asking == NULL)
		refuse_client(r, 503, "UNAVAILABLE", "There is no memory for this request.");
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void answer_itself(struct relay *r)
{
	struct buf body;

	buf_init(&body, OUT_MAX);
	if (r->in.kind == INGRESS_METRICS) {
		r->all->metrics(r->all, &body);
		send_whole(r, 200, "text/plain; version=0.0.4", &body);
	} else {
		buf_add_text(&body, "{\"status\":\"ok\"}");
		send_whole(r, 200, "application/json", &body);
	}
	buf_free(&body);
	finish_relay(r);
}

static void ask_models(struct relay *r);

/* A page of the price list has come. */
static void list_prices(void *context, int status, const struct json *answer)
{
	struct relay *r = context;
	const struct meter_provider *p = r->in.provider;

	r->asking = NULL;
	if (status != 200 || answer == NULL)
		refuse_client(r, 503, "UNAVAILABLE", "octroi does not answer.");
	else if (models_add(&r->models, answer, p->prices, p->name))
		ask_models(r);
	else if (r->models.count == 0)
		refuse_client(r, 404, "NOT_FOUND", "No model of this provider has a price.");
	else if (want_name(&r->want, r->in.endpoint, r->models.first) < 0)
		refuse_client(r, 503, "UNAVAILABLE", r->want.refusal);
	else
		ask_octroi(r);
}

/* Asks for the next page of the price list. */
static void ask_models(struct relay *r)
{
	struct buf path;

	r->state = AUTHORIZING;
	buf_init(&path, LINE_MAX);
	models_path(&r->models, r->in.provider->name, &path);
	if (buf_ok(&path))
		r->asking = asker_ask(r->all->asker, buf_text(&path), NULL, list_prices, r);
	buf_free(&path);
	if (r->asking == NULL)
		refuse_client(r, 503, "UNAVAILABLE", "There is no memory for this request.");
}

/* Refuses, or reads the body and asks octroi. */
static void begin_provider(struct relay *r, enum channel_defect defect)
{
	const struct buf *body = channel_body(r->channel);
	struct relays *all = r->all;

	all->counts.streams++;
	r->counted = true;
	if (defect == CHANNEL_BODY_TOO_BIG)
		refuse_client(r, 413, "PAYLOAD_TOO_LARGE", "The body is too large.");
	else if (defect != CHANNEL_SOUND || all->stopping || all->counts.streams > all->config->streams_max)
		refuse_client(r, 503, "UNAVAILABLE", "Too many requests are under way; try again.");
	else if (!spool_ready(all->spool))
		refuse_client(r, 503, "UNAVAILABLE", "Settlements cannot be kept.");
	else if (r->in.endpoint->form == FORM_MODELS)
		ask_models(r);
	else if (want_read(&r->want, r->in.endpoint, buf_text(body), body->length, r->in.model, r->in.model_length,
	                   r->in.fallback) < 0)
		refuse_client(r, 400, "INVALID_REQUEST", r->want.refusal);
	else
		ask_octroi(r);
}

void *relay_begin(void *context, struct channel *c, const char *const *parameters, enum channel_defect defect)
{
	struct relays *all = context;
	struct relay *r = new_relay(all, c);
	const int64_t before = all->ended;

	if (r == NULL) {
		channel_end(c); /* without a head: the web server answers 502 */
		return NULL;
	}
	ingress_read(&r->in, r->arena, all->config, all->providers, parameters,
	             defect == CHANNEL_SOUND ? channel_body(c)->length : 0);
	if (r->in.kind == INGRESS_REFUSED && (defect == CHANNEL_SOUND || r->in.status != 400))
		refuse_client(r, r->in.status, r->in.code, r->in.message);
	else if (r->in.kind != INGRESS_PROVIDER && r->in.kind != INGRESS_REFUSED)
		answer_itself(r);
	else
		begin_provider(r, defect);
	return all->ended == before ? r : NULL;
}

/* ---- the client and the clock ---------------------------------------------------------------- */

/* True if the provider is to be read on without the client.  An answer that is no stream, or does not show all of its
 * tokens, says its usage at its end only: a client that goes early would have it for next to nothing. */
static bool may_drain(const struct relay *r)
{
	const struct relays *all = r->all;
	const bool drains = r->in.drain || !r->want.stream || r->want.opaque || r->want.hidden;

	return !all->stopping && drains && all->counts.draining < all->config->drain_max;
}

void relay_gone(void *request)
{
	struct relay *r = request;
	struct relay_counts *counts = &r->all->counts;

	channel_end(r->channel);
	r->channel = NULL;
	if (r->state != ASKING)
		return; /* the hold, if there is to be one, is given back when octroi answers */
	if (may_drain(r)) {
		r->draining = true;
		counts->draining++;
		counts->drained++;
		r->drain_until_us = clock_monotonic_us() + r->all->config->drain_seconds * CLOCK_US_PER_SECOND;
		r->moved_us = clock_monotonic_us();
		if (r->paused)
			transfer_resume(r->transfer);
		r->paused = false;
		return;
	}
	counts->closed++;
	cut_relay(r);
	finish_relay(r);
}

void relay_room(void *request)
{
	struct relay *r = request;

	if (!r->paused)
		return;
	r->paused = false;
	r->moved_us = clock_monotonic_us();
	transfer_resume(r->transfer);
}

static void extended(void *context, int status, const struct json *answer)
{
	struct relay *r = context;

	(void)answer;
	r->asking = NULL;
	r->extending = false;
	if (status != 200)
		log_event(LOG_LEVEL_WARNING, "hold_not_extended", LOG_TEXT("hold", r->hold),
		          LOG_NUMBER("status", status));
}

static void extend_hold(struct relay *r, int64_t now_us)
{
	struct buf body;

	r->extend_us = now_us + EXTEND_US;
	if (r->asking != NULL || spool_is_booking(r->hold))
		return;
	buf_init(&body, LINE_MAX);
	buf_printf(&body, "{\"hold\":\"%s\",\"ttlSeconds\":%lld}", r->hold, (long long)r->all->config->hold_seconds);
	r->asking = asker_ask(r->all->asker, "/api/guard/extend", &body, extended, r);
	buf_free(&body);
}

/* A provider that is silent, or a drain that is over its bounds, is cut. */
static void look_at_answer(struct relay *r, int64_t now_us)
{
	const int64_t silence_us = r->all->config->silence_seconds * CLOCK_US_PER_SECOND;
	const bool silent = !r->paused && now_us - r->moved_us > silence_us;

	if (now_us >= r->extend_us)
		extend_hold(r, now_us);
	if (!silent && !r->cut && !(r->draining && now_us > r->drain_until_us))
		return;
	if (silent)
		r->all->counts.provider_errors++;
	cut_relay(r);
	refuse_client(r, 504, "PROVIDER_TIMEOUT", "The provider is silent.");
}

void relay_tick(struct relays *all)
{
	const int64_t now_us = clock_monotonic_us();

	for (struct relay *r = all->first, *next; r != NULL; r = next) {
		next = r->next;
		if (r->state == WAITING && now_us >= r->retry_us)
			ask_octroi(r);
		else if (r->state == AUTHORIZING && r->may_have_grace && now_us - r->ask.asked_us > GRACE_WAIT_US)
			(void)use_grace(r);
		else if (r->state == ASKING)
			look_at_answer(r, now_us);
	}
}

void relay_cut_all(struct relays *all)
{
	for (struct relay *r = all->first, *next; r != NULL; r = next) {
		next = r->next;
		if (r->state == ASKING)
			cut_relay(r);
		else if (r->state == KEEPING)
			settle_hold(r, TALLY_FAILED);
		refuse_client(r, 503, "UNAVAILABLE", "The meter stops.");
	}
}
