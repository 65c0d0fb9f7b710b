/*
 * arena: memory that lives as long as one batch or one request and is given back at once.  An arena
 * is made with a maximum; a request for more is answered with NULL, never by growing.
 * One arena belongs to one thread at a time; there is no lock.
 */
#ifndef OCTROI_BASE_ARENA_H
#define OCTROI_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* NULL when memory is short.  max_bytes bounds all that is ever handed out between two resets. */
struct arena *arena_new(size_t max_bytes);
void arena_free(struct arena *a); /* NULL is harmless */

/* Zeroed, aligned for any type, valid until arena_reset; NULL when the maximum is reached. */
void *arena_alloc(struct arena *a, size_t bytes);
/* A NUL-terminated copy of the bytes; NULL as above. */
char *arena_copy(struct arena *a, const char *bytes, size_t length);
/* True if the arena has handed out the memory since its last reset. */
bool arena_holds(const struct arena *a, const void *memory);
/* Forgets everything handed out; keeps its first block for the next round. */
void arena_reset(struct arena *a);

#endif
