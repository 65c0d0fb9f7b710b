/*
 * people: the members of an account in pages, by id.  The cursor is the last one's id.
 */
#ifndef OCTROI_ROUTES_PEOPLE_H
#define OCTROI_ROUTES_PEOPLE_H

#include "queries/reader.h"
#include "routes/api/call.h"
#include "routes/api/parse.h"

struct people {
	const char *after;
	struct reader_member *rows;
	int limit, count;
	bool more;
};

/* The member that a query asks for; NULL for all of the account.  For a caller that is a member: that member.  False,
 * rendered, when such a caller asks for another. */
bool people_parse_member(struct parse *p, struct call *c, const char **member);
/* limit and cursor of the query. */
void people_parse(struct parse *p, struct people *page);
/* 0, or -1 on a fault. */
int people_read(struct call *c, struct db *d, const struct account_key *key, struct people *page);
/* Reads one member only, which may not be there. */
int people_read_one(struct call *c, struct db *d, const struct account_key *key, const char *id, struct people *page);
/* The list, under that key, and nextCursor. */
void people_put(struct json_writer *w, const char *key, const struct call *c, const struct reader_account *a,
                const struct people *page);

#endif
