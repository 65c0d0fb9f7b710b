#include "scene.h"

#include "../unit/unit.h"

/*
 * Statements: what a month came to, and what becomes of it.  10000 micros are a cent; a credit account's credit is one.
 * Statements begin at 50 cents, and three days after the first refusal an account that does not pay is suspended.
 */

static const struct scene_rules billing = {.statement_min = 50, .grace_days = 3};
static const struct scene_rules strict = {.statement_min = 50, .grace_days = 0};

#define DAY "86400"
#define OWES(cents) "take a " #cents "0000 -> OK"

static void test_months(void **state)
{
	static const char *const lines[] = {
		"at 2026-01-20T10:00:00Z",
		"account a mode=postpaid hard=100000000 -> OK",
		"take a 12345678 -> OK balance=-12345678",
		"at 2026-01-31T23:59:59Z",
		"touch a -> OK",
		"see a statements= outbox=0",
		"at 2026-02-01T00:00:00Z",
		"touch a -> OK balance=-12345678",
		"see a statements=open:1234 outbox=1 stated=12340000",
		/* A stated debt is not stated again; the rest of a cent waits. */
		"at 2026-03-01T00:00:00Z",
		"touch a -> OK",
		"see a statements=open:1234 outbox=1",
		"take a 1000000 -> OK",
		/* A month of which nobody heard is stated at its own end, what came later is not in it. */
		"at 2026-05-10T00:00:00Z",
		"take a 2000000 -> OK",
		"see a statements=open:1234,open:100 outbox=2 stated=13340000",
		"at 2026-06-01T00:00:00Z",
		"touch a -> OK",
		"see a statements=open:1234,open:100,open:200 stated=15340000",
		/* Prepaid again: no month ends any more. */
		"account a mode=prepaid -> OK",
		"take a 5000000 -> OK",
		"at 2026-08-01T00:00:00Z",
		"touch a -> OK",
		"see a statements=open:1234,open:100,open:200",
	};

	(void)state;
	PLAY(&billing, lines);
}

static void test_small_amounts(void **state)
{
	static const char *const lines[] = {
		"at 2026-01-20T10:00:00Z",
		"account a mode=postpaid hard=100000000 -> OK",
		OWES(49),
		"at 2026-02-01T00:00:00Z",
		"touch a -> OK",
		"see a statements=carried:49 outbox=0 stated=0",
		"statement a -> OK seq=0 minor=0",
		"statement_begin a 1 -> OK state=5",
		OWES(1),
		"at 2026-03-01T00:00:00Z",
		"touch a -> OK",
		"see a statements=carried:49,open:50 outbox=1 stated=500000",
		/* Less than a cent is nothing. */
		"account b mode=postpaid hard=100000000 -> OK",
		"take b 9999 -> OK",
		"at 2026-04-01T00:00:00Z",
		"touch b -> OK",
		"see b statements= outbox=0",
	};

	(void)state;
	PLAY(&billing, lines);
}

static void test_credits(void **state)
{
	static const char *const lines[] = {
		"at 2026-01-20T10:00:00Z",
		"account a mode=postpaid unit=credit hard=100000000000 -> OK",
		"take a 1234567890 -> OK",
		"statement a -> OK seq=1 minor=1234 amount=1234000000",
		"statement_note a 1 invoice=in_1 -> OK state=1",
		"statement_paid a 1 invoice=in_1 minor=1234 -> OK state=3 credited=1 balance=-567890",
	};

	(void)state;
	PLAY(&billing, lines);
}

