/*
 * hold_sql: all open holds, as text for statements.  Readers must not take the rows of holds for all of them, because
 * the account's row has others: rows/packed_hold.h.
 */
#ifndef OCTROI_LEDGER_HOLD_SQL_H
#define OCTROI_LEDGER_HOLD_SQL_H

/* A column of the packed hold: its place among the columns of holds, where the account's key is 0. */
#define HOLD_SQL_PACKED "ELT(p.place,a.hold_1,a.hold_2,a.hold_3)"
#define HOLD_SQL_TEXT(at) "SUBSTRING_INDEX(SUBSTRING_INDEX(" HOLD_SQL_PACKED ",'\t'," at "),'\t',-1)"
#define HOLD_SQL_INT(at) "CAST(" HOLD_SQL_TEXT(at) " AS SIGNED)"

#define HOLD_SQL_NAMES HOLD_SQL_INT("1") "," HOLD_SQL_TEXT("2") "," HOLD_SQL_INT("3") "," HOLD_SQL_TEXT("4")
#define HOLD_SQL_FIGURES HOLD_SQL_INT("11") "," HOLD_SQL_INT("15") "," HOLD_SQL_INT("16")
#define HOLD_SQL_PLACES "(SELECT 1 AS place UNION ALL SELECT 2 UNION ALL SELECT 3) p"
#define HOLD_SQL_IN_ACCOUNTS \
	" FROM accounts a JOIN " HOLD_SQL_PLACES " WHERE a.open_holds>0 AND " HOLD_SQL_PACKED "<>''"

/* A table with a row for each open hold, to be named by the reader. */
#define HOLD_SQL_OPEN \
	"(SELECT account_id,seq,member,kind,item,reserved_micros,created_at_us,expires_at_us FROM holds" \
	" UNION ALL SELECT a.id," HOLD_SQL_NAMES "," HOLD_SQL_FIGURES HOLD_SQL_IN_ACCOUNTS ")"

#endif
