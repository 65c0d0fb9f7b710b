#include "unit.h"

#include "reports/diagnosis.h"

static const struct wording english = {.currency = "EUR", .french = false};
static const struct wording french = {.currency = "USD", .french = true};

static struct diagnosis_facts facts(void)
{
	return (struct diagnosis_facts){
		.item = "",
		.card_code = "",
		.invoice_url = "",
		.typical_micros = 1,
		.daily_limit_micros = COMMAND_NO_LIMIT,
		.monthly_limit_micros = COMMAND_NO_LIMIT,
	};
}

/* ---- every combination ------------------------------------------------------------------------------ */

/* The expected diagnosis, found in another way: by asking who is to act. */
static enum diagnosis_case expected(const struct diagnosis_facts *f)
{
	switch (f->status) {
	case STATUS_SUSPENDED:
		return DIAGNOSIS_SUSPENDED;
	case STATUS_PAST_DUE:
	case STATUS_UNPAID:
		if (f->member_removed)
			return DIAGNOSIS_MEMBER_REMOVED;
		return f->overdue_micros > 0 ? DIAGNOSIS_PAYMENT_TAKEN_BACK : DIAGNOSIS_CARD_PROBLEM;
	case STATUS_ACTIVE:
		break;
	}
	if (f->member_removed)
		return DIAGNOSIS_MEMBER_REMOVED;
	switch (f->limit) {
	case LIMIT_HARD:
		return DIAGNOSIS_HARD_LIMIT_REACHED;
	case LIMIT_MEMBER:
		return DIAGNOSIS_MEMBER_LIMIT_REACHED;
	case LIMIT_DAILY:
		return f->of_member ? DIAGNOSIS_MEMBER_DAILY_LIMIT_REACHED : DIAGNOSIS_DAILY_LIMIT_REACHED;
	case LIMIT_MONTHLY:
		return f->of_member ? DIAGNOSIS_MEMBER_MONTHLY_LIMIT_REACHED : DIAGNOSIS_MONTHLY_LIMIT_REACHED;
	case LIMIT_BALANCE:
		return f->on_plan ? DIAGNOSIS_ALLOWANCE_USED_UP : DIAGNOSIS_PREPAID_USED_UP;
	case LIMIT_NONE:
	case LIMIT_SUSPENDED:
		break;
	}
	if (f->balance_micros >= 0)
		return DIAGNOSIS_NOTHING_WRONG;
	return f->mode == MODE_POSTPAID ? DIAGNOSIS_POSTPAID_NORMAL : DIAGNOSIS_PREPAID_USED_UP;
}

static void visit_all(void (*visit)(const struct diagnosis_facts *f, int *seen), int *seen)
{
	static const micros balances[] = {INT64_MIN / 2, -1, 0, 1, INT64_MAX / 2};
	struct diagnosis_facts f = facts();

	for (int mode = MODE_PREPAID; mode <= MODE_POSTPAID; mode++)
		for (int status = STATUS_ACTIVE; status <= STATUS_UNPAID; status++)
			for (int limit = LIMIT_NONE; limit <= LIMIT_SUSPENDED; limit++)
				for (int card = CARD_UNKNOWN; card <= CARD_EXPIRED; card++)
					for (size_t b = 0; b < sizeof(balances) / sizeof(balances[0]); b++)
						for (int bits = 0; bits < 32; bits++) {
							f.mode = (enum account_mode)mode;
							f.status = (enum account_status)status;
							f.limit = (enum limit_kind)limit;
							f.card = (enum diagnosis_card)card;
							f.balance_micros = balances[b];
							f.on_plan = (bits & 1) != 0;
							f.of_member = (bits & 2) != 0;
							f.unpaid_micros = (bits & 4) != 0 ? 1 : 0;
							f.member_removed = (bits & 8) != 0;
							f.overdue_micros = (bits & 16) != 0 ? 1 : 0;
							visit(&f, seen);
						}
}

static void decide(const struct diagnosis_facts *f, int *seen)
{
	const enum diagnosis_case what = diagnosis_case(f);

	if (what != expected(f))
		fail_msg("%s instead of %s", diagnosis_name(what), diagnosis_name(expected(f)));
	seen[what]++;
}

static void test_each_combination_is_one_case(void **state)
{
	int seen[DIAGNOSIS_CASES] = {0};

	(void)state;
	visit_all(decide, seen);
	for (int i = 0; i < DIAGNOSIS_CASES; i++)
		assert_true(seen[i] > 0);
}

