#include "inbox/inbox.h"

#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "db/sql.h"
#include "inbox/stripe_event.h"
#include "inbox/stripe_invoice.h"

#define RESOLVE_DEPTH 3
#define RESOLVE_MAX 32 /* events of one subject at a time; the next delivery goes on */
#define RESOLVE_ARENA_BYTES ((size_t)8 * 1024 * 1024)
#define SQL_MAX ((size_t)4 * 1024)

/* Result of a look-up. */
enum finding { FOUND, NOT_FOUND, NOT_ASKED };

int inbox_livemode(const char *secret_key)
{
	if (secret_key[0] == '\0')
		return -1;
	return strstr(secret_key, "_live_") != NULL ? 1 : 0;
}

/* ---- look-ups ---------------------------------------------------------------------------------- */

/* Row that a look-up answers: an account's key, the number of its top-up, statement or period, and enum
 * payment_kind. */
struct found {
	struct account_key account;
	int64_t number, kind;
};

static int take_found(void *context, const struct db_row *row)
{
	struct found *found = context;

	memcpy(found->account.bytes, row->field[0], sizeof(found->account.bytes));
	found->number = db_int(row, 1);
	found->kind = db_int(row, 2);
	return 0;
}

/* Runs a statement that answers at most one such row; runs it again when it fails. */
static enum finding look_up_account(const struct inbox *in, const struct buf *sql, int64_t deadline_us,
                                    struct found *found)
{
	struct db *d = pool_take(in->readers, deadline_us);
	int64_t count;

	if (d == NULL)
		return NOT_ASKED;
	count = db_read(d, sql, take_found, found);
	if (count < 0)
		count = db_read(d, sql, take_found, found);
	pool_give(in->readers, d);
	if (count < 0)
		return NOT_ASKED;
	return count > 0 ? FOUND : NOT_FOUND;
}

static enum finding find_payment(const struct inbox *in, struct command *c, int64_t deadline_us)
{
	unsigned char key[ID_KEY_BYTES];
	enum finding finding;
	struct found found;
	struct buf sql;

	id_request_key(c->payment_id, strlen(c->payment_id), key);
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT account_id,topup_seq,kind FROM payments WHERE payment_key=");
	sql_bytes(&sql, key, sizeof(key));
	finding = look_up_account(in, &sql, deadline_us, &found);
	buf_free(&sql);
	if (finding == FOUND) {
		c->account = found.account;
		c->topup_seq = found.number;
		c->payment_kind = (enum payment_kind)found.kind;
	}
	return finding;
}

/* Finds the statement of an invoice. */
static enum finding find_invoice(const struct inbox *in, struct stripe_event *e, int64_t deadline_us)
{
	enum finding finding;
	struct found found;
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT account_id,seq,0 FROM statements WHERE invoice_id=");
	sql_text(&sql, e->reference);
	finding = look_up_account(in, &sql, deadline_us, &found);
	buf_free(&sql);
	if (finding == FOUND) {
		e->command.account = found.account;
		e->command.statement_seq = found.number;
	}
	return finding;
}

static enum finding find_customer(const struct inbox *in, struct stripe_event *e, int64_t deadline_us)
{
	enum finding finding;
	struct found found;
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT account_id,0,0 FROM billing WHERE customer_id=");
	sql_text(&sql, e->customer);
	finding = e->customer[0] == '\0' ? NOT_FOUND : look_up_account(in, &sql, deadline_us, &found);
	buf_free(&sql);
	if (finding == FOUND)
		e->command.account = found.account;
	if (finding == NOT_FOUND && id_account_valid(e->user, strlen(e->user))) {
		e->command.account = id_account_key(e->user, strlen(e->user));
		e->command.account_id = NULL; /* the account has to exist */
		return FOUND;
	}
	return finding;
}