static void test_charged_once(void **state)
{
	static const char *const lines[] = {
		"statement_begin a 1 -> NOT_FOUND",
		"statement_note a 1 -> NOT_FOUND",
		"statement_paid a 1 invoice=in_1 minor=1500 -> OK event=parked credited=0",
		"statement a -> OK seq=0",
		OWES(1500),
		"statement a -> OK seq=1 minor=1500 amount=15000000 state=0 balance=-15000000",
		"statement a -> OK seq=0 balance=-15000000",
		"statement_begin a 2 -> NOT_FOUND",
		"statement_begin a 1 key=k1 -> OK minor=1500 state=0 stale=0",
		"statement_begin a 1 key=k2 -> OK minor=1500 state=0",
		"see a key=k1 customer=",
		"statement_note a 1 customer=cus_1 -> OK state=0",
		"statement_note a 1 customer=cus_2 -> OK",
		"see a customer=cus_1",
		"statement_note a 1 customer=cus_2 gone=cus_1 -> OK",
		"see a customer=cus_2",
		/* The first invoice stands. */
		"statement_note a 1 invoice=in_1 -> OK state=1",
		"statement_note a 1 invoice=in_2 -> OK state=1",
		"statement_begin a 1 -> OK minor=1500 state=1 stale=0",
		"statement_paid a 1 invoice=in_2 minor=1500 -> OK event=parked",
		"statement_paid a 1 invoice=in_1 minor=1499 -> OK event=parked",
		"statement_paid a 1 invoice=in_1 minor=1500 currency=usd -> OK event=parked",
		"statement_paid a 1 invoice=in_1 minor=1500 live -> OK event=parked",
		"see a balance=-15000000 statements=sent:1500",
		"statement_paid a 1 invoice=in_1 minor=1500 -> OK event=applied credited=1 state=3 balance=0",
		"statement_paid a 1 invoice=in_1 minor=1500 -> OK event=ignored credited=0 state=3 balance=0",
		"statement_note a 1 failure=late -> OK event=ignored state=3",
		"statement_begin a 1 -> OK state=3",
		"see a statements=paid:1500 stated=0 status=0 transactions=2",
	};

	(void)state;
	PLAY(&billing, lines);
}

static void test_paid_otherwise(void **state)
{
	static const char *const lines[] = {
		OWES(1000),
		"statement a -> OK seq=1 minor=1000",
		OWES(500),
		"statement a -> OK seq=2 minor=500",
		/* Incoming money pays the statement that is looked at first. */
		"give a 2000000 -> OK",
		"statement_begin a 1 -> OK minor=800 amount=8000000 state=0",
		"statement_begin a 1 -> OK minor=800 state=0",
		"statement_begin a 2 -> OK minor=500 state=0",
		"see a statements=open:800,open:500 stated=13000000",
		"give a 7700000 -> OK",
		"statement_begin a 1 -> OK state=5",
		"see a statements=carried:30,open:500 stated=5000000",
		"give a 5300000 -> OK balance=0",
		"statement_begin a 2 -> OK state=4",
		"see a stated=0",
		/* A void one that is paid nevertheless is a person's business. */
		"statement_paid a 2 minor=500 -> OK event=parked",
		/* An invoice keeps its amount until it is void. */
		OWES(1000),
		"statement a -> OK seq=3 minor=1000",
		"statement_note a 3 invoice=in_3 -> OK state=1",
		"give a 4000000 -> OK",
		"statement_begin a 3 -> OK minor=1000 state=1 stale=1",
		"statement_note a 3 invoice=in_other voided -> OK state=1",
		"statement_begin a 3 -> OK minor=1000 stale=1",
		"statement_note a 3 invoice=in_3 voided -> OK state=0",
		"statement_begin a 3 -> OK minor=600 state=0 stale=0",
		"statement_note a 3 invoice=in_4 -> OK state=1",
		/* Paid twice, by a top-up and on the invoice's page: the rest is credit. */
		"give a 6000000 -> OK balance=0",
		"statement_paid a 3 invoice=in_4 minor=600 -> OK credited=1 balance=6000000",
		"see a stated=0",
	};

	(void)state;
	PLAY(&billing, lines);
}

