/*
 * The router and every handler over a ledger, a reader and a pool that only note what they are
 * asked.
 */
#include "lines.h"
#include "unit.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "db/schema.h"
#include "edge/frame.h"
#include "queries/overview.h"
#include "queries/reader.h"
#include "routes/auth/token.h"
#include "routes/router.h"

#define GUARD_KEY "oct_guard_0000000000000000000000000000000000000000000"
#define APP_KEY "oct_app_0000000000000000000000000000000000000000000"
#define ADMIN_KEY "oct_admin_0000000000000000000000000000000000000000000"
#define REPORT_KEY "oct_report_0000000000000000000000000000000000000000000"
#define UNKNOWN_KEY "oct_admin_1111111111111111111111111111111111111111111"
#define SECRET "a secret of the tests, 0123456789abcdef"

/* ---- what stands in for the rest of octroi --------------------------------------------------- */

static struct command asked; /* the last command */
static int asked_count;
static void (*submitted)(struct command *command); /* NULL, or looks at each while its texts are there */
static struct answer answers;                      /* to be given to it */
static bool database_away;
static int key_reads;
static bool key_made; /* UNKNOWN_KEY is known by now */
static struct reader_account account;
static struct reader_topup topup;
static struct reader_billing billing;
static struct reader_usage_filter filtered;
static struct reader_span spanned;
static char member_copy[129];
static char kept[4096];
static size_t kept_length;

/* The body that a command's texts lie in is gone when the answer is there. */
static const char *keep(const char *text)
{
	char *copy = kept + kept_length;

	if (text == NULL)
		return NULL;
	assert_true(kept_length + strlen(text) < sizeof(kept));
	kept_length += strlen(text) + 1;
	return memcpy(copy, text, strlen(text) + 1);
}

static void keep_texts(struct command *c)
{
	kept_length = 0;
	c->member = keep(c->member);
	c->request_id = keep(c->request_id);
	if (c->kind == COMMAND_AUTHORIZE) {
		for (int i = 0; i < c->authorize.model_count; i++)
			c->authorize.models[i] = keep(c->authorize.models[i]);
		c->authorize.action = keep(c->authorize.action);
		c->authorize.labels.metadata = keep(c->authorize.labels.metadata);
	}
	if (c->kind == COMMAND_ACCOUNT) {
		c->account_change.email = keep(c->account_change.email);
		c->account_change.name = keep(c->account_change.name);
	}
}

void ledger_submit(struct ledger *l, struct command *command, int64_t deadline_us)
{
	(void)l;
	(void)deadline_us;
	if (submitted != NULL)
		submitted(command);
	asked = *command;
	keep_texts(&asked);
	asked_count++;
	command->answer = answers;
	if (command->kind == COMMAND_TOUCH && answers.outcome == OUTCOME_OK)
		account.found = true;
}

/* Only of requests that may be answered later, which these are not. */
bool ledger_post(struct ledger *l, struct waiter *w)
{
	(void)l;
	(void)w;
	fail_msg("nobody may be answered later");
	return false;
}

void ledger_submit_many(struct ledger *l, struct command *commands, int count, int64_t deadline_us)
{
	for (int i = 0; i < count; i++)
		ledger_submit(l, &commands[i], deadline_us);
}

int ledger_sweep(struct ledger *l, struct sweep_place *place, int max, int64_t deadline_us)
{
	(void)place;
	(void)l;
	(void)max;
	(void)deadline_us;
	return 0;
}

int ledger_prune(struct ledger *l, int64_t deadline_us)
{
	(void)l;
	(void)deadline_us;
	return 0;
}

static const struct price prices[] = {
	{.kind = PRICE_MODEL,
         .item = "gpt-4o",
         .provider = "openai",
         .version = 7,
         .starts_at_us = 1,
         .terms = {1050000, 1080000, 10000},
         LINES(2500000, 1250000, 2500000, 2500000, 10000000)},
};

struct book *ledger_book(struct ledger *l, int64_t age_us, int64_t deadline_us)
{
	(void)l;
	(void)age_us;
	(void)deadline_us;
	return database_away ? NULL : book_of(prices, 1, 7);
}

void ledger_count(struct ledger *l, struct ledger_counts *counts)
{
	(void)l;
	memset(counts, 0, sizeof(*counts));
	counts->commands = 12;
	counts->open_holds = 3;
	counts->batch_size[0] = 2;
	counts->batch_size[3] = 1;
}

static char connection;

struct db *pool_take(struct pool *p, int64_t deadline_us)
{
	(void)p;
	(void)deadline_us;
	return (struct db *)(void *)&connection;
}

void pool_give(struct pool *p, struct db *d)
{
	(void)p;
	(void)d;
}

int schema_version(struct db *d)
{
	(void)d;
	return database_away ? -1 : SCHEMA_VERSION;
}

int reader_keys(struct db *d, struct arena *a, struct reader_key **rows, int *count)
{
	static const char *const keys[] = {GUARD_KEY, APP_KEY, ADMIN_KEY, REPORT_KEY, UNKNOWN_KEY};
	static const char *const scopes[] = {"guard", "app", "admin", "report", "admin"};

	(void)d;
	key_reads++;
	if (database_away)
		return -1;
	*count = key_made ? 5 : 4;
	*rows = arena_alloc(a, 5 * sizeof(**rows));
	for (int i = 0; i < *count; i++) {
		(*rows)[i].id = i + 1;
		(*rows)[i].scope = scopes[i];
		(*rows)[i].account = (*rows)[i].member = "";
		digest_sha256(keys[i], strlen(keys[i]), (*rows)[i].digest);
	}
	return 0;
}

int reader_account(struct db *d, struct arena *a, const struct account_key *key, struct reader_account *out)
{
	(void)d;
	(void)a;
	(void)key;
	*out = account;
	return database_away ? -1 : 0;
}

int overview_init(struct overview *o, struct arena *a, const struct account_key *key, const char *of_member)
{
	(void)a;
	(void)key;
	memset(o, 0, sizeof(*o));
	filtered.member = of_member;
	return 0;
}

void overview_read(struct db *d, struct overview *const *wanted, int count)
{
	(void)d;
	for (int i = 0; i < count; i++) {
		wanted[i]->account = account;
		wanted[i]->failed = database_away;
	}
}

int reader_transactions(struct db *d, struct arena *a, const struct account_key *key, int64_t before_seq, int limit,
                        struct reader_transaction **rows, int *count, bool *more)
{
	static struct reader_transaction row = {
		.type = TRANSACTION_TOP_UP,
		.amount_micros = 5000000,
		.balance_after_micros = 5000000,
		.created_at_us = INT64_C(1795222800000000),
		.description = "d",
		.reference = "cs_1",
		.metadata = "{\"n\":1}",
	};

	(void)d;
	(void)a;
	(void)key;
	row.seq = before_seq > 0 ? before_seq - 1 : 8;
	*rows = &row;
	*count = 1;
	*more = limit == 1;
	return database_away ? -1 : 0;
}

int reader_usages(struct db *d, struct arena *a, const struct account_key *key, int64_t before_seq,
                  const struct reader_usage_filter *filter, int limit, struct reader_usage **rows, int *count,
                  bool *more, int64_t *next_seq)
{
	(void)d;
	(void)a;
	(void)key;
	(void)before_seq;
	(void)limit;
	*next_seq = 0;
	filtered = *filter;
	*rows = NULL;
	*count = 0;
	*more = false;
	return database_away ? -1 : 0;
}

