/*
 * conf: a program's settings, read from an ini file without sections and from the environment by the program's table
 * of keys, and checked before anything starts.  config.h is octroi's table, meter/meter_config.h that of octroi-meter.
 * Types: TEXT and SECRET are strings, NUMBER int64, SWITCH bool, DECIMAL int64 times 10^6.  Any thread.
 */
#ifndef OCTROI_CONF_H
#define OCTROI_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_ERROR_MAX 4096
#define CONF_MISTAKES_MAX 20
#define CONF_KEYS_MAX 128

/* A key's member of the program's struct. */
#define CONF_FIELD_TEXT(name) char *name;
/* A secret has the path of its file beside it, "" when it was read from none. */
#define CONF_FIELD_SECRET(name) char *name, *name##_file;
#define CONF_FIELD_NUMBER(name) int64_t name;
#define CONF_FIELD_SWITCH(name) bool name;
#define CONF_FIELD_DECIMAL(name) int64_t name;

#define CONF_FALLBACK_TEXT(fallback) fallback
#define CONF_FALLBACK_SECRET(fallback) fallback
#define CONF_FALLBACK_NUMBER(fallback) #fallback
#define CONF_FALLBACK_SWITCH(fallback) ((fallback) ? "on" : "off")
#define CONF_FALLBACK_DECIMAL(fallback) fallback

enum conf_type { CONF_TEXT, CONF_SECRET, CONF_NUMBER, CONF_SWITCH, CONF_DECIMAL };

struct conf_key {
	const char *name;
	enum conf_type type;
	const char *fallback;
	int64_t low, high;
	size_t offset; /* in the program's struct */
};

struct conf_loading;

struct conf_program {
	const char *name; /* "octroi" */
	const char *path_default, *path_variable;
	const char *prefix; /* of the variables of keys, "OCTROI_" */
	const struct conf_key *keys;
	size_t key_count;
	size_t size;        /* of the program's struct */
	size_t path_offset; /* of its member with the path of the file that was read, "" when none */
	/* The rules that a key's range cannot express; called when all members are set. */
	void (*check)(struct conf_loading *g, const void *values);
};

/* path NULL: the variable's, else the default one if it exists.  0, or -1 with a line for each mistake, up to
 * CONF_MISTAKES_MAX and the number of the others.  A line names file and line, or the variable, the key, the text
 * that was read (never a secret's) and what is allowed.  conf_free afterwards in both cases. */
int conf_load(const struct conf_program *p, void *values, const char *path, char error[CONF_ERROR_MAX]);
void conf_free(const struct conf_program *p, void *values);

/* Visits every key as text, secrets as "(set)" or "". */
void conf_each(const struct conf_program *p, const void *values,
               void (*visit)(void *context, const char *name, const char *value), void *context);
/* Visits the path of every file that a secret was read from. */
void conf_each_file(const struct conf_program *p, const void *values,
                    void (*visit)(void *context, const char *name, const char *path), void *context);

/* ---- for check ---- */

/* Adds a mistake to the list.  Always returns -1. */
int conf_complain(struct conf_loading *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The place where a key got its value: "octroi.conf:12", "OCTROI_THREADS", or "default". */
const char *conf_where(const struct conf_loading *g, const char *name);
/* Complains unless the value is one of the words, NULL after the last. */
void conf_check_choice(struct conf_loading *g, const char *name, const char *const *words, const char *value);

/* True if the URL's host is exactly the given one, with or without a port.  Not so for the beginning of a longer
 * name, or the user of another host ("http://localhost:1@evil.example"). */
bool conf_host_is(const char *url, const char *start);
/* True for TLS or this machine.  Required where the answers are believed or a secret is sent. */
bool conf_is_trusted_url(const char *url);
bool conf_has_scheme(const char *url);
/* The addresses that sockets.h takes; "" is none. */
bool conf_is_address(const char *text);

#endif
