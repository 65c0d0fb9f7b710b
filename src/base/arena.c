#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

#define ARENA_ALIGN _Alignof(max_align_t)
#define ARENA_FIRST_BLOCK_BYTES ((size_t)16 * 1024)
#define ARENA_BLOCK_BYTES ((size_t)64 * 1024)

struct block {
	struct block *next; /* towards the first one */
	size_t capacity;
	size_t used;
	_Alignas(max_align_t) unsigned char bytes[];
};

/* Newest block first; the last block of the chain is the one that a reset keeps. */
struct arena {
	struct block *newest;
	size_t max_bytes;
	size_t handed_out; /* <= max_bytes */
};

static struct block *block_new(size_t capacity, struct block *next)
{
	struct block *b = memory_alloc(sizeof(*b) + capacity);

	if (b == NULL)
		return NULL;
	b->next = next;
	b->capacity = capacity;
	b->used = 0;
	return b;
}

/* The next multiple of the alignment; bytes is far from SIZE_MAX. */
static size_t round_up_bytes(size_t bytes)
{
	return (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

struct arena *arena_new(size_t max_bytes)
{
	struct arena *a = memory_alloc(sizeof(*a));
	size_t first;

	CHECK(max_bytes < SIZE_MAX / 2);
	max_bytes = round_up_bytes(max_bytes);
	first = max_bytes < ARENA_FIRST_BLOCK_BYTES ? max_bytes : ARENA_FIRST_BLOCK_BYTES;
	if (a == NULL)
		return NULL;
	a->newest = block_new(first, NULL);
	if (a->newest == NULL) {
		free(a);
		return NULL;
	}
	a->max_bytes = max_bytes;
	a->handed_out = 0;
	return a;
}

void arena_reset(struct arena *a)
{
	while (a->newest->next != NULL) {
		struct block *b = a->newest;

		a->newest = b->next;
		free(b);
	}
	a->newest->used = 0;
	a->handed_out = 0;
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	arena_reset(a);
	free(a->newest);
	free(a);
}

/* A block with room for bytes; the rest of the block before is given up until the reset. */
static struct block *arena_room(struct arena *a, size_t bytes)
{
	struct block *b = a->newest;

	if (bytes <= b->capacity - b->used)
		return b;
	b = block_new(bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES, a->newest);
	if (b != NULL)
		a->newest = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	size_t rounded;
	struct block *b;
	void *memory;

	/* Checked before any arithmetic: a size near SIZE_MAX must not wrap. */
	if (bytes > a->max_bytes)
		return NULL;
	rounded = round_up_bytes(bytes > 0 ? bytes : 1);
	if (rounded > a->max_bytes - a->handed_out)
		return NULL;
	b = arena_room(a, rounded);
	if (b == NULL)
		return NULL;
	memory = b->bytes + b->used;
	b->used += rounded;
	a->handed_out += rounded;
	CHECK(b->used <= b->capacity);
	memset(memory, 0, rounded);
	return memory;
}

char *arena_copy(struct arena *a, const char *bytes, size_t length)
{
	char *copy = length < SIZE_MAX ? arena_alloc(a, length + 1) : NULL;

	if (copy != NULL && length > 0)
		memcpy(copy, bytes, length);
	return copy;
}

bool arena_holds(const struct arena *a, const void *memory)
{
	for (const struct block *b = a->newest; b != NULL; b = b->next)
		if ((uintptr_t)memory - (uintptr_t)b->bytes < b->used)
			return true;
	return false;
}
