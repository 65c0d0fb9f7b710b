#include "ledger/decide/code_attempts.h"

#include <string.h>

#include "base/check.h"
#include "ledger/decide/effects.h"
#include "ledger/decide/row_check.h"

#define WINDOW_US (INT64_C(3600) * 1000000)

static struct signups_row *find_attempts(struct decide *d, struct slot *s)
{
	return (struct signups_row *)rows_find(d->rows, s, TABLE_SIGNUPS, NULL);
}

struct signups_row *code_attempts_row(struct decide *d, struct slot *s)
{
	struct signups_row *p = find_attempts(d, s);

	if (p == NULL) {
		p = (struct signups_row *)rows_alloc(d->rows, TABLE_SIGNUPS);
		memcpy(p->account_id, s->key.bytes, sizeof(p->account_id));
		rows_add(d->rows, s, &p->row);
	}
	rows_touch(d->rows, &p->row);
	row_check_signup(p);
	return p;
}

bool code_attempts_spent(struct decide *d, struct slot *s, int64_t max, struct answer *a)
{
	const struct signups_row *p = find_attempts(d, s);

	CHECK(max > 0);
	if (p == NULL || p->guesses < max || d->now_us - p->guesses_since_us >= WINDOW_US)
		return false;
	a->outcome = OUTCOME_TOO_MANY_GUESSES;
	a->resets_at_us = p->guesses_since_us + WINDOW_US;
	return true;
}

void code_attempts_count(struct decide *d, struct slot *s, const struct command *c)
{
	struct signups_row *p;

	effects_account(d, s, c);
	p = code_attempts_row(d, s);
	if (d->now_us - p->guesses_since_us >= WINDOW_US) {
		p->guesses = 0;
		p->guesses_since_us = d->now_us;
	}
	p->guesses++;
	CHECK(p->guesses > 0 && d->now_us - p->guesses_since_us < WINDOW_US);
}