static void test_declined(void **state)
{
	static const char *const lines[] = {
		OWES(1000),
		"statement a -> OK seq=1",
		"statement_note a 1 invoice=in_1 -> OK",
		"statement_note a 1 failure=card_declined -> OK event=applied state=2",
		"see a status=2 statements=failed:1000 failures=1 alerts=payment_failed,past_due",
		/* Two hear of one attempt. */
		"statement_note a 1 failure=card_declined -> OK event=ignored state=2",
		"see a statements=failed:1000 failures=1",
		"pass " DAY,
		"statement_note a 1 failure=expired_card attempt=1 -> OK event=applied",
		"see a status=2 statements=failed:1000 failures=2 due=172800",
		OWES(200),
		"statement a -> OK seq=2",
		"statement_note a 2 invoice=in_2 -> OK",
		"statement_note a 2 failure=card_declined -> OK",
		"pass 172799",
		"touch a -> OK",
		"see a status=2",
		"authorize a gpt in=1 out=1 byok=openai ttl=900000 -> OK seq=1",
		"pass 1",
		"touch a -> OK",
		"see a status=3 alerts=payment_failed,past_due,payment_failed,payment_failed,suspended",
		"authorize a gpt in=1 out=1 -> ACCOUNT_SUSPENDED kind=suspended",
		"extend a 1 ttl=60 -> ACCOUNT_SUSPENDED kind=suspended",
		/* Not while another one is not paid. */
		"statement_paid a 1 invoice=in_1 minor=1000 -> OK credited=1",
		"see a status=3 statements=paid:1000,failed:200 failures=2,1",
		/* One that nobody owes any more is no reason either. */
		"give a 3000000 -> OK",
		"statement_begin a 2 -> OK stale=1 state=2",
		"statement_note a 2 invoice=in_2 voided -> OK state=2",
		"see a status=3",
		"statement_begin a 2 -> OK state=4",
		"see a status=0 stated=0",
		"authorize a gpt in=1 out=1 -> OK",
	};

	(void)state;
	PLAY(&billing, lines);
}

static void test_suspended_by_a_person(void **state)
{
	static const char *const lines[] = {
		OWES(1000),
		"statement a -> OK seq=1",
		"statement_note a 1 invoice=in_1 -> OK",
		"statement_note a 1 failure=card_declined -> OK",
		"account a status=suspended -> OK",
		"pass 300000",
		"touch a -> OK",
		"see a status=1",
		"statement_paid a 1 invoice=in_1 minor=1000 -> OK credited=1",
		"see a status=1",
		"account a status=active -> OK",
		/* One that was suspended before is not past due as well. */
		OWES(1000),
		"statement a -> OK seq=2",
		"account a status=suspended -> OK",
		"statement_note a 2 failure=card_declined -> OK state=2",
		"see a status=1",
		"pass 300000",
		"touch a -> OK",
		"see a status=1",
	};

	(void)state;
	PLAY(&billing, lines);
}

static void test_without_grace(void **state)
{
	static const char *const lines[] = {
		OWES(1000),
		"statement a -> OK seq=1",
		"statement_note a 1 failure=card_declined -> OK",
		"see a status=3",
	};

	(void)state;
	PLAY(&strict, lines);
}

static void test_soft_limit(void **state)
{
	static const char *const lines[] = {
		"at 2026-01-20T10:00:00Z",
		"account a mode=postpaid hard=100000000 soft=5000000 -> OK",
		"take a 5000000 -> OK",
		"see a outbox=0",
		"take a 1 -> OK",
		"see a outbox=1",
		"take a 1000000 -> OK",
		"see a outbox=1",
		"see a alerts=soft_limit:5000000",
		"give a 2000000 -> OK",
		"take a 500000 -> OK balance=-4500001",
		"see a outbox=1",
		"charge a debrief -> OK",
		"take a 500000 -> OK",
		"see a outbox=2",
		/* Above and below again within two movements. */
		"give a 3000000 -> OK",
		"take a 3000000 -> OK",
		"see a outbox=3",
		/* A limit that is lowered below what is owed is told with the next movement, none is never. */
		"account a soft=1000000 -> OK",
		"take a 1 -> OK",
		"see a outbox=3",
		"account b mode=postpaid hard=100000000 -> OK",
		"take b 9000000 -> OK",
		"see b outbox=0",
		"account b soft=1000000 -> OK",
		"take b 1 -> OK",
		"see b outbox=1",
	};

	(void)state;
	PLAY(&billing, lines);
}

