/*
 * names: the API's names for numbers in the database ("SIGNUP_BONUS", "partial", "postpaid").
 */
#ifndef OCTROI_LEDGER_NAMES_H
#define OCTROI_LEDGER_NAMES_H

#include <stdint.h>

/* The name of a number; "" for an unknown number. */
const char *names_transaction(int64_t type);
const char *names_settlement(int64_t settlement);
const char *names_unit(int64_t unit);
const char *names_mode(int64_t mode);
const char *names_status(int64_t status);
/* The reason for which the account may not spend: "manual" or "unpaid"; "" where it may. */
const char *names_status_reason(int64_t status);
const char *names_limit(int64_t limit);
const char *names_alert(int64_t kind);
const char *names_role(int64_t role);
const char *names_source(int64_t source);
const char *names_hold_state(int64_t state);
const char *names_order(int64_t state);
const char *names_statement(int64_t state);
const char *names_event(int64_t state);
const char *names_task(int64_t kind);
const char *names_task_state(int64_t state);

/* The number, or -1. */
int names_to_transaction(const char *name);
int names_to_mode(const char *name);
int names_to_status(const char *name); /* only those that a person sets: active, suspended */
int names_to_role(const char *name);

#endif
