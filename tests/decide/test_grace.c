#include "scene.h"

#include "../unit/unit.h"

/*
 * Graces: a place may use 1000 micros for an account, for an hour after the last grace.  A token of gpt costs a micro, of
 * its output four; from second 5000 on it costs twice that.  "grace" is the serial of the answer's grace (0: none), "upto"
 * its limit, "booked" the booked amount and "left" its seconds.
 */

static const struct scene_rules standard = {.outage_grace = 1000};
static const struct scene_rules off = {.outage_grace = 0};
static const struct scene_rules capture = {.outage_grace = 1000, .capture_expired = true};

#define DAY "86400"

static void test_given(void **state)
{
	static const char *const lines[] = {
		"give a 5000 -> OK",
		"authorize a gpt in=100 -> OK grace=0",
		"authorize a gpt in=100 place=p -> OK grace=1 upto=1000 booked=0 left=3600",
		/* A grace stays as it is for half of its time. */
		"authorize a gpt in=100 place=p -> OK grace=1 left=3600",
		"pass 1799",
		"authorize a gpt in=100 place=p -> OK grace=1 left=1801",
		"pass 1",
		"authorize a gpt in=100 place=p -> OK grace=2 upto=1000 left=3600",
		/* The clock steps back: a new time, as far from it as any. */
		"pass -600",
		"authorize a gpt in=100 place=p -> OK grace=3 left=3600",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* Never more than what the account may still spend; and no new time for an amount that it may not. */
static void test_given_of_the_balance(void **state)
{
	static const char *const lines[] = {
		"give a 1500 -> OK",
		"authorize a gpt in=800 place=p -> OK available=700 grace=1 upto=700",
		"authorize a gpt in=100 place=p -> OK available=600 grace=0",
		"give a 200 -> OK",
		"authorize a gpt in=100 place=p -> OK available=700 grace=1 upto=700",
		"give a 500 -> OK",
		"authorize a gpt in=1 place=p -> OK available=1199 grace=2 upto=1000",
		"authorize a gpt in=1199 place=p -> OK available=0 grace=0",
		"authorize a gpt in=1 place=p -> INSUFFICIENT_CREDITS",
		"authorize none gpt byok=openai place=p -> OK grace=0",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_not_offered(void **state)
{
	static const char *const lines[] = {
		"give a 5000 -> OK",
		"authorize a gpt in=100 place=p -> OK grace=0",
		"authorize a gpt in=100 place=p used=1 micros=100 -> GRACE_REFUSED",
	};

	(void)state;
	PLAY(&off, lines);
}

static void test_booked(void **state)
{
	static const char *const lines[] = {
		"give a 1100 -> OK",
		"authorize a gpt in=100 place=p rid=r0 -> OK grace=1 upto=1000",
		"settle a 1 in=100 -> OK balance=1000",
		/* All else is spent by other places meanwhile: the use becomes debt. */
		"charge a debrief -> INSUFFICIENT_CREDITS",
		"take a 1000 -> OK balance=0",
		"authorize a gpt in=100 out=100 place=p used=1 micros=500 rid=r1 -> OK amount=500 available=-500 seq=2 grace=0",
		"authorize a gpt in=100 out=100 place=p used=1 micros=500 rid=r1 -> OK replayed=1 seq=2",
		"settle a 2 in=100 out=100 -> OK amount=500 balance=-500",
		"authorize a gpt in=500 place=p used=1 micros=500 rid=r2 -> OK amount=500 seq=3",
		"settle a 3 in=400 -> OK balance=-900",
		/* That was all of it. */
		"authorize a gpt in=1 place=p used=1 micros=1 rid=r3 -> GRACE_REFUSED",
		"authorize a gpt in=1 place=p -> INSUFFICIENT_CREDITS",
		"see a balance=-900 held=0 open=0 requests=3",
		/* Paid: another amount, counted on from the booked one. */
		"give a 2000 -> OK balance=1100",
		"authorize a gpt in=100 place=p -> OK grace=2 upto=2000 booked=1000",
		"authorize a gpt in=1 place=p used=1 micros=1001 -> GRACE_REFUSED",
		"authorize a gpt in=1 place=p used=1 micros=1000 rid=r4 -> OK amount=1",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* A use took place: suspension, plan, a removed member and the balance do not unmake it. */
static void test_booked_whatever_came_since(void **state)
{
	static const char *const lines[] = {
		"give a 2000 -> OK",
		"member a bob -> OK",
		"authorize a gpt in=100 member=bob place=p -> OK grace=1 upto=1000",
		"member a bob remove -> OK",
		"account a status=suspended -> OK",
		"authorize a gpt in=100 member=bob place=p -> ACCOUNT_SUSPENDED",
		"authorize a gpt in=100 member=bob place=p used=1 micros=100 rid=r1 -> OK seq=2",
		"settle a 2 in=100 -> OK amount=100 balance=1900",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_refused(void **state)
{
	static const char *const lines[] = {
		"give a 5000 -> OK",
		"give b 5000 -> OK",
		"authorize a gpt in=1 place=p used=1 micros=1 -> GRACE_REFUSED",
		"authorize a gpt in=100 place=p -> OK grace=1 upto=1000",
		/* Another account, another place, a serial that was never given, a cost above the counted one. */
		"authorize b gpt in=1 place=p used=1 micros=1 -> GRACE_REFUSED",
		"authorize none gpt in=1 place=p used=1 micros=1 -> GRACE_REFUSED",
		"authorize a gpt in=1 place=q used=1 micros=1 -> GRACE_REFUSED",
		"authorize a gpt in=1 place=p used=2 micros=1 -> GRACE_REFUSED",
		"authorize a gpt in=101 place=p used=1 micros=100 -> GRACE_REFUSED",
		"authorize a gpt in=1 place=p used=1 micros=1001 -> GRACE_REFUSED",
		"authorize a nothing in=1 place=p used=1 micros=1 -> UNKNOWN_MODEL",
		/* A day after its end, and a second later. */
		"authorize a gpt in=1 place=p used=1 micros=1 ends=-" DAY " -> OK amount=1",
		"authorize a gpt in=1 place=p used=1 micros=1 ends=-86401 -> GRACE_REFUSED",
		"see a held=101 open=2",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* One place at a time: another has a grace when nothing of the first can be booked any more. */
static void test_places(void **state)
{
	static const char *const lines[] = {
		"give a 9000 -> OK",
		"authorize a gpt in=1 place=p -> OK grace=1 upto=1000",
		"authorize a gpt in=1 place=q -> OK grace=0",
		"pass 90000",
		"authorize a gpt in=1 place=q -> OK grace=0",
		"pass 1",
		"authorize a gpt in=1 place=q -> OK grace=2 upto=1000 booked=0",
		"authorize a gpt in=1 place=p -> OK grace=0",
		"authorize a gpt in=1 place=p used=1 micros=1 -> GRACE_REFUSED",
		/* All of it was booked. */
		"authorize a gpt in=400 place=q used=2 micros=1000 rid=r1 -> OK amount=800",
		"authorize a gpt in=1 place=p -> OK grace=3 upto=1000 booked=0",
		"authorize a gpt in=1 place=q used=2 micros=1 -> GRACE_REFUSED",
		/* An old one of p, from its first time. */
		"authorize a gpt in=1 place=p used=1 micros=1001 -> GRACE_REFUSED",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* The price of the hold that the place counted by, whatever it is by now. */
static void test_price_of_then(void **state)
{
	static const char *const lines[] = {
		"give a 5000 -> OK",
		"pass 4000",
		"authorize a gpt in=100 place=p -> OK grace=1 version=1",
		"pass 1500",
		"authorize a gpt in=100 place=p used=1 micros=100 -> GRACE_REFUSED",
		"authorize a gpt in=100 place=p used=1 micros=100 version=1 rid=r1 -> OK amount=100 version=1 seq=2",
		"authorize a gpt in=100 place=p used=1 micros=200 version=7 -> UNKNOWN_MODEL",
		"settle a 2 in=50 -> OK amount=50",
		"authorize a debrief action=debrief place=p used=1 micros=900 -> GRACE_REFUSED",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* The request had no answer, but took effect: the use is that hold, and nothing is booked twice. */
static void test_request_that_took_effect(void **state)
{
	static const char *const lines[] = {
		"give a 5000 -> OK",
		"authorize a gpt in=100 place=p -> OK grace=1",
		"authorize a gpt in=200 place=p rid=r1 -> OK seq=2 grace=1",
		"authorize a gpt in=200 place=p used=1 micros=200 rid=r1 -> OK seq=2 replayed=1 hold=open grace=0",
		"settle a 2 in=150 -> OK amount=150",
		"authorize a gpt in=1 place=p -> OK grace=1 booked=0",
		"authorize a gpt in=201 place=p used=1 micros=201 rid=r1 -> CONFLICT",
		/* Charged when it expired, and settled late for less. */
		"authorize a gpt in=300 ttl=60 place=p rid=r2 -> OK seq=4",
		"pass 60",
		"authorize a gpt in=300 ttl=60 place=p used=1 micros=300 rid=r2 -> OK seq=4 hold=expired",
		"settle a 4 in=10 -> OK amount=10 settlement=late",
	};

	(void)state;
	PLAY(&capture, lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_given_of_the_balance),
		cmocka_unit_test(test_not_offered),
		cmocka_unit_test(test_booked),
		cmocka_unit_test(test_booked_whatever_came_since),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_price_of_then),
		cmocka_unit_test(test_request_that_took_effect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
