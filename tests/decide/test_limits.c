/*
 * Limits, played: what a plan's shares, a member's limits and the spending limits of day and month leave, which one a
 * refusal names, and what is counted when.
 */
#include "scene.h"

#include "../unit/unit.h"

#define SCENE(...) \
	do { \
		static const char *const lines[] = {__VA_ARGS__}; \
		static const struct scene_rules rules = {.holds_max = 100}; \
		PLAY(&rules, lines); \
	} while (0)

static void test_daily(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "account a unit=credit daily=5000000 -> OK", "give a 100000000 -> OK",
	      "charge a debrief n=2 -> OK amount=4000000 available=1000000",
	      "charge a debrief -> SPENDING_LIMIT_REACHED kind=daily ofmember=0 limit=5000000 used=4000000 needed=2000000 available=1000000 resets=50400",
	      "see a alerts=", "charge a other -> OK amount=1000000 available=0",
	      "see a alerts=limit_reached:5000000:daily",
	      /* Held credits count as used. */
	      "at 2026-03-11T00:00:00Z", "see a workspace=1", "authorize a x action=debrief n=2 -> OK amount=4000000",
	      "charge a debrief -> SPENDING_LIMIT_REACHED kind=daily used=4000000 resets=86400", "release a 3 -> OK",
	      "charge a debrief -> OK", "see a day=2000000 month=7000000 balance=93000000",
	      /* Lifted, lowered below what is used already. */
	      "account a daily=1 -> OK", "charge a other -> SPENDING_LIMIT_REACHED kind=daily available=-1999999",
	      "account a daily=-1 -> OK", "charge a other -> OK");
}

static void test_monthly_in_a_time_zone(void **state)
{
	(void)state;
	/* In Paris the month ends at 22:00 UTC, as summer has begun. */
	SCENE("at 2026-03-31T21:00:00Z", "account a unit=credit zone=Europe/Paris monthly=3000000 -> OK",
	      "give a 100000000 -> OK", "charge a debrief -> OK available=1000000",
	      "charge a debrief -> SPENDING_LIMIT_REACHED kind=monthly limit=3000000 used=2000000 resets=3600",
	      "at 2026-03-31T22:00:00Z", "charge a debrief -> OK", "see a month=2000000 day=2000000",
	      /* Spring forward: that day has 23 hours. */
	      "account b unit=credit zone=Europe/Paris daily=1000000 -> OK", "give b 9000000 -> OK");
	SCENE("at 2026-03-28T23:00:00Z", "account b unit=credit zone=Europe/Paris daily=1000000 -> OK",
	      "give b 9000000 -> OK", "charge b debrief -> SPENDING_LIMIT_REACHED kind=daily resets=82800");
}

static void test_spent_before_counts(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "account a unit=credit -> OK", "give a 100000000 -> OK",
	      "charge a debrief -> OK", "see a workspace=0",
	      "account a daily=3000000 today=2000000 thismonth=2000000 -> OK",
	      "charge a debrief -> SPENDING_LIMIT_REACHED kind=daily used=2000000");
	/* A workspace that has counted only since noon is told the rest; what it knows better stays. */
	SCENE("at 2026-03-10T10:00:00Z", "account a unit=credit -> OK", "give a 100000000 -> OK",
	      "charge a debrief -> OK", "member a u member -> OK", "charge a other -> OK",
	      "see a day=1000000 month=1000000", "account a daily=4000000 today=3000000 thismonth=3000000 -> OK",
	      "see a day=3000000 month=3000000", "charge a debrief -> SPENDING_LIMIT_REACHED kind=daily used=3000000",
	      "charge a other -> OK available=0", "account a daily=5000000 today=3000000 thismonth=3000000 -> OK",
	      "see a day=4000000 month=4000000", "at 2026-03-11T10:00:00Z",
	      "account a daily=6000000 today=0 thismonth=4000000 -> OK", "see a day=0 month=4000000",
	      "charge a debrief n=3 -> OK available=0");
}