/* Every text of every combination can be written, says something, and leaves no brace. */
static void say_all(const struct diagnosis_facts *f, int *seen)
{
	const enum diagnosis_case what = diagnosis_case(f);
	const struct wording *const languages[] = {&english, &french};

	for (int l = 0; l < 2; l++) {
		struct diagnosis_step step;
		struct buf texts[4];
		int shown = 0;

		for (int t = 0; t < 4; t++)
			buf_init(&texts[t], DIAGNOSIS_TEXT_MAX);
		diagnosis_title(what, f, languages[l], &texts[0]);
		diagnosis_explain(what, f, languages[l], &texts[1]);
		diagnosis_advise(what, f, languages[l], &texts[2]);
		for (int i = 0; i < diagnosis_steps(); i++) {
			buf_reset(&texts[3]);
			if (!diagnosis_step(i, what, f, languages[l], &step, &texts[3]))
				continue;
			shown++;
			assert_true(buf_ok(&texts[3]) && texts[3].length > 0);
			assert_null(strpbrk(buf_text(&texts[3]), "{}"));
		}
		assert_true(shown >= 5);
		for (int t = 0; t < 3; t++) {
			assert_true(buf_ok(&texts[t]) && texts[t].length > 0);
			assert_null(strpbrk(buf_text(&texts[t]), "{}"));
		}
		for (int t = 0; t < 4; t++)
			buf_free(&texts[t]);
	}
	seen[what]++;
}

static void test_everything_can_be_said(void **state)
{
	int seen[DIAGNOSIS_CASES] = {0};

	(void)state;
	visit_all(say_all, seen);
}

/* ---- words ------------------------------------------------------------------------------------------- */

static void expect(void (*say)(enum diagnosis_case what, const struct diagnosis_facts *f, const struct wording *w,
                               struct buf *out),
                   const struct diagnosis_facts *f, const struct wording *w, const char *text)
{
	struct buf out;

	buf_init(&out, DIAGNOSIS_TEXT_MAX);
	say(diagnosis_case(f), f, w, &out);
	assert_string_equal(buf_text(&out), text);
	buf_free(&out);
}

static void test_the_seed_s_example(void **state)
{
	struct diagnosis_facts f = facts();

	(void)state;
	f.mode = MODE_POSTPAID;
	f.balance_micros = -15300000;
	f.hard_limit_micros = 40000000;
	f.available_micros = 24700000;
	f.statement_at_us = INT64_C(1796083200000000);
	expect(diagnosis_title, &f, &french, "Un solde négatif est normal ici");
	expect(diagnosis_explain, &f, &french,
	       "Le compte est en paiement à l'usage : ce qui est utilisé pendant le mois rend le solde négatif (-15,30 $), "
	       "et la carte est prélevée à la fin du mois (01/12/2026 à 00:00 UTC). Les requêtes passent jusqu'à la hard "
	       "limit de 40,00 $.");
	expect(diagnosis_advise, &f, &french, "Pas d'action nécessaire.");
	f.limit = LIMIT_HARD;
	f.limit_micros = 40000000;
	f.limit_used_micros = 45000000;
	f.item = "gpt-4o";
	f.typical_micros = 20660;
	expect(diagnosis_explain, &f, &english,
	       "45.00€ of the hard limit of 40.00€ are used or reserved: what is left does not pay for a request (gpt-4o: "
	       "0.02066 EUR). The negative balance itself is normal.");
	f.unit = UNIT_CREDIT;
	f.item = "debrief";
	f.typical_micros = 1000000;
	expect(diagnosis_explain, &f, &french,
	       "45 crédits de la hard limit de 40 crédits sont utilisés ou réservés : le reste ne suffit pas à une requête "
	       "(debrief: 1,00 crédits). Le solde négatif lui-même est normal.");
}

/* A new account has used nothing, so no request is typical for it. */
static void test_balance_of_a_new_account(void **state)
{
	struct diagnosis_facts f = facts();

	(void)state;
	f.limit = LIMIT_BALANCE;
	expect(diagnosis_explain, &f, &english,
	       "The balance is 0.00€, and does not pay for another request. A balance below zero is a debt, which the "
	       "next top-up pays first.");
	expect(diagnosis_explain, &f, &french,
	       "Le solde est de 0,00 $ et ne suffit pas à une autre requête. Un solde sous zéro est une dette, que la "
	       "prochaine recharge paie d'abord.");
	f.item = "gpt-4o";
	f.typical_micros = 20660;
	f.balance_micros = 10000;
	expect(diagnosis_explain, &f, &english,
	       "The balance is 0.01€, and does not pay for another request (gpt-4o: 0.02066 EUR). A balance below zero "
	       "is a debt, which the next top-up pays first.");
}

