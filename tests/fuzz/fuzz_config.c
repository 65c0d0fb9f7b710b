/* octroi.conf: taken whole, or refused with a sentence. */
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const int file = memfd_create("octroi.conf", 0);
	char path[64], error[CONFIG_ERROR_MAX] = "";
	struct config c;

	MUST(file >= 0 && write(file, bytes, length) == (ssize_t)length);
	MUST(snprintf(path, sizeof(path), "/proc/self/fd/%d", file) < (int)sizeof(path));
	MUST(config_load(&c, path, error) == 0 || error[0] != '\0');
	config_free(&c);
	MUST(close(file) == 0);
	return 0;
}