int reader_hours(struct db *d, struct arena *a, const struct account_key *key, const struct reader_span *span,
                 const int64_t *starts_us, int count, struct reader_sum **rows, int64_t *total_micros)
{
	(void)d;
	(void)key;
	spanned = *span;
	*rows = arena_alloc(a, (size_t)count * sizeof(**rows));
	assert_non_null(*rows);
	assert_int_equal(starts_us[0], span->from_us);
	for (int i = 0; i < count; i++)
		(*rows)[i].name = "";
	*total_micros = 0;
	return database_away ? -1 : 0;
}

int reader_summary(struct db *d, struct arena *a, const struct account_key *key, const struct reader_span *span,
                   const struct zone *z, enum reader_grouping by, int limit, struct reader_sum **rows, int *count,
                   int64_t *total_micros)
{
	(void)d;
	(void)a;
	(void)key;
	(void)z;
	(void)by;
	(void)limit;
	spanned = *span;
	*rows = NULL;
	*count = 0;
	*total_micros = 2100000;
	return database_away ? -1 : 0;
}

int reader_topup(struct db *d, struct arena *a, const struct account_key *key, int64_t seq, struct reader_topup *out)
{
	(void)d;
	(void)a;
	(void)key;
	(void)seq;
	*out = topup;
	return database_away ? -1 : 0;
}

int reader_billing(struct db *d, struct arena *a, const struct account_key *key, struct reader_billing *out)
{
	(void)d;
	(void)a;
	(void)key;
	*out = billing;
	return database_away ? -1 : 0;
}

int reader_manager(struct db *d, const struct account_key *key, const char *member, bool *manager)
{
	(void)d;
	(void)key;
	(void)member;
	*manager = true;
	return database_away ? -1 : 0;
}

int reader_removed(struct db *d, const struct account_key *key, const char *member, bool *removed)
{
	(void)d;
	(void)key;
	(void)member;
	*removed = false;
	return 0;
}

/* Other queries find nothing. */
enum db_result db_query(struct db *d, const struct buf *sql)
{
	(void)d;
	(void)sql;
	return database_away ? DB_LOST : DB_OK;
}

enum db_result db_query_stream(struct db *d, const struct buf *sql)
{
	return db_query(d, sql);
}

int db_row(struct db *d, struct db_row *row)
{
	(void)d;
	(void)row;
	return 0;
}

enum db_result db_next(struct db *d, bool *more)
{
	(void)d;
	*more = true;
	return DB_OK;
}

enum db_result db_finish(struct db *d)
{
	(void)d;
	return DB_OK;
}

int64_t db_affected(const struct db *d)
{
	(void)d;
	return 0;
}

int64_t db_each(struct db *d, db_taker *take, void *context)
{
	(void)d;
	(void)take;
	(void)context;
	return 0;
}

int64_t db_read(struct db *d, const struct buf *sql, db_taker *take, void *context)
{
	(void)sql;
	return db_each(d, take, context);
}

int db_read_int(struct db *d, const struct buf *sql, int64_t *value)
{
	(void)d;
	(void)sql;
	*value = 0;
	return 0;
}

int64_t db_change(struct db *d, const struct buf *sql)
{
	(void)d;
	(void)sql;
	return 0;
}

int64_t db_int(const struct db_row *row, unsigned column)
{
	(void)row;
	(void)column;
	return 0;
}

bool db_connected(const struct db *d)
{
	(void)d;
	return !database_away;
}

bool db_in_transaction(const struct db *d)
{
	(void)d;
	return false;
}

void db_rollback(struct db *d)
{
	(void)d;
}

void db_count(struct db_counts *counts)
{
	memset(counts, 0, sizeof(*counts));
}

const char *db_error(const struct db *d)
{
	(void)d;
	return "";
}

int reader_used(struct db *d, const struct account_key *key, const struct zone *z, int64_t now_us, int64_t *day_micros,
                int64_t *month_micros)
{
	(void)d;
	(void)key;
	(void)z;
	(void)now_us;
	*day_micros = *month_micros = 0;
	return database_away ? -1 : 0;
}

int reader_members(struct db *d, struct arena *a, const struct account_key *key, const char *after, int limit,
                   struct reader_member **rows, int *count, bool *more)
{
	(void)d;
	(void)a;
	(void)key;
	(void)after;
	(void)limit;
	*rows = NULL;
	*count = 0;
	*more = false;
	return database_away ? -1 : 0;
}

int reader_member(struct db *d, struct arena *a, const struct account_key *key, const char *id,
                  struct reader_member *out, bool *found)
{
	(void)d;
	(void)a;
	(void)key;
	(void)id;
	*out = (struct reader_member){.id = id};
	*found = true;
	return database_away ? -1 : 0;
}

