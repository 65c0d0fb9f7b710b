/*
 * log: one line per event, logfmt (time=… level=… event=… key=value …), to stderr or a file.  Lines
 * are collected in a bounded buffer, and written by the thread that fills it or by log_flush.  Lines
 * that do not fit are dropped, and their count is logged.  Values are quoted, cut at 1 KiB and
 * escaped to ASCII, so no input can forge a line.  Never pass a secret: keys, tokens and signatures
 * have no place in any field.  Thread-safe, own lock.
 */
#ifndef OCTROI_BASE_LOG_H
#define OCTROI_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_level log_level_named(const char *name); /* error, warning, info or debug */

#define LOG_EVENT_FIELDS_MAX 24

/* path NULL or "" or "stderr": standard error.  0, or -1 with errno when it cannot be opened. */
int log_open(const char *path, enum log_level level);
/* Opens the path again (log rotation).  0, or -1 with errno and the old file still in use. */
int log_reopen(void);
/* Writes the collected lines.  Errors are written at once, by a thread that is writing already or by
 * the caller. */
void log_flush(void);

struct log_field {
	const char *key;
	const char *text; /* used when not NULL */
	int64_t number;
};
#define LOG_TEXT(k, v) \
	{ \
		.key = (k), .text = (v) \
	}
#define LOG_NUMBER(k, v) \
	{ \
		.key = (k), .number = (v) \
	}

void log_event_fields(enum log_level level, const char *event, const struct log_field *fields, int count);
/* log_event(LOG_LEVEL_INFO, "started", LOG_TEXT("listen", path), LOG_NUMBER("threads", n)) */
#define log_event(level, event, ...) \
	log_event_fields((level), (event), (const struct log_field[]){__VA_ARGS__}, \
	                 (int)(sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)))

#endif