static void test_what_is_owed(void **state)
{
	struct diagnosis_facts f = facts();

	(void)state;
	f.mode = MODE_POSTPAID;
	f.status = STATUS_UNPAID;
	f.balance_micros = -50000000;
	f.card = CARD_EXPIRED;
	f.card_code = "expired_card";
	f.invoice_url = "https://invoice.example/1";
	expect(diagnosis_explain, &f, &english,
	       "50.00€ could not be charged (expired_card). The account is past due, and suspended if it stays so.");
	f.unpaid_micros = 45000000;
	expect(diagnosis_advise, &f, &english, "Update the payment method and pay 45.00€.");
	assert_string_equal(diagnosis_action(DIAGNOSIS_CARD_PROBLEM, &f, "https://top.up").url, f.invoice_url);
	assert_string_equal(diagnosis_action(DIAGNOSIS_PREPAID_USED_UP, &f, "https://top.up").url, "https://top.up");
	assert_string_equal(diagnosis_action(DIAGNOSIS_SUSPENDED, &f, "https://top.up").url, "");
}

/* ---- the checklist --------------------------------------------------------------------------------- */

static void expect_steps(const struct diagnosis_facts *f, const char *wanted)
{
	const char *const marks[] = {[STEP_OPEN] = " ", [STEP_DONE] = "x", [STEP_UNKNOWN] = "?"};
	struct buf text, list;
	struct diagnosis_step step;

	buf_init(&list, 2048);
	buf_init(&text, DIAGNOSIS_TEXT_MAX);
	for (int i = 0; i < diagnosis_steps(); i++)
		if (diagnosis_step(i, diagnosis_case(f), f, &english, &step, &text))
			buf_printf(&list, "[%s] %s\n", marks[step.done], step.name);
	assert_string_equal(buf_text(&list), wanted);
	buf_free(&text);
	buf_free(&list);
}

static void test_checklists(void **state)
{
	struct diagnosis_facts f = facts();

	(void)state;
	f.mode = MODE_POSTPAID;
	f.balance_micros = -1;
	f.statement_at_us = 1;
	f.card = CARD_VALID;
	expect_steps(&f, "[x] balance\n[x] used_this_month\n[x] hard_limit\n[x] card_valid\n[x] pay_as_you_go\n"
	                 "[x] negative_is_normal\n[x] may_go_on\n[x] charged_at_month_end\n[x] nothing_to_do\n"
	                 "[x] guard_lets_through\n[?] application_works\n");
	f.status = STATUS_UNPAID;
	f.limit = LIMIT_SUSPENDED;
	f.card = CARD_DECLINED;
	f.unpaid_micros = 1;
	expect_steps(&f, "[x] balance\n[x] used_this_month\n[x] hard_limit\n[ ] card_valid\n[?] card_updated\n"
	                 "[ ] debt_paid\n[ ] account_restored\n[ ] guard_lets_through\n[?] application_works\n");
	f.status = STATUS_ACTIVE;
	f.limit = LIMIT_HARD;
	f.card = CARD_NONE;
	expect_steps(&f, "[x] balance\n[x] used_this_month\n[x] hard_limit\n[ ] card_valid\n[ ] hard_limit_raised\n"
	                 "[ ] guard_lets_through\n[?] application_works\n");
	f.mode = MODE_PREPAID;
	f.limit = LIMIT_BALANCE;
	expect_steps(&f, "[x] balance\n[x] used_this_month\n[?] card_valid\n[ ] debt_settled\n[ ] credits_bought\n"
	                 "[ ] or_pay_as_you_go\n[ ] guard_lets_through\n[?] application_works\n");
	f.balance_micros = 0;
	f.on_plan = true;
	expect_steps(&f, "[x] balance\n[x] used_this_month\n[?] card_valid\n[ ] credits_bought\n[ ] or_next_period\n"
	                 "[ ] guard_lets_through\n[?] application_works\n");
	f.limit = LIMIT_MEMBER;
	expect_steps(&f, "[x] balance\n[x] used_this_month\n[?] card_valid\n[ ] limit_raised\n[ ] or_limit_renewed\n"
	                 "[ ] guard_lets_through\n[?] application_works\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_combination_is_one_case),
		cmocka_unit_test(test_everything_can_be_said),
		cmocka_unit_test(test_the_seed_s_example),
		cmocka_unit_test(test_balance_of_a_new_account),
		cmocka_unit_test(test_what_is_owed),
		cmocka_unit_test(test_checklists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