/* Finds the account of the paid period whose number is c->topup_seq. */
static enum finding find_period(const struct inbox *in, struct command *c, int64_t deadline_us)
{
	enum finding finding;
	struct found found;
	struct buf sql;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT account_id,seq,0 FROM paid_periods WHERE seq=");
	sql_int(&sql, c->topup_seq);
	sql_literal(&sql, " ORDER BY account_id LIMIT 1");
	finding = look_up_account(in, &sql, deadline_us, &found);
	buf_free(&sql);
	if (finding == FOUND)
		c->account = found.account;
	return finding;
}

/* ---- one event --------------------------------------------------------------------------------- */

/* Turns the command into one that moves nothing, and only notes the event. */
static void set_aside(struct command *c, enum event_state state, const char *note, const char *subject)
{
	const struct command_event event = c->event;

	memset(c, 0, sizeof(*c));
	c->kind = COMMAND_EVENT;
	c->event = event;
	c->event.subject = subject;
	c->event_only.state = state;
	c->event_only.note = note;
}

/* Keeps the event for a person, or until subject is known. */
static void park(struct command *c, const char *note, const char *subject)
{
	set_aside(c, EVENT_PARKED, note, subject);
}

/* True for a payment intent that is no order's: octroi's orders put their id into its metadata. */
static bool is_of_others(const struct stripe_event *e)
{
	return e->command.kind == COMMAND_PAYMENT && strncmp(e->command.event.type, "payment_intent.", 15) == 0 &&
	       e->order[0] == '\0' && e->user[0] == '\0';
}

/* Reads the order that the event names.  False if that is none of this octroi's making. */
static bool read_known_order(struct stripe_event *e)
{
	struct command *c = &e->command;
	const char *name = e->order[0] != '\0' ? e->order : e->reference;

	if (c->kind == COMMAND_PAYMENT)
		c->payment.named = e->order[0] != '\0';
	return id_public_parse(name, strlen(name), &c->account, &c->topup_seq) == 0;
}

/* Names that an event gives for one thing have to agree.  NULL, or why they do not. */
static const char *contradiction(const struct stripe_event *e)
{
	struct account_key key;

	if (e->order[0] != '\0' && e->reference[0] != '\0' && strcmp(e->order, e->reference) != 0)
		return "the event names two orders";
	if (e->user[0] == '\0')
		return NULL;
	key = id_account_key(e->user, strlen(e->user));
	return memcmp(&key, &e->command.account, sizeof(key)) != 0 ? "the event names another account" : NULL;
}

static enum finding locate_payment(const struct inbox *in, struct stripe_event *e, int64_t deadline_us)
{
	const char *payment = e->command.payment_id, *why;
	enum finding finding;

	CHECK(payment != NULL); /* stripe_event_read sets it for these kinds */
	if (read_known_order(e)) {
		why = contradiction(e);
		if (why != NULL)
			park(&e->command, why, payment);
		return FOUND;
	}
	finding = payment[0] != '\0' ? find_payment(in, &e->command, deadline_us) : NOT_FOUND;
	if (finding == FOUND && e->command.kind == COMMAND_PAYMENT && e->command.payment_kind != PAYMENT_OF_TOPUP)
		set_aside(&e->command, EVENT_IGNORED, "the payment of an invoice, which tells of itself", "");
	if (finding == NOT_FOUND && is_of_others(e))
		set_aside(&e->command, EVENT_IGNORED, "a payment that is no order's, such as an invoice's", "");
	else if (finding == NOT_FOUND)
		park(&e->command, "it fits no order", payment);
	return finding;
}

static enum finding locate_subscription(const struct inbox *in, struct arena *a, struct stripe_event *e,
                                        int64_t deadline_us)
{
	struct command *c = &e->command;
	enum finding finding = find_customer(in, e, deadline_us);
	size_t length;
	const char *plan = stripe_invoice_plan(in->plans, c->subscription.price_id, &length);

	if (plan != NULL) {
		c->subscription.plan = arena_copy(a, plan, length);
		if (c->subscription.plan == NULL)
			return NOT_ASKED;
	}
	if (finding == NOT_FOUND)
		park(c, "its customer has no account", e->customer);
	else if (in->livemode >= 0 && in->livemode != (int)e->livemode)
		park(c, "another mode (live or test) than octroi's key", "");
	return finding;
}

