/*
 * ctl: the state that each command of octroictl gets: the configuration, one connection to the
 * database, its own arguments.  Commands are the rows of ctl_commands.def; ctl_foo.c holds the
 * commands whose first word is foo.  A command prints to stdout (listing.h for rows), and its errors
 * to stderr.  One thread.
 */
#ifndef OCTROI_CTL_CTL_H
#define OCTROI_CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config.h"
#include "db/db.h"
#include "ledger/ledger.h"
#include "prices/price.h"

/* A command's result is the program's exit status. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_NO = 1,    /* findings, a refusal: the answer to the question is no */
	CTL_FAILED = 2 /* could not run: arguments, configuration, database */
};

struct router;

struct ctl {
	const struct config *config;
	const char *conf;     /* the file that -c named, or NULL */
	const char *command;  /* its row's words, "key create" */
	const char *synopsis; /* its row's arguments */
	bool json, csv;       /* --json, --csv was given; at most one of them */
	int argc;             /* arguments after the command's words */
	char **argv;
	struct db *db; /* made when first asked for, like those below; ctl_close frees them */
	struct pool *pool;
	struct ledger *ledger;
	struct pool *readers; /* of the router, made and freed with it */
	struct router *router;
};

typedef int ctl_handler(struct ctl *c);

#define CTL(words, handler, synopsis, help) ctl_handler handler;
#include "ctl/ctl_commands.def"
#undef CTL

#define CTL_LIST_MAX 64
struct ctl_list {
	const char *item[CTL_LIST_MAX];
	int count;
};

/* An option of a command, "--label": exactly one of value, list and flag is not NULL. */
struct ctl_option {
	const char *name;
	const char **value;    /* takes an argument: "--label TEXT" or "--label=TEXT" */
	struct ctl_list *list; /* takes an argument, any number of times */
	bool *flag;
};

/* Takes the arguments apart.  Options may stand anywhere before "--"; the other arguments are
 * operands, from min to max of them.  options ends with a NULL name; NULL: none.  Returns the number
 * of operands, or -1, explained on stderr. */
int ctl_arguments(struct ctl *c, const struct ctl_option *options, const char **operands, int min, int max);

/* Takes "--json" or "--csv"; false for any other argument. */
bool ctl_format(struct ctl *c, const char *argument);

/* Adds a file's bytes, or those of stdin ("-"); CTL_OK, or CTL_FAILED, explained. */
int ctl_read(const char *path, struct buf *content);

/* Prints a JSON document and a line feed to stdout; CTL_OK, or CTL_FAILED when it was too large. */
int ctl_print(const struct buf *document);

/* "octroictl: …" on stderr, or with --json {"error":"FAILED","message":"…"}; returns CTL_FAILED. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The memory, or the part made of it.  Where it is NULL, memory is short, and octroictl ends with that sentence. */
void *ctl_must(void *memory);
/* As ctl_fail, with an outcome of the API's as the error; returns CTL_FAILED for INVALID_REQUEST and UNAVAILABLE, else
 * CTL_NO. */
int ctl_refuse(enum outcome outcome, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As ctl_refuse with INVALID_REQUEST: an argument is wrong. */
int ctl_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* From here on errors are JSON. */
void ctl_errors_as_json(void);

/* Reads an integer, or a decimal with at most 6 places times 10^6, from low to high.  0, or -1,
 * explained on stderr; the second argument is the subject of that sentence. */
int ctl_integer(const char *text, const char *what, int64_t low, int64_t high, int64_t *value);
int ctl_decimal(const char *text, const char *what, int64_t low, int64_t high, int64_t *value);

/* The configured login.  Run by root and without a password, octroictl logs in as the system user of the same name. */
struct db_options ctl_login(const struct ctl *c);
/* The login of a database administrator, with the password of OCTROI_DB_ADMIN_PASSWORD: octroi's own may make no
 * table. */
struct db_options ctl_login_as(const struct ctl *c, const char *admin);
/* The connection that the configuration describes, made at the first call (not yet connected). */
struct db *ctl_db(struct ctl *c);
/* Returns the connection for statements that may take long (audits, migrations): it gives up after an
 * hour.  A connection that ctl_db made before keeps its own timeout. */
struct db *ctl_db_patient(struct ctl *c);
/* The ledger, on a connection of its own, decides as octroi would with this configuration. */
struct ledger *ctl_ledger(struct ctl *c);
#define CTL_LEDGER_TIMEOUT_US (INT64_C(60) * 1000000)
void ctl_close(struct ctl *c);

/* Runs a statement and calls take for each row of its result, until take answers non-zero.  take
 * NULL: the rows are dropped.  Returns CTL_OK, the last answer of take, or CTL_FAILED with a sentence
 * on stderr. */
int ctl_rows(struct ctl *c, const struct buf *sql, int (*take)(void *context, const struct db_row *row), void *context);
/* The database's clock, in micros; 0, or CTL_FAILED, explained. */
int ctl_now(struct ctl *c, int64_t *now_us);
/* Prints the database's error on stderr; returns CTL_FAILED. */
int ctl_db_failed(struct ctl *c);

#endif