int reader_referrer(struct db *d, struct arena *a, const struct account_key *low, const struct account_key *high,
                    bool before, struct reader_referrer *out)
{
	(void)d;
	(void)a;
	(void)low;
	(void)high;
	(void)before;
	memset(out, 0, sizeof(*out));
	return database_away ? -1 : 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

#define PARAMETERS_MAX 16

static char empty[] = "";
static char currency[] = "EUR";
static char zone[] = "UTC";
static char secret[] = SECRET;
static char internal[] = "unix:/run/internal";
static struct config config;
static struct router *router;
static struct arena *arena;
static struct request request;
static struct response response;
static struct json *said;

/* Texts that are not set are empty, as config_load leaves them. */
static void no_texts(struct config *c)
{
#define EMPTY_TEXT(name) c->name = empty;
#define EMPTY_SECRET(name) c->name = empty;
#define EMPTY_NUMBER(name)
#define EMPTY_SWITCH(name)
#define EMPTY_DECIMAL(name)
#define KEY(type, name, fallback, low, high, help) EMPTY_##type(name)
#include "config.def"
#undef KEY
}

static int set_up(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	no_texts(&config);
	config.currency = currency;
	config.time_zone = zone;
	config.topup_url = empty;
	config.public_url = empty;
	config.token_secret = secret;
	config.listen_internal = empty;
	config.estimate_input_tokens = 500;
	config.estimate_output_tokens = 2000;
	config.bytes_per_token = 3;
	config.fit_minimum = 64;
	config.hold_ttl_seconds = 600;
	config.low_balance = 2000000;
	config.margin = 1050000;
	config.exchange_rate = 1080000;
	config.credit_value = 10000;
	config.action_price = 1000000;
	memset(&answers, 0, sizeof(answers));
	answers.seq = 5;
	database_away = false;
	key_reads = 0;
	key_made = false;
	asked_count = 0;
	account = (struct reader_account){.found = true,
	                                  .due_at_us = INT64_MAX,
	                                  .external_id = "ws:acme",
	                                  .email = "",
	                                  .name = "",
	                                  .locale = "",
	                                  .time_zone = "",
	                                  .plan = "",
	                                  .workspace = {.time_zone = "", .plan = "", .next_plan = ""},
	                                  .now_us = INT64_C(1795222800000000),
	                                  .created_at_us = 1};
	router = router_new(&(struct router_options){.config = &config});
	arena = arena_new(2 << 20);
	response_init(&response);
	log_open("/dev/null", LOG_LEVEL_ERROR);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	json_free(said);
	said = NULL;
	response_free(&response);
	arena_free(arena);
	router_free(router);
	return 0;
}

/* Sends "GET /path" with a body and "NAME=value" parameters, the last NULL; the status. */
static int send_with(enum request_listener listener, const char *line, const char *body, const char *const *more)
{
	const char *parameters[PARAMETERS_MAX] = {NULL};
	const char *space = strchr(line, ' ');
	char method[128];
	char uri[1024];
	char error[JSON_ERROR_MAX];
	size_t count = 2;

	snprintf(method, sizeof(method), "REQUEST_METHOD=%.*s", (int)(space - line), line);
	snprintf(uri, sizeof(uri), "REQUEST_URI=%s", space + 1);
	parameters[0] = method;
	parameters[1] = uri;
	while (more != NULL && *more != NULL && count < PARAMETERS_MAX - 1)
		parameters[count++] = *more++;
	arena_reset(arena);
	response_reset(&response);
	memset(&request, 0, sizeof(request));
	request.arena = arena;
	request.listener = listener;
	request.received_us = clock_monotonic_us();
	request.deadline_us = request.received_us + 10 * CLOCK_US_PER_SECOND;
	assert_int_equal(request_build(&request, parameters, body, strlen(body)), 0);
	assert_int_equal(router_handle(router, &request, &response), EDGE_ANSWERED);
	json_free(said);
	said = json_parse(buf_text(&response.body), response.body.length, false, error);
	return response.status;
}

static int send_key(const char *key, const char *line, const char *body)
{
	char authorization[1200];
	const char *const more[] = {"CONTENT_TYPE=application/json", authorization, NULL};

	snprintf(authorization, sizeof(authorization), "HTTP_AUTHORIZATION=Bearer %s", key);
	return send_with(LISTENER_INTERNAL, line, body, more);
}

static int guard(const char *route, const char *body)
{
	char line[64];

	snprintf(line, sizeof(line), "POST /api/guard/%s", route);
	return send_key(GUARD_KEY, line, body);
}

static const char *text_at(const char *name)
{
	const struct json *value = json_get(said, name);

	return value != NULL && json_type(value) == JSON_TEXT ? json_text(value, NULL) : "(none)";
}

static int64_t number_at(const char *name)
{
	const struct json *value = json_get(said, name);

	assert_non_null(value);
	return json_int(value);
}

static void expect_header(const char *line)
{
	assert_non_null(strstr(buf_text(&response.headers), line));
}

/* ---- the router ------------------------------------------------------------------------------ */

static void test_paths_and_methods(void **state)
{
	(void)state;
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /healthz", "", NULL), 200);
	assert_int_equal(send_with(LISTENER_PUBLIC, "HEAD /healthz", "", NULL), 200);
	assert_int_equal(response.body.length, 0);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /", "", NULL), 404);
	assert_string_equal(text_at("error"), "NOT_FOUND");
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /healthz/", "", NULL), 404);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /health", "", NULL), 404);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/accounts/", "", NULL), 404);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/accounts/a/others", "", NULL), 404);
	assert_int_equal(send_with(LISTENER_PUBLIC, "POST /healthz", "{}", NULL), 405);
	expect_header("Allow: GET, HEAD\r\n");
	assert_int_equal(send_with(LISTENER_PUBLIC, "PATCH /api/accounts/a", "{}", NULL), 405);
	expect_header("Allow: PUT, GET, HEAD\r\n");
	assert_int_equal(send_with(LISTENER_PUBLIC, "HEAD /api/guard/settle", "", NULL), 405);
	assert_int_equal(send_with(LISTENER_PUBLIC, "get /healthz", "", NULL), 405);
}

static void test_internal_routes_are_not_public(void **state)
{
	(void)state;
	config.listen_internal = internal;
	assert_int_equal(send_with(LISTENER_PUBLIC, "POST /api/guard/authorize", "{}", NULL), 404);
	assert_int_equal(send_with(LISTENER_PUBLIC, "DELETE /api/guard/authorize", "{}", NULL), 404);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /metrics", "", NULL), 404);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/credits", "", NULL), 401);
	assert_int_equal(send_with(LISTENER_INTERNAL, "POST /api/guard/authorize", "{}", NULL), 401);
	assert_int_equal(send_with(LISTENER_INTERNAL, "GET /healthz", "", NULL), 200);
}

static void test_what_the_edge_found_wrong(void **state)
{
	static const char *const twice[] = {"HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer b", NULL};
	static const char *const forged[] = {"HTTP_OCTROI_ACCOUNT=a", NULL};
	char *large = test_malloc(FRAME_BODY_MAX + 2);

	(void)state;
	memset(large, ' ', FRAME_BODY_MAX + 1);
	large[FRAME_BODY_MAX + 1] = '\0';
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /healthz", "", twice), 400);
	assert_string_equal(text_at("field"), "headers");
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /healthz", "", forged), 400);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /%zz", "", NULL), 400);
	assert_string_equal(text_at("field"), "path");
	assert_int_equal(send_with(LISTENER_PUBLIC, "POST /api/guard/settle", large, NULL), 413);
	assert_string_equal(text_at("error"), "PAYLOAD_TOO_LARGE");
	test_free(large);
}

static void test_bodies(void **state)
{
	static const struct {
		const char *type, *body;
		int status;
	} cases[] = {
		{"application/json", "{\"hold\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"}", 200},
		{"application/json; charset=utf-8", "{\"hold\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"}", 200},
		{"Application/JSON;charset=\"UTF-8\"", "{\"hold\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"}", 200},
		{"application/json ; charset=latin1", "{\"hold\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"}", 415},
		{"application/jsonp", "{}", 415},
		{"text/json", "{}", 415},
		{"", "{}", 415},
		{"application/x-www-form-urlencoded", "hold=a", 415},
		{"application/json", "", 400},
		{"", "", 415},
		{"application/json", "[]", 400},
		{"application/json", "null", 400},
		{"application/json", "{}{}", 400},
		{"application/json", "{\"hold\":", 400},
		{"application/json", "{\"hold\":\"a\",\"hold\":\"a\"}", 400},
		{"application/json", "{\"hold\":\"\\u0000\"}", 400},
		{"application/json", "{\"hold\":\"\xff\"}", 400},
		{"application/json", "{\"hold\":1e999}", 400},
	};
	char type[96];
	const char *const more[] = {type, "HTTP_X_OCTROI_KEY=" GUARD_KEY, NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(type, sizeof(type), "CONTENT_TYPE=%s", cases[i].type);
		assert_int_equal(send_with(LISTENER_INTERNAL, "POST /api/guard/release", cases[i].body, more),
		                 cases[i].status);
		if (cases[i].status == 400)
			assert_string_not_equal(text_at("field"), "(none)");
	}
	assert_int_equal(asked_count, 3);
}

/* ---- who may --------------------------------------------------------------------------------- */

static void test_scopes(void **state)
{
	static const struct {
		const char *line;
		int guard, app, admin, report; /* status */
	} cases[] = {
		{"POST /api/guard/settle", 400, 400, 400, 403},
		{"GET /api/guard/check?account=a", 204, 204, 204, 403},
		{"GET /api/credits?account=a", 403, 200, 200, 200},
		{"GET /api/credits", 403, 400, 400, 400},
		{"GET /api/credits?account=a%20b", 403, 400, 400, 400},
		{"GET /api/accounts/a", 403, 200, 200, 200},
		{"HEAD /api/accounts/a", 403, 200, 200, 200},
		{"PUT /api/accounts/a", 403, 400, 400, 403},
		{"DELETE /api/accounts/a/members/b", 403, 200, 200, 403},
		{"POST /api/accounts/a/transactions", 403, 403, 400, 403},
		{"POST /api/tokens", 403, 400, 400, 403},
		{"GET /metrics", 403, 403, 200, 200},
		{"GET /api/pricing", 200, 200, 200, 200},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(send_key(GUARD_KEY, cases[i].line, "[]"), cases[i].guard);
		assert_int_equal(send_key(APP_KEY, cases[i].line, "[]"), cases[i].app);
		assert_int_equal(send_key(ADMIN_KEY, cases[i].line, "[]"), cases[i].admin);
		assert_int_equal(send_key(REPORT_KEY, cases[i].line, "[]"), cases[i].report);
	}
}

