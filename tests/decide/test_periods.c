#include "scene.h"

#include "../unit/unit.h"

/*
 * Plans and the periods that they give their allowances in.  Amounts are micros of credits; an action costs what its
 * plan says, here as little as one.  tests/model/test_periods.py plays many more, at random.
 */

static const struct scene_rules standard = {0};

#define STARTER "plan Starter unit=credit pool=500 seats=5 action=step costs=1"
#define PROFESSIONAL "plan Professional unit=credit pool=1500 seats=15 action=step costs=1"

static void test_the_usual_month(void **state)
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
		/* The end of the allowance is not told before: each period ends so. */
		"see a alerts=plan_changed,plan_renewed",
		"see a allowances=period:500,carried:0,period:500 until=2026-05-01T00:00:00Z grants=0,500",
		"touch a -> OK balance=500",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* Percentages of the credits that a plan gives for a period. */
static void test_alerts_of_a_plans_credits(void **state)
{
	static const char *const lines[] = {
		STARTER,
		PROFESSIONAL,
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit plan=Starter -> OK balance=500",
		"alerts a standard 50% 75% 100% -> OK",
		"charge a step n=249 -> OK",
		"see a alerts=plan_changed",
		"charge a step n=1 -> OK balance=250",
		"see a alerts=plan_changed,balance_low:50%:250",
		/* Other credits are not the plan's, and are spent after them. */
		"give a 1000 -> OK balance=1250",
		"take a 200 -> OK balance=1050",
		"see a alerts=plan_changed,balance_low:50%:250,balance_low:75%:450",
		"charge a step n=100 -> OK balance=950",
		"see a alerts=plan_changed,balance_low:50%:250,balance_low:75%:450,balance_low:100%:500",
		"charge a step n=100 -> OK",
		/* One that is reached already fires in the next period; one that stays keeps its state. */
		"alerts a standard 90% 50% -> OK",
		"charge a step n=1 -> OK",
		"see a alerts=plan_changed,balance_low:50%:250,balance_low:75%:450,balance_low:100%:500",
		"at 2026-04-01T00:00:00Z",
		"charge a step n=460 -> OK",
		"see a alerts=plan_changed,balance_low:50%:250,balance_low:75%:450,balance_low:100%:500,plan_renewed,"
		"balance_low:90%:460,balance_low:50%:460",
		"charge a step n=10 -> OK",
		/* Another plan begins anew. */
		"account a plan= -> OK",
		"alerts a standard -> OK",
		"see a alerts=plan_changed,balance_low:50%:250,balance_low:75%:450,balance_low:100%:500,plan_renewed,"
		"balance_low:90%:460,balance_low:50%:460",
		/* Without a plan there is nothing to use. */
		"account b unit=credit -> OK",
		"alerts b 7 1% -> OK",
		"give b 100 -> OK",
		"take b 60 -> OK",
		"see b alerts=",
		"account b plan=Professional -> OK",
		"charge b step n=20 -> OK",
		"see b alerts=plan_changed,balance_low:1%:20",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_up_and_down(void **state)
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

/* The clock steps back behind the end of a plan, and another is set. */
static void test_clock_steps_back(void **state)
{
	static const char *const lines[] = {
		STARTER,
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit plan=Starter -> OK balance=500",
		"account a plan= -> OK balance=500",
		"at 2026-04-01T00:00:00Z",
		"touch a -> OK balance=0",
		"see a on= ends=0",
		"pass -3600",
		"charge a step -> INSUFFICIENT_CREDITS",
		"account a plan=Starter -> OK balance=500",
		"see a on=Starter until=2026-05-01T00:00:00Z allowances=period:500,period:500",
		"charge a step n=3 -> OK balance=497",
		"at 2026-05-01T00:00:00Z",
		"touch a -> OK balance=500",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_refusals(void **state)
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

static void test_roll_over(void **state)
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

static void test_paid_credits_and_debt(void **state)
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

static void test_seats(void **state)
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

static void test_mixed(void **state)
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

/* A month from the 31st ends on the last day, and the one after on the 31st again: Stripe's anchor says so, also where
 * the subscription is first heard of in February. */
static void test_anchors(void **state)
{
	static const char *const lines[] = {
		STARTER,
		"at 2027-02-28T08:30:00Z",
		"account a unit=credit -> OK",
		"subscription a sub plan=Starter anchor=2027-01-31T08:00:00Z at=1 -> OK",
		"see a on= plan=Starter balance=0",
		"period a sub inv=i1 plan=Starter start=2027-02-28T08:00:00Z end=2027-03-31T08:00:00Z -> OK balance=500",
		"see a on=Starter until=2027-03-31T08:00:00Z",
		"at 2027-03-31T08:00:00Z",
		"touch a -> OK balance=0",
		"see a on=",
		"period a sub inv=i2 plan=Starter start=2027-03-31T08:00:00Z end=2027-04-30T08:00:00Z -> OK balance=500",
		"see a until=2027-04-30T08:00:00Z",
		/* A year is paid at once, and given month by month. */
		"account y unit=credit zone=Europe/Paris -> OK",
		"subscription y sub2 plan=Starter anchor=2027-01-31T08:00:00Z at=1 -> OK",
		"period y sub2 inv=y1 plan=Starter start=2027-01-31T08:00:00Z end=2028-01-31T08:00:00Z -> OK balance=500",
		"see y until=2027-04-30T08:00:00Z",
		"at 2027-05-01T00:00:00Z",
		"touch y -> OK balance=500",
		"see y until=2027-05-31T08:00:00Z allowances=period:500,carried:0,period:500",
		"at 2028-01-31T07:59:59Z",
		"touch y -> OK balance=500",
		"at 2028-01-31T08:00:00Z",
		"touch y -> OK balance=0",
		"see y on= granted=0",
		/* The clock of Stripe is ahead of ours. */
		"account b unit=credit -> OK",
		"subscription b sub3 plan=Starter anchor=2028-01-31T08:05:00Z at=1 -> OK",
		"period b sub3 inv=b1 plan=Starter start=2028-01-31T08:05:00Z end=2028-02-29T08:05:00Z -> OK balance=500",
		"see b until=2028-02-29T08:05:00Z",
		"account c unit=credit -> OK",
		"subscription c sub4 plan=Starter anchor=2028-01-31T09:05:00Z at=1 -> OK",
		"period c sub4 inv=c1 plan=Starter start=2028-01-31T09:05:00Z end=2028-02-29T09:05:00Z event=c1 -> OK event=parked",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_zones(void **state)
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
		/* A subscription's month is Stripe's, wherever the account is. */
		"account b unit=credit zone=Europe/Paris -> OK",
		"at 2027-02-28T02:00:00Z",
		"subscription b s plan=Starter anchor=2027-02-28T01:30:00Z at=1 -> OK",
		"period b s plan=Starter start=2027-02-28T01:30:00Z end=2027-03-28T01:30:00Z -> OK",
		"see b until=2027-03-28T01:30:00Z",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* Fourteen months that nobody looked at are the same rows as if somebody had, month by month. */
static void test_silence(void **state)
{
	static const char *const lines[] = {
		"plan Sleeper unit=credit pool=100 rollover=150",
		"at 2026-03-10T12:00:00Z",
		"account quiet unit=credit plan=Sleeper -> OK",
		"account watched unit=credit plan=Sleeper -> OK",
		"at 2026-04-01T00:00:00Z",
		"touch watched -> OK balance=200",
		"at 2026-05-01T00:00:00Z",
		"touch watched -> OK balance=250",
		"plan Sleeper unit=credit pool=70 rollover=150",
		"at 2026-06-15T00:00:00Z",
		"touch watched -> OK balance=220",
		"at 2026-08-01T00:00:00Z",
		"touch watched -> OK balance=220",
		"at 2027-05-10T00:00:00Z",
		"touch watched -> OK balance=220",
		"touch quiet -> OK balance=220",
		"see watched transactions=56 entries=56 carried=150 granted=70",
		"see quiet transactions=56 entries=56 carried=150 granted=70",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_subscriptions(void **state)
{
	static const char *const lines[] = {
		STARTER,
		PROFESSIONAL,
		"at 2026-03-10T12:00:00Z",
		"account a unit=credit -> OK",
		"subscription a s plan=unheard-of at=1 -> OK event=applied",
		"see a plan=unheard-of balance=0 workspace=0",
		/* The account is said to be on the plan, and nothing was paid. */
		"subscription a s plan=Starter at=2 anchor=2026-03-10T12:00:00Z -> OK balance=0",
		"see a plan=Starter workspace=0 balance=0",
		"period a s inv=i1 plan=Starter start=2026-03-10T12:00:00Z end=2026-04-10T12:00:00Z event=e1 -> OK event=applied balance=500",
		"see a on=Starter granted=500 allowances=period:500",
		/* Once, however often it is said. */
		"period a s inv=i1 plan=Starter start=2026-03-10T12:00:00Z end=2026-04-10T12:00:00Z event=e2 -> OK event=ignored",
		"period a s inv=i9 plan=Starter start=2026-03-10T12:00:00Z end=2026-04-10T12:00:00Z event=e3 -> OK event=parked",
		"see a balance=500",
		/* A greater plan gives nothing before it is paid. */
		"subscription a s plan=Professional at=3 -> OK balance=500",
		"subscription a s plan=Professional cancelled at=4 -> OK",
		"at 2026-04-10T12:00:00Z",
		"touch a -> OK balance=0",
		"see a on= periods=500:0:500:0:0",
		"subscription a s ended at=5 -> OK",
		"see a plan= on=",
		/* An end that was not announced waits for the end of the period. */
		"subscription a t plan=Starter at=6 anchor=2026-04-10T12:00:00Z -> OK",
		"period a t inv=i2 plan=Starter start=2026-04-10T12:00:00Z end=2026-05-10T12:00:00Z -> OK balance=500",
		"subscription a t ended at=7 -> OK",
		"see a plan= on=Starter balance=500",
		"at 2026-05-10T12:00:00Z",
		"touch a -> OK balance=0",
		"account m -> OK",
		"subscription m s plan=Starter at=1 event=e4 -> OK event=parked",
		"see m workspace=0 balance=0",
		/* A period that is over by the time it is paid. */
		"period a t inv=i3 plan=Starter start=2026-04-10T12:00:00Z end=2026-05-10T12:00:00Z event=e5 -> OK event=ignored",
		"see a balance=0 periods=500:0:500:0:0,500:0:500:0:0,0:0:0:0:0",
	};

	(void)state;
	PLAY(&standard, lines);
}

#define GREAT "plan Great unit=credit pool=10000 action=step costs=1"

/* February is 672 hours.  An upgrade with an hour left, used up, and back. */
static void test_up_and_back(void **state)
{
	static const char *const lines[] = {
		"plan Small unit=credit pool=672 action=step costs=1",
		"plan Great unit=credit pool=13440 action=step costs=1",
		"at 2027-02-01T00:00:00Z",
		"account a unit=credit -> OK",
		"give a 20000 -> OK",
		"subscription a s plan=Small anchor=2027-02-01T00:00:00Z at=2027-02-01T00:00:00Z -> OK",
		"period a s inv=i1 plan=Small start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z -> OK balance=20672",
		"at 2027-02-28T23:00:00Z",
		"subscription a s plan=Great changed at=2027-02-28T23:00:00Z anchor=2027-02-01T00:00:00Z -> OK balance=20672",
		/* An hour of 672. */
		"period a s inv=i2 plan=Great instead=Small start=2027-02-28T23:00:00Z end=2027-03-01T00:00:00Z -> OK balance=20691",
		"see a on=Great allowances=period:672,upgrade:19",
		"charge a step n=9000 -> OK balance=11691",
		"subscription a s plan=Small changed at=2027-02-28T23:00:00Z rank=1 anchor=2027-02-01T00:00:00Z -> OK balance=11691",
		"see a on=Small balance=11672 allowances=period:672,upgrade:19,less:-19 granted=672",
		"at 2027-03-01T00:00:00Z",
		"touch a -> OK balance=11672",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* Upgrades that give all at once: only the worth of the time in between stays. */
static void test_up_and_back_in_full(void **state)
{
	static const struct scene_rules full = {.plan_upgrade = UPGRADE_FULL};
	static const char *const lines[] = {
		"plan Small unit=credit pool=500 action=step costs=1",
		GREAT,
		"at 2027-02-01T00:00:00Z",
		"account a unit=credit -> OK",
		"subscription a s plan=Small anchor=2027-02-01T00:00:00Z at=2027-02-01T00:00:00Z -> OK",
		"period a s inv=i1 plan=Small start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z -> OK balance=500",
		"at 2027-02-28T23:00:00Z",
		"subscription a s plan=Great changed at=2027-02-28T23:00:00Z anchor=2027-02-01T00:00:00Z -> OK",
		"period a s inv=i2 plan=Great instead=Small start=2027-02-28T23:00:00Z end=2027-03-01T00:00:00Z -> OK balance=10000",
		"charge a step n=9000 -> OK balance=1000",
		"at 2027-02-28T23:30:00Z",
		"subscription a s plan=Small changed at=2027-02-28T23:30:00Z anchor=2027-02-01T00:00:00Z -> OK",
		/* Half an hour of 9500 is 7; the rest was had for nothing, and is owed. */
		"see a on=Small granted=506 balance=-8494",
		"at 2027-03-01T00:00:00Z",
		"touch a -> OK balance=-8494",
		"period a s inv=i3 plan=Small start=2027-03-01T00:00:00Z end=2027-04-01T00:00:00Z -> OK balance=-7994",
	};

	(void)state;
	PLAY(&full, lines);
}

static void test_upgrade_from_the_next_period(void **state)
{
	static const struct scene_rules next = {.plan_upgrade = UPGRADE_NEXT_PERIOD};
	static const char *const lines[] = {
		"plan Small unit=credit pool=500 action=step costs=1",
		GREAT,
		"at 2027-02-01T00:00:00Z",
		"account a unit=credit -> OK",
		"subscription a s plan=Small anchor=2027-02-01T00:00:00Z at=2027-02-01T00:00:00Z -> OK",
		"period a s inv=i1 plan=Small start=2027-02-01T00:00:00Z end=2028-02-01T00:00:00Z -> OK balance=500",
		"at 2027-02-15T00:00:00Z",
		"subscription a s plan=Great changed at=2027-02-15T00:00:00Z anchor=2027-02-01T00:00:00Z -> OK",
		"period a s inv=i2 plan=Great instead=Small start=2027-02-15T00:00:00Z end=2028-02-01T00:00:00Z -> OK balance=500",
		"see a on=Small",
		"at 2027-03-01T00:00:00Z",
		"touch a -> OK balance=10000",
		"see a on=Great periods=1000:0:500:0:0,9500:0:0:0:0",
	};

	(void)state;
	PLAY(&next, lines);
}

/* A plan that was paid for in full, and is then made smaller: Stripe gives the rest of the money back. */
static void test_smaller_plan(void **state)
{
	static const char *const lines[] = {
		"plan Small unit=credit pool=500 action=step costs=1",
		GREAT,
		"at 2027-02-01T00:00:00Z",
		"account a unit=credit -> OK",
		"subscription a s plan=Great anchor=2027-02-01T00:00:00Z at=2027-02-01T00:00:00Z -> OK",
		"period a s inv=i1 plan=Great start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z -> OK balance=10000",
		"charge a step n=10000 -> OK balance=0",
		"at 2027-02-15T00:00:00Z",
		"subscription a s plan=Small changed at=2027-02-15T00:00:00Z anchor=2027-02-01T00:00:00Z -> OK",
		"see a on=Small balance=-4750 granted=5250 periods=10000:4750:0:0:0",
		"subscription a s plan=Small at=2027-02-16T00:00:00Z anchor=2027-02-01T00:00:00Z -> OK balance=-4750",
		/* Up again, paid again. */
		"subscription a s plan=Great changed at=2027-02-16T00:00:00Z rank=2 anchor=2027-02-01T00:00:00Z -> OK",
		"at 2027-02-22T00:00:00Z",
		"period a s inv=i2 plan=Great instead=Small start=2027-02-22T00:00:00Z end=2027-03-01T00:00:00Z -> OK balance=-2375",
		"see a on=Great granted=7625",
		/* A first period that is no whole month. */
		"account p unit=credit -> OK",
		"subscription p t plan=Great anchor=2027-03-01T00:00:00Z at=1 -> OK",
		"period p t inv=p1 plan=Great start=2027-02-22T00:00:00Z end=2027-03-01T00:00:00Z -> OK balance=2500",
		"see p until=2027-03-01T00:00:00Z",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_what_is_not_given(void **state)
{
	static const char *const lines[] = {
		STARTER,
		PROFESSIONAL,
		"at 2027-02-10T00:00:00Z",
		"account a unit=credit -> OK",
		/* Before its subscription is known it waits. */
		"period a s inv=i1 plan=Starter start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z event=e1 -> OK event=parked",
		"subscription a s plan=Starter anchor=2027-02-01T00:00:00Z at=1 -> OK",
		/* Another customer's, no plan of ours, of another unit, for nothing, of nobody. */
		"period a s inv=i2 plan=Starter cus=thief start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z event=e2 -> OK event=parked",
		"period a s inv=i2 plan=Nothing start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z event=e3 -> OK event=parked",
		"period a s inv=i2 plan=Starter free start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z event=e4 -> OK event=ignored",
		"period n s inv=i2 plan=Starter start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z event=e5 -> OK event=parked",
		"period a s inv=i2 plan=Starter start=2027-02-01T00:00:00Z end=2037-03-01T00:00:00Z event=e6 -> OK event=parked",
		"period a s inv=i2 plan=Starter start=2027-03-01T00:00:00Z end=2027-02-01T00:00:00Z event=e7 -> OK event=parked",
		/* An upgrade of a period that is not paid: who is past due would get the plan for the difference. */
		"period a s inv=i3 plan=Professional instead=Starter start=2027-02-05T00:00:00Z end=2027-03-01T00:00:00Z event=e8 -> OK event=parked",
		"see a balance=0 workspace=0 events=0,1,7",
		"period a s inv=i1 plan=Starter start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z event=e1 -> OK event=applied",
		"see a balance=500",
		/* Of another subscription than the plan is of, while that one lives. */
		"subscription a old plan=Starter anchor=2027-02-01T00:00:00Z -> OK",
		"period a old inv=i4 plan=Starter start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z event=e9 -> OK event=parked",
		"subscription a s ended at=2 -> OK",
		"period a old inv=i4 plan=Starter start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z event=e9 -> OK event=applied",
		"see a balance=1000 plan=Starter",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_free_periods(void **state)
{
	static const struct scene_rules trials = {.plan_free_periods = FREE_TRIALS},
					all = {.plan_free_periods = FREE_ALL};
	static const char *const lines[] = {
		STARTER,
		"at 2027-02-10T00:00:00Z",
		"account a unit=credit -> OK",
		"subscription a s plan=Starter anchor=2027-02-15T00:00:00Z trial=2027-02-15T00:00:00Z at=1 -> OK",
		"period a s inv=i1 plan=Starter free amount=0 start=2027-02-01T00:00:00Z end=2027-02-15T00:00:00Z -> OK",
		/* Fourteen days of 31. */
		"see a balance=225 until=2027-02-15T00:00:00Z",
		"at 2027-02-15T00:00:00Z",
		"touch a -> OK balance=0",
		"period a s inv=i2 plan=Starter free amount=0 start=2027-02-15T00:00:00Z end=2027-03-15T00:00:00Z event=e1 -> OK event=ignored",
	};
	static const char *const coupon[] = {
		STARTER,
		"at 2027-02-10T00:00:00Z",
		"account a unit=credit -> OK",
		"subscription a s plan=Starter anchor=2027-02-01T00:00:00Z at=1 -> OK",
		"period a s inv=i1 plan=Starter free amount=0 start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z -> OK balance=500",
	};

	(void)state;
	PLAY(&trials, lines);
	PLAY(&all, coupon);
}

#define REFUNDS \
	STARTER, "at 2027-02-01T00:00:00Z", "account a unit=credit -> OK", \
		"subscription a s plan=Starter anchor=2027-02-01T00:00:00Z at=1 -> OK", \
		"period a s inv=i1 pi=p1 plan=Starter start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z -> OK balance=500", \
		"give a 1000 -> OK balance=1500"

static void test_refunds(void **state)
{
	static const char *const used[] = {
		REFUNDS,
		"charge a step n=400 -> OK balance=1100",
		"refund a 0 inv=i1 pi=p1 id=r1 amount=50 -> OK balance=850",
		"see a grants=0,850 periods=500:0:0:250:150",
		"refund a 0 inv=i1 pi=p1 id=r1 amount=50 -> OK balance=850",
		"refund a 0 inv=i1 pi=p1 amount=100 -> OK balance=600",
		"refund a 0 inv=i1 pi=p1 id=r2 amount=50 -> OK balance=600",
		"see a periods=500:0:0:500:400",
		"refund a 0 inv=i1 pi=p1 id=r2 amount=50 failed -> OK",
		"refund a 0 inv=i1 pi=p1 id=r1 amount=50 failed -> OK",
		"see a balance=1100 periods=500:0:0:0:0",
		"at 2027-03-01T00:00:00Z",
		"touch a -> OK balance=1000",
	};
	/* Unused credits that expired are gone already; used ones are owed. */
	static const char *const late[] = {
		REFUNDS,
		"take a 1000 -> OK balance=500",
		"at 2027-03-01T00:00:00Z",
		"touch a -> OK balance=500",
		"refund a 0 inv=i1 pi=p1 id=r1 amount=100 -> OK balance=0",
	};
	static const char *const unused[] = {
		REFUNDS,
		"charge a step n=100 -> OK balance=1400",
		"at 2027-03-01T00:00:00Z",
		"touch a -> OK balance=1000",
		"see a periods=500:0:400:0:0",
		"refund a 0 inv=i1 pi=p1 id=r1 amount=50 -> OK balance=1000",
		"refund a 0 inv=i1 pi=p1 id=r2 amount=50 -> OK balance=900",
		"dispute a 0 inv=i1 pi=p1 id=d1 amount=100 withdrawn -> OK balance=900",
		"dispute a 0 inv=i1 pi=p1 id=d1 amount=100 reinstated -> OK balance=900",
		"refund a 0 inv=i1 pi=p1 id=r2 amount=50 failed -> OK",
		"see a balance=1000",
	};
	static const char *const disputed[] = {
		REFUNDS,
		"take a 1000 -> OK balance=500",
		"charge a step n=300 -> OK balance=200",
		"dispute a 0 inv=i1 pi=p1 id=d1 amount=100 withdrawn -> OK balance=-300",
		"dispute a 0 inv=i1 pi=p1 id=d1 amount=100 withdrawn -> OK balance=-300",
		"dispute a 0 inv=i1 pi=p1 id=d1 amount=100 reinstated -> OK balance=200",
		"refund a 0 inv=i1 pi=p1 id=r1 amount=100 currency=usd event=x1 -> OK event=parked",
		"refund a 0 inv=i1 pi=p1 id=r1 amount=100 live event=x2 -> OK event=parked",
		"refund a 0 inv=i7 pi=p1 id=r1 amount=100 event=x3 -> OK event=parked",
		"dispute a 0 inv=i7 pi=p1 id=d2 amount=100 withdrawn event=x4 -> OK event=parked",
	};
	/* A year of which all was given back gives no further months. */
	static const char *const year[] = {
		STARTER,
		"at 2027-02-01T00:00:00Z",
		"account a unit=credit -> OK",
		"subscription a s plan=Starter anchor=2027-02-01T00:00:00Z at=1 -> OK",
		"period a s inv=i1 plan=Starter amount=1000 start=2027-02-01T00:00:00Z end=2028-02-01T00:00:00Z -> OK balance=500",
		"period_payment a inv=i1 pi=p1 event=y1 -> OK event=applied",
		"period_payment a inv=i1 pi=p1 event=y2 -> OK event=ignored",
		"period_payment a inv=i2 pi=p2 event=y3 -> OK event=parked",
		"refund a 0 inv=i1 pi=p1 id=r1 amount=500 -> OK balance=250",
		"at 2027-03-01T00:00:00Z",
		"touch a -> OK balance=250",
		"refund a 0 inv=i1 pi=p1 id=r2 amount=500 -> OK balance=0",
		"at 2027-04-01T00:00:00Z",
		"touch a -> OK balance=0",
		"see a on=",
	};

	(void)state;
	PLAY(&standard, used);
	PLAY(&standard, late);
	PLAY(&standard, unused);
	PLAY(&standard, disputed);
	PLAY(&standard, year);
}

/* Own shares are part of what is paid for: they are taken back like the rest. */
static void test_seats_of_a_subscription(void **state)
{
	static const char *const lines[] = {
		"plan Desks unit=credit scope=seat manager=20 seat=10 seats=3 managers=1 action=step costs=1",
		"plan Desk unit=credit pool=1 seats=3 action=step costs=1",
		"at 2027-02-01T00:00:00Z",
		"account a unit=credit -> OK",
		"subscription a s plan=Desks anchor=2027-02-01T00:00:00Z at=1 -> OK",
		"period a s inv=i1 pi=p1 plan=Desks start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z -> OK balance=0",
		"member a ann -> OK balance=10",
		"member a bob -> OK balance=20",
		"see a reserved=20 granted=20 periods=20:0:0:0:0",
		"at 2027-02-15T00:00:00Z",
		"refund a 0 inv=i1 pi=p1 id=r1 amount=50 -> OK balance=10",
		"subscription a s plan=Desk changed anchor=2027-02-01T00:00:00Z at=2027-02-15T00:00:00Z -> OK",
		"see a on=Desk granted=10 periods=20:10:0:10:0",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* A plan that a person has set is that person's. */
static void test_a_person_and_a_subscription(void **state)
{
	static const char *const lines[] = {
		STARTER,
		PROFESSIONAL,
		"at 2027-02-10T00:00:00Z",
		"account a unit=credit plan=Starter -> OK balance=500",
		"subscription a s plan=Professional anchor=2027-02-10T00:00:00Z at=1 -> OK balance=500",
		"subscription a s ended at=2 -> OK balance=500",
		"at 2027-03-01T00:00:00Z",
		"touch a -> OK balance=500",
		"see a on=Starter until=2027-04-01T00:00:00Z",
		"subscription a t plan=Starter anchor=2027-03-01T00:00:00Z at=3 -> OK",
		"period a t inv=i1 plan=Starter start=2027-03-01T00:00:00Z end=2027-04-01T00:00:00Z -> OK balance=1000",
		/* The one that it is on already stays the subscription's, another is the person's. */
		"account a plan=Starter -> OK balance=1000",
		"at 2027-04-01T00:00:00Z",
		"touch a -> OK balance=0",
		"period a t inv=i2 plan=Starter start=2027-04-01T00:00:00Z end=2027-05-01T00:00:00Z -> OK balance=500",
		"account a plan=Professional -> OK balance=1500",
		"at 2027-05-01T00:00:00Z",
		"touch a -> OK balance=1500",
		"see a until=2027-06-01T00:00:00Z",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* Events of one history, each of them delivered three times, the first time in every order. */
static void test_every_order(void **state)
{
	static const char *const events[] = {
		"subscription a s plan=Small anchor=2027-02-01T00:00:00Z at=2027-02-01T00:00:00Z -> OK",
		"period a s inv=i1 plan=Small start=2027-02-01T00:00:00Z end=2027-03-01T00:00:00Z -> OK",
		"subscription a s plan=Great changed anchor=2027-02-01T00:00:00Z at=2027-02-08T00:00:00Z -> OK",
		"period a s inv=i2 plan=Great instead=Small start=2027-02-08T00:00:00Z end=2027-03-01T00:00:00Z -> OK",
		"subscription a s plan=Small changed anchor=2027-02-01T00:00:00Z at=2027-02-15T00:00:00Z -> OK",
		"refund a 0 inv=i1 id=r1 amount=50 -> OK",
	};
	enum { EVENTS = 6, ROUNDS = 3 };
	const char *lines[4 + EVENTS * ROUNDS + 1] = {
		"plan Small unit=credit pool=672",
		"plan Great unit=credit pool=13440",
		"at 2027-02-22T00:00:00Z",
		"account a unit=credit -> OK",
	};

	(void)state;
	for (int order = 0; order < 720; order++) {
		int left[EVENTS] = {0, 1, 2, 3, 4, 5}, count = 4;

		for (int n = EVENTS, rest = order; n > 0; rest /= n--) {
			const int at = rest % n;

			lines[count++] = events[left[at]];
			memmove(&left[at], &left[at + 1], sizeof(left[0]) * (size_t)(n - at - 1));
		}
		for (int i = 0; i < EVENTS * (ROUNDS - 1); i++)
			lines[count++] = events[i % EVENTS];
		/* The small plan, and a week of the great one's 12768 more; half of what the small one cost came back. */
		lines[count++] = "see a on=Small balance=3528 granted=3864 periods=672:0:0:336:0,9576:6384:0:0:0";
		scene_play(&standard, lines, (size_t)count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_usual_month),
		cmocka_unit_test(test_alerts_of_a_plans_credits),
		cmocka_unit_test(test_up_and_down),
		cmocka_unit_test(test_clock_steps_back),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_roll_over),
		cmocka_unit_test(test_paid_credits_and_debt),
		cmocka_unit_test(test_seats),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_anchors),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_subscriptions),
		cmocka_unit_test(test_up_and_back),
		cmocka_unit_test(test_up_and_back_in_full),
		cmocka_unit_test(test_upgrade_from_the_next_period),
		cmocka_unit_test(test_smaller_plan),
		cmocka_unit_test(test_what_is_not_given),
		cmocka_unit_test(test_free_periods),
		cmocka_unit_test(test_refunds),
		cmocka_unit_test(test_seats_of_a_subscription),
		cmocka_unit_test(test_a_person_and_a_subscription),
		cmocka_unit_test(test_every_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
