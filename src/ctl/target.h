/*
 * target: the account that a command of octroictl is about.  One thread.
 */
#ifndef OCTROI_CTL_TARGET_H
#define OCTROI_CTL_TARGET_H

#include "base/arena.h"
#include "base/zone.h"
#include "ctl/ctl.h"
#include "queries/reader.h"

/* CTL_OK if id can be an account's or a member's id; else CTL_FAILED, explained.  The first argument begins that
 * sentence: "an account's", "a member's". */
int target_check_id(const char *what, const char *id);
/* CTL_OK if there is that account; CTL_NO, explained, if there is none; CTL_FAILED, explained. */
int target_exists(struct ctl *c, const char *name);
/* Reads the account.  CTL_OK, also if there is none (account->found); CTL_FAILED, explained. */
int target_read(struct ctl *c, struct arena *arena, const char *name, struct reader_account *account);

struct command target_command(enum command_kind kind, const char *name);
/* Submits the command; CTL_OK, or CTL_NO or CTL_FAILED, explained. */
int target_submit(struct ctl *c, struct command *command);

/* Reads "12.5", or "none" for COMMAND_NO_LIMIT, and sets *set; text NULL changes nothing.  CTL_OK, or CTL_FAILED,
 * explained. */
int target_limit(const char *text, const char *option, bool *set, micros *limit);

#endif
