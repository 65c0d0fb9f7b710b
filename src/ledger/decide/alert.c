#include "ledger/decide/alert.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/due.h"
#include "ledger/decide/row_check.h"

#define ARMS_MAX (ALERT_THRESHOLDS_MAX + 1) /* the first threshold is 0: the balance is used up */
#define OWN 'o'                             /* the text begins so where the thresholds are the account's own */
#define PERCENTS '%'                        /* those of a plan's credits are behind it */
#define RECHARGE_MARK '!'                   /* behind it: the threshold of auto-recharge */
#define NUMBER_BYTES 21                     /* digits of a number, a sign, and a mark behind it */

/* A threshold, the number under which it is armed, and whether it has fired under it. */
struct arm {
	micros threshold_micros;
	int64_t number;
	bool fired;
};

struct state {
	bool own;
	int64_t seq; /* of the account's last alert */
	struct arm arms[ARMS_MAX];
	int count;
	struct arm percents[ALERT_PERCENTS_MAX]; /* a threshold is a percentage of the plan's credits */
	int percent_count;
	struct arm recharge; /* threshold 0: none; number: of the last task */
};

/* ---- the column ---------------------------------------------------------------------------------- */

/* Reads a number of up to MONEY_AMOUNT_MAX_MICROS, and moves *at behind it. */
static int64_t read_arm_number(const char **at)
{
	int64_t number = 0;

	for (; **at >= '0' && **at <= '9' && number < INT64_MAX / 10; ++*at)
		number = number * 10 + (**at - '0');
	_Static_assert(MONEY_AMOUNT_MAX_MICROS / 10 < INT64_MAX / 10, "all digits of the greatest amount are read");
	return number;
}

/* Reads ";0:1" or ",2000000:-6": a threshold with its number, which is negative once it has fired. */
static struct arm read_arm(const char **at)
{
	struct arm arm;

	++*at;
	arm.threshold_micros = read_arm_number(at);
	*at += **at == ':';
	arm.fired = **at == '-';
	*at += **at == '-';
	arm.number = read_arm_number(at);
	return arm;
}

/* Reads "7;0:1,2000000:-6%50:7!5000000:7": the last number, then the thresholds of the balance, those of a
 * plan's credits, and that of auto-recharge. */
static void read_state_text(const char *text, struct state *st)
{
	const char *at = text + (text[0] == OWN ? 1 : 0);

	*st = (struct state){.own = text[0] == OWN};
	st->seq = read_arm_number(&at);
	while (*at != '\0' && *at != PERCENTS && *at != RECHARGE_MARK && st->count < ARMS_MAX)
		st->arms[st->count++] = read_arm(&at);
	while (*at != '\0' && *at != RECHARGE_MARK && st->percent_count < ALERT_PERCENTS_MAX)
		st->percents[st->percent_count++] = read_arm(&at);
	if (*at == RECHARGE_MARK)
		st->recharge = read_arm(&at);
}