/* A paid statement is refunded and disputed: it is owed again, but nobody is charged for it without asking. */
static void test_taken_back(void **state)
{
	static const char *const lines[] = {
		OWES(1000),
		"statement a -> OK seq=1",
		"statement_note a 1 invoice=in_1 -> OK",
		"statement_paid a 1 invoice=in_1 minor=1000 pi=p1 event=p1 -> OK event=applied credited=1 balance=0",
		"statement_paid a 1 invoice=in_1 minor=1000 pi=p1 event=p2 -> OK event=ignored credited=0",
		"refund a 1 statement id=r1 amount=400 pi=p1 event=e1 -> OK event=applied balance=-4000000",
		"see a status=2 overdue=4000000 due=259200",
		"refund a 1 statement id=r1 amount=400 pi=p1 event=e1 -> OK replayed=1 balance=-4000000",
		"refund a 1 statement id=r1 amount=400 pi=p1 event=e2 -> OK balance=-4000000",
		"refund a 1 statement amount=400 pi=p1 event=e3 -> OK balance=-4000000",
		"dispute a 1 statement id=d1 amount=600 withdrawn pi=p1 event=e4 -> OK balance=-10000000",
		"see a overdue=10000000",
		/* The reopened debt is in no statement by itself. */
		"statement_begin a 1 -> OK state=3",
		"pass 259200",
		"touch a -> OK",
		"see a status=3",
		"authorize a gpt in=1 out=1 -> ACCOUNT_SUSPENDED kind=suspended",
		"dispute a 1 statement id=d1 amount=600 reinstated pi=p1 event=e5 -> OK balance=-4000000",
		"see a status=3 overdue=4000000",
		"refund a 1 statement id=r1 amount=400 failed pi=p1 event=e6 -> OK balance=0",
		"see a status=0 overdue=0",
		/* Refunds that do not fit this statement. */
		"refund a 1 id=x1 amount=1 pi=p1 event=x1 -> OK event=parked",
		"refund a 2 statement id=x2 amount=1 event=x2 -> OK event=parked",
		"refund a 1 statement id=x3 amount=1 currency=usd pi=p1 event=x3 -> OK event=parked",
		"refund a 1 statement id=x4 amount=1 live pi=p1 event=x4 -> OK event=parked",
		"topup a 100 -> OK seq=1",
		"refund a 1 id=r1 amount=400 event=x5 -> OK event=parked",
		"payment a 1 amount=100 pi=p1 event=x6 -> OK event=parked credited=0",
		/* A little joins the next statement. */
		"refund a 1 statement id=r2 amount=49 pi=p1 -> OK balance=-490000",
		"see a status=0 overdue=0",
		"refund a 1 statement id=r2 amount=49 failed pi=p1 -> OK balance=0",
		/* Facts that were there before it was paid are met with it. */
		OWES(500),
		"statement a -> OK seq=2 minor=500",
		"statement_note a 2 invoice=in_2 -> OK",
		"statement_note a 2 invoice=in_3 pi=p2 event=y1 -> OK event=parked",
		"statement_note a 2 invoice=in_2 pi=p1 event=y2 -> OK event=parked",
		"statement_note a 2 invoice=in_2 live pi=p2 event=y3 -> OK event=parked",
		"statement_note a 2 invoice=in_2 pi=p2 event=y4 -> OK event=applied",
		"statement_note a 2 invoice=in_2 pi=p2 event=y5 -> OK event=ignored",
		"refund a 2 statement id=r3 amount=200 pi=p2 -> OK balance=-5000000",
		"statement_paid a 2 invoice=in_2 minor=500 -> OK credited=1 balance=-2000000",
		"see a status=2 overdue=2000000 stated=0",
		/* An excess payment goes first, and is no debt. */
		"give a 2000000 -> OK balance=0",
		"see a status=0 overdue=0",
	};

	(void)state;
	PLAY(&billing, lines);
}

