#include "ledger/outcome.h"

#include "base/check.h"

static const struct {
	const char *name;
	int status;
	const char *english, *french;
} outcomes[OUTCOME_COUNT] = {
#define OUTCOME(name, status, english, french) {#name, status, english, french},
#include "ledger/outcomes.def"
#undef OUTCOME
};

const char *outcome_name(enum outcome o)
{
	CHECK((unsigned)o < OUTCOME_COUNT);
	return outcomes[o].name;
}

int outcome_status(enum outcome o)
{
	CHECK((unsigned)o < OUTCOME_COUNT);
	CHECK(outcomes[o].status >= 200 && outcomes[o].status < 600);
	return outcomes[o].status;
}

const char *outcome_message(enum outcome o, int french)
{
	CHECK((unsigned)o < OUTCOME_COUNT);
	return french ? outcomes[o].french : outcomes[o].english;
}
