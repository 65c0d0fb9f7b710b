#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK_LINE_MAX 512

/* One write of one line from the stack: neither a lock nor the allocator may be needed here. */
_Noreturn void check_failed(const char *condition, const char *file, int line, const char *function)
{
	char text[CHECK_LINE_MAX];
	int length = snprintf(text, sizeof(text), "octroi: bug: %s (%s:%d, %s)\n", condition, file, line, function);

	if (length >= (int)sizeof(text)) {
		length = (int)sizeof(text) - 1;
		text[length - 1] = '\n';
	}
	if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0) {
		/* Nobody is left to tell. */
	}
	abort();
}