static void test_paid_again(void **state)
{
	static const char *const lines[] = {
		"at 2026-01-20T10:00:00Z",
		"account a mode=postpaid hard=100000000 -> OK",
		OWES(1000),
		"statement a -> OK seq=1",
		"statement_note a 1 invoice=in_1 -> OK",
		"statement_paid a 1 invoice=in_1 minor=1000 pi=p1 -> OK credited=1 balance=0",
		"dispute a 1 statement id=d1 amount=1000 withdrawn pi=p1 -> OK balance=-10000000",
		OWES(300),
		/* The month states what was used since, and paying that pays nothing else. */
		"at 2026-02-01T00:00:00Z",
		"touch a -> OK",
		"see a statements=paid:1000,open:300 overdue=10000000 stated=3000000 status=3",
		"statement_begin a 2 -> OK minor=300 stale=0",
		"statement_note a 2 invoice=in_2 -> OK",
		"statement_paid a 2 invoice=in_2 minor=300 -> OK credited=1 balance=-10000000",
		"see a overdue=10000000 status=3",
		/* A top-up pays it first. */
		"take a 1000000 -> OK",
		"topup a 600 money=6000000 -> OK",
		"payment a 1 amount=600 pi=p3 -> OK credited=1 balance=-5000000",
		"see a overdue=4000000 status=3",
		/* Asked for, it is stated with everything else, and past due until that is paid. */
		"statement a -> OK seq=3 minor=500 state=2",
		"see a overdue=0 stated=5000000 status=3 failures=0,0,0",
		"statement_begin a 3 -> OK minor=500 state=2",
		"statement_note a 3 invoice=in_3 -> OK state=2",
		"statement_note a 3 failure=card_declined -> OK event=applied",
		"see a status=3 failures=0,0,1",
		"statement_paid a 3 invoice=in_3 minor=500 -> OK credited=1 balance=0",
		"see a status=0 overdue=0 stated=0",
		/* Won after it was paid again: the rest is credit. */
		"dispute a 1 statement id=d1 amount=1000 reinstated pi=p1 -> OK balance=10000000",
		"see a status=0 overdue=0",
	};

	(void)state;
	PLAY(&billing, lines);
}

