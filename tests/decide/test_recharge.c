#include "scene.h"

#include "../unit/unit.h"

/*
 * Auto-recharge: 10000 micros are a cent.  The threshold is 100 micros, a charge is 2 cents, and a month has at most 6.
 * "recharge" is state, reason, pending order, this month's sum, today's count, and the number of the consent.
 */

static const struct scene_rules standard = {.low_balance = 0};
static const struct scene_rules tiers = {.topup_bonus = "2:10%"};

#define HOUR "3600"
#define DAY "86400"
#define FIRED(account) \
	"give " account " 200 -> OK", "recharge " account " agreed -> OK", "take " account " 150 -> OK balance=50"
#define BEGUN(account) FIRED(account), "recharge_begin " account " 1 -> OK step=post seq=1"
#define ASKED(account) BEGUN(account), "recharge_note " account " 1 -> OK step=post"

static void test_consent(void **state)
{
	static const char *const lines[] = {
		"recharge a -> CONSENT_NEEDED",
		"recharge a off -> OK",
		"recharge a agreed -> OK",
		"see a recharge=on::0:0:0:1 balance=0",
		"recharge a -> OK",
		"recharge a below=50 -> OK",
		"recharge a below=50 cap=50000 -> OK",
		"recharge a cap=60000 -> CONSENT_NEEDED",
		"recharge a cap=50000 charge=10000 -> CONSENT_NEEDED",
		"recharge a cap=50000 charge=30000 -> CONSENT_NEEDED",
		"see a recharge=on::0:0:0:1",
		"recharge a charge=30000 agreed -> OK",
		"see a recharge=on::0:0:0:2",
		"recharge a off -> OK",
		"recharge a off -> OK",
		"see a recharge=off::0:0:0:2",
		"recharge a charge=30000 -> CONSENT_NEEDED",
		"recharge a charge=30000 agreed -> OK",
		"see a recharge=on::0:0:0:3",
		"account p mode=postpaid hard=1000 -> OK",
		"recharge p agreed -> RECHARGE_NOT_PREPAID",
		"recharge p off -> OK",
		/* Another unit is another threshold. */
		"recharge u agreed -> OK",
		"account u unit=credit -> OK",
		"recharge u -> CONSENT_NEEDED",
		"recharge_begin u 1 -> OK step=nothing",
		"see u recharge=paused:unit_changed:0:0:0:1 orders=",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_trigger(void **state)
{
	static const char *const lines[] = {
		"give a 200 -> OK",
		"recharge a agreed -> OK",
		"see a tasks=",
		"take a 100 -> OK balance=100",
		"see a tasks=",
		"take a 1 -> OK balance=99",
		"see a tasks=1@0 orders=",
		/* Once, however often the balance falls; a refusal starts nothing. */
		"take a 50 -> OK balance=49",
		"authorize a gpt in=500 out=100 -> INSUFFICIENT_CREDITS",
		"see a tasks=1@0",
		"recharge_begin a 1 -> OK step=post seq=1",
		"see a recharge=on::1:20000:1:1 orders=open:20000:0:0 tasks=1@0",
		"take a 10 -> OK balance=39",
		"see a tasks=1@0",
		"recharge_begin a 1 -> OK step=read seq=1",
		"recharge_begin a 1 order=1 -> OK step=post seq=1",
		"recharge_note a 1 -> OK step=post",
		"recharge_note a 1 -> OK step=post",
		"payment a 1 amount=2 pi=p1 -> OK credited=1 balance=20039",
		"payment a 1 amount=2 pi=p1 -> OK credited=0 balance=20039",
		"see a recharge=on::0:20000:1:1 orders=paid:20000:0:0 tasks=1@0 alerts=recharge_done",
		"recharge_begin a 1 -> OK step=nothing",
		"recharge_note a 1 -> OK step=nothing",
		"recharge_end a 1 code=late -> OK",
		"see a recharge=on::0:20000:1:1 orders=paid:20000:0:0",
		/* Armed again. */
		"take a 20000 -> OK balance=39",
		"see a tasks=1@0,2@0",
		/* The balance has recovered: nothing is charged, and the threshold is armed. */
		"give a 100 -> OK balance=139",
		"recharge_begin a 2 -> OK step=nothing",
		"see a recharge=on::0:20000:1:1",
		"take a 100 -> OK balance=39",
		"see a tasks=1@0,2@0,3@0",
		"recharge_begin a 2 -> OK step=nothing",
		"recharge_begin a 3 -> OK step=post seq=2",
	};
	static const char *const others[] = {
		/* Below already when it is switched on, and below still after a charge. */
		"give a 10 -> OK",
		"recharge a below=30000 agreed -> OK",
		"see a tasks=1@0",
		"recharge_begin a 1 -> OK step=post",
		"payment a 1 amount=2 pi=p1 -> OK balance=20010",
		"see a tasks=1@0,2@0",
		/* A hold that expires, and a grant that expires, cross too. */
		"give b 200 expires=60 -> OK",
		"recharge b agreed -> OK",
		"pass 60",
		"touch b -> OK balance=0",
		"see b tasks=1@0",
		/* A settlement, which reads no row for it. */
		"give s 1000 -> OK",
		"recharge s agreed -> OK",
		"authorize s gpt in=500 out=100 -> OK amount=900 seq=1",
		"see s tasks=",
		"settle s 1 in=500 out=100 -> OK balance=100",
		"see s tasks=",
		"authorize s gpt in=20 out=0 fit -> OK seq=2",
		"settle s 2 in=20 out=0 -> OK balance=80",
		"see s tasks=1@0",
		/* The greatest threshold. */
		"recharge m below=1000000000000000000 agreed -> OK",
		"recharge_begin m 1 -> OK step=post",
		"payment m 1 amount=2 pi=m1 -> OK balance=20000",
		"see m tasks=1@0,2@0",
		"alerts m 1000000000000000000 -> OK",
		"recharge_begin m 2 -> OK step=post",
		"payment m 2 amount=2 pi=m2 -> OK balance=40000",
		"see m tasks=1@0,2@0,3@0",
		/* Postpaid: no crossing. */
		"give p 200 -> OK",
		"recharge p agreed -> OK",
		"account p mode=postpaid hard=1000000 -> OK",
		"take p 150 -> OK",
		"see p tasks=",
		"recharge_look p -> OK",
		"recharge_begin p 1 -> OK step=wait wait=" HOUR,
		"see p recharge=on:not_prepaid:0:0:0:1",
		/* Unknown accounts, and accounts without. */
		"recharge_begin n 1 -> NOT_FOUND",
		"recharge_note n 1 -> NOT_FOUND",
		"recharge_end n 1 -> NOT_FOUND",
		"recharge_look n -> OK",
	};

	(void)state;
	PLAY(&standard, lines);
	PLAY(&standard, others);
}

static void test_caps(void **state)
{
	static const char *const lines[] = {
		"at 2026-01-30T12:00:00Z",
		"recharge a cap=70000 agreed -> OK",
		"see a tasks=1@0",
		"recharge_begin a 1 -> OK step=post seq=1",
		"payment a 1 amount=2 pi=p1 -> OK balance=20000",
		"take a 20000 -> OK",
		"recharge_begin a 2 -> OK step=post seq=2",
		"payment a 2 amount=2 pi=p2 -> OK balance=20000",
		"see a recharge=on::0:40000:2:1",
		/* A third one of the day waits for the next day. */
		"take a 20000 -> OK",
		"recharge_begin a 3 -> OK step=wait wait=43200",
		"see a recharge=on:daily_cap:0:40000:2:1 tasks=1@0,2@0,3@0",
		"pass 43200",
		"recharge_begin a 3 -> OK step=post seq=3",
		"payment a 3 amount=2 pi=p3 -> OK balance=20000",
		"see a recharge=on::0:60000:1:1",
		/* 1 cent is left of the month, which is less than a charge. */
		"take a 20000 -> OK",
		"recharge_begin a 4 -> OK step=wait wait=" DAY,
		"see a recharge=on:monthly_cap:0:60000:1:1",
		/* Off and on again resets no sum. */
		"recharge a off -> OK",
		"recharge a cap=70000 agreed -> OK",
		"see a recharge=on::0:60000:1:2",
		"recharge_begin a 4 -> OK step=nothing",
		"recharge_begin a 5 -> OK step=wait wait=" DAY,
		/* A higher maximum needs consent, and counts at once. */
		"recharge a cap=80000 -> CONSENT_NEEDED",
		"recharge a cap=80000 agreed -> OK",
		"recharge_begin a 6 -> OK step=post seq=4",
		"see a recharge=on::4:80000:2:3",
		/* A declined charge counts no more. */
		"recharge_end a 4 code=insufficient_funds -> OK",
		"see a recharge=on:backing_off:0:60000:1:3",
		"at 2026-02-01T00:00:00Z",
		"recharge_begin a 7 -> OK step=post seq=5",
		"see a recharge=on::5:20000:1:3",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_declines(void **state)
{
	static const char *const lines[] = {
		ASKED("a"),
		"recharge_end a 1 code=insufficient_funds -> OK",
		"recharge_end a 1 code=insufficient_funds -> OK",
		"see a recharge=on:backing_off:0:0:0:1 orders=failed:20000:0:0 tasks=1@0,2@" HOUR
		" alerts=recharge_failed",
		"recharge_begin a 1 -> OK step=nothing",
		"recharge_begin a 2 -> OK step=wait wait=" HOUR,
		/* A PUT does not shorten that. */
		"recharge a -> OK",
		"see a tasks=1@0,2@" HOUR,
		"recharge a below=101 -> OK",
		"recharge_begin a 2 -> OK step=nothing",
		"recharge_begin a 3 -> OK step=wait wait=" HOUR,
		"pass " HOUR,
		"recharge_begin a 3 -> OK step=post seq=2",
		"recharge_end a 2 code=insufficient_funds -> OK",
		"recharge_begin a 4 -> OK step=wait wait=21600",
		"pass 21600",
		"recharge_begin a 4 -> OK step=post seq=3",
		"recharge_end a 3 code=insufficient_funds -> OK",
		"recharge_begin a 5 -> OK step=wait wait=" DAY,
		"pass " DAY,
		"recharge_begin a 5 -> OK step=post seq=4",
		"recharge_end a 4 code=insufficient_funds -> OK",
		"see a recharge=paused:card_declined:0:0:0:1"
		" alerts=recharge_failed,recharge_failed,recharge_failed,recharge_paused",
		"take a 10 -> OK",
		"recharge_look a -> OK",
		"recharge_begin a 6 -> OK step=nothing",
		/* Another card. */
		"recharge_look a card -> OK",
		"see a recharge=on::0:0:0:1",
		"recharge_begin a 6 -> OK step=post seq=5",
		"payment a 5 amount=2 pi=p5 -> OK balance=20040",
		/* A charge that succeeds forgets the declines. */
		"take a 20000 -> OK",
		"recharge_begin a 7 -> OK step=post seq=6",
		"recharge_end a 6 code=insufficient_funds -> OK",
		"recharge_begin a 8 -> OK step=wait wait=" HOUR,
	};
	static const char *const hard[] = {
		ASKED("a"),
		"recharge_end a 1 code=stolen_card -> OK",
		"see a recharge=paused:card_declined:0:0:0:1 alerts=recharge_paused",
		/* A PUT by a person ends the pause; consent stands. */
		"recharge a -> OK",
		"see a recharge=on::0:0:0:1 tasks=1@0,2@0",
		ASKED("b"),
		"recharge_end b 1 code=do_not_honor -> OK",
		"pass " HOUR,
		"recharge_begin b 2 -> OK step=post seq=2",
		"recharge_end b 2 code=do_not_honor -> OK",
		"see b recharge=paused:card_declined:0:0:0:1 alerts=recharge_failed,recharge_paused",
		ASKED("c"),
		"recharge_end c 1 code=authentication_required -> OK",
		"see c recharge=paused:action_needed:0:0:0:1 alerts=recharge_action_needed",
		ASKED("d"),
		"recharge_end d 1 code=no_payment_method -> OK",
		"see d recharge=paused:no_card:0:0:0:1 alerts=recharge_paused",
		/* A top-up of the customer's own with a card that is kept; without one it ends no pause. */
		"topup d 1 money=10 -> OK",
		"topup d 1 money=10 save -> OK",
		"payment d 2 amount=1 pi=d2 -> OK",
		"see d recharge=on::0:0:0:1",
		ASKED("e"),
		"recharge_end e 1 code=odd refused -> OK",
		"see e recharge=paused:charge_refused:0:0:0:1",
	};

	(void)state;
	PLAY(&standard, lines);
	PLAY(&standard, hard);
}

static void test_withdrawn(void **state)
{
	static const char *const lines[] = {
		/* Off before the card is chosen: nothing is asked for. */
		BEGUN("a"),
		"recharge a off -> OK",
		"recharge_note a 1 -> OK step=read",
		"recharge_begin a 1 order=1 -> OK step=nothing",
		"see a recharge=off::0:0:0:1 orders=failed:20000:0:0",
		"take a 10 -> OK",
		"see a tasks=1@0",
		/* After it: the payment may be there, and is not asked for again. */
		ASKED("b"),
		"recharge b off -> OK",
		"see b recharge=off::1:20000:1:1",
		"recharge_begin b 1 order=1 -> OK step=ask",
		"recharge_end b 1 -> OK",
		"see b recharge=off::0:0:0:1 orders=failed:20000:0:0 alerts=",
		/* The payment was there. */
		"payment b 1 amount=2 pi=b1 -> OK credited=1 balance=20050",
		"see b recharge=off::0:20000:1:1 alerts=recharge_done tasks=1@0",
		/* On again with another amount: the order is of the consent before. */
		ASKED("c"),
		"recharge c off -> OK",
		"recharge c charge=10000 agreed -> OK",
		"see c tasks=1@0",
		"recharge_begin c 1 order=1 -> OK step=ask",
		"payment c 1 amount=2 pi=c1 -> OK balance=20050",
		"see c recharge=on::0:20000:1:2 tasks=1@0",
		"take c 20000 -> OK",
		"recharge_begin c 2 -> OK step=post seq=2",
		"see c recharge=on::2:30000:2:2 orders=paid:20000:0:0,open:10000:0:0",
		/* A maximum that is lowered below the sum with the pending charge. */
		ASKED("f"),
		"payment f 1 amount=2 pi=f1 -> OK balance=20050",
		"take f 20000 -> OK",
		"recharge_begin f 2 -> OK step=post seq=2",
		"recharge f cap=30000 -> OK",
		"recharge_note f 2 -> OK step=read",
		"recharge_begin f 2 order=2 -> OK step=nothing",
		"see f recharge=on::0:20000:1:1 orders=paid:20000:0:0,failed:20000:0:0 tasks=1@0,2@0,3@0",
		"recharge_begin f 3 -> OK step=wait",
		"see f recharge=on:monthly_cap:0:20000:1:1",
		/* The balance recovers before the card is chosen. */
		BEGUN("g"),
		"give g 1000 -> OK",
		"recharge_note g 1 -> OK step=read",
		"recharge_begin g 1 order=1 -> OK step=nothing",
		"see g recharge=on::0:0:0:1 orders=failed:20000:0:0 tasks=1@0",
		"take g 1000 -> OK",
		"see g tasks=1@0,2@0",
		/* A key that Stripe may have forgotten. */
		ASKED("d"),
		"pass 72001",
		"recharge_begin d 1 order=1 -> OK step=ask",
		"recharge_end d 1 -> OK",
		"see d tasks=1@-72001,2@0",
		/* No task is left for an order that is under way. */
		ASKED("e"),
		"recharge_look e -> OK",
		"see e tasks=1@0,2@0",
		"recharge_begin e 2 order=1 -> OK step=post",
		"recharge e off -> OK",
		"recharge_look e -> OK",
		"recharge_begin e 3 order=1 -> OK step=ask",
		"payment e 1 pending amount=2 pi=e1 -> OK",
		"recharge_end e 1 code=declined -> OK",
		"see e recharge=off::0:0:0:1 orders=failed:20000:0:0",
	};
	static const char *const never[] = {
		FIRED("a"),
		"account a status=suspended -> OK",
		"recharge_begin a 1 -> OK step=wait wait=" HOUR,
		"see a recharge=on:account_suspended:0:0:0:1",
		"account a status=active -> OK",
		"recharge_begin a 1 -> OK step=post",
		/* A charge that would not fit into the balance, or is not of whole cents. */
		"recharge b charge=20001 cap=20001 agreed -> OK",
		"recharge_begin b 1 -> OK step=nothing",
		"see b recharge=paused:charge_refused:0:0:0:1",
	};

	(void)state;
	PLAY(&standard, lines);
	PLAY(&standard, never);
}

static void test_taken_back(void **state)
{
	static const char *const lines[] = {
		ASKED("a"),
		"payment a 1 amount=2 pi=p1 -> OK balance=22050",
		"see a orders=paid:20000:0:0+2000-0",
		"refund a 1 id=r1 amount=1 pi=p1 -> OK balance=11050",
		"see a recharge=paused:charge_returned:0:20000:1:1 orders=paid:20000:10000:0+2000-1000",
		"take a 11000 -> OK",
		"see a tasks=1@0",
		"recharge_look a card -> OK",
		"see a recharge=paused:charge_returned:0:20000:1:1",
		"recharge a -> OK",
		"see a recharge=on::0:20000:1:1 tasks=1@0,2@0",
		"refund a 1 id=r1 amount=1 failed pi=p1 -> OK",
		"see a recharge=on::0:20000:1:1",
		ASKED("b"),
		"payment b 1 amount=2 pi=b1 -> OK",
		"dispute b 1 id=d1 amount=2 withdrawn -> OK balance=50",
		"see b recharge=paused:charge_returned:0:20000:1:1 alerts=recharge_done,disputed,recharge_paused tasks=1@0",
		/* Another card does not end the pause, even if the card was declined before. */
		ASKED("g"),
		"payment g 1 amount=2 pi=g1 -> OK",
		"take g 22000 -> OK",
		"recharge_begin g 2 -> OK step=post seq=2",
		"recharge_note g 2 -> OK step=post",
		"recharge_end g 2 code=stolen_card -> OK",
		"see g recharge=paused:card_declined:0:20000:1:1",
		"refund g 1 id=g2 amount=1 pi=g1 -> OK",
		"see g recharge=paused:charge_returned:0:20000:1:1",
		"recharge_look g card -> OK",
		"see g recharge=paused:charge_returned:0:20000:1:1",
		/* The refund is known before the payment. */
		ASKED("e"),
		"refund e 1 id=e1 amount=2 pi=e1 -> OK balance=50",
		"payment e 1 amount=2 pi=e1 -> OK credited=1 balance=50",
		"see e recharge=paused:charge_returned:0:20000:1:1 tasks=1@0",
		/* The customer's own top-up: the balance counts, as ever. */
		"topup c 1000 -> OK",
		"payment c 1 amount=1000 pi=c1 -> OK",
		"recharge c agreed -> OK",
		"refund c 1 id=c2 amount=1000 pi=c1 -> OK balance=0",
		"see c tasks=1@0",
	};

	(void)state;
	PLAY(&tiers, lines);
}

/* After the others: these commands end in these ways, and in no other. */
static void test_every_outcome_was_seen(void **state)
{
	(void)state;
	for (int kind = COMMAND_RECHARGE; kind <= COMMAND_RECHARGE_LOOK; kind++)
		for (int o = 0; o < OUTCOME_COUNT; o++)
			assert_int_equal(
				scene_seen((enum command_kind)kind, (enum outcome)o),
				o == OUTCOME_OK ||
					(kind == COMMAND_RECHARGE
			                         ? o == OUTCOME_CONSENT_NEEDED || o == OUTCOME_RECHARGE_NOT_PREPAID
			                         : kind != COMMAND_RECHARGE_LOOK && o == OUTCOME_NOT_FOUND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consent),
		cmocka_unit_test(test_trigger),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_declines),
		cmocka_unit_test(test_withdrawn),
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_every_outcome_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
