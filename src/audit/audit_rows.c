/*
 * Checks all rows beside the journal: grants, holds, usages, transactions, requests and the account's
 * own row.
 */
#include <stdio.h>
#include <string.h>

#include "audit/audit_state.h"
#include "base/money.h"
#include "ledger/command.h"
#include "ledger/decide/due.h"
#include "ledger/decide/entry.h"
#include "ledger/decide/expiry.h"
#include "ledger/decide/use.h"
#include "ledger/rows/current_grant.h"
#include "ledger/rows/packed_hold.h"
#include "ledger/rows/record.h"

static const int counterparts[TRANSACTION_COUNT] = {
#define TRANSACTION(NAME, sign, priority, counterpart) [TRANSACTION_##NAME] = COUNTERPART_##counterpart,
#include "ledger/transactions.def"
#undef TRANSACTION
};

static void earlier(int64_t *first_us, int64_t at_us)
{
	if (at_us < *first_us)
		*first_us = at_us;
}

/* ---- the account's own row ------------------------------------------------------------------- */

void audit_rows_account(struct audit *A, const struct subject *s)
{
	const struct accounts_row *a = &s->row;
	const struct account_key key = id_account_key(s->name, strlen(s->name));

	if (memcmp(key.bytes, a->id, sizeof(key.bytes)) != 0)
		audit_find(A, "account", "accounts", s, 0, "id is not that of external_id");
	if (a->unit != UNIT_MONEY && a->unit != UNIT_CREDIT)
		audit_find(A, "account", "accounts", s, 0, "there is no unit %lld", (long long)a->unit);
	if (a->mode != MODE_PREPAID && a->mode != MODE_POSTPAID)
		audit_find(A, "account", "accounts", s, 0, "there is no mode %lld", (long long)a->mode);
	if (a->status < STATUS_ACTIVE || a->status > STATUS_UNPAID)
		audit_find(A, "account", "accounts", s, 0, "there is no status %lld", (long long)a->status);
}

/* True if the seqs of holds and usages are 1 to hold_seq, each once. */
static bool numbers_complete(const struct audit *A, const struct subject *s)
{
	const int64_t last = s->row.hold_seq;
	row_checksum expected = 0;

	if (s->stray || last < 0 || s->holds + s->usages != last)
		return false;
	for (int64_t seq = 1; seq <= last; seq++)
		row_checksum_add(&A->key, &expected, seq, 1);
	return expected == s->numbers;
}

/* Without a current grant the rows of grants are read, and the other columns count for nothing. */
static void check_current_grant(struct audit *A, const struct subject *s)
{
	const struct accounts_row *a = &s->row;

	if (a->current_grant_seq == 0)
		return;
	if (a->current_grant_seq != CURRENT_GRANT_NONE && !s->current_seen)
		audit_find(A, "grant", "accounts", s, 0, "current_grant_seq is %lld, but there is no such grant",
		           (long long)a->current_grant_seq);
	if (s->grants_beside != a->grants_beside)
		audit_find(A, "grant", "accounts", s, 0, "grants_beside is %lld, but %lld more grants have a remainder",
		           (long long)a->grants_beside, (long long)s->grants_beside);
}

static void check_sums(struct audit *A, const struct subject *s)
{
	const struct accounts_row *a = &s->row;
	char sum[AUDIT_SUM_MAX];

	if (s->held != a->held_micros)
		audit_find(A, "held", "accounts", s, 0, "held_micros is %lld, but open holds reserve %s",
		           (long long)a->held_micros, audit_sum_text(s->held, sum));
	if (s->holds != a->open_holds)
		audit_find(A, "held", "accounts", s, 0, "open_holds is %lld, but there are %lld",
		           (long long)a->open_holds, (long long)s->holds);
	if (s->remaining + s->debt != a->balance_micros)
		audit_find(A, "balance", "accounts", s, 0, "balance_micros is %lld, but grants less debt come to %s",
		           (long long)a->balance_micros, audit_sum_text(s->remaining + s->debt, sum));
	if (s->grants != a->grant_seq || s->grants_max != a->grant_seq)
		audit_find(A, "grant", "accounts", s, 0,
		           "grant_seq is %lld, but there are %lld grants, the last with seq %lld",
		           (long long)a->grant_seq, (long long)s->grants, (long long)s->grants_max);
	if (s->due_us < a->due_at_us)
		audit_find(A, "due", "accounts", s, 0, "due_at_us is %lld, but something ends at %lld",
		           (long long)a->due_at_us, (long long)s->due_us);
	if (s->holds_due_us < due_next_us(a))
		audit_find(A, "due", "accounts", s, 0, "holds_due_at_us is %lld, but a hold expires at %lld",
		           (long long)a->holds_due_at_us, (long long)s->holds_due_us);
}

