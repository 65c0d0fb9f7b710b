/*
 * outcome: the ways in which a request ends, as an enum made from outcomes.def; no string is an outcome.
 */
#ifndef OCTROI_LEDGER_OUTCOME_H
#define OCTROI_LEDGER_OUTCOME_H

enum outcome {
#define OUTCOME(name, status, english, french) OUTCOME_##name,
#include "ledger/outcomes.def"
#undef OUTCOME
	OUTCOME_COUNT
};

const char *outcome_name(enum outcome o);
int outcome_status(enum outcome o);
const char *outcome_message(enum outcome o, int french);

#endif
