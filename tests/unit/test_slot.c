/*
 * Contradictions within an account.
 */
#include "unit.h"

#include "ledger/rows/slot.h"

/* An account with two grants, one of them spent in part, and two holds. */
struct fixture {
	struct slot slot;
	struct accounts_row account;
	struct workspaces_row workspace;
	struct grants_row grant[2];
	struct holds_row hold[2];
};

static void make(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	table_row_clear(&f->account.row, TABLE_ACCOUNTS);
	f->slot.account = &f->account;
	f->slot.grants = &f->grant[0];
	f->slot.holds = &f->hold[0];
	f->slot.grants_loaded = f->slot.holds_loaded = true;
	f->grant[0].row.next = &f->grant[1].row;
	f->grant[0].amount_micros = 100;
	f->grant[0].remaining_micros = 30;
	f->grant[1].amount_micros = f->grant[1].remaining_micros = 50;
	f->hold[0].row.next = &f->hold[1].row;
	f->hold[0].reserved_micros = 7;
	f->account.balance_micros = 80;
	f->account.held_micros = 7;
	f->account.open_holds = 2;
}

static void test_what_agrees(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	assert_null(slot_check(&f.slot));
	f.slot.account = NULL;
	assert_null(slot_check(&f.slot));
	make(&f);
	/* A hold that has ended in this batch is not there any more. */
	f.hold[0].row.change = ROW_ENDED;
	f.account.held_micros = 0;
	f.account.open_holds = 1;
	assert_null(slot_check(&f.slot));
	/* Debt: nothing remains, and the balance is below zero. */
	f.grant[0].remaining_micros = f.grant[1].remaining_micros = 0;
	f.account.balance_micros = -40;
	assert_null(slot_check(&f.slot));
	/* An allowance beside what is owed. */
	f.account.workspace = 1;
	f.slot.workspace = &f.workspace;
	f.workspace.arrears_micros = 40;
	f.grant[0].remaining_micros = 10;
	f.account.balance_micros = -30;
	assert_null(slot_check(&f.slot));
	f.workspace.arrears_micros = 0;
	assert_non_null(slot_check(&f.slot));
}

static void test_what_contradicts_itself(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	f.account.held_micros = -1;
	assert_non_null(slot_check(&f.slot));
	make(&f);
	f.account.open_holds = -1;
	assert_non_null(slot_check(&f.slot));
	make(&f);
	f.grant[0].remaining_micros = -1;
	f.grant[1].remaining_micros = 81;
	assert_non_null(slot_check(&f.slot));
	make(&f);
	f.grant[1].remaining_micros = 51;
	f.account.balance_micros = 81;
	assert_non_null(slot_check(&f.slot));
	make(&f);
	f.account.balance_micros = 79;
	assert_non_null(slot_check(&f.slot));
	f.slot.grants_loaded = false; /* others may be missing */
	assert_null(slot_check(&f.slot));
	make(&f);
	f.account.held_micros = 8;
	assert_non_null(slot_check(&f.slot));
	f.slot.holds_loaded = false;
	assert_null(slot_check(&f.slot));
	make(&f);
	f.account.open_holds = 3;
	assert_non_null(slot_check(&f.slot));
	make(&f);
	f.hold[1].reserved_micros = -1;
	f.account.held_micros = 6;
	assert_non_null(slot_check(&f.slot));
}

static void test_figures_beyond_all_amounts(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	f.grant[0].amount_micros = f.grant[0].remaining_micros = INT64_MAX;
	assert_non_null(slot_check(&f.slot));
	make(&f);
	f.hold[0].reserved_micros = INT64_MAX;
	f.hold[1].reserved_micros = 1;
	assert_non_null(slot_check(&f.slot));
	make(&f);
	f.slot.workspace = &f.workspace;
	f.account.balance_micros = f.workspace.arrears_micros = INT64_MAX;
	assert_non_null(slot_check(&f.slot));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_agrees),
		cmocka_unit_test(test_what_contradicts_itself),
		cmocka_unit_test(test_figures_beyond_all_amounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
