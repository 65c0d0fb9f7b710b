/*
 * target: the account that a command of octroictl is about.  One thread.
 */
#ifndef OCTROI_CTL_TARGET_H
#define OCTROI_CTL_TARGET_H

#include "base/arena.h"
#include "base/zone.h"
#include "ctl/ctl.h"
#include "queries/reader.h"

/* CTL_OK, or CTL_FAILED, explained: whether it can be an account's (what: "account") or a member's id. */
int target_check_id(const char *what, const char *id);
/* NULL, explained, when memory is short. */
struct arena *target_arena(void);
/* Reads it; CTL_NO, explained, when there is none. */
int target_find(struct ctl *c, struct arena *arena, const char *name, struct reader_account *account);
/* Its time zone, or the configured one. */
const struct zone *target_zone(const struct ctl *c, const struct reader_account *account);

struct command target_command(enum command_kind kind, const char *name);
/* CTL_OK, or CTL_NO or CTL_FAILED, explained. */
int target_submit(struct ctl *c, struct command *command);

/* "12.5", or "none" for COMMAND_NO_LIMIT; *set when text is not NULL.  CTL_OK, or CTL_FAILED, explained. */
int target_limit(const char *text, const char *option, bool *set, micros *limit);

#endif
