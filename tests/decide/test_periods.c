#include "scene.h"

#include "../unit/unit.h"

/*
 * Plans and the periods that they give their allowances in.  Amounts are micros of credits; an action costs what its
 * plan says, here as little as one.  tests/model/test_periods.py plays many more, at random.
 */

static const struct scene_rules standard = {0};

#define STARTER "plan Starter unit=credit pool=500 seats=5 action=step costs=1"
#define PROFESSIONAL "plan Professional unit=credit pool=1500 seats=15 action=step costs=1"

static void
test_the_usual_month(void **state)
{
	static const char *const lines[] = {
		STARTER,
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit plan=Starter -> OK balance=500 available=500",
		"see a on=Starter until=2026-04-01T00:00:00Z granted=500 carried=0 reserved=0 allowances=period:500",
		"member a boss manager -> OK",
		"charge a step n=65 member=boss -> OK balance=435",
		"member a m1 -> OK",
		"member a m2 -> OK",
		"member a m3 -> OK",
		"member a m4 -> OK",
		"member a m5 -> OK",
		"member a m6 -> SEATS_TAKEN",
		"charge a step n=150 member=m5 -> OK balance=285",
		"charge a step n=286 -> INSUFFICIENT_CREDITS needed=286 available=285",
		"at 2026-03-31T23:59:59Z",
		"touch a -> OK balance=285",
		"at 2026-04-01T00:00:00Z",
		"touch a -> OK balance=500",
		"see a allowances=period:500,carried:0,period:500 until=2026-05-01T00:00:00Z grants=0,500",
		"touch a -> OK balance=500",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void
test_up_and_down(void **state)
{
	static const char *const lines[] = {
		STARTER,
		PROFESSIONAL,
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit plan=Starter -> OK",
		"charge a step n=200 -> OK",
		"account a plan=Professional -> OK balance=1300",
		"see a on=Professional granted=1500 allowances=period:500,upgrade:1000",
		"account a plan=Starter -> OK balance=1300",
		"see a on=Professional granted=1500",
		"account a plan=Professional -> OK balance=1300",
		"at 2026-04-01T00:00:00Z",
		"touch a -> OK balance=1500",
		"see a on=Professional",
		"account a plan=Starter -> OK balance=1500",
		"at 2026-05-01T00:00:00Z",
		"touch a -> OK balance=500",
		"see a on=Starter",
		"account a plan= -> OK balance=500",
		"at 2026-06-01T00:00:00Z",
		"touch a -> OK balance=0",
		"see a on= granted=0 ends=0",
		"account a plan=Starter -> OK balance=500",
		"see a until=2026-07-01T00:00:00Z",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void
test_refusals(void **state)
{
	static const char *const lines[] = {
		STARTER,
		"plan Euros pool=5",
		"plan Vast unit=credit pool=1000000000000000000",
		"account a unit=credit plan=Nothing -> UNKNOWN_PLAN",
		"account a unit=credit plan=Euros -> PLAN_OTHER_UNIT",
		"account a plan=Starter -> PLAN_OTHER_UNIT",
		"account a unit=credit plan=Starter -> OK",
		"account a unit=money -> ACCOUNT_CONFLICT",
		"account b unit=credit -> OK",
		"give b 1000000000000000000 -> OK",
		"give b 1000000000000000000 -> OK",
		"account b plan=Vast -> INVALID_REQUEST field=plan",
		"plan Pair unit=credit pool=5 seats=2",
		"member b x -> OK",
		"member b y -> OK",
		"member b z -> OK",
		"account b plan=Pair -> SEATS_TAKEN",
		"member b z remove -> OK",
		"member b q known limit=5 -> NOT_FOUND",
		"member b y known limit=5 -> OK",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void
test_roll_over(void **state)
{
	static const char *const lines[] = {
		"plan Keeper unit=credit pool=100 rollover=30 action=step costs=1",
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit plan=Keeper -> OK",
		"charge a step n=50 -> OK",
		"at 2026-04-01T00:00:00Z",
		"touch a -> OK balance=130",
		"see a carried=30 granted=100 grants=0,30,100 allowances=period:100,carried:30,period:100",
		"charge a step n=120 -> OK balance=10",
		"at 2026-05-01T00:00:00Z",
		"touch a -> OK balance=110",
		"see a carried=10",
		/* The cap is the plan's that gave it. */
		"plan Keeper unit=credit pool=100 rollover=0 action=step costs=1",
		"at 2026-06-01T00:00:00Z",
		"touch a -> OK balance=130",
		"at 2026-07-01T00:00:00Z",
		"touch a -> OK balance=100",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void
test_paid_credits_and_debt(void **state)
{
	static const char *const lines[] = {
		STARTER,
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit plan=Starter -> OK",
		"give a 100 type=TOP_UP -> OK balance=600",
		"charge a step n=520 -> OK balance=80",
		"see a grants=0,80",
		"at 2026-04-01T00:00:00Z",
		"touch a -> OK balance=580",
		"take a 700 -> OK balance=-120",
		"at 2026-05-01T00:00:00Z",
		"touch a -> OK balance=380",
		"see a grants=0,0,0,380 granted=500",
		"at 2026-06-01T00:00:00Z",
		"touch a -> OK balance=500",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void
test_seats(void **state)
{
	static const char *const lines[] = {
		"plan Desks unit=credit scope=seat manager=20 seat=10 seats=3 managers=1 action=step costs=1",
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit plan=Desks -> OK balance=0",
		"see a allowances=period:0 grants=",
		"member a ann -> OK balance=10",
		"member a bob -> OK balance=20",
		"see a reserved=20 granted=20 allowances=period:0,seat:10,seat:10",
		"charge a step n=11 member=ann -> MEMBER_LIMIT_REACHED available=10",
		"charge a step n=10 member=ann -> OK balance=10",
		"charge a step n=1 member=ann -> MEMBER_LIMIT_REACHED",
		"charge a step -> MEMBER_LIMIT_REACHED",
		"see a reserved=10 member=ann quota=10 mused=10",
		"member a bob remove -> OK",
		"see a reserved=0",
		"charge a step n=5 member=ann -> OK balance=5",
		"member a bob -> OK balance=5",
		"see a reserved=0 granted=20 member=bob quota=0",
		"member a boss manager -> OK balance=25",
		"member a chief manager -> OK balance=25",
		"see a reserved=20 member=chief quota=0",
		"member a bob manager -> OK",
		"member a bob member -> OK",
		"at 2026-04-01T00:00:00Z",
		"touch a -> OK balance=40",
		"see a reserved=40 granted=40 member=bob quota=10",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void
test_mixed(void **state)
{
	static const char *const lines[] = {
		"plan Both unit=credit scope=mixed pool=100 manager=20 seat=10 seats=2 action=step costs=1",
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit plan=Both -> OK balance=100",
		"member a ann -> OK balance=110",
		"member a bob -> OK balance=120",
		"charge a step n=111 member=ann -> MEMBER_LIMIT_REACHED available=110",
		"charge a step n=110 member=ann -> OK balance=10",
		"charge a step n=10 member=bob -> OK balance=0",
		"charge a step n=1 member=bob -> INSUFFICIENT_CREDITS",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* A month from the 31st ends on the last day, and the one after on the 31st again. */
static void
test_anchors(void **state)
{
	static const char *const lines[] = {
		STARTER,
		"at 2027-01-31T08:30:00Z",
		"account a unit=credit -> OK",
		"subscription a sub plan=Starter start=2027-01-31T08:00:00Z at=1 -> OK",
		"see a on=Starter plan=Starter until=2027-02-28T08:00:00Z balance=500",
		"at 2027-02-28T08:00:00Z",
		"touch a -> OK",
		"see a until=2027-03-31T08:00:00Z",
		"at 2028-02-01T00:00:00Z",
		"touch a -> OK",
		"see a until=2028-02-29T08:00:00Z",
		"at 2028-02-29T08:00:00Z",
		"touch a -> OK",
		"see a until=2028-03-31T08:00:00Z",
		/* The clock of whoever sent it is ahead of ours. */
		"account b unit=credit -> OK",
		"subscription b sub2 plan=Starter start=2028-02-29T08:05:00Z at=1 -> OK",
		"see b until=2028-03-29T08:00:00Z",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void
test_zones(void **state)
{
	static const char *const lines[] = {
		STARTER,
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit zone=Europe/Paris plan=Starter -> OK",
		"see a until=2026-03-31T22:00:00Z",
		"at 2026-10-20T00:00:00Z",
		"touch a -> OK",
		"see a until=2026-10-31T23:00:00Z",
		/* The month that runs ends when it would have; the next one is as long as the new zone has it. */
		"account a zone=Pacific/Auckland -> OK",
		"see a until=2026-10-31T23:00:00Z",
		"at 2026-10-31T23:00:00Z",
		"touch a -> OK balance=500",
		"see a until=2026-11-30T11:00:00Z",
		/* 02:30 does not exist on the 29th of March: the period ends when the clocks have gone over it. */
		"account b unit=credit zone=Europe/Paris -> OK",
		"at 2027-02-28T02:00:00Z",
		"subscription b s plan=Starter start=2027-02-28T01:30:00Z at=1 -> OK",
		"see b until=2027-03-28T01:00:00Z",
		"at 2027-03-28T01:00:00Z",
		"touch b -> OK",
		"see b until=2027-04-28T00:30:00Z",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* Fourteen months that nobody looked at are the same rows as if somebody had, month by month. */
static void
test_silence(void **state)
{
	static const char *const lines[] = {
		"plan Sleeper unit=credit pool=100 rollover=150",
		"at 2026-03-10T12:00:00Z",
		"account quiet unit=credit plan=Sleeper -> OK",
		"account watched unit=credit plan=Sleeper -> OK",
		"at 2026-04-01T00:00:00Z", "touch watched -> OK balance=200",
		"at 2026-05-01T00:00:00Z", "touch watched -> OK balance=250",
		"plan Sleeper unit=credit pool=70 rollover=150",
		"at 2026-06-15T00:00:00Z", "touch watched -> OK balance=220",
		"at 2026-08-01T00:00:00Z", "touch watched -> OK balance=220",
		"at 2027-05-10T00:00:00Z",
		"touch watched -> OK balance=220",
		"touch quiet -> OK balance=220",
		"see watched transactions=56 entries=56 carried=150 granted=70",
		"see quiet transactions=56 entries=56 carried=150 granted=70",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void
test_subscriptions(void **state)
{
	static const char *const lines[] = {
		STARTER,
		PROFESSIONAL,
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit -> OK",
		"subscription a s plan=unheard-of at=1 -> OK event=applied",
		"see a plan=unheard-of balance=0 workspace=0",
		"subscription a s plan=Starter at=2 start=2026-03-10T12:00:00Z -> OK balance=0",
		"see a plan=Starter on=Starter balance=500",
		"subscription a s plan=Professional at=3 -> OK",
		"see a plan=Professional on=Professional balance=1500",
		"subscription a s plan=Professional cancelled at=4 -> OK",
		"at 2026-04-10T12:00:00Z",
		"touch a -> OK balance=0",
		"see a on=",
		"subscription a s ended at=5 -> OK",
		"see a plan= on=",
		/* An end that was not announced waits for the end of the period. */
		"subscription a t plan=Starter at=6 start=2026-04-10T12:00:00Z -> OK",
		"subscription a t ended at=7 -> OK",
		"see a plan= on=Starter balance=500",
		"at 2026-05-10T12:00:00Z",
		"touch a -> OK balance=0",
		"account m -> OK",
		"subscription m s plan=Starter at=1 event=e1 -> OK event=parked",
		"see m workspace=0 balance=0",
	};

	(void)state;
	PLAY(&standard, lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_usual_month),
		cmocka_unit_test(test_up_and_down),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_roll_over),
		cmocka_unit_test(test_paid_credits_and_debt),
		cmocka_unit_test(test_seats),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_anchors),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_subscriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
