/*
 * show: rows of the database as the API shows them; the same wherever they appear.
 */
#ifndef OCTROI_ROUTES_SHOW_H
#define OCTROI_ROUTES_SHOW_H

#include "base/json.h"
#include "prices/book.h"
#include "queries/reader.h"
#include "routes/api/call.h"

/* The amount that the account may still promise, by the ledger's own rule (funds.h). */
int64_t show_available(const struct reader_account *a);
/* balance, balanceMicros, heldMicros, availableMicros. */
void show_balance(struct json_writer *w, const struct reader_account *a);
/* status, and the reason of a suspension. */
void show_status(struct json_writer *w, const struct reader_account *a);
/* plan, nextPlan and allowance, as far as there are any. */
void show_plan(struct json_writer *w, const struct reader_account *a);
/* limits.  show_limits_if_any: only of an account that is postpaid or has a workspace. */
void show_limits(struct json_writer *w, const struct call *c, const struct reader_account *a);
void show_limits_if_any(struct json_writer *w, const struct call *c, const struct reader_account *a);
/* statement: of an account that is postpaid, or past due. */
void show_statement(struct json_writer *w, const struct reader_account *a);
/* A member with its limits and its use as of now: the members of an open record. */
void show_member(struct json_writer *w, const struct call *c, const struct reader_account *a,
                 const struct reader_member *m);
/* The account as its application sees it: the members of an open record. */
void show_account(struct json_writer *w, const struct call *c, const struct reader_account *a);

/* Each a record of its own; unit is the account's. */
void show_transaction(struct json_writer *w, const char *key, const struct account_key *account, int64_t unit,
                      const struct reader_transaction *t);
void show_usage(struct json_writer *w, const struct account_key *account, int64_t unit, const struct reader_usage *u);
/* The members of an open record. */
void show_usage_members(struct json_writer *w, const struct account_key *account, int64_t unit,
                        const struct reader_usage *u);
/* priceVersion, and the lines that sum to the cost: members of an open record. */
void show_usage_lines(struct json_writer *w, const struct book *book, enum account_unit unit,
                      const struct reader_usage *u);

#endif
