/*
 * memory: the allocator, with a note of whether it had to refuse this thread.  Libraries that are given these
 * functions may report a shortage as another error, such as a malformed text or a signature that does not fit.
 * A function that is about to report such an error asks here first.
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

/* Zeroed memory for a part of the program, such as the ledger or a connection; free releases it.  NULL, logged, when
 * memory is short.  memory_missing logs that memory for such a part was short elsewhere. */
void *memory_part(const char *part, size_t bytes);
void memory_missing(const char *part);

/* Notes a shortage that was seen elsewhere. */
void memory_note(void);
/* Forgets that memory was short. */
void memory_forget(void);
/* True if memory was short since memory_forget. */
bool memory_was_short(void);

/* Called before and after a piece of work.  memory_watch returns the note of before and clears it.  memory_watched
 * takes that note back in, and returns true if memory was short in between. */
bool memory_watch(void);
bool memory_watched(bool before);

#endif