static void test_member_limits(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "account a unit=credit -> OK", "give a 100000000 -> OK",
	      "member a u member limit=4000000 daily=3000000 -> OK", "member a v manager -> OK",
	      "charge a debrief member=u -> OK available=1000000",
	      "charge a debrief member=u -> SPENDING_LIMIT_REACHED kind=daily ofmember=1 limit=3000000 used=2000000 resets=50400",
	      "charge a debrief member=v -> OK", "charge a debrief -> OK", "charge a debrief member=stranger -> OK",
	      "at 2026-03-11T10:00:00Z", "charge a debrief member=u -> OK available=0",
	      "charge a other member=u -> MEMBER_LIMIT_REACHED kind=member ofmember=1 limit=4000000 used=4000000 needed=1000000 available=0 resets=1778400",
	      "at 2026-04-01T00:00:00Z", "charge a debrief member=u -> OK available=1000000",
	      /* A member that has left spends nothing, and joining again brings the same use back. */
	      "member a u remove -> OK", "charge a debrief member=u -> MEMBER_REMOVED", "member a u member -> OK",
	      "charge a debrief member=u -> SPENDING_LIMIT_REACHED kind=daily", "member a u limit=-1 daily=-1 -> OK",
	      "charge a debrief member=u -> OK", "member a w known limit=5 -> NOT_FOUND",
	      "member a w remove -> NOT_FOUND");
}

static void test_tightest_is_named(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "account a unit=credit daily=50000000 monthly=40000000 -> OK",
	      "give a 30000000 -> OK", "member a u member limit=20000000 daily=10000000 monthly=15000000 -> OK",
	      "charge a debrief n=100 member=u -> SPENDING_LIMIT_REACHED kind=daily ofmember=1 available=10000000",
	      "member a u daily=-1 -> OK",
	      "charge a debrief n=100 member=u -> SPENDING_LIMIT_REACHED kind=monthly ofmember=1 available=15000000",
	      "member a u monthly=-1 -> OK",
	      "charge a debrief n=100 member=u -> MEMBER_LIMIT_REACHED kind=member available=20000000",
	      "member a u limit=-1 -> OK",
	      "charge a debrief n=100 member=u -> INSUFFICIENT_CREDITS kind=balance ofmember=0 available=30000000",
	      "give a 90000000 -> OK",
	      "charge a debrief n=100 member=u -> SPENDING_LIMIT_REACHED kind=monthly ofmember=0 available=40000000",
	      "account a monthly=-1 -> OK",
	      "charge a debrief n=100 member=u -> SPENDING_LIMIT_REACHED kind=daily ofmember=0 available=50000000",
	      /* Of equal ones the account's balance comes first. */
	      "account a daily=120000000 -> OK", "charge a debrief n=100 member=u -> INSUFFICIENT_CREDITS kind=balance",
	      "account a status=suspended -> OK", "charge a other member=u -> ACCOUNT_SUSPENDED kind=suspended");
}

static void test_hard_limit(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "account a unit=credit mode=postpaid hard=10000000 -> OK",
	      "charge a debrief n=4 -> OK balance=-8000000 available=2000000",
	      "charge a debrief n=2 -> HARD_LIMIT_REACHED kind=hard_limit limit=10000000 used=8000000 resets=0",
	      "account a hard=20000000 -> OK", "charge a debrief n=2 -> OK available=8000000");
}

