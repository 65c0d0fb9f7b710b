/*
 * zone_driver: answers questions about time zones from stdin, one line each, for tests that know the answers from
 * elsewhere (tests/model/test_zone.py).  Times are in microseconds.
 *
 *   find ZONE                  -> its name, or none
 *   local ZONE time            -> what the clocks on the wall show
 *   instant ZONE local
 *   next_hour ZONE time
 *   next_day ZONE time
 *   next_month ZONE time
 *   add_months local months
 *   local_day local
 *   local_month local
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/zone.h"

static char *rest; /* of the line */

static const char *next_word(void)
{
	const char *word = strtok_r(NULL, " ", &rest);

	CHECK(word != NULL);
	return word;
}

static int64_t next_int(void)
{
	const char *word = next_word();
	char *end;
	long long value;

	errno = 0;
	value = strtoll(word, &end, 10);
	CHECK(errno == 0 && *end == '\0' && end != word);
	return value;
}

static int64_t answer_of_zone(const char *verb)
{
	const struct zone *z = zone_find(next_word());
	const int64_t time_us = next_int();

	CHECK(z != NULL);
	if (strcmp(verb, "local") == 0)
		return zone_local(z, time_us);
	if (strcmp(verb, "instant") == 0)
		return zone_instant(z, time_us);
	if (strcmp(verb, "next_hour") == 0)
		return zone_next_hour(z, time_us);
	if (strcmp(verb, "next_day") == 0)
		return zone_next_day(z, time_us);
	CHECK(strcmp(verb, "next_month") == 0);
	return zone_next_month(z, time_us);
}

static int64_t answer(const char *verb)
{
	int64_t local_us;

	if (strcmp(verb, "local_day") == 0)
		return zone_local_day(next_int());
	if (strcmp(verb, "local_month") == 0)
		return zone_local_month(next_int());
	if (strcmp(verb, "add_months") != 0)
		return answer_of_zone(verb);
	local_us = next_int();
	return zone_add_months(local_us, next_int());
}

int main(void)
{
	static char line[512];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		rest = line;
		const char *verb = next_word();

		if (strcmp(verb, "find") == 0) {
			const struct zone *z = zone_find(rest);

			puts(z != NULL ? zone_name(z) : "none");
		} else {
			printf("%" PRId64 "\n", answer(verb));
		}
	}
	return 0;
}
