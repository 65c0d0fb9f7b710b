/*
 * stripe_value: members of Stripe's objects; a member of another type or size than expected counts as missing.  Pure.
 */
#ifndef OCTROI_INBOX_STRIPE_VALUE_H
#define OCTROI_INBOX_STRIPE_VALUE_H

#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"

#define NAME_MAX_BYTES 255                /* columns of the database */
#define SECONDS_MAX INT64_C(253402300799) /* year 9999 */

/* A text of at most max bytes, "" for anything else. */
static inline const char *text_within(const struct json *value, size_t max)
{
	size_t length;
	const char *text;

	if (value == NULL || json_type(value) != JSON_TEXT)
		return "";
	text = json_text(value, &length);
	return length <= max ? text : "";
}

/* A text of at most NAME_MAX_BYTES, as many as a column takes. */
static inline const char *text_at(const struct json *record, const char *name)
{
	return text_within(json_get(record, name), NAME_MAX_BYTES);
}

/* The id of an object that may come expanded. */
static inline const char *id_at(const struct json *record, const char *name)
{
	const struct json *value = json_get(record, name);

	if (value != NULL && json_type(value) == JSON_RECORD)
		return text_at(value, "id");
	return text_within(value, NAME_MAX_BYTES);
}

/* A currency has three letters; longer ones can be no order's. */
static inline const char *currency_at(const struct json *record)
{
	const char *currency = text_at(record, "currency");

	return strlen(currency) == 3 ? currency : "";
}

/* A time in seconds, as microseconds; 0 when it is none. */
static inline int64_t seconds_at(const struct json *record, const char *name)
{
	const int64_t seconds = json_get_int(record, name, 0);

	return seconds > 0 && seconds <= SECONDS_MAX ? seconds * CLOCK_US_PER_SECOND : 0;
}

#endif