/* The debt at the end of a month or a period is charged; a new allowance does not pay it. */
static void test_allowances_pay_no_arrears(void **state)
{
	static const char *const lines[] = {
		"plan team pool=10000000 unit=credit",
		"at 2026-01-20T10:00:00Z",
		"account a mode=postpaid unit=credit hard=1000000000 plan=team -> OK balance=10000000",
		"take a 90000000 -> OK balance=-80000000",
		"at 2026-02-01T00:00:00Z",
		"touch a -> OK balance=-70000000",
		"see a grants=0,10000000 statements=open:80 stated=80000000 arrears=80000000",
		"statement_begin a 1 -> OK minor=80 state=0",
		/* The period's use is the allowance's. */
		"take a 4000000 -> OK balance=-74000000",
		"see a grants=0,6000000 arrears=80000000",
		"statement_begin a 1 -> OK minor=80 state=0",
		"statement_note a 1 invoice=in_1 -> OK",
		"statement_paid a 1 invoice=in_1 minor=80 -> OK credited=1 balance=6000000",
		"see a grants=0,6000000,0 arrears=0 stated=0",
		"take a 60000000 -> OK balance=-54000000",
		/* Within the period what was used in it may be paid by what is added to it; not what was stated. */
		"at 2026-02-20T00:00:00Z",
		"statement a -> OK seq=2 minor=54",
		"take a 20000000 -> OK balance=-74000000",
		"plan huge pool=25000000 unit=credit",
		"account a plan=huge -> OK balance=-59000000",
		"see a arrears=54000000 stated=54000000",
		/* A customer who pays otherwise owes less. */
		"give a 58000000 -> OK balance=-1000000",
		"statement_begin a 2 -> OK state=5",
		"see a arrears=1000000 stated=0",
	};
	static const char *const others[] = {
		/* The month and the period end at different times. */
		"plan team pool=10000000 unit=credit",
		"at 2026-01-15T00:00:00Z",
		"account a unit=credit -> OK",
		"account a mode=postpaid hard=1000000000 -> OK",
		"subscription a s plan=team anchor=2026-01-15T00:00:00Z start=2026-01-15T00:00:00Z at=1 -> OK",
		"period a s inv=i1 plan=team start=2026-01-15T00:00:00Z end=2026-02-15T00:00:00Z -> OK",
		"take a 80000000 -> OK balance=-70000000",
		"at 2026-02-01T00:00:00Z",
		"touch a -> OK",
		"see a statements=open:70",
		"take a 5000000 -> OK",
		"at 2026-02-15T00:00:00Z",
		"period a s inv=i2 plan=team start=2026-02-15T00:00:00Z end=2026-03-15T00:00:00Z -> OK balance=-65000000",
		"see a grants=0,10000000 arrears=75000000",
		"statement_begin a 1 -> OK minor=70",
		"at 2026-03-01T00:00:00Z",
		"touch a -> OK",
		"see a statements=open:70,carried:5",
		/* A prepaid account's debt is charged to nobody: its allowance pays it. */
		"account b unit=credit plan=team -> OK balance=10000000",
		"take b 15000000 -> OK balance=-5000000",
		"at 2026-04-01T00:00:00Z",
		"touch b -> OK balance=5000000",
		"see b grants=0,5000000 arrears=0",
		/* Additions to a period do not pay what was taken back in it. */
		"plan more pool=30000000 unit=credit",
		"account c mode=postpaid unit=credit hard=1000000000 plan=team -> OK balance=10000000",
		"take c 60000000 -> OK balance=-50000000",
		"statement c -> OK seq=1 minor=50",
		"statement_note c 1 invoice=in_1 -> OK",
		"statement_paid c 1 invoice=in_1 minor=50 pi=p1 -> OK credited=1 balance=0",
		"refund c 1 statement id=r1 amount=50 pi=p1 -> OK balance=-50000000",
		"see c overdue=50000000 arrears=50000000 status=2",
		"take c 15000000 -> OK balance=-65000000",
		"account c plan=more -> OK balance=-45000000",
		"see c grants=0,0,5000000 overdue=50000000 arrears=50000000 status=2",
		"refund c 1 statement id=r1 amount=50 failed pi=p1 -> OK balance=5000000",
		"see c overdue=0 arrears=0 status=0",
		/* The account is prepaid again: its debt of then is paid by any money that comes. */
		"account b mode=postpaid hard=1000000000 -> OK",
		"take b 25000000 -> OK balance=-20000000",
		"at 2026-05-01T00:00:00Z",
		"touch b -> OK balance=-10000000",
		"account b mode=prepaid -> OK",
		"see b grants=0,0,10000000 arrears=20000000",
		"give b 20000000 -> OK balance=10000000",
		"see b grants=0,0,10000000,0 arrears=0",
	};

	(void)state;
	PLAY(&billing, lines);
	PLAY(&billing, others);
}

/* After the others: these commands end in these ways, and in no other. */
static void test_every_outcome_was_seen(void **state)
{
	(void)state;
	for (int kind = COMMAND_STATEMENT; kind <= COMMAND_STATEMENT_PAID; kind++)
		for (int o = 0; o < OUTCOME_COUNT; o++) {
			const bool named = kind == COMMAND_STATEMENT_BEGIN || kind == COMMAND_STATEMENT_NOTE;

			assert_int_equal(scene_seen((enum command_kind)kind, (enum outcome)o),
			                 o == OUTCOME_OK || (o == OUTCOME_NOT_FOUND && named));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_months),
		cmocka_unit_test(test_small_amounts),
		cmocka_unit_test(test_credits),
		cmocka_unit_test(test_charged_once),
		cmocka_unit_test(test_paid_otherwise),
		cmocka_unit_test(test_declined),
		cmocka_unit_test(test_suspended_by_a_person),
		cmocka_unit_test(test_without_grace),
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_paid_again),
		cmocka_unit_test(test_allowances_pay_no_arrears),
		cmocka_unit_test(test_soft_limit),
		cmocka_unit_test(test_every_outcome_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
