#include "routes/api/language.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define QUALITY_MAX 1000
#define BLANK " \t"

/* "1", "0.8", "0.875" in thousandths; -1 for anything else. */
static int quality_of(const char *text, size_t length)
{
	int quality = 0;
	int unit = QUALITY_MAX;

	if (length < 1 || length > 5 || (text[0] != '0' && text[0] != '1') || (length > 1 && text[1] != '.'))
		return -1;
	quality = (text[0] - '0') * unit;
	for (size_t i = 2; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		unit /= 10;
		quality += (text[i] - '0') * unit;
	}
	return quality <= QUALITY_MAX ? quality : -1;
}

/* The q of a range such as "fr-FR; q=0.9", 1000 when it has none, -1 when it cannot be read. */
static int range_quality(const char *range, size_t length)
{
	const char *semicolon = memchr(range, ';', length);
	const char *end = range + length;

	if (semicolon == NULL)
		return QUALITY_MAX;
	semicolon++;
	semicolon += strspn(semicolon, BLANK);
	if (end - semicolon < 2 || strncasecmp(semicolon, "q=", 2) != 0)
		return -1;
	semicolon += 2;
	while (end > semicolon && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return quality_of(semicolon, (size_t)(end - semicolon));
}

static bool is_language(const char *range, size_t length, const char *language)
{
	size_t tag = strcspn(range, "-;, \t");

	return tag == strlen(language) && tag <= length && strncasecmp(range, language, tag) == 0;
}

bool language_french(const char *accept)
{
	int french = 0;
	int english = 0;

	while (accept != NULL && *accept != '\0') {
		size_t length;
		int quality;

		accept += strspn(accept, BLANK ",");
		length = strcspn(accept, ",");
		quality = range_quality(accept, length);
		/* Of two languages of the same quality, the first is preferred. */
		if (quality > french && is_language(accept, length, "fr"))
			french = quality > english ? quality : quality - 1;
		if (quality > english && is_language(accept, length, "en"))
			english = quality;
		accept += length;
	}
	return french > 0 && french >= english;
}
