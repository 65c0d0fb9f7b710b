/* octroi.conf: taken whole, each value within its bounds and the same when it is written down and read again; or
 * refused with a sentence. */
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "config.h"

#define WRITTEN_MAX ((size_t)256 * 1024)

static int load(struct config *c, const void *bytes, size_t length)
{
	const int file = memfd_create("octroi.conf", 0);
	char path[64], error[CONF_ERROR_MAX] = "";
	int result;

	MUST(file >= 0 && write(file, bytes, length) == (ssize_t)length);
	MUST(snprintf(path, sizeof(path), "/proc/self/fd/%d", file) < (int)sizeof(path));
	result = config_load(c, path, error);
	MUST((result == 0) == (error[0] == '\0'));
	MUST(close(file) == 0);
	return result;
}

static void check_bounds(const struct config *c)
{
#define BOUNDS_TEXT(value, fallback, low, high) \
	MUST(strcmp(value, fallback) == 0 || (strlen(value) >= (size_t)(low) && strlen(value) <= (size_t)(high)));
#define BOUNDS_SECRET(value, fallback, low, high) BOUNDS_TEXT(value, fallback, low, high)
#define BOUNDS_NUMBER(value, fallback, low, high) MUST(value >= (low) && value <= (high));
#define BOUNDS_SWITCH(value, fallback, low, high)
#define BOUNDS_DECIMAL(value, fallback, low, high) BOUNDS_NUMBER(value, fallback, low, high)
#define KEY(type, name, fallback, low, high, help) BOUNDS_##type(c->name, fallback, low, high)
#include "config.def"
#undef KEY
}

/* Without a blank before it: behind one, a ';' begins a comment. */
static void write_key(void *context, const char *name, const char *value)
{
	buf_printf(context, "%s=%s\n", name, strcmp(value, "(set)") != 0 ? value : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct config c, again;
	struct buf once, twice;

	if (load(&c, bytes, length) == 0) {
		check_bounds(&c);
		buf_init(&once, WRITTEN_MAX);
		buf_init(&twice, WRITTEN_MAX);
		config_each(&c, write_key, &once);
		/* Without its secrets it may be refused: some keys need others. */
		if (load(&again, buf_text(&once), once.length) == 0) {
			config_each(&again, write_key, &twice);
			MUST(strcmp(buf_text(&once), buf_text(&twice)) == 0);
		}
		config_free(&again);
		buf_free(&once);
		buf_free(&twice);
	}
	config_free(&c);
	return 0;
}
