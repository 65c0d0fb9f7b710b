#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static _Thread_local bool was_short;

static void *noted(void *memory, size_t bytes)
{
	if (memory == NULL && bytes > 0)
		was_short = true;
	return memory;
}

void *memory_alloc(size_t bytes)
{
	return noted(malloc(bytes), bytes);
}

void *memory_zeroed(size_t count, size_t bytes)
{
	return noted(calloc(count, bytes), count > 0 ? bytes : 0);
}

char *memory_copy(const char *text)
{
	return noted(strdup(text), 1);
}

void *memory_realloc(void *memory, size_t bytes)
{
	return noted(realloc(memory, bytes), bytes);
}

void memory_free(void *memory)
{
	free(memory);
}

void memory_missing(const char *part)
{
	log_event(LOG_LEVEL_ERROR, "memory_missing", LOG_TEXT("part", part));
}

void *memory_part(const char *part, size_t bytes)
{
	void *memory = memory_zeroed(1, bytes);

	if (memory == NULL)
		memory_missing(part);
	return memory;
}

void memory_note(void)
{
	was_short = true;
}

void memory_forget(void)
{
	was_short = false;
}

bool memory_was_short(void)
{
	return was_short;
}

bool memory_watch(void)
{
	const bool before = was_short;

	was_short = false;
	return before;
}

bool memory_watched(bool before)
{
	const bool since = was_short;

	was_short = since || before;
	return since;
}
