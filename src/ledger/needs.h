/*
 * needs: the rows that a command's decision will look up, named before anything is read.  Pure.
 */
#ifndef OCTROI_LEDGER_NEEDS_H
#define OCTROI_LEDGER_NEEDS_H

#include "ledger/command.h"
#include "ledger/rows/rows.h"

/* Names the rows of a command that command_prepare has prepared; false when memory is short. */
bool needs_name(struct rows *rows, struct slot *s, const struct command *c);
/* Names, once requests are read, the usage of a repeated authorize: the hold of the earlier answer may have ended. */
bool needs_name_replayed(struct rows *rows, struct slot *s, const struct command *c);

#endif