static void test_credentials(void **state)
{
	static const char *const nothing[] = {NULL};
	static const char *const basic[] = {"HTTP_AUTHORIZATION=Basic YTpi", NULL};
	static const char *const basic_and_key[] = {"HTTP_AUTHORIZATION=Basic YTpi", "HTTP_X_OCTROI_KEY=" REPORT_KEY,
	                                            NULL};
	static const char *const lower[] = {"HTTP_AUTHORIZATION=bearer  " REPORT_KEY, NULL};
	static const char *const same[] = {"HTTP_AUTHORIZATION=Bearer " REPORT_KEY, "HTTP_X_OCTROI_KEY=" REPORT_KEY,
	                                   NULL};
	static const char *const other[] = {"HTTP_AUTHORIZATION=Bearer " REPORT_KEY, "HTTP_X_OCTROI_KEY=" ADMIN_KEY,
	                                    NULL};
	static const char *const trailing[] = {"HTTP_AUTHORIZATION=Bearer " REPORT_KEY " ", NULL};
	static const char *const bare[] = {"HTTP_AUTHORIZATION=" REPORT_KEY, NULL};
	static const char *const empty_bearer[] = {"HTTP_AUTHORIZATION=Bearer ", NULL};
	static const struct {
		const char *const *parameters;
		int status;
	} cases[] = {
		{nothing, 401}, {basic, 401},    {basic_and_key, 200}, {lower, 200},        {same, 200},
		{other, 400},   {trailing, 401}, {bare, 401},          {empty_bearer, 401},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(send_with(LISTENER_PUBLIC, "GET /metrics", "", cases[i].parameters), cases[i].status);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /metrics", "", nothing), 401);
	expect_header("WWW-Authenticate: Bearer");
	assert_int_equal(send_key(UNKNOWN_KEY, "GET /metrics", ""), 401);
	assert_int_equal(send_key("oct_", "GET /metrics", ""), 401);
}

static void test_keys_are_read_seldom(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(send_key(GUARD_KEY, "GET /api/guard/check?account=a", ""), 204);
	assert_true(key_reads >= 1 && key_reads <= 3); /* three only if a hundred took more than half a second */
}

static void test_a_new_key_counts_at_once(void **state)
{
	(void)state;
	assert_int_equal(send_key(ADMIN_KEY, "GET /metrics", ""), 200);
	assert_int_equal(send_key(UNKNOWN_KEY, "GET /metrics", ""), 401);
	key_made = true;
	assert_int_equal(send_key(UNKNOWN_KEY, "GET /metrics", ""), 200);
}

static void test_without_a_database_nobody_is_let_in(void **state)
{
	(void)state;
	database_away = true;
	assert_int_equal(send_key(ADMIN_KEY, "GET /metrics", ""), 503);
	assert_int_equal(send_key(UNKNOWN_KEY, "GET /metrics", ""), 503);
	expect_header("Retry-After: 1");
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /healthz", "", NULL), 200);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /readyz", "", NULL), 503);
}

static void test_a_known_key_outlives_a_short_outage(void **state)
{
	(void)state;
	assert_int_equal(send_key(ADMIN_KEY, "GET /metrics", ""), 200);
	database_away = true;
	assert_int_equal(send_key(ADMIN_KEY, "GET /metrics", ""), 200);
	assert_non_null(strstr(buf_text(&response.body), "octroi_database_up 0\n"));
}

static void test_browsers(void **state)
{
	struct arena *own = arena_new(1 << 16);
	const char *token = token_issue(own, SECRET, "ws:acme", "", clock_wall_us(), 60);
	const char *of_member = token_issue(own, SECRET, "ws:acme", "user:1", clock_wall_us(), 60);

	(void)state;
	assert_int_equal(send_key(token, "GET /api/credits", ""), 200);
	assert_null(filtered.member);
	assert_int_equal(send_key(token, "GET /api/credits?account=ws:acme", ""), 200);
	assert_int_equal(send_key(token, "GET /api/credits?account=ws:other", ""), 403);
	assert_int_equal(send_key(token, "GET /api/credits/usages?member=user:2", ""), 200);
	assert_string_equal(filtered.member, "user:2");
	assert_int_equal(send_key(of_member, "GET /api/credits", ""), 200);
	assert_int_equal(send_key(of_member, "GET /api/credits/usages", ""), 200);
	snprintf(member_copy, sizeof(member_copy), "%s", filtered.member);
	assert_string_equal(member_copy, "user:1");
	assert_int_equal(send_key(of_member, "GET /api/credits/usages?member=user:1", ""), 200);
	assert_int_equal(send_key(of_member, "GET /api/credits/usages?member=user:2", ""), 403);
	assert_int_equal(send_key(of_member, "GET /api/credits/summary?member=user:2", ""), 403);
	assert_int_equal(send_key(of_member, "GET /api/credits/summary", ""), 200);
	assert_string_equal(spanned.member, "user:1");
	assert_int_equal(send_key(token, "GET /api/accounts/ws:acme", ""), 403);
	assert_int_equal(send_key(token, "POST /api/guard/settle", "{}"), 403);
	assert_int_equal(send_key(token, "GET /api/guard/check?account=ws:acme", ""), 403);
	assert_int_equal(send_key(token, "GET /metrics", ""), 403);
	config.token_secret = empty;
	assert_int_equal(send_key(token, "GET /api/credits", ""), 401);
	arena_free(own);
}

static void test_the_web_servers_word(void **state)
{
	static const char *const server[] = {"OCTROI_ACCOUNT=ws:acme", "OCTROI_MEMBER=user:1", "OCTROI_MODEL=gpt-4o",
	                                     NULL};
	static const char *const with_key[] = {"OCTROI_ACCOUNT=ws:acme", "HTTP_AUTHORIZATION=Bearer " GUARD_KEY, NULL};
	static const char *const of_an_application[] = {"OCTROI_ACCOUNT=ws:acme", "HTTP_AUTHORIZATION=Bearer whatever",
	                                                NULL};
	static const char *const nobody[] = {"OCTROI_ACCOUNT=", NULL};
	static const char *const bad[] = {"OCTROI_ACCOUNT=a b", NULL};

	(void)state;
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/credits", "", server), 401);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/guard/check", "", with_key), 204);
	assert_string_equal(asked.account_id, "ws:acme");
	config.trust_server_params = true;
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/credits", "", server), 200);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/credits?account=ws:other", "", server), 403);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/credits", "", of_an_application), 200);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/credits", "", nobody), 401);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/credits", "", bad), 400);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/guard/check", "", bad), 403);
	expect_header("X-Octroi-Status: 400");
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /metrics", "", server), 401);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/guard/check?member=user:2&model=dear", "", server), 204);
	assert_int_equal(asked.kind, COMMAND_CHECK);
	assert_string_equal(asked.member, "user:1");
	assert_string_equal(asked.check.model, "gpt-4o");
}

/* ---- the guard ------------------------------------------------------------------------------- */

