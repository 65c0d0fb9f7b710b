/*
 * packed_hold: an open hold that lies in its account's row.  Each of the columns hold_1 to hold_3 has room for one.
 * The text is each column of holds but the account's, in their order, each followed by a tab.  Blanks fill the text up
 * to the greatest length that the column has had, because InnoDB logs a whole page when a length changes.  Where a
 * version appends columns to holds, texts of before lack them.  Pure.
 */
#ifndef OCTROI_LEDGER_ROWS_PACKED_HOLD_H
#define OCTROI_LEDGER_ROWS_PACKED_HOLD_H

#include <stdbool.h>

#include "ledger/rows/table.h"

#define PACKED_HOLDS 3
#define PACKED_HOLD_MAX 255 /* bytes; sql/004_paid_periods.sql has the columns */

/* A copy of the text of a column, and the hold whose texts point into it. */
struct packed_hold {
	struct holds_row row;
	char text[PACKED_HOLD_MAX + 1];
};

enum packed_hold_state { PACKED_HOLD_NONE, PACKED_HOLD_READ, PACKED_HOLD_UNREADABLE };

/* The text of a column; at is 0 to PACKED_HOLDS - 1. */
const char *packed_hold_text(const struct accounts_row *account, int at);
void packed_hold_set_text(struct accounts_row *account, int at, const char *text);
enum packed_hold_state packed_hold_read(const struct accounts_row *account, int at, struct packed_hold *hold);
/* Reads the columns of a hold from a text, into which its texts point afterwards.  False if the text is no hold. */
bool packed_hold_unpack(char *text, struct holds_row *hold);
/* Writes the hold to the text, without blanks.  False if it does not fit, or one of its own texts has a tab. */
bool packed_hold_pack(const struct holds_row *hold, char text[PACKED_HOLD_MAX + 1]);

/* The number of the hold in a column; 0: there is none. */
int64_t packed_hold_seq(const struct accounts_row *account, int at);
/* The column of the hold; PACKED_HOLDS: in none.  The same for a column without a hold. */
int packed_hold_find(const struct accounts_row *account, int64_t seq);
int packed_hold_find_free(const struct accounts_row *account);
/* The number of columns that have a hold. */
int packed_hold_count(const struct accounts_row *account);
/* True if the table holds has open holds of the account, too. */
bool packed_hold_beside(const struct accounts_row *account);
/* NULL, or the contradiction in the columns of a row that the batch has not changed. */
const char *packed_hold_check(const struct accounts_row *account);

#endif