void audit_rows_end(struct audit *A, struct subject *s)
{
	check_sums(A, s);
	check_current_grant(A, s);
	s->incomplete = !numbers_complete(A, s);
}

/* ---- grants ---------------------------------------------------------------------------------- */

/* True if the account's row has a copy of this grant.  The rests may differ, because that of the copy is the true one.
 * Neither is 0: readers look for grants with a rest. */
static bool is_copied(const struct accounts_row *a, const struct grants_row *g)
{
	return a->current_type == g->type && a->current_priority == g->priority &&
	       a->current_expires_at_us == g->expires_at_us && a->current_amount_micros == g->amount_micros &&
	       a->current_created_at_us == g->created_at_us && a->current_warned >= g->warned &&
	       a->current_warned <= EXPIRY_TERMS && a->current_remaining_micros > 0 && g->remaining_micros > 0;
}

/* The next event of a grant with a rest. */
static int64_t next_of_grant(struct audit *A, const struct subject *s, const struct grants_row *g, bool current)
{
	struct grants_row known = *g;

	if (current)
		known.warned = s->row.current_warned;
	if (known.warned >= 0 && known.warned <= EXPIRY_TERMS)
		return expiry_next_us(&known);
	audit_find(A, "grant", "grants", s, g->seq, "warned is %lld", (long long)known.warned);
	return INT64_MAX;
}

void audit_rows_grant(struct audit *A, struct subject *s, const struct grants_row *g)
{
	const bool current = g->seq == s->row.current_grant_seq;
	const micros remaining = current_grant_remaining(&s->row, g);

	A->report->grants++;
	s->grants++;
	s->remaining += remaining;
	s->current_seen = s->current_seen || current;
	if (remaining > 0 && !current)
		s->grants_beside++;
	if (current && !is_copied(&s->row, g))
		audit_find(A, "grant", "accounts", s, 0, "its copy of grant %lld is not that of the grant",
		           (long long)g->seq);
	if (g->seq > s->grants_max)
		s->grants_max = g->seq;
	audit_row_checksum_add(A, &s->found.grant, g->seq, ASPECT_AMOUNT, g->amount_micros);
	audit_row_checksum_add(A, &s->found.grant, g->seq, ASPECT_REMAINING, remaining);
	audit_row_checksum_add(A, &s->found.grant, g->seq, ASPECT_TYPE, g->type + 1);
	audit_row_checksum_add(A, &s->found.grant, g->seq, ASPECT_TIME, g->created_at_us);
	if (remaining < 0 || remaining > g->amount_micros)
		audit_find(A, "grant", "grants", s, g->seq, "remaining_micros is %lld of %lld", (long long)remaining,
		           (long long)g->amount_micros);
	if (remaining > 0)
		earlier(&s->due_us, next_of_grant(A, s, g, current));
}

/* ---- holds and usages ------------------------------------------------------------------------ */

static void take_next_number(const struct audit *A, struct subject *s, int64_t seq)
{
	row_checksum_add(&A->key, &s->numbers, seq, 1);
	if (seq < 1 || seq > s->row.hold_seq)
		s->stray = true;
}

/* The cost of so many actions by the pinned price; false when there is no such price.  An action
 * without a price of its own was priced by the configuration, which the database does not hold. */
static bool action_price(const struct audit *A, const struct subject *s, const char *item, int64_t version,
                         int64_t quantity, micros *cost)
{
	const struct price *p = book_price_of_version(A->book, PRICE_ACTION, item, version);

	return p != NULL && price_of_action(p, (enum account_unit)s->row.unit, quantity, cost);
}

static bool tier_known(int64_t tier)
{
	return tier >= 0 && tier < TIER_COUNT;
}

/* The reservation of a hold for a model; false when no price covers it. */
static bool model_reserved(const struct audit *A, const struct subject *s, const struct holds_row *h, micros *reserved)
{
	const struct price *p = book_price_of_version(A->book, PRICE_MODEL, h->item, h->price_version);
	struct price_charge charge;
	struct counts counts;

	if (p == NULL || !tier_known(h->service_tier))
		return false;
	counts = use_of_hold(p, h, h->max_output_tokens);
	if (!price_of_use(p, (enum account_unit)s->row.unit,
	                  &(struct price_use){&counts, (enum service_tier)h->service_tier, h->variant}, &charge))
		return false;
	*reserved = charge.cost_micros;
	return true;
}

/* The cost of the usage of a model by its lines; false when no price covers it. */
static bool model_cost(const struct audit *A, const struct subject *s, const struct usages_row *u, micros *cost)
{
	const struct price *p = book_price_of_version(A->book, PRICE_MODEL, u->item, u->price_version);
	const struct counts counts = use_of_usage(u);
	struct use_cost found;

	if (p == NULL || !tier_known(u->service_tier) ||
	    !use_cost(p, (enum account_unit)s->row.unit,
	              &(struct price_use){&counts, (enum service_tier)u->service_tier, u->variant}, u->reserved_micros,
	              &found))
		return false;
	*cost = found.cost_micros;
	return true;
}