static void test_authorize_is_understood(void **state)
{
	(void)state;
	assert_int_equal(guard("authorize", "{\"account\":\"ws:acme\",\"model\":\"gpt-4o\"}"), 200);
	assert_int_equal(asked.kind, COMMAND_AUTHORIZE);
	assert_null(asked.request_id);
	assert_string_equal(asked.member, "");
	assert_int_equal(asked.authorize.model_count, 1);
	assert_int_equal(asked.authorize.input_tokens, 500);
	assert_int_equal(asked.authorize.max_output_tokens, 2000);
	assert_int_equal(asked.authorize.fit_minimum, 64);
	assert_int_equal(asked.authorize.ttl_us, 600 * CLOCK_US_PER_SECOND);
	assert_int_equal(guard("authorize", "{\"account\":\"ws:acme\",\"member\":\"m\","
	                                    "\"requestId\":\"r\",\"models\":[\"a\",\"b\"],"
	                                    "\"inputBytes\":2101,\"maxOutputTokens\":0,\"fit\":"
	                                    "true,\"ttlSeconds\":10,\"byok\":[\"openai\"],"
	                                    "\"conversationId\":\"c\",\"messageId\":\"g\","
	                                    "\"metadata\":{\"x\":[1]},\"fitMinimum\":1}"),
	                 200);
	assert_string_equal(asked.member, "m");
	assert_string_equal(asked.request_id, "r");
	assert_int_equal(asked.authorize.model_count, 2);
	assert_string_equal(asked.authorize.models[1], "b");
	assert_int_equal(asked.authorize.input_tokens, 701);
	assert_int_equal(asked.authorize.max_output_tokens, 0);
	assert_true(asked.authorize.fit);
	assert_int_equal(asked.authorize.fit_minimum, 1);
	assert_int_equal(asked.authorize.byok, provider_bit("openai"));
	assert_string_equal(asked.authorize.labels.metadata, "{\"x\":[1]}");
	assert_int_equal(guard("authorize", "{\"account\":\"a\",\"action\":\"debrief\","
	                                    "\"quantity\":3,\"inputTokens\":9}"),
	                 200);
	assert_int_equal(asked.authorize.model_count, 0);
	assert_string_equal(asked.authorize.action, "debrief");
	assert_int_equal(asked.authorize.quantity, 3);
	assert_int_equal(asked.authorize.input_tokens, 0);
	assert_string_equal(text_at("action"), "debrief");
	assert_null(json_get(said, "maxOutputTokens"));
}

static void test_authorize_names_what_is_wrong(void **state)
{
	static const struct {
		const char *members, *field;
	} cases[] = {
		{"\"model\":\"m\"", "account"},
		{"\"account\":\"a\"", "model"},
		{"\"account\":\"a\",\"model\":\"m\",\"action\":\"x\"", "model"},
		{"\"account\":\"a\",\"model\":\"m\",\"models\":[\"m\"]", "model"},
		{"\"account\":\"a\",\"models\":[]", "models"},
		{"\"account\":\"a\",\"models\":[5]", "models"},
		{"\"account\":\"a\",\"models\":[\"\"]", "models"},
		{"\"account\":\"a\",\"models\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
	         "\"\",\"\",\"\",\"\",\"\",\"\",\"\"]",
	         "models"},
		{"\"account\":\"a\",\"model\":\"m\",\"quantity\":2", "quantity"},
		{"\"account\":\"a\",\"model\":\"m\",\"inputTokens\":1,\"inputBytes\":1", "inputBytes"},
		{"\"account\":\"a\",\"model\":\"m\",\"inputBytes\":16000000000", "inputBytes"},
		{"\"account\":\"a\",\"model\":\"m\",\"maxOutputTokens\":1000000001", "maxOutputTokens"},
		{"\"account\":\"a\",\"model\":\"m\",\"maxOutputToken\":1", "maxOutputToken"},
		{"\"account\":\"a\",\"model\":\"m\",\"member\":\"\"", "member"},
		{"\"account\":\"a\",\"model\":\"m\",\"conversationId\":5", "conversationId"},
	};
	char body[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(body, sizeof(body), "{%s}", cases[i].members);
		assert_int_equal(guard("authorize", body), 400);
		assert_string_equal(text_at("error"), "INVALID_REQUEST");
		assert_string_equal(text_at("field"), cases[i].field);
	}
	assert_int_equal(asked_count, 0);
}

static void test_authorize_is_answered(void **state)
{
	static const char body[] = "{\"account\":\"ws:acme\",\"models\":[\"dear\",\"gpt-4o\"]}";

	(void)state;
	answers = (struct answer){.choice = 1,
	                          .provider = "openai",
	                          .seq = 1,
	                          .amount_micros = 20660,
	                          .balance_micros = 7,
	                          .available_micros = -3,
	                          .max_output_tokens = 2000,
	                          .price_version = 7,
	                          .replayed = true,
	                          .hold_state = HOLD_STATE_SETTLED,
	                          .expires_at_us = INT64_C(1795222800000000)};
	assert_int_equal(guard("authorize", body), 200);
	assert_string_equal(buf_text(&response.body),
	                    "{\"decision\":\"allow\",\"source\":\"platform\",\"provider\":"
	                    "\"openai\",\"model\":\"gpt-4o\","
	                    "\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\",\"reservedMicros\":"
	                    "20660,\"balanceMicros\":7,"
	                    "\"availableMicros\":-3,\"maxOutputTokens\":2000,\"priceVersion\":7,"
	                    "\"expiresAt\":\"2026-11-21T01:00:00.000Z\",\"replayed\":true,"
	                    "\"holdState\":\"settled\"}");
	expect_header("Cache-Control: no-store\r\n");
	answers = (struct answer){.outcome = OUTCOME_TOO_MANY_HOLDS};
	assert_int_equal(guard("authorize", body), 429);
	answers = (struct answer){.outcome = OUTCOME_INVALID_REQUEST, .field = "maxOutputTokens"};
	assert_int_equal(guard("authorize", body), 400);
	assert_string_equal(text_at("field"), "maxOutputTokens");
}

static void test_settle(void **state)
{
	static const char hold[] = "N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB";
	static const struct {
		const char *members, *field;
	} wrong[] = {
		{"", NULL},
		{",\"usage\":{\"prompt_tokens\":-1}", "usage.prompt_tokens"},
		{",\"usage\":{\"x\":1}", "usage"},
		{",\"usage\":5", "usage"},
		{",\"usage\":{\"prompt_tokens\":1},\"inputTokens\":1", "inputTokens"},
		{",\"outcome\":\"maybe\"", "outcome"},
		{",\"inputTokens\":-1", "inputTokens"},
		{",\"provider\":\"openai\"", "provider"},
	};
	char body[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(body, sizeof(body), "{\"hold\":\"%s\"%s}", hold, wrong[i].members);
		assert_int_equal(guard("settle", body), wrong[i].field == NULL ? 200 : 400);
		assert_string_equal(text_at("field"), wrong[i].field != NULL ? wrong[i].field : "(none)");
	}
	assert_false(asked.settle.has_usage);
	assert_int_equal(guard("settle", "{\"hold\":\"x\"}"), 400);
	assert_int_equal(guard("settle", "{}"), 400);
	assert_string_equal(text_at("field"), "hold");
	answers = (struct answer){.amount_micros = 9345,
	                          .settlement = SETTLEMENT_PARTIAL,
	                          .balance_micros = 9870000,
	                          .available_micros = 9000000,
	                          .counts = {{100, 20, 3, 4, 50}}};
	snprintf(body, sizeof(body),
	         "{\"hold\":\"%s\",\"usage\":{\"input_tokens\":100,\"output_tokens\":50,"
	         "\"cache_read_input_tokens\":20},\"outcome\":\"partial\",\"messageId\":\"m\"}",
	         hold);
	assert_int_equal(guard("settle", body), 200);
	assert_int_equal(asked.hold_seq, 1);
	assert_int_equal(asked.settle.counts.of[DIMENSION_CACHE_READ], 20);
	assert_int_equal(asked.settle.outcome, SETTLE_PARTIAL);
	assert_string_equal(buf_text(&response.body),
	                    "{\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\",\"cost\":0.9345,\"costMicros\":"
	                    "9345,"
	                    "\"balanceMicros\":9870000,\"availableMicros\":9000000,\"settlement\":\"partial\","
	                    "\"replayed\":false,\"credits\":{\"used\":0.9345,\"balance\":987,\"inputTokens\":"
	                    "100,"
	                    "\"outputTokens\":50}}");
}

