/*
 * setup_file: writes files whole or not at all, with the modes that octroi's files have.
 */
#ifndef OCTROI_CTL_SETUP_SETUP_FILE_H
#define OCTROI_CTL_SETUP_SETUP_FILE_H

#include <stdbool.h>

#include "base/buf.h"

#define SETUP_FILE_MAX ((size_t)1 << 20)

/* Readers of a file or directory: everybody, or octroi alone. */
enum setup_readers { SETUP_PUBLIC, SETUP_SECRET };

/* Adds the file's bytes; a missing file is empty and no failure.  CTL_OK, or CTL_FAILED, explained. */
int setup_file_read(const char *path, struct buf *text);
/* Writes a file beside path, syncs it and renames it to path.  A file that is there keeps its owner and mode.  A new
 * one has the mode 0644, or 0640 and the group octroi when secret (0600 without that group).  CTL_OK, or CTL_FAILED,
 * explained. */
int setup_file_write(const char *path, const struct buf *text, enum setup_readers readers);
/* Makes a directory, unless it is there: mode 0755, or 0750 and the group octroi.  CTL_OK, or CTL_FAILED, explained. */
int setup_file_directory(const char *path, enum setup_readers readers);

#endif
