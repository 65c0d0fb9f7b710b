#include "routes/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "routes/api/call.h"
#include "routes/api/csv.h"
#include "routes/api/language.h"
#include "routes/api/render.h"
#include "routes/auth/auth.h"
#include "routes/delay.h"
#include "routes/metrics.h"
#include "routes/overviews.h"
#include "routes/routes.h"
#include "routes/shared_keys.h"

#define SEGMENTS_MAX 2
#define SWEEP_ACCOUNTS 256
#define SWEEP_PATIENCE_US (5 * CLOCK_US_PER_SECOND)
#define PRUNE_EVERY_US (60 * CLOCK_US_PER_SECOND)

enum listener { ANY, INTERNAL };
enum cost { COST_FREE, COST_GUARD, COST_READ, COST_SPAN, COST_REPORT, COST_SLOW, COST_EVENT, COST_COUNT };

struct route {
	const char *method, *pattern;
	enum caller caller;
	enum listener listener;
	route_handler *handler;
	enum cost cost;
};

static const struct route routes[METRICS_NO_ROUTE] = {
#define ROUTE(method, pattern, caller, listener, handler, cost, rows) \
	{#method, pattern, CALLER_##caller, listener, handler, COST_##cost},
#include "routes/routes.def"
#undef ROUTE
};

/* The lists that are answered as CSV, too. */
#define CSV_TYPE "text/csv"
enum format { FORMAT_JSON, FORMAT_CSV, FORMAT_UNSAID };

static const struct csv_list {
	route_handler *handler;
	const char *list, *columns;
} csv_lists[] = {
#define CSV(handler, list, columns) {handler, list, columns},
#include "routes/csv.def"
#undef CSV
};

struct router {
	struct router_options options;
	struct auth *auth;
	struct metrics *metrics;
	struct overviews *overviews;
	struct shared_keys *shared_keys;
	struct stripe stripe;
	struct bulkhead slow, reads, spans, reports;
	struct bulkhead *bulkhead[COST_COUNT]; /* that a request of that cost enters; NULL: none */
	struct delay *delay;
	struct edge *edge; /* atomic: set while workers run */
	int64_t pruned_us;
	struct sweep_place swept; /* owned by the housekeeping thread */
};

/* A page sends so many requests at once. */
#define SHARE_MIN 4

static int at_least(int least, int places)
{
	return places > least ? places : least;
}

static void init_bulkheads(struct router *r)
{
	const int workers = at_least(1, r->options.workers), readers = at_least(1, r->options.reader_count);
	const int slow = at_least(1, r->options.slow_max);

	bulkhead_init(&r->slow, slow, at_least(1, slow / 4));
	bulkhead_init(&r->reads, workers, at_least(SHARE_MIN, workers / 8));
	bulkhead_init(&r->spans, at_least(1, readers / 2), 1);
	bulkhead_init(&r->reports, at_least(1, readers / 4), at_least(1, readers / 4));
	r->bulkhead[COST_READ] = &r->reads;
	r->bulkhead[COST_SPAN] = &r->spans;
	r->bulkhead[COST_REPORT] = &r->reports;
}

struct router *router_new(const struct router_options *options)
{
	struct router *r = memory_part("router", sizeof(*r));
	bool threaded;

	if (r == NULL)
		return NULL;
	r->options = *options;
	init_bulkheads(r);
	/* A process that serves one request at a time refuses none, and has no thread to spare. */
	threaded = options->workers > 1;
	r->delay = threaded ? delay_new() : NULL;
	r->auth = auth_new(options->config, options->key_reader);
	r->metrics = metrics_new();
	r->overviews = overviews_new(options->readers);
	r->shared_keys = shared_keys_new();
	if ((threaded && r->delay == NULL) || r->auth == NULL || r->metrics == NULL || r->overviews == NULL ||
	    r->shared_keys == NULL) {
		router_free(r);
		return NULL;
	}
	r->stripe = (struct stripe){
		.api_base = options->config->stripe_api_base,
		.secret_key = options->config->stripe_secret_key,
		.timeout_ms = options->config->stripe_timeout_ms,
	};
	return r;
}

void router_free(struct router *r)
{
	if (r == NULL)
		return;
	delay_free(r->delay);
	auth_free(r->auth);
	metrics_free(r->metrics);
	overviews_free(r->overviews);
	shared_keys_free(r->shared_keys);
	bulkhead_destroy(&r->slow);
	bulkhead_destroy(&r->reads);
	bulkhead_destroy(&r->spans);
	bulkhead_destroy(&r->reports);
	free(r);
}

void router_set_edge(struct router *r, struct edge *e)
{
	__atomic_store_n(&r->edge, e, __ATOMIC_RELEASE);
}

void router_housekeep(struct router *r)
{
	int64_t now_us = clock_monotonic_us();

	ledger_sweep(r->options.ledger, &r->swept, SWEEP_ACCOUNTS, now_us + SWEEP_PATIENCE_US);
	if (now_us - r->pruned_us < PRUNE_EVERY_US)
		return;
	r->pruned_us = now_us;
	ledger_prune(r->options.ledger, now_us + SWEEP_PATIENCE_US);
}

/* ---- which route ----------------------------------------------------------------------------- */

/* Copies the path's parts at the pattern's {} into segment.  False when the path is another, or memory is short. */
static bool matches_route(const char *pattern, const char *path, struct arena *arena, const char *segment[SEGMENTS_MAX])
{
	int count = 0;

	memset(segment, 0, SEGMENTS_MAX * sizeof(*segment));
	while (*pattern != '\0') {
		if (strncmp(pattern, "{}", 2) != 0) {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		size_t length = strcspn(path, "/");

		CHECK(count < SEGMENTS_MAX);
		if (length == 0)
			return false;
		segment[count] = arena_copy(arena, path, length);
		if (segment[count++] == NULL)
			return false;
		path += length;
		pattern += 2;
	}
	return *path == '\0';
}

static bool is_served(const struct route *route, const struct call *c)
{
	return route->listener == ANY || c->request->listener == LISTENER_INTERNAL ||
	       c->config->listen_internal[0] == '\0';
}

/* HEAD is GET without the body (RFC 9110 section 9.3.2). */
static bool is_method(const struct route *route, const char *method)
{
	return strcmp(route->method, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0;
}

/* The place in routes, or METRICS_NO_ROUTE with the reason in *outcome; then Allow may be set. */
static enum metrics_route find_route(struct call *c, enum outcome *outcome)
{
	char allow[64] = "";
	size_t length = 0;

	for (int i = 0; i < METRICS_NO_ROUTE; i++) {
		const struct route *route = &routes[i];

		if (!is_served(route, c) ||
		    !matches_route(route->pattern, c->request->path, c->request->arena, c->segment))
			continue;
		if (is_method(route, c->request->method))
			return (enum metrics_route)i;
		if (length > 0)
			length += (size_t)snprintf(allow + length, sizeof(allow) - length, ", ");
		length += (size_t)snprintf(allow + length, sizeof(allow) - length, "%s%s", route->method,
		                           strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
		CHECK(length < sizeof(allow));
	}
	*outcome = length > 0 ? OUTCOME_METHOD_NOT_ALLOWED : OUTCOME_NOT_FOUND;
	if (length > 0)
		response_header(c->response, "Allow", allow);
	return METRICS_NO_ROUTE;
}

/* ---- demands on every request ---------------------------------------------------------------- */

/* The outcome for the defect that the edge has found; OK for a sound request. */
static enum outcome defect_outcome(struct call *c)
{
	switch (c->request->defect) {
	case REQUEST_SOUND:
		return OUTCOME_OK;
	case REQUEST_BODY_TOO_BIG:
		return OUTCOME_PAYLOAD_TOO_LARGE;
	case REQUEST_BODY_SHORT:
		c->field = "body";
		return OUTCOME_INVALID_REQUEST;
	case REQUEST_BAD_TARGET:
		c->field = "path";
		return OUTCOME_INVALID_REQUEST;
	case REQUEST_DUPLICATE_PARAMETER:
	case REQUEST_FORGED_PARAMETER:
		c->field = "headers";
		return OUTCOME_INVALID_REQUEST;
	}
	UNREACHABLE("no such defect");
}

/* application/json, with no other charset than UTF-8. */
static bool is_json(const char *type)
{
	static const char json[] = "application/json";
	size_t length = sizeof(json) - 1;

	if (type == NULL || strncasecmp(type, json, length) != 0)
		return false;
	type += length;
	type += strspn(type, " \t");
	if (*type == '\0')
		return true;
	if (*type != ';')
		return false;
	type++;
	type += strspn(type, " \t");
	if (strncasecmp(type, "charset=", 8) != 0)
		return true; /* another parameter, which JSON does not have: ignored */
	type += 8;
	type += *type == '"' ? 1 : 0;
	return strncasecmp(type, "utf-8", 5) == 0;
}

/* Refuses the body with that sentence; the parser's own sentences are in English. */
static void render_json_error(struct call *c, const char *sentence)
{
	const struct refusal r = {.outcome = OUTCOME_INVALID_REQUEST, .field = "body", .message = sentence};

	render_refusal(c, &r);
}

/* Parses the record that a POST or PUT brings.  False, rendered, when it is none. */
static bool read_body(struct call *c, const struct route *route)
{
	char error[JSON_ERROR_MAX];

	if (strcmp(route->method, "POST") != 0 && strcmp(route->method, "PUT") != 0)
		return true;
	if (route->caller == CALLER_SIGNED)
		return true;
	/* Checked without a body too: a page of another site cannot send JSON without a preflight, which is refused. */
	if (!is_json(request_parameter(c->request, "CONTENT_TYPE"))) {
		render_outcome(c, OUTCOME_UNSUPPORTED_MEDIA_TYPE);
		return false;
	}
	/* A POST without members may have no body. */
	if (c->request->body_length == 0 && strcmp(route->method, "POST") == 0)
		c->body = json_parse_in(c->request->arena, "{}", 2, error);
	else
		c->body = json_parse_in(c->request->arena, c->request->body, c->request->body_length, error);
	if (c->body == NULL) {
		render_json_error(c, error);
		return false;
	}
	if (json_type(c->body) == JSON_RECORD)
		return true;
	render_json_error(c, sentence_text(SENTENCE_NO_JSON_OBJECT, c->french));
	return false;
}

/* GET or HEAD (RFC 9110 section 9.2.1). */
static bool is_safe(const struct request *request)
{
	return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

/* Turns a refusal or the answer of a read into UNAVAILABLE if memory was short.  Libraries take a shortage of memory
 * for a wrong text or signature, and a refusal is final.  The answer of a read may lack a sentence.  A change that was
 * made keeps its answer. */
static void reconsider(struct call *c)
{
	const int status = c->response->status;

	if (!memory_was_short() || status >= 500 || (status < 400 && !is_safe(c->request)))
		return;
	response_reset(c->response);
	render_outcome(c, OUTCOME_UNAVAILABLE);
}

/* ---- a request ------------------------------------------------------------------------------- */

/* The account in whose name the request reads, in *key; NULL for a route that is of none, or of any. */
static const struct account_key *payer(const struct call *c, struct account_key *key)
{
	if (c->account[0] == '\0')
		return NULL;
	*key = id_account_key(c->account, strlen(c->account));
	return key;
}

/* Runs the handler if the bulkhead of its cost has a free place, else refuses at once: no place is waited for. */
static void run_handler(struct call *c, const struct route *route)
{
	struct bulkhead *bulkhead = c->router->bulkhead[route->cost];
	struct account_key key;
	const struct account_key *who = payer(c, &key);

	if (bulkhead != NULL && !bulkhead_enter(bulkhead, who)) {
		render_outcome(c, OUTCOME_RATE_LIMITED);
		c->delayed = true;
		return;
	}
	route->handler(c);
	if (bulkhead != NULL)
		bulkhead_leave(bulkhead, who);
}

static int format_number(const char *name)
{
	static const char *const formats[] = {[FORMAT_JSON] = "json", [FORMAT_CSV] = "csv"};

	for (int i = FORMAT_JSON; i <= FORMAT_CSV; i++)
		if (strcmp(formats[i], name) == 0)
			return i;
	return -1;
}

static const struct csv_list *list_of(const struct route *route)
{
	for (size_t i = 0; i < sizeof(csv_lists) / sizeof(csv_lists[0]); i++)
		if (csv_lists[i].handler == route->handler)
			return &csv_lists[i];
	return NULL;
}

/* Whether text/csv is the first type that the caller accepts. */
static bool accepts_csv(const struct request *r)
{
	const char *accept = request_parameter(r, "HTTP_ACCEPT");

	if (accept == NULL || strncasecmp(accept, CSV_TYPE, strlen(CSV_TYPE)) != 0)
		return false;
	return strchr(",; ", accept[strlen(CSV_TYPE)]) != NULL;
}

/* The list that the caller wants as CSV, NULL for an answer in JSON.  format goes before Accept.  False, rendered,
 * where format asks for a list that there is not. */
static bool take_format(struct call *c, const struct route *route, const struct csv_list **list)
{
	struct parse p;
	int format;

	*list = NULL;
	if (!is_safe(c->request))
		return true;
	parse_query(&p, c->request);
	format = parse_name(&p, "format", format_number, FORMAT_UNSAID);
	if (format == FORMAT_CSV || (format == FORMAT_UNSAID && accepts_csv(c->request)))
		*list = list_of(route);
	if (format == FORMAT_CSV && *list == NULL)
		parse_wrong(&p, "format", PARSE_NAME);
	if (parse_ok(&p))
		return true;
	render_wrong(c, &p);
	return false;
}

/* Runs the handler of a caller that was admitted. */
static void serve_admitted(struct call *c, const struct route *route)
{
	const struct csv_list *list;

	if (!read_body(c, route) || !take_format(c, route, &list))
		return;
	run_handler(c, route);
	if (list != NULL)
		csv_answer(c, list->list, list->columns);
}

/* Serves up to the handler's end.  A command that the handler left is still to be submitted. */
static void serve(struct call *c)
{
	enum outcome outcome = defect_outcome(c);
	const struct route *route;

	if (outcome == OUTCOME_OK)
		c->route = (int)find_route(c, &outcome);
	if (c->route == METRICS_NO_ROUTE) {
		render_outcome(c, outcome);
		reconsider(c);
		return;
	}
	route = &routes[c->route];
	c->gate = route->caller == CALLER_GATE;
	outcome = auth_admit(c->auth, route->caller, c);
	if (outcome != OUTCOME_OK)
		render_outcome(c, outcome);
	else
		serve_admitted(c, route);
	if (c->finish == NULL)
		reconsider(c);
}

/* Logs one line, and counts.  Path and query are left out: they hold texts of callers. */
static void note_answer(const struct call *c)
{
	int64_t duration_us = clock_monotonic_us() - c->request->received_us;
	bool known = c->route != METRICS_NO_ROUTE;

	metrics_note(c->metrics, (enum metrics_route)c->route, c->response->status, c->outcome, duration_us);
	log_event(LOG_LEVEL_INFO, "request", LOG_TEXT("id", c->request->id),
	          LOG_TEXT("method", known ? routes[c->route].method : "-"),
	          LOG_TEXT("route", known ? routes[c->route].pattern : "-"), LOG_NUMBER("status", c->response->status),
	          LOG_TEXT("outcome", outcome_name(c->outcome)), LOG_NUMBER("duration_us", duration_us),
	          LOG_TEXT("account", c->account));
}

/* Adds the parts that every answer has, and ends the call. */
static void conclude(struct call *c)
{
	if (c->route != METRICS_NO_ROUTE && routes[c->route].caller != CALLER_NOBODY)
		response_header(c->response, "Cache-Control", "no-store");
	if (strcmp(c->request->method, "HEAD") == 0)
		buf_reset(&c->response->body);
	note_answer(c); /* the account's name may lie in the body */
	json_free_in(c->request->arena, c->body);
}

/* Renders the ledger's answer to the command that the handler left. */
static void finish_call(struct call *c)
{
	if (c->command->answer.outcome == OUTCOME_OK)
		c->finish(c);
	else
		render_answer(c, c->command);
	reconsider(c);
	conclude(c);
}

static void answered(struct waiter *w)
{
	struct call *c = w->context;
	const struct request *request = c->request;

	memory_forget(); /* the shortage of the leading thread */
	finish_call(c);
	edge_resume(request);
}

static enum edge_result submit_slow(struct call *c)
{
	c->waiter = (struct waiter){
		.commands = c->command,
		.count = 1,
		.deadline_us = c->request->deadline_us,
		.done = answered,
		.context = c,
	};
	if (c->request->exchange == NULL)
		ledger_submit(c->ledger, c->command, c->request->deadline_us);
	else if (ledger_post(c->ledger, &c->waiter))
		return EDGE_LATER;
	finish_call(c);
	return EDGE_ANSWERED;
}

static struct call *call_new(struct router *r, const struct request *request, struct response *response)
{
	struct call *c = arena_alloc(request->arena, sizeof(*c));

	if (c == NULL)
		return NULL;
	*c = (struct call){
		.request = request,
		.response = response,
		.router = r,
		.auth = r->auth,
		.metrics = r->metrics,
		.edge = __atomic_load_n(&r->edge, __ATOMIC_ACQUIRE),
		.config = r->options.config,
		.ledger = r->options.ledger,
		.readers = r->options.readers,
		.overviews = r->overviews,
		.shared_keys = r->shared_keys,
		.stripe = r->stripe.secret_key[0] != '\0' ? &r->stripe : NULL,
		.slow = &r->slow,
		.account = "",
		.member = "",
		.person = "",
		.outcome = OUTCOME_OK,
		.french = language_french(request_parameter(request, "HTTP_ACCEPT_LANGUAGE")),
		.route = METRICS_NO_ROUTE,
	};
	return c;
}

void router_read(struct router *r, const struct request *request, const char *account, const char *member,
                 struct response *response)
{
	struct call *c = call_new(r, request, response);
	enum outcome outcome;

	CHECK(is_safe(request) && request->exchange == NULL);
	if (c == NULL) {
		response->status = 503;
		return;
	}
	memory_forget();
	outcome = defect_outcome(c);
	c->scope = SCOPE_ADMIN;
	c->account = account;
	c->member = member;
	if (outcome == OUTCOME_OK)
		c->route = (int)find_route(c, &outcome);
	if (c->route == METRICS_NO_ROUTE)
		render_outcome(c, outcome);
	else
		run_handler(c, &routes[c->route]);
	CHECK(c->finish == NULL); /* only a change leaves a command */
	reconsider(c);
	conclude(c);
}

enum edge_result router_handle(void *context, const struct request *request, struct response *response)
{
	struct call *c = call_new(context, request, response);

	if (c == NULL) {
		response->status = 503; /* there is no memory for a sentence either */
		response->content_type = NULL;
		return EDGE_ANSWERED;
	}
	memory_forget();
	serve(c);
	if (c->finish != NULL)
		return submit_slow(c);
	conclude(c);
	if (c->delayed && c->router->delay != NULL && request->exchange != NULL &&
	    delay_answer(c->router->delay, request))
		return EDGE_LATER;
	return EDGE_ANSWERED;
}