static void test_settle_many(void **state)
{
	(void)state;
	assert_int_equal(guard("settle", "{\"settlements\":[]}"), 400);
	assert_int_equal(guard("settle", "{\"settlements\":[],\"hold\":\"x\"}"), 400);
	assert_int_equal(guard("settle", "{\"settlements\":[5,{\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\"},{}]}"),
	                 200);
	assert_int_equal(asked_count, 1);
	assert_int_equal(json_size(json_get(said, "results")), 3);
	assert_int_equal(json_int(json_get(json_at(json_get(said, "results"), 0), "status")), 400);
	assert_int_equal(json_int(json_get(json_at(json_get(said, "results"), 1), "status")), 200);
	assert_int_equal(json_int(json_get(json_at(json_get(said, "results"), 2), "status")), 400);
	answers.outcome = OUTCOME_UNAVAILABLE;
	assert_int_equal(guard("settle", "{\"settlements\":[5,{\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\"}]}"), 503);
	answers.outcome = OUTCOME_SETTLEMENT_CONFLICT;
	assert_int_equal(guard("settle", "{\"settlements\":[{\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\"}]}"), 200);
	assert_int_equal(json_int(json_get(json_at(json_get(said, "results"), 0), "status")), 409);
}

static void test_extend_release_charge(void **state)
{
	(void)state;
	answers = (struct answer){.seq = 1, .item = "gpt-4o", .provider = "openai", .max_output_tokens = 9};
	assert_int_equal(guard("extend", "{\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\"}"), 200);
	assert_int_equal(asked.extend.ttl_us, 600 * CLOCK_US_PER_SECOND);
	assert_string_equal(text_at("model"), "gpt-4o");
	assert_int_equal(guard("extend", "{\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\",\"maxOutputTokens\":9}"), 200);
	assert_int_equal(asked.extend.ttl_us, 0);
	assert_int_equal(asked.extend.max_output_tokens, 9);
	assert_int_equal(guard("extend", "{\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\",\"maxOutputTokens\":0}"), 400);
	answers = (struct answer){.seq = 1, .item = "debrief"};
	assert_int_equal(guard("extend", "{\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\",\"ttlSeconds\":10}"), 200);
	assert_string_equal(text_at("action"), "debrief");
	assert_int_equal(guard("release", "{\"hold\":\"N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAB\"}"), 200);
	assert_true(json_bool(json_get(said, "released")));
	answers = (struct answer){.seq = 1, .unit = UNIT_CREDIT, .amount_micros = 2500000, .available_micros = 3000000};
	assert_int_equal(guard("charge", "{\"account\":\"a\",\"action\":\"debrief\",\"quantity\":2}"), 200);
	assert_string_equal(text_at("message"), "2.5 credits used");
	assert_int_equal(number_at("creditsRemaining"), 3);
	assert_int_equal(guard("charge", "{\"account\":\"a\"}"), 400);
	assert_string_equal(text_at("field"), "action");
}

/* ---- the others ------------------------------------------------------------------------------ */

static void test_credits(void **state)
{
	(void)state;
	account.balance_micros = 1999999;
	account.held_micros = 5;
	assert_int_equal(send_key(APP_KEY, "GET /api/credits?account=ws:acme", ""), 200);
	assert_int_equal(asked_count, 0);
	assert_true(json_bool(json_get(said, "low")));
	assert_int_equal(number_at("availableMicros"), 1999994);
	assert_string_equal(text_at("balanceFormatted"), "1.99€");
	account.mode = MODE_POSTPAID;
	account.hard_limit_micros = 50000000;
	assert_int_equal(send_key(APP_KEY, "GET /api/credits?account=ws:acme", ""), 200);
	assert_false(json_bool(json_get(said, "low")));
	assert_int_equal(number_at("availableMicros"), 51999994);
	account.due_at_us = account.now_us;
	assert_int_equal(send_key(APP_KEY, "GET /api/credits?account=ws:acme", ""), 200);
	assert_int_equal(asked.kind, COMMAND_TOUCH);
	assert_int_equal(asked_count, 1);
}

static void test_accounts_are_made_on_first_sight_but_not_by_readers(void **state)
{
	(void)state;
	account.found = false;
	answers.absent = false;
	assert_int_equal(send_key(APP_KEY, "GET /api/credits?account=ws:acme", ""), 200);
	assert_true(asked.touch.create);
	account.found = false;
	answers.absent = true;
	assert_int_equal(send_key(REPORT_KEY, "GET /api/credits?account=ws:acme", ""), 404);
	assert_false(asked.touch.create);
	account.found = false;
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/transactions?account=ws:acme", ""), 200);
	assert_int_equal(asked_count, 2);
}

static void test_pages(void **state)
{
	char line[128];

	(void)state;
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/transactions?account=ws:acme", ""), 200);
	assert_int_equal(json_type(json_get(said, "nextCursor")), JSON_NULL_VALUE);
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/transactions?account=ws:acme&limit=1", ""), 200);
	snprintf(line, sizeof(line), "GET /api/credits/transactions?account=ws:acme&cursor=%s", text_at("nextCursor"));
	assert_int_equal(send_key(APP_KEY, line, ""), 200);
	assert_string_equal(json_text(json_get(json_at(json_get(said, "items"), 0), "id"), NULL),
	                    "N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAH");
	assert_string_equal(json_text(json_get(json_at(json_get(said, "items"), 0), "stripeSessionId"), NULL), "cs_1");
	line[strcspn(line, "=") + 1] = 'x'; /* another account's */
	assert_int_equal(send_key(APP_KEY, line, ""), 400);
	assert_string_equal(text_at("field"), "cursor");
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/usages?account=a&limit=101", ""), 400);
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/usages?account=a&member=m&model=x&action=y", ""), 200);
	assert_string_equal(filtered.model, "x");
}

static void test_summary(void **state)
{
	(void)state;
	account.now_us = INT64_C(1795132800000000); /* 2026-11-20T00:00:00Z: 19 of 30 days */
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/summary?account=a", ""), 200);
	assert_int_equal(spanned.from_us, INT64_C(1793491200000000));
	account.now_us = INT64_C(1798675200000000); /* 2026-12-31: the year ends within the month's length */
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/summary?account=a", ""), 200);
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/summary?account=a&by=hour", ""), 200);
	assert_int_equal(spanned.from_us, account.now_us);
	assert_int_equal(spanned.to_us - spanned.from_us, INT64_C(86400000000));
	assert_int_equal(
		send_key(APP_KEY, "GET /api/credits/summary?account=a&by=hour&from=2026-11-01&to=2026-11-03", ""), 400);
	assert_string_equal(text_at("field"), "from");
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/summary?account=a&by=minute", ""), 400);
	assert_int_equal(send_key(APP_KEY, "GET /api/credits/summary?account=a&from=2026-11-02&to=2026-11-01", ""),
	                 400);
	assert_string_equal(text_at("field"), "to");
}

