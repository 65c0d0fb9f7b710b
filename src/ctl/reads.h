/*
 * reads: the API's own read handlers, asked in this process.  octroictl shows their answers, so that both say the same.
 * One thread.
 */
#ifndef OCTROI_CTL_READS_H
#define OCTROI_CTL_READS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"

struct reads_parameter {
	const char *name, *value; /* value NULL: not given */
};

#define READS_QUERY_MAX 8
struct reads {
	const char *path;             /* "/api/credits/usages" */
	const char *account, *member; /* in whose name an OWNER's route is asked; NULL elsewhere */
	bool french;
	/* The list in each item whose records are listed, a row each, after the item's own columns; NULL: none. */
	const char *inner;
	const struct listing_column *inner_columns;
	struct reads_parameter query[READS_QUERY_MAX]; /* ends with a NULL name, if not full */
};

/* The path of an account's route: "/api/accounts/" and the id, and tail.  The caller frees out. */
void reads_account_path(struct buf *out, const char *account, const char *tail);

/* Appends the body of the answer.  CTL_OK; CTL_NO if the API refuses; CTL_FAILED for a wrong argument or a fault.  The
 * last two are explained. */
int reads_get(struct ctl *c, const struct reads *r, struct buf *body);
/* As reads_get, and parses the body.  The caller frees *document. */
int reads_document(struct ctl *c, const struct reads *r, struct buf *body, struct json **document);

/* Prints the list "items" of the answer, name as in listing_new: a page, or all of them.  An incomplete page is said on
 * stderr, with the cursor of the next one.  r->query must have room for the cursor. */
int reads_list(struct ctl *c, const struct reads *r, const char *name, const struct listing_column *columns, bool all);
/* Says on stderr that the document has a next page, where it has, unless it is printed as JSON. */
void reads_say_more(const struct ctl *c, const struct json *document);

#endif
