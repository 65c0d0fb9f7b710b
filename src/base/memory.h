/*
 * memory: the allocator with a memory of its own: whether it had to refuse this thread.  Libraries that are
 * given these functions may report a shortage as anything else, such as a text that is malformed or a signature
 * that does not fit; whoever is about to say so to a caller asks here first.
 * Any thread; the note is the calling thread's own.
 */
#ifndef OCTROI_BASE_MEMORY_H
#define OCTROI_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc, calloc, strdup, realloc and free, and interchangeable with them. */
void *memory_alloc(size_t bytes);
void *memory_zeroed(size_t count, size_t bytes);
char *memory_copy(const char *text);
void *memory_realloc(void *memory, size_t bytes);
void memory_free(void *memory);

/* Notes a shortage that was seen elsewhere. */
void memory_note(void);
/* Forgets that memory was short. */
void memory_forget(void);
/* Whether it was since then. */
bool memory_was_short(void);

/* Around a piece of work: memory_watch answers what was noted before it, which memory_watched takes back in;
 * it tells whether memory was short in between. */
bool memory_watch(void);
bool memory_watched(bool before);

#endif