/* Finds the account and the plan of a paid invoice, which may come before its subscription does. */
static enum finding locate_period(const struct inbox *in, struct arena *a, struct stripe_event *e, int64_t deadline_us)
{
	struct command *c = &e->command;
	enum finding finding;
	bool short_of_memory;
	const char *why;

	why = stripe_invoice_plans(e, in->plans, a, &short_of_memory);
	if (short_of_memory)
		return NOT_ASKED;
	if (why != NULL && why[0] == '\0') {
		set_aside(c, EVENT_IGNORED, "it pays for no plan, or for no greater one", "");
		return FOUND;
	}
	finding = find_customer(in, e, deadline_us);
	if (why != NULL)
		park(c, why, "");
	else if (finding == NOT_FOUND)
		park(c, "its customer has no account", e->customer);
	else if (in->livemode >= 0 && in->livemode != (int)e->livemode)
		park(c, "another mode (live or test) than octroi's key", "");
	else
		c->event.subject = e->customer;
	return finding;
}

/* Most invoices' payments are of no subscription, or of one without a plan.  So the event is kept as EVENT_WAITING,
 * without a warning. */
static enum finding locate_period_payment(const struct inbox *in, struct stripe_event *e, int64_t deadline_us)
{
	struct command *c = &e->command, known = {.payment_id = c->payment_id};
	enum finding finding = find_period(in, c, deadline_us);

	if (finding != NOT_FOUND)
		return finding;
	finding = find_payment(in, &known, deadline_us);
	if (finding == FOUND)
		set_aside(c, EVENT_IGNORED, "its payment is known", "");
	else if (finding == NOT_FOUND)
		set_aside(c, EVENT_WAITING, "its invoice is not known", e->reference);
	return finding;
}

/* Finds the statement that the invoice's metadata names. */
static enum finding locate_statement(struct stripe_event *e)
{
	struct command *c = &e->command;
	const char *why = "it names no statement";

	if (id_public_parse(e->order, strlen(e->order), &c->account, &c->statement_seq) == 0)
		why = contradiction(e);
	if (why != NULL)
		park(c, why, "");
	return FOUND;
}

/* Finds the statement, or else the paid period, of an invoice payment, which names its invoice and nothing else. */
static enum finding locate_invoice_payment(const struct inbox *in, struct stripe_event *e, int64_t deadline_us)
{
	struct command *c = &e->command;
	const enum finding finding = find_invoice(in, e, deadline_us);

	if (finding == NOT_FOUND)
		return locate_period_payment(in, e, deadline_us);
	c->kind = COMMAND_STATEMENT_NOTE;
	c->statement_note.invoice_id = e->reference;
	c->statement_note.livemode = e->livemode;
	return finding;
}

/* Finds the account whose customer has saved a card. */
static enum finding locate_card(const struct inbox *in, struct stripe_event *e, int64_t deadline_us)
{
	const enum finding finding = find_customer(in, e, deadline_us);

	if (finding == NOT_FOUND)
		set_aside(&e->command, EVENT_IGNORED, "its customer has no account", "");
	return finding;
}

/* Fills in the account, or parks the event; NOT_ASKED when the database could not be asked. */
static enum finding locate(const struct inbox *in, struct arena *a, struct stripe_event *e, int64_t deadline_us)
{
	struct command *c = &e->command;

	if (c->kind == COMMAND_EVENT)
		return FOUND;
	if (e->connected[0] != '\0') {
		park(c, "of a connected account", "");
		return FOUND;
	}
	if (c->kind == COMMAND_STATEMENT_PAID || c->kind == COMMAND_STATEMENT_NOTE)
		return locate_statement(e);
	if (c->kind == COMMAND_SUBSCRIPTION)
		return locate_subscription(in, a, e, deadline_us);
	if (c->kind == COMMAND_RECHARGE_LOOK)
		return locate_card(in, e, deadline_us);
	if (c->kind == COMMAND_PERIOD)
		return locate_period(in, a, e, deadline_us);
	if (c->kind == COMMAND_PERIOD_PAYMENT)
		return locate_invoice_payment(in, e, deadline_us);
	return locate_payment(in, e, deadline_us);
}

