/*
 * attempt: runs a batch.  The three steps are run in their order, and again where an error may pass.
 */
#ifndef OCTROI_LEDGER_ATTEMPT_H
#define OCTROI_LEDGER_ATTEMPT_H

#include "ledger/batch.h"

/* Runs the commands on the connection.  Every command has its answer afterwards, also after a failure.  Called on the
 * leader's thread. */
void attempt_run(struct batch *b, struct db *d, struct command **commands, int count, int64_t deadline_us);

#endif
