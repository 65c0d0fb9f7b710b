#include "scene.h"

#include "../unit/unit.h"

/*
 * Decisions of each command, one line per event.  A token of gpt costs one micro, of its output four (from
 * second 5000 on twice that), of claude 3 and 15, of mini a tenth and four tenths; a credit is worth 10000
 * micros of money; debrief is an action of two credits, any other one of one.
 */

static const struct scene_rules standard = {0};
static const struct scene_rules capturing = {.capture_expired = true};
static const struct scene_rules narrow = {.holds_max = 2};
static const struct scene_rules priced_actions = {.actions_need_prices = true};

static void test_authorize(void **state)
{
	static const char *const lines[] = {
		"authorize a gpt in=500 out=100 -> INSUFFICIENT_CREDITS needed=900 available=0 kind=balance limit=0 used=0",
		"give a 1000 -> OK amount=1000 balance=1000 available=1000 seq=1",
		"authorize a gpt in=500 out=100 ttl=60 -> OK amount=900 balance=1000 available=100 seq=1 output=100 version=1"
		" expires=60 source=platform provider=openai choice=0 replayed=0",
		"see a balance=1000 held=900 open=1 entries=1 due=60",
		"authorize a gpt in=100 -> OK amount=100 available=0 seq=2",
		"authorize a gpt in=1 -> INSUFFICIENT_CREDITS needed=1 available=0 kind=balance limit=1000 used=1000",
		"authorize a free in=999999999 out=1 -> OK amount=0 available=0 seq=3",
		"authorize a nothing in=1 -> UNKNOWN_MODEL",
		"authorize a huge in=1000000001 -> INVALID_REQUEST field=maxOutputTokens",
		"see a balance=1000 held=1000 open=3 entries=1",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_authorize_from_a_list(void **state)
{
	static const char *const lines[] = {
		"give a 1000 -> OK",
		"authorize a claude,gpt,mini in=400 out=200 -> OK choice=2 amount=120",
		"authorize a claude,gpt in=400 out=200 -> INSUFFICIENT_CREDITS available=880 needed=1200",
		"authorize a claude,gpt,mini in=100 out=50 -> OK choice=1 amount=300 provider=openai",
		"authorize a nothing,gpt in=1 out=1 -> OK choice=1 amount=5",
		"authorize a nothing,nobody in=1 out=1 -> UNKNOWN_MODEL",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_fit(void **state)
{
	static const char *const lines[] = {
		"give a 1000 -> OK",
		"authorize a gpt in=500 out=2000 -> INSUFFICIENT_CREDITS needed=8500",
		"authorize a gpt in=500 out=125 fit -> OK amount=1000 output=125",
		"release a 1 -> OK",
		"authorize a gpt in=500 out=2000 fit -> OK amount=1000 output=125",
		"release a 2 -> OK",
		"authorize a gpt in=501 out=2000 fit -> OK amount=997 output=124",
		"release a 3 -> OK",
		"authorize a gpt in=960 out=2000 fit -> OK amount=1000 output=10",
		"release a 4 -> OK",
		"authorize a gpt in=961 out=2000 fit -> INSUFFICIENT_CREDITS needed=8961",
		"authorize a gpt in=2000 out=2000 fit -> INSUFFICIENT_CREDITS needed=10000",
		"authorize a claude,mini in=500 out=2000 fit -> OK choice=1 amount=850 output=2000",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_own_keys(void **state)
{
	static const char *const lines[] = {
		"authorize a gpt in=500 out=100 byok=openai -> OK source=byok provider=openai amount=0 seq=1 output=100",
		"settle a 1 in=500 out=100 -> OK amount=0 settlement=exact balance=0",
		"authorize a gpt in=500 out=100 byok=anthropic -> INSUFFICIENT_CREDITS",
		"account a byok=anthropic+openai -> OK",
		"authorize a gpt,claude in=500 out=100 -> OK source=byok provider=anthropic choice=1",
		"authorize a mini,gpt in=500 out=100 -> OK source=byok provider=openai choice=0",
		"authorize a gpt-unheard-of in=500 out=100 -> OK source=byok provider=openai version=0",
		"authorize a claude-unheard-of in=500 out=100 -> OK source=byok provider=anthropic version=0",
		"authorize a free in=500 out=100 -> OK source=platform provider=nobody",
		"see a held=0 open=5 byok=3",
		"extend a 2 out=9999 -> OK amount=0 output=9999",
		"settle a 2 in=1 out=1 rest=1 -> OK amount=0 settlement=exact",
		"check a model=claude in=500 out=1 -> OK",
		"check a model=gpt-unheard-of -> OK",
		"account a byok=none -> OK",
		"authorize a claude in=500 out=100 -> INSUFFICIENT_CREDITS",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_settle(void **state)
{
	static const char *const lines[] = {
		"give a 10000 -> OK",
		"authorize a gpt in=500 out=100 -> OK seq=1 amount=900",
		"authorize a gpt in=500 out=100 -> OK seq=2",
		"authorize a gpt in=500 out=100 -> OK seq=3",
		"authorize a gpt in=500 out=100 -> OK seq=4",
		"authorize a gpt in=500 out=100 -> OK seq=5",
		"settle a 1 in=300 out=50 message=m -> OK amount=500 balance=9500 available=5900 settlement=exact replayed=0",
		"settle a 1 in=300 out=50 message=m -> OK amount=500 balance=9500 available=5900 settlement=exact replayed=1",
		"settle a 1 in=300 out=51 message=m -> SETTLEMENT_CONFLICT",
		"settle a 1 in=299 read=1 out=50 message=m -> SETTLEMENT_CONFLICT",
		"settle a 1 in=300 out=50 message=n -> SETTLEMENT_CONFLICT",
		"settle a 1 in=300 out=50 message=m partial -> SETTLEMENT_CONFLICT",
		"settle a 1 failed -> SETTLEMENT_CONFLICT",
		"settle a 1 -> SETTLEMENT_CONFLICT",
		"settle a 2 in=100 out=1 partial -> OK amount=104 settlement=partial",
		"settle a 3 -> OK amount=900 settlement=estimated",
		"settle a 3 -> OK amount=900 settlement=estimated replayed=1",
		"settle a 4 failed -> OK amount=0 settlement=exact",
		"settle a 4 failed -> OK amount=0 replayed=1",
		"settle a 4 in=1 -> SETTLEMENT_CONFLICT",
		"settle a 5 in=10 failed -> OK amount=10",
		"authorize a gpt in=500 out=100 -> OK seq=6",
		"settle a 6 in=100 out=1 rest=1 -> OK amount=104 settlement=estimated",
		"settle a 6 in=100 out=1 rest=1 -> OK amount=104 settlement=estimated replayed=1",
		"authorize a gpt in=500 out=100 -> OK seq=7",
		"settle a 7 in=100 out=1 partial rest=1 -> OK amount=104 settlement=estimated",
		"settle a 8 in=10 -> NOT_FOUND",
		"settle b 1 in=10 -> NOT_FOUND",
		"see a balance=8278 held=0 open=0 usages=settled:500,settled:104,settled:900,released:0,settled:10,settled:104,settled:104 grants=8278",
		"extend a 1 ttl=60 -> HOLD_ENDED",
		"release a 1 -> HOLD_ENDED",
		"release a 4 -> OK replayed=1",
		"release a 8 -> NOT_FOUND",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_settle_what_is_not_said(void **state)
{
	static const char *const lines[] = {
		"give a 1000000 -> OK",
		/* A rest costs what is dearer. */
		"authorize a gpt in=500 out=100 -> OK seq=1",
		"settle a 1 in=100 out=50 rest=40 -> OK amount=300 settlement=estimated",
		"authorize a embed in=500 -> OK seq=2 amount=500",
		"settle a 2 in=100 out=50 rest=40 -> OK amount=140 settlement=estimated",
		"settle a 2 in=100 out=50 rest=40 -> OK amount=140 settlement=estimated replayed=1",
		"settle a 2 in=100 out=50 -> SETTLEMENT_CONFLICT",
		"authorize a embed in=500 -> OK seq=3",
		"settle a 3 out=50 rest=50 -> OK amount=50 settlement=estimated",
		"authorize a embed in=500 -> OK seq=4",
		"settle a 4 out=50 rest=9000 -> OK amount=50 settlement=estimated",
		/* An input that is not counted is what it was said to be. */
		"authorize a gpt in=500 out=100 -> OK seq=5",
		"settle a 5 out=50 noinput -> OK amount=700 settlement=estimated",
		"settle a 5 out=50 noinput -> OK amount=700 settlement=estimated replayed=1",
		"settle a 5 out=51 noinput -> SETTLEMENT_CONFLICT",
		"settle a 5 out=50 -> SETTLEMENT_CONFLICT",
		/* Also once it has expired; own keys and actions cost what they do. */
		"authorize a gpt in=500 out=100 ttl=60 -> OK seq=6",
		"pass 61",
		"settle a 6 out=50 noinput -> OK amount=700 settlement=late",
		"settle a 6 out=50 noinput -> OK amount=700 settlement=late replayed=1",
		"authorize a gpt in=500 out=100 byok=openai -> OK seq=7",
		"settle a 7 out=50 rest=50 noinput -> OK amount=0 settlement=exact",
		"settle a 7 out=50 rest=50 noinput -> OK amount=0 settlement=exact replayed=1",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_settle_each_class_of_tokens(void **state)
{
	static const char *const lines[] = {
		"give a 1000000 -> OK",
		"authorize a gpt -> OK seq=1",
		"settle a 1 in=1 -> OK amount=1",
		"authorize a gpt -> OK seq=2",
		"settle a 2 read=1 -> OK amount=1",
		"authorize a gpt -> OK seq=3",
		"settle a 3 read=2 -> OK amount=1",
		"authorize a gpt -> OK seq=4",
		"settle a 4 write=4 -> OK amount=5",
		"authorize a gpt -> OK seq=5",
		"settle a 5 write1h=4 -> OK amount=8",
		"authorize a gpt -> OK seq=6",
		"settle a 6 out=3 -> OK amount=12",
		"authorize a gpt -> OK seq=7",
		"settle a 7 in=1 read=1 write=1 write1h=1 out=1 -> OK amount=9",
		"authorize a gpt -> OK seq=8",
		"settle a 8 in=0 -> OK amount=0 settlement=exact",
		"authorize a gpt -> OK seq=9",
		"settle a 9 in=1000000001 -> INVALID_REQUEST field=usage",
		"see a balance=999963 open=1",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_settle_above_the_hold(void **state)
{
	static const char *const lines[] = {
		"give a 1000 -> OK",
		"authorize a gpt in=1000 -> OK seq=1 available=0",
		"settle a 1 in=1000 out=1000 -> OK amount=5000 balance=-4000 available=-4000 settlement=exact",
		"see a balance=-4000 held=0 grants=0 entries=3",
		"authorize a gpt in=1 -> INSUFFICIENT_CREDITS available=-4000 needed=1",
		"authorize a free in=1 -> INSUFFICIENT_CREDITS needed=0",
		"charge a note -> INSUFFICIENT_CREDITS needed=10000",
		"check a -> INSUFFICIENT_CREDITS needed=1",
		"give a 3999 -> OK balance=-1",
		"see a balance=-1 grants=0,0 entries=6",
		"give a 11 -> OK balance=10 available=10",
		"see a balance=10 grants=0,0,10 entries=9",
		"authorize a gpt in=10 -> OK available=0",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_holds_of_actions(void **state)
{
	static const char *const lines[] = {
		"account a unit=credit -> OK",
		"give a 10000000 -> OK",
		"authorize a action=debrief -> OK amount=2000000 version=1 output=0",
		"authorize a action=anything n=3 -> OK amount=3000000 version=0",
		"settle a 1 -> OK amount=2000000 settlement=exact",
		"settle a 2 in=5 out=5 -> OK amount=3000000 settlement=exact",
		"authorize a action=debrief n=3 -> INSUFFICIENT_CREDITS needed=6000000 available=5000000",
		"authorize a action=debrief -> OK seq=3",
		"extend a 3 out=100 -> OK amount=2000000",
		"settle a 3 failed -> OK amount=0",
		"authorize a action=dear n=2 -> INVALID_REQUEST field=maxOutputTokens",
		"authorize a gpt in=1 -> OK amount=100",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_charge(void **state)
{
	static const char *const lines[] = {
		"charge a note -> INSUFFICIENT_CREDITS needed=10000 available=0",
		"give a 65000 -> OK",
		"charge a note -> OK amount=10000 balance=55000 available=55000 seq=1 version=0 settlement=exact",
		"charge a debrief n=2 -> OK amount=40000 balance=15000 seq=2 version=1",
		"charge a debrief -> INSUFFICIENT_CREDITS needed=20000 available=15000",
		"charge a dear n=1000000 -> INVALID_REQUEST field=quantity",
		"authorize a gpt in=10000 -> OK",
		"charge a note -> INSUFFICIENT_CREDITS available=5000",
		"see a usages=settled:10000,settled:40000 balance=15000 held=10000",
		"settle a 1 in=5 -> SETTLEMENT_CONFLICT",
		"release a 1 -> HOLD_ENDED",
	};
	static const char *const unpriced[] = {
		"give a 65000 -> OK",
		"charge a note -> UNKNOWN_ACTION",
		"authorize a action=note -> UNKNOWN_ACTION",
		"charge a debrief -> OK amount=20000",
	};

	(void)state;
	PLAY(&standard, lines);
	PLAY(&priced_actions, unpriced);
}

static void test_check(void **state)
{
	static const char *const lines[] = {
		"check a -> INSUFFICIENT_CREDITS needed=1 available=0",
		"give a 100 -> OK",
		"check a -> OK available=100",
		"check a model=gpt in=60 out=10 -> OK",
		"check a model=gpt in=61 out=10 -> INSUFFICIENT_CREDITS needed=101",
		"check a model=nothing -> UNKNOWN_MODEL",
		"check a action=debrief -> INSUFFICIENT_CREDITS needed=20000",
		"give a 19900 -> OK",
		"check a action=debrief -> OK needed=20000",
		"account a status=suspended -> OK",
		"check a -> ACCOUNT_SUSPENDED kind=suspended",
		"see a held=0 open=0 entries=2",
	};
	static const char *const unpriced[] = {
		"give a 20000 -> OK",
		"check a action=note -> UNKNOWN_ACTION",
		"check a action=debrief -> OK needed=20000",
	};

	(void)state;
	PLAY(&standard, lines);
	PLAY(&priced_actions, unpriced);
}

/* A batch is what shares a moment, so each state is also reached in the batch that asks for it. */
static void test_what_became_of_the_hold(void **state)
{
	static const char *const lines[] = {
		"give a 10000 rid=g -> OK",
		"authorize a gpt in=100 out=10 rid=x -> OK seq=1 amount=140 replayed=0 hold=",
		"authorize a gpt in=100 out=10 rid=x -> OK seq=1 amount=140 replayed=1 hold=open available=9860",
		"settle a 1 in=1 -> OK",
		"authorize a gpt in=100 out=10 rid=x -> OK seq=1 amount=140 replayed=1 hold=settled available=9860",
		"pass 1",
		"authorize a gpt in=100 out=10 rid=x -> OK seq=1 amount=140 replayed=1 hold=settled available=9860",
		"authorize a gpt in=100 out=10 rid=r -> OK seq=2",
		"pass 1",
		"authorize a gpt in=100 out=10 rid=r -> OK replayed=1 hold=open",
		"pass 1",
		"authorize a gpt in=100 out=10 rid=r -> OK replayed=1 hold=open",
		"release a 2 -> OK",
		"authorize a gpt in=100 out=10 rid=r -> OK replayed=1 hold=released",
		"authorize a gpt in=101 out=10 rid=r -> CONFLICT hold=",
		"pass 1",
		"authorize a gpt in=100 out=10 rid=r -> OK replayed=1 hold=released",
		"authorize a gpt in=100 out=10 rid=f -> OK seq=3",
		"settle a 3 failed -> OK",
		"authorize a gpt in=100 out=10 rid=f -> OK replayed=1 hold=released",
		"authorize a gpt in=100 out=10 ttl=60 rid=e -> OK seq=4",
		"pass 61",
		/* Expired, and not swept. */
		"authorize a gpt in=100 out=10 ttl=60 rid=e -> OK seq=4 amount=140 replayed=1 hold=expired",
		"pass 1",
		"authorize a gpt in=100 out=10 ttl=60 rid=e -> OK seq=4 replayed=1 hold=expired",
		"settle a 4 in=1 -> OK settlement=late",
		"authorize a gpt in=100 out=10 ttl=60 rid=e -> OK seq=4 replayed=1 hold=settled",
		"authorize a gpt in=100 out=10 byok=openai rid=b -> OK seq=5 source=byok",
		"pass 1",
		"authorize a gpt in=100 out=10 byok=openai rid=b -> OK seq=5 source=byok replayed=1 hold=open",
		"settle a 5 in=1 -> OK amount=0",
		"pass 1",
		"authorize a gpt in=100 out=10 byok=openai rid=b -> OK seq=5 source=byok replayed=1 hold=settled",
		"give a 10000 rid=g -> OK replayed=1 hold=",
		"see a open=0 held=0 requests=6",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_request_ids(void **state)
{
	static const char *const lines[] = {
		"authorize a gpt in=500 rid=x -> INSUFFICIENT_CREDITS",
		"give a 1000 rid=g -> OK seq=1 balance=1000",
		"give a 1000 rid=g -> OK seq=1 balance=1000 amount=1000 replayed=1",
		"give a 1001 rid=g -> CONFLICT",
		"take a 1000 rid=g -> CONFLICT",
		"give a 1000 rid=g expires=60 -> CONFLICT",
		"authorize a gpt in=500 rid=x -> OK seq=1 amount=500 available=500 replayed=0",
		"authorize a gpt in=500 rid=x -> OK seq=1 amount=500 available=500 replayed=1 provider=openai version=1",
		"authorize a gpt in=501 rid=x -> CONFLICT",
		"authorize a gpt in=500 rid=x fit -> CONFLICT",
		"authorize a gpt in=500 rid=x ttl=601 -> CONFLICT",
		"authorize a gpt in=500 rid=x member=m -> CONFLICT",
		"authorize a gpt in=500 rid=x conversation=m -> CONFLICT",
		"authorize a gpt in=500 rid=x message=m -> CONFLICT",
		"authorize a gpt in=500 rid=x byok=openai -> CONFLICT",
		"authorize a gpt,mini in=500 rid=x -> CONFLICT",
		"charge a note rid=x -> CONFLICT",
		"settle a 1 in=100 -> OK balance=900",
		"authorize a gpt in=500 rid=x -> OK seq=1 amount=500 balance=1000 available=500 replayed=1",
		"pass 9000",
		"authorize a gpt in=500 rid=x -> OK seq=1 amount=500 available=500 replayed=1 version=1",
		"authorize b gpt in=500 rid=x byok=openai -> OK seq=1 source=byok",
		"authorize b gpt in=500 rid=x byok=openai -> OK seq=1 source=byok replayed=1 provider=openai",
		"give b 50000 -> OK",
		"charge b note rid=c -> OK amount=10000 seq=2",
		"charge b note rid=c -> OK amount=10000 seq=2 replayed=1",
		"charge b note n=2 rid=c -> CONFLICT",
		"see a balance=900 open=0 requests=2",
		"see b balance=40000 requests=2",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_holds_expire(void **state)
{
	static const char *const lines[] = {
		"give a 1000 -> OK",
		"authorize a gpt in=600 ttl=60 -> OK seq=1",
		"authorize a gpt in=300 ttl=100 -> OK seq=2",
		"pass 59",
		"authorize a gpt in=600 -> INSUFFICIENT_CREDITS available=100",
		"pass 1",
		"authorize a gpt in=600 ttl=30 -> OK seq=3 available=100",
		"see a open=2 held=900 due=30 usages=expired:0",
		"settle a 1 in=500 -> OK amount=500 settlement=late balance=500 available=-400 replayed=0",
		"settle a 1 in=500 -> OK amount=500 settlement=late replayed=1",
		"settle a 1 in=501 -> SETTLEMENT_CONFLICT",
		"pass 40",
		"extend a 2 ttl=60 -> HOLD_ENDED",
		"release a 3 -> HOLD_ENDED",
		"settle a 2 failed -> OK amount=0 settlement=late",
		"settle a 3 -> OK amount=600 settlement=late balance=-100",
		"see a open=0 held=0 balance=-100 usages=settled:500,settled:600,settled:0",
		"touch a -> OK balance=-100",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_expired_holds_are_captured(void **state)
{
	static const char *const lines[] = {
		"give a 1000 -> OK",
		"authorize a gpt in=600 ttl=60 -> OK seq=1",
		"authorize a gpt in=100 ttl=60 -> OK seq=2",
		"authorize a gpt in=100 ttl=60 -> OK seq=3",
		"authorize a free in=100 ttl=60 -> OK seq=4",
		"pass 61",
		"touch a -> OK balance=200 available=200",
		"see a usages=expired:600,expired:100,expired:100,expired:0 open=0 held=0 grants=200",
		"settle a 1 in=500 -> OK amount=500 settlement=late balance=300",
		"see a grants=300",
		"settle a 2 in=900 -> OK amount=900 settlement=late balance=-500",
		"settle a 3 failed -> OK amount=0 settlement=late balance=-400",
		"see a grants=0 usages=settled:500,settled:900,settled:0,expired:0",
		"settle a 3 failed -> OK amount=0 settlement=late replayed=1",
		"settle a 3 in=1 -> SETTLEMENT_CONFLICT",
	};

	(void)state;
	PLAY(&capturing, lines);
}

/* An excess of what was captured goes back to where it came from. */
static void test_what_is_given_back(void **state)
{
	static const char *const lines[] = {
		/* To the grants that paid, the last one first; and a second usage gets its own. */
		"give a 100 expires=5000 -> OK",
		"give a 100 expires=6000 -> OK",
		"give a 1000 -> OK",
		"authorize a gpt in=150 ttl=60 -> OK seq=1",
		"authorize a gpt in=200 ttl=70 -> OK seq=2",
		"pass 80",
		"settle a 1 in=60 -> OK amount=60 balance=940 settlement=late",
		"see a grants=40,50,850 entries=9",
		"settle a 2 failed -> OK amount=0 balance=1140",
		"see a grants=40,100,1000",
		"settle a 2 failed -> OK replayed=1",
		"see a grants=40,100,1000 entries=11",
		/* Credits that have expired since expire with their grant; the rest does not. */
		"give b 100 expires=500 -> OK",
		"give b 100 -> OK",
		"authorize b gpt in=150 ttl=60 -> OK seq=1",
		"pass 80",
		"touch b -> OK balance=50",
		"pass 500",
		"settle b 1 in=10 -> OK amount=10 balance=100 available=100",
		"see b grants=0,100 transactions=3",
		/* In the very transaction in which both fall due. */
		"give c 100 expires=500 -> OK",
		"authorize c gpt in=100 ttl=60 -> OK seq=1",
		"pass 600",
		"settle c 1 in=10 -> OK amount=10 balance=0",
		"see c grants=0 entries=4",
		/* Its expiry is due again: it was, before it was spent. */
		"give d 100 expires=500 -> OK",
		"authorize d gpt in=100 ttl=60 -> OK seq=1",
		"pass 80",
		"touch d -> OK balance=0",
		"settle d 1 in=10 -> OK balance=90",
		"see d due=420",
		"pass 420",
		"touch d -> OK balance=0",
		/* A debt is repaid; by what pays a debt of later, too. */
		"give e 100 -> OK",
		"authorize e gpt in=100 ttl=60 -> OK seq=1",
		"take e 30 -> OK",
		"pass 80",
		"touch e -> OK balance=-30",
		"settle e 1 in=90 -> OK balance=-20",
		"see e grants=0",
		"give f 100 -> OK",
		"authorize f gpt in=100 ttl=60 -> OK seq=1",
		"pass 80",
		"touch f -> OK balance=0",
		"take f 30 -> OK balance=-30",
		"settle f 1 in=90 -> OK balance=-20",
		"see f grants=0",
		/* A debt that others have paid since: who paid that part of it has it again. */
		"authorize g free in=1 ttl=9000 -> OK seq=1",
		"give g 100 -> OK",
		"authorize g gpt in=100 ttl=60 -> OK seq=2",
		"take g 150 -> OK balance=-50",
		"pass 80",
		"touch g -> OK balance=-150",
		"give g 40 -> OK balance=-110",
		"give g 60 expires=9000 -> OK balance=-50",
		"give g 70 -> OK balance=20",
		"settle g 2 in=40 -> OK amount=40 balance=80",
		"see g grants=0,0,10,70",
	};

	(void)state;
	PLAY(&capturing, lines);
}

static void test_grants_are_spent_in_order(void **state)
{
	static const char *const lines[] = {
		"account a unit=money -> OK",
		"give a 100 priority=50 -> OK",
		"give a 100 priority=50 expires=9000 -> OK",
		"give a 100 priority=50 expires=8000 -> OK",
		"give a 100 type=PLAN_ALLOWANCE -> OK",
		"give a 100 type=SIGNUP_BONUS -> OK",
		"give a 100 priority=50 -> OK",
		"authorize a gpt in=600 -> OK seq=1",
		"settle a 1 in=50 -> OK",
		"see a grants=100,100,100,50,100,100 entries=7",
		"authorize a gpt -> OK seq=2",
		"settle a 2 in=100 -> OK",
		"see a grants=100,100,100,0,50,100 entries=9",
		"take a 100 -> OK",
		"see a grants=100,100,50,0,0,100 entries=11",
		"take a 100 -> OK",
		"see a grants=100,50,0,0,0,100",
		"take a 100 -> OK",
		"see a grants=50,0,0,0,0,100",
		"take a 200 -> OK balance=-50",
		"see a grants=0,0,0,0,0,0 entries=18 balance=-50 transactions=10",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_grants_expire(void **state)
{
	static const char *const lines[] = {
		"give a 100 expires=60 -> OK",
		"give a 100 expires=30 -> OK",
		"give a 100 -> OK balance=300",
		"see a due=30",
		"take a 50 -> OK",
		"see a grants=100,50,100",
		"pass 30",
		"check a -> OK balance=200 available=200",
		"see a grants=100,0,100 transactions=5 entries=5 due=30",
		"authorize a gpt in=200 ttl=600 -> OK seq=1",
		"pass 30",
		"settle a 1 in=200 -> OK balance=-100",
		"see a grants=0,0,0 transactions=6",
		"give a 50 expires=10 -> OK balance=-50",
		"give a 70 expires=10 -> OK balance=20",
		"pass 10",
		"touch a -> OK balance=0",
		"see a grants=0,0,0,0,0 balance=0 transactions=9",
		"give a 1 expires=0 -> INVALID_REQUEST field=expiresAt",
		"take a 1 expires=60 -> INVALID_REQUEST field=expiresAt",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* Events that fell due in the meantime are booked in the order in which they did, whoever looks last. */
static void test_what_is_due_comes_in_order(void **state)
{
	static const char *const capture_first[] = {
		"give a 100 expires=100 -> OK",       "give a 1000 -> OK",
		"authorize a gpt in=80 ttl=50 -> OK", "pass 1000",
		"touch a -> OK balance=1000",         "see a grants=0,1000 usages=expired:80",
	};
	static const char *const expiry_first[] = {
		"give a 100 expires=50 -> OK",         "give a 1000 -> OK",
		"authorize a gpt in=80 ttl=100 -> OK", "pass 1000",
		"touch a -> OK balance=920",           "see a grants=0,920 usages=expired:80",
	};
	static const char *const together[] = {
		"give a 100 expires=50 -> OK",
		"authorize a gpt in=80 ttl=50 -> OK",
		"pass 50",
		"touch a -> OK balance=0",
		"see a grants=0 usages=expired:80 transactions=2 entries=3",
	};

	(void)state;
	PLAY(&capturing, capture_first);
	PLAY(&capturing, expiry_first);
	PLAY(&capturing, together);
}

static void test_extend(void **state)
{
	static const char *const lines[] = {
		"give a 1000 -> OK",
		"authorize a gpt in=100 out=100 ttl=60 -> OK seq=1 amount=500",
		"extend a 1 ttl=600 -> OK amount=500 expires=600 output=100 seq=1 item=gpt provider=openai",
		"extend a 1 out=200 -> OK amount=900 available=100 output=200 expires=600",
		"extend a 1 out=226 -> INSUFFICIENT_CREDITS needed=104 available=100",
		"extend a 1 out=225 ttl=30 -> OK amount=1000 available=0 expires=30",
		"extend a 1 out=1 -> OK amount=104 available=896",
		"extend a 1 out=1000000001 -> INVALID_REQUEST field=maxOutputTokens",
		"extend a 1 ttl=86401 -> INVALID_REQUEST field=ttlSeconds",
		"extend a 1 ttl=86400 -> OK amount=104 expires=86400",
		"extend a 1 ttl=30 -> OK amount=104 expires=30",
		"see a held=104 open=1 due=30",
		"extend a 2 ttl=60 -> NOT_FOUND",
		"settle a 1 in=100 out=1 -> OK amount=104",
		"extend a 1 ttl=60 -> HOLD_ENDED",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_price_is_pinned(void **state)
{
	static const char *const lines[] = {
		"give a 100000 -> OK",
		"authorize a gpt in=100 ttl=86400 -> OK amount=100 version=1",
		"authorize a gpt in=100 ttl=86400 -> OK amount=100 version=1",
		"pass 5000",
		"authorize a gpt in=100 -> OK amount=200 version=2 seq=3",
		"settle a 1 in=100 out=10 -> OK amount=140",
		"extend a 2 out=10 -> OK amount=140 version=1",
		"settle a 2 in=100 -> OK amount=100",
		"settle a 3 in=100 -> OK amount=200",
	};
	static const char *const gone[] = {
		"give a 100000 -> OK",
		"authorize a gpt in=100 -> OK",
		"authorize a gpt in=100 ttl=60 -> OK",
		"forget",
		"authorize a gpt in=100 -> UNKNOWN_MODEL",
		"settle a 1 in=100 -> UNAVAILABLE",
		"extend a 1 out=100 -> UNAVAILABLE",
		"extend a 1 ttl=600 -> OK",
		"see a held=200 open=2",
		"pass 60",
		"settle a 2 in=100 -> UNAVAILABLE",
		"settle a 1 -> OK amount=100 settlement=estimated",
	};

	(void)state;
	PLAY(&standard, lines);
	PLAY(&standard, gone);
}

static void test_transactions(void **state)
{
	static const char *const lines[] = {
		"take a 5 -> OK balance=-5 seq=1",
		"give a 0 -> INVALID_REQUEST field=amountMicros",
		"take a 1 type=TOP_UP -> INVALID_REQUEST field=amountMicros",
		"take a 1 type=SIGNUP_BONUS -> INVALID_REQUEST field=amountMicros",
		"give a 1 type=ALLOWANCE_EXPIRY -> INVALID_REQUEST field=amountMicros",
		"take a 1 type=ALLOWANCE_EXPIRY -> OK balance=-6",
		"give a 10 type=REFUND -> OK balance=4",
		"take a 1 type=DISPUTE -> OK balance=3",
		"give b 1000000000000000001 -> INVALID_REQUEST field=amountMicros",
		"give b 1000000000000000000 -> OK",
		"give b 1000000000000000000 -> OK",
		"give b 1 -> INVALID_REQUEST field=amountMicros",
		"take b 1000000000000000000 -> OK",
		"take b 1000000000000000000 -> OK",
		"take b 1000000000000000000 -> OK",
		"take b 1000000000000000000 -> OK balance=-2000000000000000000",
		"take b 1 -> INVALID_REQUEST field=amountMicros",
		"see a grants=3 transactions=4",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_accounts(void **state)
{
	static const char *const lines[] = {
		"touch a -> OK absent=1",
		"touch a create -> OK absent=0 balance=0",
		"account a unit=credit email=a@b name=A -> OK",
		"account a unit=money email=c@d -> OK",
		"see a profiles=1",
		"give a 1 -> OK",
		"account a unit=credit -> ACCOUNT_CONFLICT",
		"account a unit=money mode=postpaid hard=1000 soft=500 -> OK available=1001",
		"authorize b gpt byok=openai -> OK",
		"account b unit=credit -> ACCOUNT_CONFLICT",
		"member c m -> OK",
		"member c m manager -> OK",
		"member c m remove -> OK",
		"member c m remove -> NOT_FOUND",
		"member c n remove -> NOT_FOUND",
		"member c m -> OK",
		"see c members=1",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_suspended(void **state)
{
	static const char *const lines[] = {
		"give a 100000 -> OK",
		"authorize a gpt in=100 -> OK",
		"account a status=suspended -> OK",
		"authorize a gpt in=100 -> ACCOUNT_SUSPENDED kind=suspended",
		"authorize a gpt in=100 byok=openai -> ACCOUNT_SUSPENDED",
		"charge a note -> ACCOUNT_SUSPENDED kind=suspended",
		"settle a 1 in=100 -> OK amount=100",
		"give a 1 -> OK",
		"account a status=active -> OK",
		"authorize a gpt in=100 -> OK",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_postpaid(void **state)
{
	static const char *const lines[] = {
		"account a mode=postpaid hard=1000 -> OK available=1000",
		"authorize a gpt in=600 -> OK amount=600 balance=0 available=400",
		"authorize a gpt in=600 -> HARD_LIMIT_REACHED needed=600 available=400 kind=hard_limit limit=1000 used=600",
		"settle a 1 in=900 -> OK balance=-900 available=100",
		"charge a note -> HARD_LIMIT_REACHED needed=10000",
		"check a model=gpt in=101 -> HARD_LIMIT_REACHED",
		"authorize a gpt in=101 -> HARD_LIMIT_REACHED used=900",
		"account a hard=1001 -> OK available=101",
		"authorize a gpt in=101 -> OK available=0",
		"extend a 2 out=1 -> HARD_LIMIT_REACHED needed=4",
		"give a 500 type=PAYMENT -> OK balance=-400 available=500",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_too_many_holds(void **state)
{
	static const char *const lines[] = {
		"give a 1000 -> OK",
		"authorize a gpt in=1 -> OK",
		"authorize a gpt in=1 -> OK",
		"authorize a gpt in=1 -> TOO_MANY_HOLDS",
		"authorize a gpt in=1 byok=openai -> TOO_MANY_HOLDS",
		"authorize a gpt in=1000 -> INSUFFICIENT_CREDITS",
		"charge a note -> INSUFFICIENT_CREDITS",
		"release a 1 -> OK",
		"authorize a gpt in=1 -> OK seq=3",
		"authorize a gpt in=1 -> TOO_MANY_HOLDS",
		"pass 600",
		"authorize a gpt in=1 -> OK seq=4",
	};

	(void)state;
	PLAY(&narrow, lines);
}

static void test_bonus(void **state)
{
	static const char *const lines[] = {
		"bonus a -> OK amount=10 balance=10 seq=1",
		"bonus a -> BONUS_CLAIMED balance=10",
		"bonus b email=ada@gmail.com -> UNAVAILABLE", /* another address than the account's */
		"account b email=ada@gmail.com -> OK",
		"account c email=A.da+x@googlemail.com -> OK",
		"bonus b email=ada@gmail.com person=p1 -> OK balance=10",
		"bonus c email=A.da+x@googlemail.com -> BONUS_CLAIMED balance=0",
		"bonus d person=p1 -> BONUS_CLAIMED",
		"bonus d person=p2 campaign=spring -> OK",
		"bonus d person=p2 campaign=spring -> BONUS_CLAIMED",
		"bonus d person=p3 -> OK balance=20",
		"see d balance=20 grants=10,10 transactions=2",
		"bonus e amount=0 -> BONUS_NOT_OFFERED",
		"bonus e unit=credit -> OK",
		"account f unit=credit -> OK",
		"bonus f -> BONUS_NOT_OFFERED",
		"bonus g needs-email -> EMAIL_NEEDED",
		"bonus g paid -> PAYMENT_FIRST",
		"topup g 1000 -> OK seq=1",
		"bonus g paid -> PAYMENT_FIRST",
		"payment g 1 amount=1000 -> OK balance=1000",
		"bonus g paid -> OK balance=1010",
		"bonus h rid=r1 -> OK amount=10 replayed=0",
		"bonus h rid=r1 -> OK amount=10 replayed=1 balance=10",
		"bonus h rid=r2 -> BONUS_CLAIMED",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_bonus_cap(void **state)
{
	static const char *const lines[] = {
		"bonus a cap=25 -> OK",
		"bonus b cap=25 -> OK",
		"bonus c cap=25 -> BONUS_EXHAUSTED",
		"bonus c cap=29 -> BONUS_EXHAUSTED",
		"bonus c cap=30 -> OK",
		"bonus d campaign=other cap=10 -> OK",
		"bonus e campaign=other cap=10 -> BONUS_EXHAUSTED",
		"bonus e -> OK",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_signup(void **state)
{
	static const char *const lines[] = {
		"signup u1 person=u1 email=ada@example.com name=Ada event=m1 -> OK amount=10 balance=10",
		"signup u1 person=u1 email=ada@example.com name=Ada event=m1 -> OK replayed=1 balance=10",
		"signup u1 person=u1 email=ada@example.com event=m2 -> OK amount=0 balance=10",
		"signup u2 person=u2 email=ADA+2@example.com event=m3 -> OK amount=0 balance=0",
		"see u2 balance=0 profiles=1 transactions=0",
		"signup u3 person=u3 event=m4 -> OK amount=10",
		"see u3 profiles=0",
		"signup u4 person=u4 amount=0 email=x@example.com event=m5 -> OK amount=0", /* user.updated came first */
		"signup u4 person=u4 email=x@example.com event=m6 -> OK amount=10",
		"bonus u4 email=x@example.com person=u4 -> BONUS_CLAIMED",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_codes(void **state)
{
	static const char *const lines[] = {
		"code ONE amount=5",
		"code MANY amount=7 uses=3 each=2",
		"code LATE amount=5 expires=60 uses=9",
		"code GONE amount=5 revoked",
		"code CREDITS amount=5 unit=credit",
		"code HUGE amount=1000000000000000000 uses=9 each=9",
		"redeem a ONE -> OK amount=5 balance=5",
		"redeem a ONE -> CODE_USED",
		"redeem b ONE -> CODE_EXHAUSTED",
		"redeem a MANY -> OK balance=12",
		"redeem a MANY rid=r1 -> OK balance=19",
		"redeem a MANY rid=r1 -> OK balance=19 replayed=1",
		"redeem a MANY -> CODE_USED",
		"redeem b MANY -> OK balance=7",
		"redeem c MANY -> CODE_EXHAUSTED",
		"redeem a CREDITS -> CODE_OTHER_UNIT",
		"redeem a LATE -> OK",
		"pass 60",
		"redeem b LATE -> CODE_UNKNOWN",
		"redeem b GONE -> CODE_UNKNOWN",
		"redeem b NONE -> CODE_UNKNOWN",
		"redeem b NONE -> TOO_MANY_GUESSES",
		"redeem b MANY -> TOO_MANY_GUESSES", /* even a good one: else it would tell */
		"redeem c NONE -> CODE_UNKNOWN",
		"pass 3599",
		"redeem b NONE -> TOO_MANY_GUESSES",
		"pass 1",
		"redeem b NONE -> CODE_UNKNOWN",
		"give h 1 -> OK",
		"redeem h HUGE -> OK",
		"redeem h HUGE -> CODE_EXHAUSTED", /* more than an account can hold */
		"redeem a ONE rid=r1 -> CONFLICT",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_referrals(void **state)
{
	static const char *const lines[] = {
		"give a 1 -> OK",
		"give z 1 -> OK",
		"refer b nobody -> CODE_UNKNOWN",
		"touch b create -> OK",
		"refer b b -> OWN_CODE",
		"refer b a same -> OWN_CODE",
		"refer b a reward=0 -> CODE_UNKNOWN",
		"refer b a rid=r1 -> OK amount=5",
		"refer b a rid=r1 -> OK amount=5 replayed=1",
		"refer b z rid=r1 -> CONFLICT",
		"refer b z -> REFERRED_ALREADY",
		"topup b 1000 -> OK",
		"topup b 1000 -> OK",
		"see a balance=1",
		"payment b 1 amount=1000 -> OK",
		"see a balance=6 grants=1,5 transactions=2",
		"see b balance=1005 grants=1000,5",
		"payment b 1 amount=1000 -> OK",
		"payment b 2 amount=1000 -> OK",
		"see a balance=6",
		"see b balance=2005",
		"topup c 10 -> OK",
		"payment c 1 amount=10 -> OK",
		"refer c a -> REFERRED_LATE",
		/* In one breath. */
		"topup d 10 -> OK",
		"refer d a reward=7 -> OK",
		"payment d 1 amount=10 -> OK",
		"see a balance=13",
		"see d balance=17",
		/* Each side must be of the unit that the reward is in. */
		"account k unit=credit -> OK",
		"refer k a -> OK",
		"topup e 10 -> OK",
		"refer e k -> OK",
		"payment e 1 amount=10 -> OK",
		"see k balance=0",
		"see e balance=15",
		"redeem f NONE -> CODE_UNKNOWN",
		"redeem f NONE -> CODE_UNKNOWN",
		"redeem f NONE -> CODE_UNKNOWN",
		"refer f a -> TOO_MANY_GUESSES",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* ---- money that comes in ------------------------------------------------------------------------------ */

static void test_orders(void **state)
{
	static const char *const lines[] = {
		"topup a 0 -> INVALID_REQUEST field=amount",
		"topup a 500 rid=r1 key=k1 -> OK seq=1 amount=500 balance=0",
		"topup a 500 rid=r1 key=k1 -> OK seq=1 replayed=1",
		"topup a 501 rid=r1 -> CONFLICT",
		"topup a 700 key=k2 -> OK seq=2",
		"see a orders=open:500:0:0,open:700:0:0 key=k1",
		"topup_note a 3 cus=c1 -> NOT_FOUND",
		"topup_note b 1 cus=c1 -> NOT_FOUND",
		"topup_note a 1 cus=c1 session=s1 -> OK",
		"topup_note a 1 cus=c2 session=s2 -> OK",
		"see a customer=c1",
		/* A key that Stripe may have forgotten is not used again, as long as there is no customer. */
		"topup c 500 key=k1 -> OK",
		"pass 82799",
		"topup c 500 key=k2 -> OK",
		"see c key=k1",
		"pass 1",
		"topup c 500 key=k3 -> OK",
		"see c key=k3",
		/* A credit is worth 10000 micros of money. */
		"account k unit=credit -> OK",
		"topup k 500 money=5000000 -> OK amount=500000000",
		"topup k 500 money=1 -> OK amount=100",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* Those that can still be paid; each lapses by itself, sooner while Stripe has no session for it. */
static void test_open_orders(void **state)
{
	static const struct scene_rules two = {.orders_open_max = 2};
	static const char *const lines[] = {
		"topup a 500 -> OK seq=1",
		"topup a 600 rid=r1 -> OK seq=2",
		"topup a 500 -> RATE_LIMITED resets=900",
		"topup a 600 rid=r1 -> OK seq=2 replayed=1",
		"topup b 500 -> OK seq=1",
		"topup_note a 1 cus=c1 session=s1 -> OK",
		"pass 899",
		"topup a 500 -> RATE_LIMITED resets=1",
		"pass 1",
		"topup a 500 -> OK seq=3",
		"topup a 500 -> RATE_LIMITED resets=900",
		"topup_note a 3 session=s3 -> OK",
		"topup_note a 3 session=s4 -> OK",
		"pass 900",
		"topup a 500 -> RATE_LIMITED resets=85500",
		/* An answer of Stripe's to one that has lapsed counts again. */
		"topup_note a 2 session=s2 -> OK",
		"payment a 1 expired session=s1 -> OK event=applied",
		"payment a 1 expired session=s1 -> OK event=ignored",
		"topup a 500 -> RATE_LIMITED",
		"payment a 2 pending amount=600 pi=p2 session=s2 -> OK event=applied",
		"topup a 500 -> OK seq=4",
		"payment a 2 amount=600 pi=p2 session=s2 -> OK credited=1",
		"topup a 500 -> RATE_LIMITED resets=900",
		"payment a 4 amount=500 pi=p4 session=s4 -> OK credited=1",
		"topup a 500 -> OK seq=5",
		"pass 900",
		"pass 85500",
		"topup a 500 -> OK seq=6",
		"topup a 500 -> OK seq=7",
		"topup a 500 -> RATE_LIMITED",
	};

	(void)state;
	PLAY(&two, lines);
}

/* An order that may be paid at any moment fixes the account's unit; nothing else is fixed by it. */
static void test_units_of_orders(void **state)
{
	static const char *const lines[] = {
		"plan team pool=5 unit=credit",
		"topup a 500 -> OK",
		"account a unit=credit -> ACCOUNT_CONFLICT",
		"account a unit=credit plan=team -> ACCOUNT_CONFLICT",
		"account a unit=money mode=postpaid -> OK",
		"payment a 1 pending amount=500 -> OK",
		"account a unit=credit -> ACCOUNT_CONFLICT",
		"payment a 1 amount=500 -> OK credited=1 balance=500",
		"account a unit=credit -> ACCOUNT_CONFLICT",
		/* One that nobody can pay any more does not. */
		"topup b 500 -> OK",
		"topup b 500 -> OK",
		"payment b 1 expired -> OK",
		"account b unit=credit -> ACCOUNT_CONFLICT",
		"payment b 2 failed -> OK",
		"account b unit=credit -> OK",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_payments(void **state)
{
	static const char *const lines[] = {
		"topup a 500 -> OK",
		"topup_note a 1 cus=c1 session=s1 -> OK",
		"payment a 1 amount=500 pending event=e1 pi=p1 -> OK event=applied credited=0",
		"payment a 1 amount=500 event=e2 pi=p1 cus=c1 -> OK event=applied credited=1 first=1 amount=500 balance=500",
		"payment a 1 amount=500 event=e2 pi=p1 -> OK replayed=1 event=applied credited=0 balance=500",
		"payment a 1 amount=500 event=e3 pi=p1 -> OK event=ignored credited=0 balance=500",
		"payment a 1 amount=500 pi=p1 failed event=e4 -> OK event=ignored",
		"payment a 1 amount=500 pi=p1 -> OK credited=0 balance=500",
		"see a orders=paid:500:0:0 grants=500 events=2,2,0",
		/* An event that does not fit waits for a person. */
		"topup a 500 -> OK seq=2",
		"payment a 2 amount=499 event=x1 pi=p2 -> OK event=parked credited=0",
		"payment a 2 amount=500 currency=usd event=x2 pi=p2 -> OK event=parked",
		"payment a 2 amount=500 live event=x3 pi=p2 -> OK event=parked",
		"payment a 2 amount=500 cus=c2 event=x4 pi=p2 -> OK event=parked",
		"payment a 2 amount=500 event=x5 pi=p1 -> OK event=parked",
		"payment a 3 amount=500 event=x6 pi=p2 -> OK event=parked",
		"payment z 1 amount=500 event=x7 pi=p2 -> OK event=parked",
		"payment a 1 amount=500 event=x8 pi=p2 -> OK event=parked",
		"see a balance=500 orders=paid:500:0:0,open:500:0:0 events=2,2,8",
		/* Taken up again, with what was wrong put right. */
		"payment a 2 amount=500 event=x1 pi=p2 -> OK event=applied credited=1 first=0",
		"see a balance=1000 events=3,2,7",
		/* A payment of another account's order. */
		"topup b 500 -> OK",
		"payment b 1 amount=500 event=x9 pi=p1 -> OK event=parked",
		/* The highest state stands. */
		"payment b 1 expired event=s1 -> OK event=applied",
		"payment b 1 pending event=s2 -> OK event=ignored",
		"payment b 1 failed event=s3 -> OK event=applied",
		"see b orders=failed:500:0:0",
		"payment b 1 amount=500 event=s4 pi=p3 -> OK event=applied credited=1 first=1",
		"see b orders=paid:500:0:0",
		/* A payment that its buyer wrote into another session is not the order's. */
		"topup f 500 -> OK seq=1",
		"payment f 1 amount=500 event=f1 pi=p8 session=s8 unnamed -> OK event=parked credited=0",
		"topup_note f 1 cus=c8 session=s9 -> OK",
		"payment f 1 amount=500 event=f2 pi=p8 session=s8 unnamed -> OK event=parked credited=0",
		"payment f 1 amount=500 event=f3 pi=p8 session=s8 -> OK event=parked credited=0",
		"payment f 1 expired event=f4 session=s8 -> OK event=parked",
		"payment f 1 amount=500 event=f5 pi=p8 unnamed -> OK event=parked credited=0",
		"see f orders=open:500:0:0",
		"payment f 1 pending amount=500 event=f6 pi=p9 session=s9 unnamed -> OK event=applied",
		"payment f 1 amount=500 event=f7 pi=p9 unnamed -> OK event=applied credited=1",
		"refund f 1 id=f8 amount=100 pi=p8 event=f8 -> OK event=parked balance=500",
		"dispute f 1 id=f9 amount=100 withdrawn pi=p8 event=f9 -> OK event=parked balance=500",
		/* The unit changed between order and payment. */
		"topup u 500 -> OK",
		"payment u 1 expired -> OK",
		"account u unit=credit -> OK",
		"payment u 1 amount=500 event=u1 -> OK event=parked",
		"see u balance=0",
		/* As much as there can be. */
		"give m 1000000000000000000 -> OK",
		"give m 1000000000000000000 -> OK",
		"topup m 500 -> INVALID_REQUEST",
		"take m 500 -> OK",
		"topup m 500 -> OK",
		"give m 500 -> OK",
		"payment m 1 amount=500 event=m1 -> OK event=parked",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_refunds(void **state)
{
	static const char *const lines[] = {
		"topup a 1000 -> OK",
		"payment a 1 amount=1000 pi=p1 -> OK",
		"refund a 1 id=r1 amount=300 pi=p1 event=e1 -> OK event=applied balance=700",
		"refund a 1 id=r1 amount=300 pi=p1 event=e1 -> OK replayed=1 balance=700",
		"refund a 1 id=r1 amount=300 pi=p1 event=e2 -> OK balance=700",
		"refund a 1 amount=300 pi=p1 -> OK balance=700",
		"refund a 1 amount=500 pi=p1 -> OK balance=500",
		"refund a 1 id=r2 amount=200 pi=p1 -> OK balance=500",
		"refund a 1 amount=300 pi=p1 -> OK balance=500",
		"refund a 1 id=r2 amount=200 failed pi=p1 -> OK balance=700",
		"refund a 1 id=r2 amount=200 pi=p1 -> OK balance=700",
		"see a orders=paid:1000:300:0 grants=500,200",
		"refund a 1 id=r1 amount=301 pi=p1 event=x1 -> OK event=parked",
		"refund a 1 id=r9 amount=1 currency=usd event=x2 -> OK event=parked",
		"refund a 1 id=r9 amount=1 live event=x3 -> OK event=parked",
		"refund a 2 id=r9 amount=1 event=x4 -> OK event=parked",
		"refund a 1 id=r9 amount=-1 event=x5 -> OK event=parked",
		"refund a 1 id=r9 amount=9000000000000 event=x6 -> OK event=parked",
		"topup a 100 -> OK seq=2",
		"refund a 2 id=r9 amount=1 pi=p1 event=x7 -> OK event=parked",
		"refund a 2 id=r1 amount=300 event=x8 -> OK event=parked",
		"see a balance=700 events=2,0,8",
		/* The very grant goes first, then the others in their order, then debt. */
		"topup b 1000 -> OK",
		"give b 50 type=PROMO_BONUS -> OK",
		"payment b 1 amount=1000 -> OK",
		"give b 30 -> OK",
		"refund b 1 id=b1 amount=600 -> OK",
		"see b grants=50,400,30",
		"charge b debrief -> INSUFFICIENT_CREDITS",
		"take b 420 -> OK",
		"see b grants=0,30,30",
		"refund b 1 id=b2 amount=400 -> OK balance=-340",
		"see b grants=0,0,0 orders=paid:1000:1000:0",
		"refund b 1 id=b2 amount=400 failed -> OK balance=60",
		"see b grants=0,0,0,60",
		/* Credits in proportion, and all of them in the end. */
		"account k unit=credit -> OK",
		"topup k 300 money=1000000 -> OK amount=100000000",
		"payment k 1 amount=300 -> OK",
		"refund k 1 id=k1 amount=100 -> OK balance=66666667",
		"refund k 1 id=k2 amount=100 -> OK balance=33333334",
		"refund k 1 id=k3 amount=100 -> OK balance=0",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_topup_bonus(void **state)
{
	/* Cents in the setting; the scene's money is in micros, so 5 cents are 50000. */
	static const struct scene_rules tiers = {.topup_bonus = "5:5%, 10:10%"};
	static const char *const lines[] = {
		"topup a 1 money=49999 -> OK amount=49999",
		"payment a 1 amount=1 -> OK balance=49999",
		"see a orders=paid:49999:0:0 grants=49999",
		"topup b 5 money=50000 -> OK amount=50000",
		"see b orders=open:50000:0:0+2500-0 balance=0",
		"payment b 1 amount=5 pi=b1 -> OK balance=52500",
		"payment b 1 amount=5 pi=b1 -> OK balance=52500",
		/* The bonus is spent before the money. */
		"see b grants=50000,2500",
		"take b 500 -> OK balance=52000",
		"see b grants=50000,2000",
		/* In proportion, from its own grant first. */
		"refund b 1 id=r1 amount=1 pi=b1 -> OK balance=41500",
		"see b orders=paid:50000:10000:0+2500-500 grants=40000,1500",
		"refund b 1 id=r1 amount=1 pi=b1 -> OK balance=41500",
		"refund b 1 id=r1 amount=1 failed pi=b1 -> OK balance=52000",
		"see b orders=paid:50000:0:0+2500-0",
		/* Refunded and disputed: the money is gone twice, the bonus once. */
		"topup c 10 money=100000 -> OK",
		"payment c 1 amount=10 -> OK balance=110000",
		"dispute c 1 id=d1 amount=10 withdrawn -> OK balance=0",
		"refund c 1 id=r2 amount=10 -> OK balance=-100000",
		"see c orders=paid:100000:100000:100000+10000-10000",
		"dispute c 1 id=d1 amount=10 reinstated -> OK balance=0",
		"see c orders=paid:100000:100000:0+10000-10000",
		"refund c 1 id=r2 amount=10 failed -> OK balance=110000",
		/* Refund and dispute before the payment. */
		"topup e 10 money=100000 -> OK",
		"refund e 1 id=r3 amount=5 -> OK balance=0",
		"payment e 1 amount=10 -> OK balance=55000",
		"see e orders=paid:100000:50000:0+10000-5000 grants=50000,5000",
		/* Rounded down, and all of it in the end. */
		"topup f 3 money=100001 -> OK",
		"payment f 1 amount=3 -> OK balance=110001",
		"refund f 1 id=f1 amount=1 -> OK balance=73335",
		"refund f 1 id=f2 amount=1 -> OK balance=36668",
		"refund f 1 id=f3 amount=1 -> OK balance=0",
		/* A spent bonus is owed. */
		"topup g 10 money=100000 -> OK",
		"payment g 1 amount=10 -> OK balance=110000",
		"take g 110000 -> OK balance=0",
		"refund g 1 id=g1 amount=10 -> OK balance=-110000",
		"account k unit=credit -> OK",
		"topup k 10 money=100000 -> OK amount=10000000",
		"payment k 1 amount=10 -> OK balance=11000000",
	};

	(void)state;
	PLAY(&tiers, lines);
}

static void test_alerts_of_the_balance(void **state)
{
	static const struct scene_rules low = {.low_balance = 100};
	static const char *const lines[] = {
		/* Once for each crossing; armed again above 120. */
		"give a 200 -> OK",
		"take a 100 -> OK balance=100",
		"see a alerts=",
		"take a 1 -> OK balance=99",
		"take a 9 -> OK balance=90",
		"see a alerts=balance_low:100",
		"give a 30 -> OK balance=120",
		"take a 25 -> OK balance=95",
		"see a alerts=balance_low:100,balance_low:100",
		/* Given back without a grant: only above 120. */
		"take a 95 -> OK balance=0",
		"take a 5 -> OK balance=-5",
		"see a alerts=balance_low:100,balance_low:100,balance_depleted",
		"give a 5 -> OK balance=0",
		"give a 10 -> OK balance=10",
		"see a alerts=balance_low:100,balance_low:100,balance_depleted,balance_recovered",
		/* Armed, but not crossed: the balance was below. */
		"take a 5 -> OK balance=5",
		"take a 5 -> OK balance=0",
		"see a alerts=balance_low:100,balance_low:100,balance_depleted,balance_recovered,balance_depleted",
		/* Thresholds of its own; one that stays keeps its state. */
		"give b 1000 -> OK",
		"alerts b 500 100 -> OK",
		"take b 950 -> OK balance=50",
		"see b alerts=balance_low:500,balance_low:100",
		"alerts b 100 40 -> OK",
		"take b 20 -> OK balance=30",
		"see b alerts=balance_low:500,balance_low:100,balance_low:40",
		"alerts b standard -> OK",
		"take b 20 -> OK balance=10",
		"see b alerts=balance_low:500,balance_low:100,balance_low:40",
		"give b 1000 -> OK",
		"alerts b -> OK",
		"take b 1000 -> OK balance=10",
		"see b alerts=balance_low:500,balance_low:100,balance_low:40",
		"alerts b 20 -> OK",
		"see b alerts=balance_low:500,balance_low:100,balance_low:40",
		/* Credits have no configured threshold; a postpaid balance is below 0 every month. */
		"account k unit=credit -> OK",
		"give k 200 -> OK",
		"take k 150 -> OK",
		"see k alerts=",
		"account p mode=postpaid hard=1000 -> OK",
		"give p 200 -> OK",
		"take p 300 -> OK",
		"see p alerts=",
		/* An account that nothing has happened to. */
		"alerts n 7 -> OK",
		"see n alerts= balance=0",
	};

	(void)state;
	PLAY(&low, lines);
}

static void test_alerts_of_expiry(void **state)
{
	static const char *const lines[] = {
		/* 7 days and 1 day before, once each, with the rest of then. */
		"give a 100 expires=1000000 -> OK",
		"see a due=395200 alerts=",
		"take a 30 -> OK",
		"pass 395199",
		"touch a -> OK",
		"see a alerts=",
		"pass 1",
		"touch a -> OK",
		"see a due=518400 alerts=grant_expiring:70:7d",
		"touch a -> OK",
		"take a 20 -> OK",
		"see a alerts=grant_expiring:70:7d",
		"pass 518400",
		"touch a -> OK balance=50",
		"see a due=86400 alerts=grant_expiring:70:7d,grant_expiring:50:1d",
		"pass 86400",
		"touch a -> OK balance=0",
		"see a alerts=grant_expiring:70:7d,grant_expiring:50:1d,balance_depleted",
		/* Only the terms that are ahead; of a spent grant, none; of an amount without an end, none. */
		"give b 10 expires=604800 -> OK",
		"give b 20 expires=86400 -> OK",
		"give b 30 expires=700000 -> OK",
		"give b 40 -> OK",
		"see b due=86400",
		"take b 30 -> OK",
		"see b grants=0,0,30,40",
		"pass 95200",
		"touch b -> OK balance=70",
		"see b alerts=grant_expiring:30:7d",
		"pass 518400",
		"touch b -> OK",
		"see b alerts=grant_expiring:30:7d,grant_expiring:30:1d",
		/* The grant that is not spent now is told, too; two at one time. */
		"give c 10 expires=1000000 -> OK",
		"give c 20 expires=1000000 -> OK",
		"give c 30 expires=900000 -> OK",
		"pass 395200",
		"touch c -> OK",
		"see c alerts=grant_expiring:30:7d,grant_expiring:10:7d,grant_expiring:20:7d",
		/* Nobody looked: the nearest term alone, and none after the end. */
		"give d 10 expires=1000000 -> OK",
		"give e 10 expires=1000000 -> OK",
		"pass 950000",
		"touch d -> OK",
		"see d alerts=grant_expiring:10:1d",
		"pass 60000",
		"touch d -> OK balance=0",
		"touch e -> OK balance=0",
		"see d alerts=grant_expiring:10:1d,balance_depleted",
		"see e alerts=balance_depleted",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* A term that came while nothing was left of the grant is not told when a late settlement gives credits back. */
static void test_alerts_of_a_rest_that_came_back(void **state)
{
	static const char *const lines[] = {
		"give a 100 expires=700000 -> OK",
		"authorize a gpt in=100 ttl=60 -> OK seq=1",
		"pass 80",
		"touch a -> OK balance=0",
		"pass 200000",
		"settle a 1 in=10 -> OK amount=10 balance=90",
		"see a due=413520",
		"touch a -> OK",
		"pass 413520",
		"touch a -> OK",
		"see a alerts=balance_depleted,balance_recovered,grant_expiring:90:1d",
	};

	(void)state;
	PLAY(&capturing, lines);
}

static void test_alerts_of_money(void **state)
{
	static const char *const lines[] = {
		"topup a 1000 -> OK",
		"payment a 1 amount=1000 pi=p1 -> OK",
		"refund a 1 id=r1 amount=300 pi=p1 -> OK balance=700",
		"refund a 1 id=r1 amount=300 pi=p1 -> OK balance=700",
		"see a alerts=refunded",
		"refund a 1 id=r1 amount=300 failed pi=p1 -> OK balance=1000",
		"see a alerts=refunded",
		"dispute a 1 id=d1 amount=1000 withdrawn -> OK balance=0",
		"see a alerts=refunded,disputed,balance_depleted",
		"dispute a 1 id=d1 amount=1000 reinstated -> OK balance=1000",
		"see a alerts=refunded,disputed,balance_depleted,balance_recovered",
		"account a status=suspended -> OK",
		"account a status=suspended -> OK",
		"account a status=active -> OK",
		"see a alerts=refunded,disputed,balance_depleted,balance_recovered,suspended,restored",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_disputes(void **state)
{
	static const char *const lines[] = {
		"topup a 1000 -> OK",
		"payment a 1 amount=1000 pi=p1 -> OK",
		"dispute a 1 id=d1 amount=1000 pi=p1 event=e1 -> OK event=applied balance=1000",
		"dispute a 1 id=d1 amount=1000 pi=p1 withdrawn event=e2 -> OK balance=0",
		"dispute a 1 id=d1 amount=1000 pi=p1 withdrawn event=e3 -> OK balance=0",
		"dispute a 1 id=d1 amount=1000 pi=p1 reinstated event=e4 -> OK balance=1000",
		"dispute a 1 id=d1 amount=1000 pi=p1 withdrawn event=e5 -> OK balance=1000",
		"see a orders=paid:1000:0:0 grants=0,1000",
		"dispute a 1 id=d2 amount=1200 withdrawn -> OK balance=-200",
		"refund a 1 id=r1 amount=500 -> OK balance=-700",
		"dispute a 1 id=d3 amount=1 currency=usd event=x1 -> OK event=parked",
		"dispute a 2 id=d3 amount=1 event=x2 -> OK event=parked",
		"dispute a 1 id=d3 amount=-1 event=x3 -> OK event=parked",
		"topup a 100 -> OK seq=2",
		"dispute a 2 id=d1 amount=1 event=x4 -> OK event=parked",
		"dispute a 2 id=d4 amount=1 pi=p1 event=x5 -> OK event=parked",
		"see a balance=-700",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_subscriptions(void **state)
{
	static const char *const lines[] = {
		"subscription a s1 plan=pro at=5 event=e1 -> OK event=parked",
		"touch a create -> OK",
		"subscription a s1 at=5 event=e1 -> OK event=parked",
		"subscription a s1 plan=pro at=5 event=e1 -> OK event=applied",
		"see a plan=pro customer=cus",
		"subscription a s1 plan=old at=4 rank=9 event=e2 -> OK event=ignored",
		"subscription a s1 plan=old at=5 event=e0 -> OK event=ignored",
		"subscription a s1 plan=new at=5 event=e3 -> OK event=applied",
		"subscription a s1 plan=newer at=5 rank=1 event=e2a -> OK event=applied",
		"see a plan=newer",
		"subscription a s1 ended at=9 event=e4 -> OK event=applied",
		"see a plan=",
		"subscription a s1 plan=pro at=8 event=e5 -> OK event=ignored",
		"see a plan=",
		/* Another one replaces it, and its end is then no matter. */
		"subscription a s2 plan=two at=7 event=f1 -> OK event=applied",
		"see a plan=two",
		"subscription a s3 plan=three at=8 event=f2 -> OK event=applied",
		"subscription a s2 ended at=20 event=f3 -> OK event=applied",
		"subscription a s4 plan=four at=6 event=f4 -> OK event=applied",
		"see a plan=three",
		"subscription a s3 plan=three at=8 -> OK",
	};

	(void)state;
	PLAY(&standard, lines);
}

static void test_events(void **state)
{
	static const char *const lines[] = {
		"touch a create -> OK",
		"event nobody event=e1 -> OK event=ignored",
		"event nobody event=e1 -> OK replayed=1 event=ignored",
		"event nobody event=e2 parked subject=p1 -> OK event=parked",
		"event nobody event=e2 parked subject=p1 -> OK event=parked replayed=0",
		"see a events=0,1,1",
		"event nobody event=e2 -> OK event=ignored",
		"see a events=0,2,0",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* A reason that refuses a hold refuses to extend one; a reason that makes it smaller does not. */
static void test_extend_is_guarded(void **state)
{
	static const char *const lines[] = {
		"plan small pool=0 model=mini",
		"account a -> OK",
		"member a u member -> OK",
		"give a 100000 -> OK",
		"authorize a gpt in=100 out=100 ttl=60 member=u -> OK seq=1 amount=500",
		"authorize a gpt in=100 out=100 ttl=60 member=u byok=openai -> OK seq=2 amount=0",
		"authorize a x action=debrief ttl=60 -> OK seq=3",
		"account a status=suspended -> OK",
		"extend a 1 ttl=600 -> ACCOUNT_SUSPENDED kind=suspended",
		"extend a 1 out=99 -> ACCOUNT_SUSPENDED",
		"extend a 2 ttl=600 -> ACCOUNT_SUSPENDED",
		"extend a 3 ttl=600 -> ACCOUNT_SUSPENDED",
		"account a status=active -> OK",
		/* Limits. */
		"member a u limit=400 -> OK",
		"extend a 1 ttl=600 -> MEMBER_LIMIT_REACHED kind=member needed=0 available=-100",
		"extend a 1 out=101 -> MEMBER_LIMIT_REACHED needed=4 available=-100",
		"extend a 1 out=99 ttl=600 -> MEMBER_LIMIT_REACHED needed=0",
		"extend a 1 out=75 ttl=600 -> OK amount=400 available=0",
		"extend a 1 out=99 -> MEMBER_LIMIT_REACHED needed=96",
		"extend a 2 ttl=600 out=9 -> OK amount=0",
		"member a u limit=-1 daily=300 -> OK",
		"extend a 1 ttl=600 -> SPENDING_LIMIT_REACHED kind=daily ofmember=1",
		"extend a 1 out=70 -> OK amount=380",
		"member a u daily=-1 -> OK",
		"account a monthly=5 -> OK",
		"extend a 1 ttl=600 -> SPENDING_LIMIT_REACHED kind=monthly ofmember=0",
		"extend a 2 ttl=600 -> OK",
		"account a monthly=-1 -> OK",
		"extend a 1 ttl=600 -> OK",
		/* The plan's models. */
		"account a plan=small -> OK",
		"extend a 1 ttl=600 -> MODEL_NOT_IN_PLAN",
		"extend a 2 ttl=600 -> OK",
		"extend a 3 ttl=600 -> OK",
		/* Its member. */
		"member a u remove -> OK",
		"extend a 1 ttl=600 -> MEMBER_REMOVED",
		"extend a 2 ttl=600 -> MEMBER_REMOVED",
		"extend a 3 ttl=600 -> OK",
		"see a open=3",
		"settle a 1 in=100 out=10 -> OK amount=140",
		"release a 2 -> OK",
		"extend a 2 ttl=600 -> HOLD_ENDED",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* A member that was removed is served by no command; who never was one, and who joins again, is. */
static void test_removed_member(void **state)
{
	static const char *const lines[] = {
		"account a email=m -> OK",
		"give a 1000000 -> OK",
		"member a u member -> OK",
		"member a v manager -> OK",
		"charge a other member=u rid=r1 -> OK amount=10000",
		"topup a 1000 member=u rid=t1 customer -> OK seq=1",
		"member a u remove -> OK",
		"authorize a gpt in=1 member=u -> MEMBER_REMOVED",
		"authorize a gpt in=1 member=u byok=openai -> MEMBER_REMOVED",
		"charge a other member=u -> MEMBER_REMOVED",
		"check a member=u -> MEMBER_REMOVED",
		"touch a member=u -> MEMBER_REMOVED",
		"touch a member=u create -> MEMBER_REMOVED",
		/* A booked alert is told to the application; the customer itself is told nothing any more. */
		"charge a other member=u rid=r1 -> OK amount=10000 replayed=1",
		"topup a 1000 member=u rid=t1 customer -> FORBIDDEN",
		"topup a 1000 member=u customer -> FORBIDDEN",
		"touch a member=u customer -> FORBIDDEN",
		"check a member=u customer -> FORBIDDEN",
		"bonus a member=u customer -> FORBIDDEN",
		"redeem a SPRING member=u customer -> FORBIDDEN",
		"refer a b member=u customer -> FORBIDDEN",
		"touch a member=v customer -> OK",
		"check a member=v customer -> OK",
		"touch a customer -> OK",
		"charge a other member=v -> OK",
		"charge a other member=stranger -> OK",
		"charge a other -> OK",
		"touch b member=u customer -> OK",
		"member a u member -> OK",
		"charge a other member=u -> OK",
		"touch a member=u customer -> OK",
		"topup a 1000 member=u rid=t1 customer -> OK seq=1 replayed=1",
		"account a status=suspended -> OK",
		"member a u remove -> OK",
		"charge a other member=u -> ACCOUNT_SUSPENDED",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* The application's request ids and those of each customer are spaces of their own. */
static void test_whose_request_ids(void **state)
{
	static const char *const lines[] = {
		"give a 1000000 -> OK",
		"topup a 1000 rid=job-1 customer -> OK seq=1",
		"charge a other rid=job-1 -> OK replayed=0",
		"topup a 1000 rid=job-1 customer -> OK seq=1 replayed=1",
		"topup a 1001 rid=job-1 customer -> CONFLICT",
		"topup a 1000 rid=job-1 member=u customer -> OK seq=2 replayed=0",
		"topup a 1000 rid=job-1 member=v customer -> OK seq=3 replayed=0",
		"topup a 1000 rid=job-1 member=u customer -> OK seq=2 replayed=1",
		/* The application's are one space, whichever member it names: as they always were. */
		"charge a other rid=job-1 member=u -> CONFLICT",
		"topup a 1000 rid=job-1 -> CONFLICT",
		"charge a other rid=job-1 -> OK replayed=1",
		"topup a 1000 rid=ujob-1 customer -> OK seq=4",
		"see a requests=5",
	};

	(void)state;
	PLAY(&standard, lines);
}

/* All orders of what can be known of one order: 7! of them, each fact twice, end the same. */
#define FACTS 7

static void swap(int *a, int *b)
{
	const int kept = *a;

	*a = *b;
	*b = kept;
}

static void play_in_order(const int *at)
{
	static const char *const facts[FACTS] = {
		"payment a 1 amount=1000 pi=p1 -> OK",
		"payment a 1 amount=1000 pending pi=p1 -> OK",
		"refund a 1 id=r1 amount=100 pi=p1 -> OK",
		"refund a 1 id=r2 amount=50 failed -> OK",
		"refund a 1 amount=150 -> OK",
		"dispute a 1 id=d1 amount=300 withdrawn -> OK",
		"dispute a 1 id=d2 amount=77 withdrawn reinstated -> OK",
	};
	const char *lines[2 * FACTS + 2];
	size_t count = 0;

	lines[count++] = "topup a 1000 -> OK";
	for (int i = 0; i < FACTS; i++)
		lines[count++] = facts[at[i]];
	for (int i = 0; i < FACTS; i++)
		lines[count++] = facts[at[(i + 3) % FACTS]];
	lines[count++] = "see a balance=600 orders=paid:1000:100:300";
	scene_play(&standard, lines, count);
}

/* Heap's algorithm. */
static void permute(int *at, int length)
{
	if (length == 1) {
		play_in_order(at);
		return;
	}
	for (int i = 0; i < length; i++) {
		permute(at, length - 1);
		swap(&at[length % 2 == 0 ? i : 0], &at[length - 1]);
	}
}

static void test_every_order_of_facts(void **state)
{
	int at[FACTS];

	(void)state;
	for (int i = 0; i < FACTS; i++)
		at[i] = i;
	permute(at, FACTS);
}

/* Every way in which a command can end; nothing else may have been seen, and all of it must have been. */
static void test_every_outcome_was_seen(void **state)
{
	static const struct {
		enum command_kind kind;
		enum outcome outcomes[16]; /* ends with OK, which every command can answer */
	} possible[COMMAND_COUNT] = {
		{COMMAND_AUTHORIZE,
	         {OUTCOME_INSUFFICIENT_CREDITS, OUTCOME_HARD_LIMIT_REACHED, OUTCOME_ACCOUNT_SUSPENDED,
	          OUTCOME_INVALID_REQUEST, OUTCOME_CONFLICT, OUTCOME_UNKNOWN_MODEL, OUTCOME_UNKNOWN_ACTION,
	          OUTCOME_TOO_MANY_HOLDS, OUTCOME_MEMBER_REMOVED}},
		{COMMAND_SETTLE,
	         {OUTCOME_NOT_FOUND, OUTCOME_SETTLEMENT_CONFLICT, OUTCOME_INVALID_REQUEST, OUTCOME_UNAVAILABLE}},
		{COMMAND_RELEASE, {OUTCOME_NOT_FOUND, OUTCOME_HOLD_ENDED}},
		{COMMAND_EXTEND,
	         {OUTCOME_NOT_FOUND, OUTCOME_HOLD_ENDED, OUTCOME_INSUFFICIENT_CREDITS, OUTCOME_HARD_LIMIT_REACHED,
	          OUTCOME_INVALID_REQUEST, OUTCOME_UNAVAILABLE, OUTCOME_ACCOUNT_SUSPENDED, OUTCOME_MEMBER_LIMIT_REACHED,
	          OUTCOME_SPENDING_LIMIT_REACHED, OUTCOME_MODEL_NOT_IN_PLAN, OUTCOME_MEMBER_REMOVED}},
		{COMMAND_CHARGE,
	         {OUTCOME_INSUFFICIENT_CREDITS, OUTCOME_HARD_LIMIT_REACHED, OUTCOME_ACCOUNT_SUSPENDED,
	          OUTCOME_INVALID_REQUEST, OUTCOME_CONFLICT, OUTCOME_UNKNOWN_ACTION, OUTCOME_MEMBER_REMOVED}},
		{COMMAND_CHECK,
	         {OUTCOME_INSUFFICIENT_CREDITS, OUTCOME_HARD_LIMIT_REACHED, OUTCOME_ACCOUNT_SUSPENDED,
	          OUTCOME_UNKNOWN_MODEL, OUTCOME_UNKNOWN_ACTION, OUTCOME_MEMBER_REMOVED, OUTCOME_FORBIDDEN}},
		{COMMAND_TRANSACTION, {OUTCOME_INVALID_REQUEST, OUTCOME_CONFLICT}},
		{COMMAND_ACCOUNT, {OUTCOME_ACCOUNT_CONFLICT}},
		{COMMAND_MEMBER, {OUTCOME_NOT_FOUND}},
		{COMMAND_TOUCH, {OUTCOME_MEMBER_REMOVED, OUTCOME_FORBIDDEN}},
		{COMMAND_TOPUP, {OUTCOME_INVALID_REQUEST, OUTCOME_CONFLICT, OUTCOME_FORBIDDEN, OUTCOME_RATE_LIMITED}},
		{COMMAND_TOPUP_NOTE, {OUTCOME_NOT_FOUND}},
		{COMMAND_PAYMENT, {OUTCOME_OK}},
		{COMMAND_REFUND, {OUTCOME_OK}},
		{COMMAND_DISPUTE, {OUTCOME_OK}},
		{COMMAND_SUBSCRIPTION, {OUTCOME_OK}},
		{COMMAND_EVENT, {OUTCOME_OK}},
		{COMMAND_ALERTS, {OUTCOME_OK}},
		{COMMAND_BONUS,
	         {OUTCOME_BONUS_CLAIMED, OUTCOME_BONUS_NOT_OFFERED, OUTCOME_BONUS_EXHAUSTED, OUTCOME_EMAIL_NEEDED,
	          OUTCOME_PAYMENT_FIRST, OUTCOME_UNAVAILABLE, OUTCOME_FORBIDDEN}},
		{COMMAND_SIGNUP, {OUTCOME_OK}},
		{COMMAND_REDEEM,
	         {OUTCOME_CODE_UNKNOWN, OUTCOME_CODE_USED, OUTCOME_CODE_EXHAUSTED, OUTCOME_CODE_OTHER_UNIT,
	          OUTCOME_TOO_MANY_GUESSES, OUTCOME_CONFLICT, OUTCOME_FORBIDDEN}},
		{COMMAND_REFER,
	         {OUTCOME_OWN_CODE, OUTCOME_CODE_UNKNOWN, OUTCOME_REFERRED_ALREADY, OUTCOME_REFERRED_LATE,
	          OUTCOME_TOO_MANY_GUESSES, OUTCOME_CONFLICT, OUTCOME_FORBIDDEN}},
	};
	bool expected[COMMAND_COUNT][OUTCOME_COUNT] = {{false}};

	(void)state;
	for (int i = 0; i < COMMAND_COUNT; i++) {
		expected[possible[i].kind][OUTCOME_OK] = true;
		for (int j = 0; possible[i].outcomes[j] != OUTCOME_OK; j++)
			expected[possible[i].kind][possible[i].outcomes[j]] = true;
	}
	for (int kind = 0; kind < COMMAND_COUNT; kind++)
		for (int o = 0; o < OUTCOME_COUNT; o++)
			if (scene_seen((enum command_kind)kind, (enum outcome)o) != expected[kind][o])
				fail_msg("command %d, %s: %s", kind, outcome_name((enum outcome)o),
				         expected[kind][o] ? "never seen" : "not expected");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authorize),
		cmocka_unit_test(test_authorize_from_a_list),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_own_keys),
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_settle_what_is_not_said),
		cmocka_unit_test(test_settle_each_class_of_tokens),
		cmocka_unit_test(test_settle_above_the_hold),
		cmocka_unit_test(test_holds_of_actions),
		cmocka_unit_test(test_charge),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_what_became_of_the_hold),
		cmocka_unit_test(test_request_ids),
		cmocka_unit_test(test_holds_expire),
		cmocka_unit_test(test_expired_holds_are_captured),
		cmocka_unit_test(test_what_is_given_back),
		cmocka_unit_test(test_grants_are_spent_in_order),
		cmocka_unit_test(test_grants_expire),
		cmocka_unit_test(test_what_is_due_comes_in_order),
		cmocka_unit_test(test_extend),
		cmocka_unit_test(test_price_is_pinned),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_suspended),
		cmocka_unit_test(test_postpaid),
		cmocka_unit_test(test_too_many_holds),
		cmocka_unit_test(test_bonus),
		cmocka_unit_test(test_bonus_cap),
		cmocka_unit_test(test_signup),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_referrals),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_open_orders),
		cmocka_unit_test(test_units_of_orders),
		cmocka_unit_test(test_payments),
		cmocka_unit_test(test_refunds),
		cmocka_unit_test(test_topup_bonus),
		cmocka_unit_test(test_alerts_of_the_balance),
		cmocka_unit_test(test_alerts_of_expiry),
		cmocka_unit_test(test_alerts_of_a_rest_that_came_back),
		cmocka_unit_test(test_alerts_of_money),
		cmocka_unit_test(test_disputes),
		cmocka_unit_test(test_subscriptions),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_extend_is_guarded),
		cmocka_unit_test(test_removed_member),
		cmocka_unit_test(test_whose_request_ids),
		cmocka_unit_test(test_every_order_of_facts),
		cmocka_unit_test(test_every_outcome_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