/* Everyone's own share is there for it, whatever the others do; what is paid for serves all. */
static void test_shares(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "plan team unit=credit scope=seat seat=10000000 seats=3",
	      "account a unit=credit -> OK", "member a u member -> OK", "member a v member -> OK",
	      "account a plan=team -> OK", "see a balance=20000000 reserved=20000000",
	      "charge a debrief n=6 member=u -> MEMBER_LIMIT_REACHED kind=member ofmember=1 limit=10000000 used=0 available=10000000",
	      "charge a debrief n=4 member=u -> OK available=2000000",
	      "see a reserved=12000000 member=u quota=10000000 mused=8000000",
	      "charge a other -> MEMBER_LIMIT_REACHED kind=member limit=0 available=0",
	      "charge a other member=stranger -> MEMBER_LIMIT_REACHED available=0",
	      "authorize a x action=debrief member=u -> OK available=0",
	      "see a reserved=10000000 member=u mheld=2000000", "charge a debrief n=5 member=v -> OK available=0",
	      "see a reserved=0",
	      /* Nothing is left at all: that is said first. */
	      "charge a other member=v -> INSUFFICIENT_CREDITS available=0", "give a 3000000 -> OK",
	      "charge a other member=v -> OK available=2000000", "charge a other -> OK available=1000000",
	      "release a 2 -> OK", "see a reserved=2000000",
	      "charge a debrief n=2 member=v -> MEMBER_LIMIT_REACHED available=1000000",
	      "charge a debrief member=u -> OK");
}

/* Settled for more than was held: taken in full, from the share, then from what is there. */
static void test_overrun(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "plan team unit=money scope=mixed pool=1000 seat=1000 seats=3",
	      "account a -> OK", "member a u member -> OK", "member a v member -> OK", "account a plan=team -> OK",
	      "see a balance=3000 reserved=2000", "authorize a gpt in=250 member=u -> OK amount=500 available=1500",
	      "settle a 1 in=950 -> OK amount=1900", "see a balance=1100 reserved=1000 member=u mused=1900 mheld=0",
	      "authorize a gpt in=100 member=u -> MEMBER_LIMIT_REACHED available=100",
	      "authorize a gpt in=550 member=v -> OK available=0", "settle a 2 in=1500 -> OK balance=-1900",
	      "see a reserved=0", "authorize a gpt in=1 member=u -> INSUFFICIENT_CREDITS kind=balance available=-1900");
}

/* A cost counts in the window in which it is booked, and what is held in every window until then. */
static void test_hold_over_midnight(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T23:55:00Z", "account a daily=1000 -> OK", "give a 100000 -> OK",
	      "member a u member daily=900 -> OK", "authorize a gpt in=400 member=u -> OK available=100",
	      "at 2026-03-11T00:01:00Z",
	      "authorize a gpt in=100 member=u -> SPENDING_LIMIT_REACHED kind=daily ofmember=1 used=800",
	      "settle a 1 in=150 -> OK", "see a day=300 member=u mused=300 mheld=0",
	      "authorize a gpt in=300 member=u -> OK available=0",
	      /* One that expires frees what it held, and a late settlement counts when it comes. */
	      "at 2026-03-11T00:20:00Z", "authorize a gpt in=300 ttl=60 member=u -> OK", "at 2026-03-12T00:05:00Z",
	      "touch a -> OK", "see a held=0 member=u mheld=0", "settle a 3 in=425 -> OK settlement=late",
	      "see a day=850", "authorize a gpt in=50 member=u -> SPENDING_LIMIT_REACHED available=50");
}

/* The hold ends in the very moment in which the period does, so just before: its credits are not the next one's. */
static void test_hold_until_the_period_ends(void **state)
{
	(void)state;
	SCENE("at 2026-03-31T23:00:00Z", "plan team unit=credit scope=seat seat=10000000 seats=3",
	      "account a unit=credit -> OK", "member a u member -> OK", "member a v member -> OK",
	      "account a plan=team -> OK", "give a 9000000 -> OK", "charge a other n=9 member=u -> OK",
	      "see a reserved=11000000", "authorize a x action=debrief member=u ttl=3600 -> OK",
	      "see a reserved=10000000 member=u mheld=2000000 mused=9000000", "at 2026-04-01T00:00:00Z",
	      "touch a -> OK", "see a held=0 reserved=20000000 member=u mheld=0 mused=0",
	      "charge a other n=30 member=v -> MEMBER_LIMIT_REACHED available=19000000");
}