static void test_accounts(void **state)
{
	(void)state;
	assert_int_equal(send_key(APP_KEY, "PUT /api/accounts/ws:acme",
	                          "{\"mode\":\"postpaid\",\"hardLimitMicros\":5,\"byok\":["
	                          "\"openai\"],\"name\":\"\",\"email\":null,"
	                          "\"timeZone\":\"Europe/Paris\"}"),
	                 200);
	assert_int_equal(asked.kind, COMMAND_ACCOUNT);
	assert_true(asked.account_change.set_mode && asked.account_change.set_hard_limit &&
	            asked.account_change.set_byok);
	assert_false(asked.account_change.set_unit || asked.account_change.set_soft_limit ||
	             asked.account_change.set_status);
	assert_string_equal(asked.account_change.name, "");
	assert_null(asked.account_change.email);
	assert_int_equal(send_key(APP_KEY, "PUT /api/accounts/ws:acme", "{\"parent\":\"pro\"}"), 400);
	assert_string_equal(text_at("field"), "parent");
	assert_int_equal(send_key(APP_KEY, "PUT /api/accounts/ws:acme", "{\"email\":\"nobody\"}"), 400);
	assert_int_equal(send_key(APP_KEY, "PUT /api/accounts/ws:acme", "{\"timeZone\":\"../etc\"}"), 400);
	assert_int_equal(send_key(APP_KEY, "PUT /api/accounts/ws:acme", "{\"hardLimitMicros\":-1}"), 400);
	assert_int_equal(send_key(APP_KEY, "PUT /api/accounts/a%20b", "{}"), 400);
	assert_string_equal(text_at("field"), "account");
	assert_int_equal(send_key(APP_KEY, "PUT /api/accounts/a/members/user:1", "{\"role\":\"manager\"}"), 200);
	assert_string_equal(text_at("member"), "user:1");
	assert_int_equal(send_key(APP_KEY, "PUT /api/accounts/a/members/user:1", "{\"role\":\"chief\"}"), 400);
	assert_string_equal(text_at("field"), "role");
	assert_int_equal(send_key(APP_KEY, "PUT /api/accounts/a/members/user:1", "{\"limitMicros\":-5}"), 400);
	assert_string_equal(text_at("field"), "limitMicros");
	account.found = false;
	answers.absent = true;
	answers.outcome = OUTCOME_NOT_FOUND;
	assert_int_equal(send_key(APP_KEY, "GET /api/accounts/a", ""), 404);
}

static void test_transactions_by_hand(void **state)
{
	static const struct {
		const char *members, *field;
	} wrong[] = {
		{"\"amountMicros\":5,\"description\":\"d\",\"requestId\":\"r\"", "type"},
		{"\"type\":\"NONE\",\"amountMicros\":5,\"description\":\"d\",\"requestId\":\"r\"", "type"},
		{"\"type\":\"ALLOWANCE_EXPIRY\",\"amountMicros\":-5,\"description\":\"d\","
	         "\"requestId\":\"r\"",
	         "type"},
		{"\"type\":\"TOP_UP\",\"description\":\"d\",\"requestId\":\"r\"", "amountMicros"},
		{"\"type\":\"TOP_UP\",\"amountMicros\":0,\"description\":\"d\",\"requestId\":\"r\"", "amountMicros"},
		{"\"type\":\"TOP_UP\",\"amountMicros\":-5,\"description\":\"d\",\"requestId\":"
	         "\"r\"",
	         "amountMicros"},
		{"\"type\":\"TOP_UP\",\"amountMicros\":1000000000000000001,\"description\":\"d\","
	         "\"requestId\":\"r\"",
	         "amountMicros"},
		{"\"type\":\"TOP_UP\",\"amountMicros\":5,\"requestId\":\"r\"", "description"},
		{"\"type\":\"TOP_UP\",\"amountMicros\":5,\"description\":\"\",\"requestId\":\"r\"", "description"},
		{"\"type\":\"TOP_UP\",\"amountMicros\":5,\"description\":\"d\"", "requestId"},
		{"\"type\":\"TOP_UP\",\"amountMicros\":5,\"description\":\"d\",\"requestId\":\"r\","
	         "\"priority\":1001",
	         "priority"},
		{"\"type\":\"TOP_UP\",\"amountMicros\":5,\"description\":\"d\",\"requestId\":\"r\","
	         "\"expiresAt\":\"x\"",
	         "expiresAt"},
		{"\"type\":\"REFUND\",\"amountMicros\":-5,\"description\":\"d\",\"requestId\":"
	         "\"r\",\"priority\":1",
	         "priority"},
		{"\"type\":\"TOP_UP\",\"amountMicros\":5,\"description\":\"d\",\"requestId\":\"r\","
	         "\"reference\":\"cs_1\"",
	         "reference"},
	};
	char body[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(body, sizeof(body), "{%s}", wrong[i].members);
		assert_int_equal(send_key(ADMIN_KEY, "POST /api/accounts/ws:acme/transactions", body), 400);
		assert_string_equal(text_at("field"), wrong[i].field);
	}
	assert_int_equal(asked_count, 0);
	assert_int_equal(send_key(ADMIN_KEY, "POST /api/accounts/ws:acme/transactions",
	                          "{\"type\":\"DISPUTE\",\"amountMicros\":-5,\"description\":\"d\","
	                          "\"requestId\":\"r\"}"),
	                 200);
	assert_int_equal(asked.transaction.priority, -1);
	assert_int_equal(asked.transaction.amount_micros, -5);
	assert_string_equal(json_text(json_get(json_get(said, "transaction"), "id"), NULL),
	                    "N6uo5jV37_fzNHO2X9YO7gAAAAAAAAAF");
}

static void test_tokens(void **state)
{
	const char *found_account = NULL;
	const char *found_member = NULL;
	const char *token;

	(void)state;
	assert_int_equal(
		send_key(APP_KEY, "POST /api/tokens", "{\"account\":\"ws:acme\",\"member\":\"m\",\"ttlSeconds\":60}"),
		200);
	token = text_at("token");
	assert_int_equal(
		token_accept(arena, SECRET, token, strlen(token), clock_wall_us(), &found_account, &found_member), 0);
	assert_string_equal(found_account, "ws:acme");
	assert_string_equal(found_member, "m");
	assert_int_equal(send_key(APP_KEY, "POST /api/tokens", "{\"account\":\"ws:acme\",\"ttlSeconds\":901}"), 400);
	assert_int_equal(send_key(APP_KEY, "POST /api/tokens", "{}"), 400);
	config.token_secret = empty;
	assert_int_equal(send_key(APP_KEY, "POST /api/tokens", "{\"account\":\"ws:acme\"}"), 404);
}

static void test_pricing(void **state)
{
	static const char *const json[] = {"CONTENT_TYPE=application/json", NULL};

	(void)state;
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/pricing", "", NULL), 200);
	assert_int_equal(number_at("priceVersion"), 7);
	assert_int_equal(json_int(json_get(json_at(json_get(said, "models"), 0), "outputMicros")), 9722223);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/pricing?model=none", "", NULL), 200);
	assert_int_equal(json_size(json_get(said, "models")), 0);
	assert_int_equal(send_with(LISTENER_PUBLIC, "POST /api/pricing/estimate", "{\"model\":\"gpt-4o\"}", json), 200);
	assert_int_equal(number_at("costMicros"), 20660);
	assert_int_equal(send_with(LISTENER_PUBLIC, "POST /api/pricing/estimate", "{\"model\":\"gpt-5\"}", json), 422);
	assert_int_equal(send_with(LISTENER_PUBLIC, "POST /api/pricing/estimate", "{}", json), 400);
	assert_int_equal(send_with(LISTENER_PUBLIC, "POST /api/pricing/estimate",
	                           "{\"action\":\"x\",\"quantity\":3,\"unit\":\"credit\"}", json),
	                 200);
	assert_int_equal(number_at("costMicros"), 3000000);
	config.action_price = 0;
	assert_int_equal(send_with(LISTENER_PUBLIC, "POST /api/pricing/estimate", "{\"action\":\"x\"}", json), 422);
}