/* Checks the reservation against the price pinned when the hold was placed or extended. */
static void check_reserved(struct audit *A, const struct subject *s, const struct holds_row *h)
{
	micros reserved = h->reserved_micros;
	bool priced = true;

	if (h->source == SOURCE_BYOK)
		reserved = 0;
	else if (h->kind == PRICE_MODEL)
		priced = model_reserved(A, s, h, &reserved);
	else if (h->price_version != 0)
		priced = action_price(A, s, h->item, h->price_version, h->quantity, &reserved);
	if (!priced)
		audit_find(A, "cost", "holds", s, h->seq, "no price of version %lld covers it",
		           (long long)h->price_version);
	else if (reserved != h->reserved_micros || reserved < 0)
		audit_find(A, "cost", "holds", s, h->seq, "reserved_micros is %lld, but its price makes %lld",
		           (long long)h->reserved_micros, (long long)reserved);
}

void audit_rows_hold(struct audit *A, struct subject *s, const struct holds_row *h)
{
	A->report->holds++;
	A->report->overdue += h->expires_at_us <= A->now_us;
	s->holds++;
	s->held += h->reserved_micros;
	take_next_number(A, s, h->seq);
	earlier(&s->holds_due_us, h->expires_at_us);
	if (h->kind != PRICE_MODEL && h->kind != PRICE_ACTION)
		audit_find(A, "hold", "holds", s, h->seq, "there is no kind %lld", (long long)h->kind);
	else
		check_reserved(A, s, h);
}

void audit_rows_packed_holds(struct audit *A, struct subject *s)
{
	const char *wrong = packed_hold_check(&s->row);
	struct packed_hold hold;

	if (wrong != NULL)
		audit_find(A, "hold", "accounts", s, 0, "%s", wrong);
	for (int at = 0; at < PACKED_HOLDS; at++)
		if (packed_hold_read(&s->row, at, &hold) == PACKED_HOLD_READ)
			audit_rows_hold(A, s, &hold.row);
	s->row.hold_1 = s->row.hold_2 = s->row.hold_3 = "";
}

static const char *usage_sense(const struct usages_row *u)
{
	if (u->kind != PRICE_MODEL && u->kind != PRICE_ACTION)
		return "there is no such kind of usage";
	if (u->source != SOURCE_PLATFORM && u->source != SOURCE_BYOK)
		return "there is no such source";
	switch (u->state) {
	case USAGE_RELEASED:
		return u->settlement == SETTLEMENT_NONE || u->outcome == SETTLE_FAILED
		               ? NULL
		               : "a released hold has no settlement";
	case USAGE_EXPIRED:
		return u->settlement == SETTLEMENT_NONE || u->settlement == SETTLEMENT_ESTIMATED
		               ? NULL
		               : "a hold that expired and was not settled since has no settlement "
		                 "but an estimate";
	case USAGE_SETTLED:
		return u->settlement > SETTLEMENT_NONE && u->settlement <= SETTLEMENT_PROVIDER_REPORTED
		               ? NULL
		               : "a settled hold says how it was settled";
	default:
		return "there is no such state of a usage";
	}
}

/* The cost that the usage must have; false when its price is not there. */
static bool usage_cost(const struct audit *A, const struct subject *s, const struct usages_row *u, micros *cost)
{
	*cost = 0;
	if (u->source == SOURCE_BYOK || u->state == USAGE_RELEASED)
		return true;
	if (u->state == USAGE_EXPIRED) {
		*cost = u->settlement == SETTLEMENT_ESTIMATED ? u->reserved_micros : 0;
		return true;
	}
	/* The provider's own cost is not kept beside what it made. */
	if (u->reported) {
		*cost = u->cost_micros;
		return true;
	}
	/* A failed request that the provider charges for is incomplete: it costs its reservation. */
	if (u->outcome == SETTLE_FAILED && !u->has_usage && !u->incomplete)
		return true;
	if (u->kind == PRICE_ACTION || !u->has_usage) {
		*cost = u->reserved_micros;
		return true;
	}
	return model_cost(A, s, u, cost);
}