static void note_event(const struct stripe_event *e, const struct inbox_result *r)
{
	static const char *const names[] = {"applied", "ignored", "parked", "waiting"};

	log_event(r->state == EVENT_PARKED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "webhook_event",
	          LOG_TEXT("event_id", e->command.event.id), LOG_TEXT("type", e->command.event.type),
	          LOG_TEXT("state", names[r->state]), LOG_TEXT("note", r->note != NULL ? r->note : ""));
}

/* Finds the account and runs the command; false when it is to be repeated. */
static bool apply(const struct inbox *in, struct arena *a, struct stripe_event *e, int64_t deadline_us,
                  struct inbox_result *r)
{
	if (locate(in, a, e, deadline_us) == NOT_ASKED) {
		r->outcome = OUTCOME_UNAVAILABLE;
		return false;
	}
	ledger_submit(in->ledger, &e->command, deadline_us);
	r->outcome = e->command.answer.outcome;
	r->replayed = e->command.answer.replayed;
	r->state = e->command.answer.event_state;
	r->note = e->command.answer.note;
	r->account = e->command.account;
	return r->outcome == OUTCOME_OK;
}

/* True if the event waits for a subject that has become known since it was looked for. */
static bool has_appeared(const struct inbox *in, const struct stripe_event *e, const char *payment, int64_t deadline_us)
{
	const struct command *c = &e->command;
	const char *subject = c->event.subject;
	struct command probe = {.payment_id = payment};
	struct stripe_event again = *e;

	if (c->kind != COMMAND_EVENT || subject == NULL || subject[0] == '\0')
		return false;
	if (e->object != NULL)
		return find_customer(in, &again, deadline_us) == FOUND;
	if (c->event_only.state == EVENT_WAITING) {
		probe.topup_seq = command_period_seq(subject);
		return find_period(in, &probe, deadline_us) == FOUND;
	}
	return strcmp(subject, payment) == 0 && find_payment(in, &probe, deadline_us) == FOUND;
}

/* True for an event that is kept until its subject is known. */
static bool is_kept(const struct inbox_result *r)
{
	return r->state == EVENT_PARKED || r->state == EVENT_WAITING;
}

/* Takes an event once.  After the event was parked, its subject is looked for once more.  The event that makes the
 * subject known looks for parked events after that, so one of the two sees the other. */
static bool take_once(const struct inbox *in, struct arena *a, const struct json *event, const char *body,
                      int64_t deadline_us, struct stripe_event *e, struct inbox_result *r)
{
	const char *payment;

	memset(r, 0, sizeof(*r));
	if (stripe_event_read(event, body, e, &r->field) != 0) {
		r->outcome = OUTCOME_INVALID_REQUEST;
		return false;
	}
	payment = e->command.payment_id != NULL ? e->command.payment_id : "";
	if (!apply(in, a, e, deadline_us, r))
		return false;
	if (is_kept(r) && has_appeared(in, e, payment, deadline_us)) {
		if (stripe_event_read(event, body, e, &r->field) != 0 || !apply(in, a, e, deadline_us, r))
			return false;
	}
	note_event(e, r);
	return true;
}

/* ---- what was parked --------------------------------------------------------------------------- */

struct parked {
	struct arena *arena;
	const char **bodies;
	int count;
};

static int take_parked(void *context, const struct db_row *row)
{
	struct parked *p = context;
	const char *body = arena_copy(p->arena, row->field[0], row->length[0]);

	p->bodies[p->count++] = body;
	return body != NULL ? 0 : -1;
}

