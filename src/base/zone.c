#include "base/zone.h"

#include <stddef.h>

const struct zone *zone_find(const char *name)
{
	(void)name;
	return NULL;
}