static void check_cost(struct audit *A, const struct subject *s, const struct usages_row *u)
{
	micros cost, reserved;

	if (!usage_cost(A, s, u, &cost))
		audit_find(A, "cost", "usages", s, u->seq, "no price of version %lld covers it",
		           (long long)u->price_version);
	else if (cost != u->cost_micros)
		audit_find(A, "cost", "usages", s, u->seq, "cost_micros is %lld, but its price makes %lld",
		           (long long)u->cost_micros, (long long)cost);
	if (u->kind != PRICE_ACTION || u->price_version == 0)
		return;
	if (!action_price(A, s, u->item, u->price_version, u->quantity, &reserved))
		audit_find(A, "cost", "usages", s, u->seq, "no price of version %lld covers it",
		           (long long)u->price_version);
	else if (reserved != u->reserved_micros)
		audit_find(A, "cost", "usages", s, u->seq, "reserved_micros is %lld, but its price makes %lld",
		           (long long)u->reserved_micros, (long long)reserved);
}

void audit_rows_usage(struct audit *A, struct subject *s, const struct usages_row *u)
{
	const char *wrong = usage_sense(u);

	A->report->usages++;
	s->usages++;
	take_next_number(A, s, u->seq);
	/* The journal has the cost with the other sign. */
	if (u->cost_micros != INT64_MIN)
		audit_row_checksum_add(A, &s->found.usage, u->seq, ASPECT_AMOUNT, -u->cost_micros);
	if (u->recorded)
		audit_row_checksum_add_sum(A, &s->found.usage, u->seq, ASPECT_RECORD, record_of(&u->row));
	if (wrong != NULL)
		audit_find(A, "usage", "usages", s, u->seq, "%s", wrong);
	else
		check_cost(A, s, u);
}

/* ---- transactions and requests --------------------------------------------------------------- */

int audit_rows_counterpart(int64_t type)
{
	return type >= 0 && type < TRANSACTION_COUNT ? counterparts[type] : -1;
}

void audit_rows_transaction(struct audit *A, struct subject *s, const struct transactions_row *t)
{
	row_checksum *sum = &s->found.transaction;

	A->report->transactions++;
	if (audit_rows_counterpart(t->type) < 0) {
		audit_find(A, "transaction", "transactions", s, t->seq, "there is no type %lld", (long long)t->type);
		return;
	}
	audit_row_checksum_add(A, sum, t->seq, ASPECT_AMOUNT, t->amount_micros);
	audit_row_checksum_add(A, sum, t->seq, ASPECT_BEFORE, t->balance_before_micros);
	audit_row_checksum_add(A, sum, t->seq, ASPECT_AFTER, t->balance_after_micros);
	audit_row_checksum_add(A, sum, t->seq, ASPECT_COUNTERPART, audit_rows_counterpart(t->type) + 1);
	audit_row_checksum_add(A, sum, t->seq, ASPECT_TIME, t->created_at_us);
	if (t->recorded)
		audit_row_checksum_add_sum(A, sum, t->seq, ASPECT_RECORD, record_of(&t->row));
	/* A transaction that gives made the grant that it names. */
	if (t->amount_micros > 0)
		audit_row_checksum_add(A, &s->said.grant, t->grant_seq, ASPECT_TYPE, t->type + 1);
}

/* A request id that took effect must name a row of the account.  NULL, or the error. */
static const char *request_sense(const struct subject *s, const struct requests_row *q,
                                 const int64_t *transaction_micros, const int64_t *usage_micros)
{
	switch (q->command) {
	case COMMAND_AUTHORIZE:
	case COMMAND_SETTLE:
	case COMMAND_RELEASE:
	case COMMAND_EXTEND:
		return q->seq >= 1 && q->seq <= s->row.hold_seq ? NULL : "it names no hold or usage of the account";
	case COMMAND_CHARGE:
		if (usage_micros == NULL)
			return "it names no usage of the account";
		return *usage_micros == q->amount_micros ? NULL : "its amount is not the cost of the usage";
	case COMMAND_TRANSACTION:
		if (transaction_micros == NULL)
			return "it names no transaction of the account";
		return *transaction_micros == q->amount_micros ? NULL : "its amount is not that of the transaction";
	default:
		return q->command >= 0 && q->command < COMMAND_COUNT ? NULL : "there is no such command";
	}
}

void audit_rows_request(struct audit *A, struct subject *s, const struct requests_row *q,
                        const int64_t *transaction_micros, const int64_t *usage_micros)
{
	const char *wrong = request_sense(s, q, transaction_micros, usage_micros);
	char row[ID_ACCOUNT_MAX + 64];
	struct buf key;

	A->report->requests++;
	if (wrong == NULL)
		return;
	buf_init(&key, 64);
	buf_add_hex(&key, q->request_key, sizeof(q->request_key));
	(void)snprintf(row, sizeof(row), "account %s request_key %s", s->name, buf_text(&key));
	audit_find_row(A, "request", "requests", row, "%s (command %lld, seq %lld)", wrong, (long long)q->command,
	               (long long)q->seq);
	buf_free(&key);
}