static void write_number(char *text, size_t *length, char mark, int64_t number)
{
	char digits[NUMBER_BYTES];
	size_t count = 0;

	CHECK(number >= 0);
	if (mark != '\0')
		text[(*length)++] = mark;
	do {
		CHECK(count < sizeof(digits));
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (count > 0)
		text[(*length)++] = digits[--count];
}

/* first: the mark before the first one; the others have a comma. */
static void write_arms(char *text, size_t *length, char first, const struct arm *arms, int count)
{
	for (int i = 0; i < count; i++) {
		write_number(text, length, i == 0 ? first : ',', arms[i].threshold_micros);
		if (arms[i].fired)
			text[(*length)++] = ':';
		write_number(text, length, arms[i].fired ? '-' : ':', arms[i].number);
	}
}

static void write_state(struct decide *d, struct slot *s, const struct state *st)
{
	const size_t size = (size_t)(2 * (st->count + st->percent_count) + 4) * NUMBER_BYTES;
	char *text = rows_text(d->rows, size);
	size_t length = 0;

	if (st->own)
		text[length++] = OWN;
	write_number(text, &length, '\0', st->seq);
	write_arms(text, &length, ';', st->arms, st->count);
	write_arms(text, &length, PERCENTS, st->percents, st->percent_count);
	if (st->recharge.threshold_micros > 0 || st->recharge.number > 0)
		write_arms(text, &length, RECHARGE_MARK, &st->recharge, 1);
	CHECK(length < size);
	text[length] = '\0';
	s->account->alerts = text;
	rows_touch(d->rows, &s->account->row);
}

static void arm_threshold(struct state *st, micros threshold)
{
	CHECK(st->count < ARMS_MAX && threshold >= 0);
	st->arms[st->count++] = (struct arm){.threshold_micros = threshold, .number = st->seq + 1};
}

/* Without thresholds of its own an account has the configured one, which may have changed. */
static void follow_standard(struct state *st, micros standard)
{
	const int wanted = standard > 0 ? 2 : 1;

	if (st->count == 0)
		arm_threshold(st, 0);
	if (st->own || (st->count == wanted && (wanted == 1 || st->arms[1].threshold_micros == standard)))
		return;
	st->count = 1;
	if (standard > 0)
		arm_threshold(st, standard);
}

static void read_state(const struct decide *d, const struct slot *s, struct state *st)
{
	read_state_text(s->account->alerts, st);
	follow_standard(st, s->account->unit == UNIT_MONEY ? d->billing.low_balance_micros : 0);
	CHECK(st->count > 0 && st->arms[0].threshold_micros == 0);
}

int alert_thresholds(const char *text, micros standard_micros, micros out[ALERT_THRESHOLDS_MAX], bool *standard)
{
	struct state st;

	read_state_text(text, &st);
	follow_standard(&st, standard_micros);
	for (int i = 1; i < st.count; i++)
		out[i - 1] = st.arms[i].threshold_micros;
	*standard = !st.own;
	return st.count - 1;
}

int alert_percents(const char *text, int64_t out[ALERT_PERCENTS_MAX])
{
	struct state st;

	read_state_text(text, &st);
	for (int i = 0; i < st.percent_count; i++)
		out[i] = st.percents[i].threshold_micros;
	return st.percent_count;
}

void alert_set_thresholds(struct decide *d, struct slot *s, const micros *thresholds, int count)
{
	struct state before, st;

	CHECK(count <= ALERT_THRESHOLDS_MAX);
	read_state(d, s, &before);
	st = before;
	st.own = count >= 0;
	st.count = 1;
	if (count < 0)
		follow_standard(&st, s->account->unit == UNIT_MONEY ? d->billing.low_balance_micros : 0);
	for (int i = 0; i < count; i++)
		arm_threshold(&st, thresholds[i]);
	/* A threshold that stays keeps its state. */
	for (int i = 1; i < st.count; i++)
		for (int k = 1; k < before.count; k++)
			if (before.arms[k].threshold_micros == st.arms[i].threshold_micros)
				st.arms[i] = before.arms[k];
	write_state(d, s, &st);
}

/* ---- alerts -------------------------------------------------------------------------------------- */

/* number 0: a number of its own. */
static void add_alert(struct decide *d, struct slot *s, struct state *st, const struct alert_what *what, int64_t number)
{
	struct alerts_row *row = (struct alerts_row *)rows_alloc(d->rows, TABLE_ALERTS);

	memcpy(row->account_id, s->key.bytes, sizeof(row->account_id));
	row->seq = ++st->seq;
	row->kind = what->kind;
	row->threshold_micros = what->threshold_micros;
	row->arming = number != 0 ? number : row->seq;
	row->limit_kind = what->limit;
	row->member = what->member != NULL ? what->member : "";
	row->amount_micros = what->amount_micros;
	row->balance_micros = s->account->balance_micros;
	row->created_at_us = d->now_us;
	row->days = what->days;
	row->threshold_percent = what->percent;
	row->expires_at_us = what->expires_at_us;
	row_check_alert(row);
	rows_add(d->rows, s, &row->row);
}

void alert_post(struct decide *d, struct slot *s, const struct alert_what *what)
{
	struct state st;

	CHECK(s->account != NULL);
	read_state(d, s, &st);
	add_alert(d, s, &st, what, 0);
	write_state(d, s, &st);
}

void alert_limit(struct decide *d, struct slot *s, const struct alert_what *limit, micros used, micros now_used)
{
	struct alert_what what = *limit;

	CHECK(used >= 0 && now_used >= 0);
	if (limit->threshold_micros == COMMAND_NO_LIMIT || used >= limit->threshold_micros ||
	    now_used < limit->threshold_micros)
		return;
	what.kind = ALERT_LIMIT_REACHED;
	what.amount_micros = now_used;
	alert_post(d, s, &what);
}

void alert_grant(struct decide *d, struct slot *s, const struct grants_row *g, int64_t days)
{
	const struct alert_what what = {.kind = ALERT_GRANT_EXPIRING,
	                                .amount_micros = g->remaining_micros,
	                                .days = days,
	                                .expires_at_us = g->expires_at_us};
	struct state st;

	CHECK(g->remaining_micros > 0 && g->seq > 0);
	read_state(d, s, &st);
	add_alert(d, s, &st, &what, g->seq);
	write_state(d, s, &st);
}

/* ---- the balance --------------------------------------------------------------------------------- */

static bool is_above_again(const struct arm *arm, micros balance)
{
	return balance > arm->threshold_micros + arm->threshold_micros / 5;
}

/* A threshold of 0 is crossed by a balance of 0, any other one by a balance below it. */
static bool crosses(const struct arm *arm, micros before, micros after)
{
	const micros least = arm->threshold_micros > 0 ? arm->threshold_micros : 1;

	return before >= least && after < least;
}

/* True if the arm has changed. */
static bool follow_arm(struct decide *d, struct slot *s, struct state *st, struct arm *arm,
                       const struct alert_before *b)
{
	const micros after = s->account->balance_micros;
	const bool given = s->account->grant_seq != b->grant_seq && arm->threshold_micros > 0;
	struct alert_what what = {.threshold_micros = arm->threshold_micros};
	bool changed = false;

	if (arm->fired && (given || is_above_again(arm, after) || is_above_again(arm, b->balance_micros))) {
		what.kind = ALERT_BALANCE_RECOVERED;
		if (arm->threshold_micros == 0)
			add_alert(d, s, st, &what, arm->number);
		arm->fired = false;
		arm->number = st->seq + 1;
		changed = true;
	}
	if (!arm->fired && crosses(arm, b->balance_micros, after)) {
		what.kind = arm->threshold_micros > 0 ? ALERT_BALANCE_LOW : ALERT_BALANCE_DEPLETED;
		add_alert(d, s, st, &what, arm->number);
		arm->fired = true;
		changed = true;
	}
	return changed;
}

/* Fires the threshold of auto-recharge, under the number of a new task for the worker. */
static void fire_recharge(struct decide *d, struct slot *s, struct state *st, int64_t at_us)
{
	st->recharge.fired = true;
	due_post_recharge(d, s, ++st->recharge.number, at_us > d->now_us ? at_us : d->now_us);
}

static bool is_below(const struct slot *s, const struct arm *arm)
{
	return arm->threshold_micros > 0 && s->account->balance_micros < arm->threshold_micros;
}

/* True if the arm has changed. */
static bool follow_recharge(struct decide *d, struct slot *s, struct state *st)
{
	if (st->recharge.fired || !is_below(s, &st->recharge))
		return false;
	fire_recharge(d, s, st, d->now_us);
	return true;
}

static void set_recharge(struct state *st, micros below)
{
	CHECK(below >= 0);
	st->recharge.threshold_micros = below;
	st->recharge.fired = false;
}

void alert_recharge_arm(struct decide *d, struct slot *s, micros below, int64_t at_us)
{
	struct state st;

	read_state(d, s, &st);
	set_recharge(&st, below);
	if (is_below(s, &st.recharge))
		fire_recharge(d, s, &st, at_us);
	write_state(d, s, &st);
}

void alert_recharge_rest(struct decide *d, struct slot *s, micros below)
{
	struct state st;

	read_state(d, s, &st);
	set_recharge(&st, below);
	st.recharge.fired = true;
	write_state(d, s, &st);
}

void alert_recharge_fire(struct decide *d, struct slot *s, micros below)
{
	struct state st;

	read_state(d, s, &st);
	set_recharge(&st, below);
	fire_recharge(d, s, &st, d->now_us);
	write_state(d, s, &st);
}

int64_t alert_recharge_number(const char *text)
{
	struct state st;

	read_state_text(text, &st);
	return st.recharge.fired ? st.recharge.number : 0;
}

/* The balance of a postpaid account goes below 0 every month; its limits speak for it. */
static void follow_balance(struct decide *d, struct slot *s, const struct alert_before *b)
{
	const struct accounts_row *a = s->account;
	struct state st;
	bool changed = false;

	if (a->mode == MODE_POSTPAID || (a->balance_micros == b->balance_micros && a->grant_seq == b->grant_seq))
		return;
	read_state(d, s, &st);
	for (int i = 0; i < st.count; i++)
		changed = follow_arm(d, s, &st, &st.arms[i], b) || changed;
	changed = follow_recharge(d, s, &st) || changed;
	if (changed)
		write_state(d, s, &st);
}

/* ---- a plan's credits ---------------------------------------------------------------------------- */

/* The period's credits of the plan: granted, and used of them. */
static void find_used(struct slot *s, micros *granted, micros *used)
{
	const struct workspaces_row *w = s->workspace;

	*granted = *used = 0;
	if (w == NULL || w->plan[0] == '\0')
		return;
	*granted = *used = money_sum(w->granted_micros, w->carried_micros);
	for (const struct grants_row *g = rows_grants(s); g != NULL; g = (const struct grants_row *)g->row.next)
		if (g->type == TRANSACTION_PLAN_ALLOWANCE && g->expires_at_us == w->period_end_us)
			*used = money_sum(*used, -g->remaining_micros);
	if (*used < 0)
		*used = 0;
}

static bool is_reached(const struct arm *percent, micros granted, micros used)
{
	return granted > 0 && (__int128)used * 100 >= (__int128)granted * percent->threshold_micros;
}

void alert_set_percents(struct decide *d, struct slot *s, const int64_t *percents, int count)
{
	struct state before, st;
	micros granted, used;

	CHECK(count >= 0 && count <= ALERT_PERCENTS_MAX);
	read_state(d, s, &before);
	find_used(s, &granted, &used);
	st = before;
	st.percent_count = count;
	for (int i = 0; i < count; i++) {
		struct arm *arm = &st.percents[i];

		CHECK(percents[i] > 0 && percents[i] <= 100);
		*arm = (struct arm){.threshold_micros = percents[i], .number = st.seq + 1};
		arm->fired = is_reached(arm, granted, used);
		/* One that stays keeps its state. */
		for (int k = 0; k < before.percent_count; k++)
			if (before.percents[k].threshold_micros == percents[i])
				*arm = before.percents[k];
	}
	write_state(d, s, &st);
}

/* Each is armed again with a new period, or another plan. */
static void follow_percents(struct decide *d, struct slot *s, const struct alert_before *b)
{
	const bool anew =
		s->workspace->period_start_us != b->period_start_us || strcmp(s->workspace->plan, b->plan) != 0;
	micros granted, used;
	bool changed = anew;
	struct state st;

	if (strchr(s->account->alerts, PERCENTS) == NULL || !s->grants_loaded ||
	    (!anew && s->account->balance_micros == b->balance_micros))
		return;
	read_state(d, s, &st);
	find_used(s, &granted, &used);
	for (int i = 0; i < st.percent_count; i++) {
		struct arm *arm = &st.percents[i];

		if (anew)
			*arm = (struct arm){.threshold_micros = arm->threshold_micros, .number = st.seq + 1};
		if (arm->fired || !is_reached(arm, granted, used))
			continue;
		arm->fired = changed = true;
		add_alert(d, s, &st,
		          &(struct alert_what){
				  .kind = ALERT_BALANCE_LOW, .percent = arm->threshold_micros, .amount_micros = used},
		          arm->number);
	}
	if (changed)
		write_state(d, s, &st);
}

/* ---- everything else ----------------------------------------------------------------------------- */

void alert_look(const struct slot *s, struct alert_before *before)
{
	*before = (struct alert_before){.plan = ""};
	if (s->account == NULL)
		return;
	before->status = s->account->status;
	before->grant_seq = s->account->grant_seq;
	before->balance_micros = s->account->balance_micros;
	if (s->workspace == NULL)
		return;
	before->plan = s->workspace->plan;
	before->period_start_us = s->workspace->period_start_us;
	before->soft_alert_at_us = s->workspace->soft_alert_at_us;
}

static void follow_status(struct decide *d, struct slot *s, const struct alert_before *b)
{
	static const enum alert_kind kinds[] = {
		[STATUS_ACTIVE] = ALERT_RESTORED,
		[STATUS_SUSPENDED] = ALERT_SUSPENDED,
		[STATUS_PAST_DUE] = ALERT_PAST_DUE,
		[STATUS_UNPAID] = ALERT_SUSPENDED,
	};

	if (s->account->status != b->status)
		alert_post(d, s, &(struct alert_what){.kind = kinds[s->account->status]});
}

static void follow_workspace(struct decide *d, struct slot *s, const struct alert_before *b)
{
	const struct workspaces_row *w = s->workspace;

	if (strcmp(w->plan, b->plan) != 0)
		alert_post(d, s, &(struct alert_what){.kind = ALERT_PLAN_CHANGED});
	else if (w->plan[0] != '\0' && w->period_start_us > b->period_start_us)
		alert_post(d, s, &(struct alert_what){.kind = ALERT_PLAN_RENEWED, .amount_micros = w->granted_micros});
	if (w->soft_alert_at_us != 0 && w->soft_alert_at_us != b->soft_alert_at_us)
		alert_post(d, s,
		           &(struct alert_what){.kind = ALERT_SOFT_LIMIT,
		                                .threshold_micros = s->account->soft_limit_micros});
}

void alert_follow(struct decide *d, struct slot *s, const struct alert_before *before)
{
	if (s->account == NULL)
		return;
	follow_balance(d, s, before);
	follow_status(d, s, before);
	if (s->workspace == NULL)
		return;
	follow_workspace(d, s, before);
	follow_percents(d, s, before);
}