static void test_captured_when_the_period_ends(void **state)
{
	static const struct scene_rules rules = {.capture_expired = true};
	static const char *const lines[] = {"at 2026-03-31T23:00:00Z",
	                                    "plan team unit=credit scope=seat seat=10000000 seats=3",
	                                    "account a unit=credit -> OK",
	                                    "member a u member -> OK",
	                                    "account a plan=team -> OK",
	                                    "give a 9000000 -> OK",
	                                    "charge a other n=9 member=u -> OK",
	                                    "authorize a x action=debrief n=5 member=u ttl=3600 -> OK",
	                                    "see a reserved=0",
	                                    "at 2026-04-01T00:00:00Z",
	                                    "touch a -> OK",
	                                    "see a held=0 reserved=10000000 member=u mheld=0 mused=0"};

	(void)state;
	PLAY(&rules, lines);
}

static void test_holds_from_before_joining(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "give a 100000 -> OK", "authorize a gpt in=250 member=u -> OK",
	      "member a u member limit=1000 -> OK", "authorize a gpt in=300 member=u -> OK", "see a member=u mheld=600",
	      "settle a 1 in=150 -> OK", "see a member=u mheld=600 mused=300",
	      "authorize a gpt in=100 member=u -> MEMBER_LIMIT_REACHED available=100", "release a 2 -> OK",
	      "see a member=u mheld=0");
}

static void test_fit_and_lists(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "give a 100000 -> OK", "member a u member limit=1000 -> OK",
	      "authorize a gpt in=100 out=1000 fit member=u -> OK output=100 amount=1000 available=0",
	      "release a 1 -> OK", "authorize a gpt,mini in=250 out=250 member=u -> OK choice=1 amount=125",
	      "authorize a claude,gpt in=2500 out=0 member=u -> MEMBER_LIMIT_REACHED needed=5000",
	      "extend a 2 out=3000 -> MEMBER_LIMIT_REACHED available=875", "extend a 2 out=600 -> OK amount=265",
	      "check a model=gpt in=50 out=100 member=u -> MEMBER_LIMIT_REACHED",
	      "check a model=mini in=100 out=200 member=u -> OK",
	      /* Its own key costs nothing and counts nothing. */
	      "authorize a gpt in=500000 byok=openai member=u -> OK source=byok available=735",
	      "settle a 3 in=500000 -> OK amount=0", "see a member=u mused=0");
}

static void test_plan_prices_and_models(void **state)
{
	(void)state;
	SCENE("at 2026-03-10T10:00:00Z", "plan p unit=credit pool=100000000 action=debrief costs=7000000 model=mini",
	      "account a unit=credit plan=p -> OK", "charge a debrief -> OK amount=7000000 version=0",
	      "charge a other -> OK amount=1000000", "authorize a gpt in=1 -> MODEL_NOT_IN_PLAN",
	      "authorize a nosuch -> UNKNOWN_MODEL", "authorize a gpt,mini in=100 -> OK choice=1",
	      "check a model=gpt in=1 -> MODEL_NOT_IN_PLAN", "check a model=mini in=1 -> OK",
	      "authorize a gpt in=1 byok=openai -> OK source=byok",
	      "authorize a x action=debrief n=2 -> OK amount=14000000", "settle a 5 in=0 -> OK amount=14000000",
	      /* A new version of the plan waits for the next period. */
	      "plan p unit=credit pool=100000000", "charge a debrief -> OK amount=7000000",
	      "authorize a gpt in=1 -> MODEL_NOT_IN_PLAN", "at 2026-04-01T00:00:00Z",
	      "charge a debrief -> OK amount=2000000", "authorize a gpt in=1 -> OK");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_daily),
		cmocka_unit_test(test_monthly_in_a_time_zone),
		cmocka_unit_test(test_spent_before_counts),
		cmocka_unit_test(test_member_limits),
		cmocka_unit_test(test_tightest_is_named),
		cmocka_unit_test(test_hard_limit),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_hold_over_midnight),
		cmocka_unit_test(test_holds_from_before_joining),
		cmocka_unit_test(test_hold_until_the_period_ends),
		cmocka_unit_test(test_captured_when_the_period_ends),
		cmocka_unit_test(test_fit_and_lists),
		cmocka_unit_test(test_plan_prices_and_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