static void test_operations(void **state)
{
	(void)state;
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /readyz", "", NULL), 200);
	assert_int_equal(number_at("schemaVersion"), SCHEMA_VERSION);
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /api/openapi.json", "", NULL), 200);
	assert_string_equal(text_at("openapi"), "3.1.0");
	assert_int_equal(send_key(REPORT_KEY, "GET /metrics", ""), 200);
	assert_non_null(strstr(buf_text(&response.body),
	                       "octroi_requests_total{method=\"GET\",route=\"/readyz\",status=\"200\"} 1\n"));
	assert_non_null(strstr(buf_text(&response.body), "octroi_batch_commands_bucket{le=\"4\"} 2\n"));
	assert_non_null(strstr(buf_text(&response.body), "octroi_batch_commands_bucket{le=\"8\"} 3\n"));
	assert_non_null(strstr(buf_text(&response.body), "octroi_open_holds 3\n"));
	assert_non_null(strstr(buf_text(&response.body), "octroi_request_duration_seconds_count{class=\"other\"} 2\n"));
}

static void test_the_callers_language(void **state)
{
	static const char *const french[] = {"HTTP_ACCEPT_LANGUAGE=fr-FR,fr;q=0.9", NULL};

	(void)state;
	assert_int_equal(send_with(LISTENER_PUBLIC, "GET /nowhere", "", french), 404);
	assert_string_equal(text_at("message"), "Introuvable.");
	assert_string_equal(text_at("requestId"), request.id);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- webhooks -------------------------------------------------------------------------------- */

#define WEBHOOK_SECRET "whsec_0123456789abcdef0123456789abcdef"

/* Delivers the body with a signature by that secret. */
static int deliver(const char *webhook_secret, const char *body)
{
	char header[256] = "HTTP_STRIPE_SIGNATURE=";
	const char *const parameters[] = {header, "CONTENT_TYPE=application/json", NULL};
	unsigned char digest[DIGEST_BYTES];
	char text[4096];
	size_t length = strlen(header);

	snprintf(text, sizeof(text), "%lld.%s", (long long)(clock_wall_us() / CLOCK_US_PER_SECOND), body);
	digest_hmac_sha256(webhook_secret, strlen(webhook_secret), text, strlen(text), digest);
	length +=
		(size_t)snprintf(header + length, sizeof(header) - length, "t=%.*s,v1=", (int)strcspn(text, "."), text);
	for (int i = 0; i < DIGEST_BYTES; i++)
		length += (size_t)snprintf(header + length, sizeof(header) - length, "%02x", digest[i]);
	return send_with(LISTENER_PUBLIC, "POST /api/webhooks/stripe", body, parameters);
}

#define EVENT(type, object) \
	"{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"" type \
	"\",\"created\":1795222800,\"livemode\":false,\"data\":{\"object\":" object "}}"

static void test_stripe_webhook(void **state)
{
	static char webhook_secret[] = WEBHOOK_SECRET;

	(void)state;
	assert_int_equal(deliver(WEBHOOK_SECRET, EVENT("x.y", "{}")), 503); /* no secret, no belief */
	config.stripe_webhook_secret = webhook_secret;
	assert_int_equal(deliver(WEBHOOK_SECRET, EVENT("x.y", "{}")), 200);
	assert_int_equal(asked.kind, COMMAND_EVENT);
	assert_int_equal(asked.event_only.state, EVENT_IGNORED);
	assert_int_equal(asked_count, 1);
	assert_int_equal(deliver(WEBHOOK_SECRET "x", EVENT("x.y", "{}")), 400);
	assert_int_equal(deliver(WEBHOOK_SECRET, "not json"), 400);
	assert_int_equal(deliver(WEBHOOK_SECRET, "[]"), 400);
	assert_int_equal(deliver(WEBHOOK_SECRET, EVENT("x.y", "7")), 400);
	assert_int_equal(deliver(WEBHOOK_SECRET, EVENT("charge.dispute.created", "{}")), 400);
	assert_int_equal(asked_count, 1);
	answers.outcome = OUTCOME_UNAVAILABLE;
	assert_int_equal(deliver(WEBHOOK_SECRET, EVENT("x.y", "{}")), 503);
}

/* A session of that order, said to be of that account. */
static const char *session_of(const char *payment_status, const char *order, const char *user)
{
	static char body[2048];

	/* Without a payment intent nothing has to be looked up in the database. */
	snprintf(body, sizeof(body),
	         EVENT("checkout.session.completed", "{\"id\":\"cs_1\",\"mode\":\"payment\",\"payment_status\":\"%s\","
	                                             "\"amount_total\":500,\"currency\":\"eur\","
	                                             "\"metadata\":{\"topup_id\":\"%s\",\"user_id\":\"%s\"}}"),
	         payment_status, order, user);
	return body;
}

static void test_stripe_event_becomes_a_command(void **state)
{
	static char webhook_secret[] = WEBHOOK_SECRET;
	const struct account_key key = id_account_key("ws:acme", 7);
	char order[ID_PUBLIC_MAX];

	(void)state;
	config.stripe_webhook_secret = webhook_secret;
	id_public_format(&key, 9, order);
	assert_int_equal(deliver(WEBHOOK_SECRET, session_of("paid", order, "ws:acme")), 200);
	assert_int_equal(asked.kind, COMMAND_PAYMENT);
	assert_memory_equal(&asked.account, &key, sizeof(key));
	assert_int_equal(asked.topup_seq, 9);
	assert_int_equal(asked.payment.state, TOPUP_PAID);
	assert_int_equal(asked.payment.amount_minor, 500);
	assert_int_equal(deliver(WEBHOOK_SECRET, session_of("unpaid", order, "ws:acme")), 200);
	assert_int_equal(asked.payment.state, TOPUP_PENDING);
	assert_int_equal(deliver(WEBHOOK_SECRET, session_of("paid", order, "ws:evil")), 200);
	assert_int_equal(asked.kind, COMMAND_EVENT);
	assert_int_equal(asked.event_only.state, EVENT_PARKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_paths_and_methods),
		TEST(test_internal_routes_are_not_public),
		TEST(test_what_the_edge_found_wrong),
		TEST(test_bodies),
		TEST(test_scopes),
		TEST(test_credentials),
		TEST(test_keys_are_read_seldom),
		TEST(test_a_new_key_counts_at_once),
		TEST(test_without_a_database_nobody_is_let_in),
		TEST(test_a_known_key_outlives_a_short_outage),
		TEST(test_browsers),
		TEST(test_the_web_servers_word),
		TEST(test_authorize_is_understood),
		TEST(test_authorize_names_what_is_wrong),
		TEST(test_authorize_is_answered),
		TEST(test_settle),
		TEST(test_settle_many),
		TEST(test_extend_release_charge),
		TEST(test_credits),
		TEST(test_accounts_are_made_on_first_sight_but_not_by_readers),
		TEST(test_pages),
		TEST(test_summary),
		TEST(test_accounts),
		TEST(test_transactions_by_hand),
		TEST(test_tokens),
		TEST(test_pricing),
		TEST(test_operations),
		TEST(test_the_callers_language),
		TEST(test_stripe_webhook),
		TEST(test_stripe_event_becomes_a_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