/* Reads the bodies of the events that wait for subject into the arena.  Returns their number, or -1. */
static int find_parked(const struct inbox *in, struct arena *a, const char *subject, int64_t deadline_us,
                       const char *bodies[RESOLVE_MAX])
{
	struct db *d = pool_take(in->readers, deadline_us);
	struct parked parked = {a, bodies, 0};
	unsigned char key[ID_KEY_BYTES];
	struct buf sql;
	int64_t count;

	if (d == NULL)
		return -1;
	id_request_key(subject, strlen(subject), key);
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT body FROM webhook_events WHERE state IN (");
	sql_int(&sql, EVENT_PARKED);
	buf_add_char(&sql, ',');
	sql_int(&sql, EVENT_WAITING);
	sql_literal(&sql, ") AND subject=");
	sql_bytes(&sql, key, sizeof(key));
	sql_literal(&sql, " ORDER BY created_at_us LIMIT ");
	sql_int(&sql, RESOLVE_MAX);
	count = db_read(d, &sql, take_parked, &parked);
	buf_free(&sql);
	pool_give(in->readers, d);
	return (int)count;
}

static int resolve_after(const struct inbox *in, const struct stripe_event *e, const struct inbox_result *r,
                         int64_t deadline_us, int depth);

/* Takes up the events that are parked until subject is known.  An event may make known the subject of others: a
 * subscription that of its invoice, an invoice that of its payment, a payment that of a refund.  RESOLVE_DEPTH is as
 * deep as that. */
static int resolve(const struct inbox *in, const char *subject, int64_t deadline_us, int depth)
{
	struct arena *a = arena_new(RESOLVE_ARENA_BYTES);
	const char *bodies[RESOLVE_MAX];
	int count = a != NULL ? find_parked(in, a, subject, deadline_us, bodies) : -1;
	int result = count < 0 ? -1 : 0;

	for (int i = 0; i < count; i++) {
		char error[JSON_ERROR_MAX];
		struct json *event = json_parse(bodies[i], strlen(bodies[i]), false, error);
		struct inbox_result r;
		struct stripe_event e;

		if (event == NULL)
			continue; /* only valid events are parked: a person has changed the row */
		if (take_once(in, a, event, bodies[i], deadline_us, &e, &r)) {
			if (depth < RESOLVE_DEPTH && resolve_after(in, &e, &r, deadline_us, depth + 1) != 0)
				result = -1;
		} else if (r.outcome != OUTCOME_INVALID_REQUEST) {
			result = -1;
		}
		json_free(event);
	}
	arena_free(a);
	return result;
}

/* Takes up the events that wait for a subject of this event. */
static int resolve_after(const struct inbox *in, const struct stripe_event *e, const struct inbox_result *r,
                         int64_t deadline_us, int depth)
{
	const struct command *c = &e->command;
	const bool period = c->kind == COMMAND_PERIOD;
	const char *subjects[] = {
		c->payment_id,
		period ? c->period.invoice_id : NULL,
		period || c->kind == COMMAND_SUBSCRIPTION ? e->customer : NULL,
	};
	int result = 0;

	for (size_t i = 0; !is_kept(r) && i < sizeof(subjects) / sizeof(subjects[0]); i++)
		if (subjects[i] != NULL && subjects[i][0] != '\0' && resolve(in, subjects[i], deadline_us, depth) != 0)
			result = -1;
	return result;
}

int inbox_resolve(const struct inbox *in, const char *payment_id, int64_t deadline_us)
{
	return resolve(in, payment_id, deadline_us, 0);
}

void inbox_take(const struct inbox *in, struct arena *a, const struct json *event, const char *body,
                int64_t deadline_us, struct inbox_result *r)
{
	struct stripe_event e;

	if (!take_once(in, a, event, body, deadline_us, &e, r))
		return;
	/* Runs after a repeated event, too: the process may have died between the two steps. */
	if (resolve_after(in, &e, r, deadline_us, 0) != 0)
		r->outcome = OUTCOME_UNAVAILABLE;
}
