#include "base/csv_text.h"

#include <stdbool.h>
#include <string.h>

static bool begins_as_formula(const char *text)
{
	static const char *const beginnings[] = {"=",  "+",      "-",      "@",      "\t",    "\r",
	                                         "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"};

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (strncmp(text, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

void csv_text_add(struct buf *out, const char *text)
{
	const bool quoted = strpbrk(text, ",\"\r\n") != NULL;

	if (quoted)
		buf_add_char(out, '"');
	if (begins_as_formula(text))
		buf_add_char(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '"')
			buf_add_char(out, '"');
		buf_add_char(out, *text);
	}
	if (quoted)
		buf_add_char(out, '"');
}
