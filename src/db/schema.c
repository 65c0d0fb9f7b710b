#include "db/schema.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "db/sql.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)
#define PATH_BYTES_MAX 4096
#define NUMBER_DIGITS 3 /* 001_ledger.sql */

int schema_version(struct db *d)
{
	struct buf sql;
	int64_t version = 0;
	int result;

	buf_init(&sql, 1024);
	sql_literal(&sql, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"
	                  " AND table_name = 'schema_versions'");
	result = db_read_int(d, &sql, &version);
	if (result == 0 && version > 0) {
		buf_reset(&sql);
		sql_literal(&sql, "SELECT COALESCE(MAX(version), 0) FROM schema_versions");
		result = db_read_int(d, &sql, &version);
	}
	buf_free(&sql);
	return result == 0 ? (int)version : -1;
}

/* The number that a file of sql/ begins with ("001_ledger.sql"), 0 for any other file. */
static int file_number(const char *name)
{
	size_t length = strlen(name);
	int number = 0;

	if (length < NUMBER_DIGITS + sizeof("_.sql") || name[NUMBER_DIGITS] != '_' ||
	    strcmp(name + length - 4, ".sql") != 0)
		return 0;
	for (int i = 0; i < NUMBER_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		number = number * 10 + (name[i] - '0');
	}
	return number;
}

static int report_version(const char *event, const char *path, const char *why)
{
	log_event(LOG_LEVEL_ERROR, event, LOG_TEXT("path", path), LOG_TEXT("message", why));
	return -1;
}

/* Writes the path of the file with that number; 1, 0 when there is none, -1 logged. */
static int find_file(const char *directory, int number, char path[PATH_BYTES_MAX])
{
	DIR *listing = opendir(directory);
	struct dirent *entry;
	int found = 0;

	if (listing == NULL)
		return report_version("schema_unreadable", directory, strerror(errno));
	for (entry = readdir(listing); entry != NULL && found == 0; entry = readdir(listing)) {
		if (file_number(entry->d_name) != number)
			continue;
		found = snprintf(path, PATH_BYTES_MAX, "%s/%s", directory, entry->d_name) < PATH_BYTES_MAX
		                ? 1
		                : report_version("schema_unreadable", directory, "the path is too long");
	}
	closedir(listing);
	return found;
}

static int read_file(const char *path, struct buf *content)
{
	FILE *f = fopen(path, "rbe");
	char chunk[4096];
	size_t got;
	bool failed;

	if (f == NULL)
		return report_version("schema_unreadable", path, strerror(errno));
	for (got = fread(chunk, 1, sizeof(chunk), f); got > 0; got = fread(chunk, 1, sizeof(chunk), f))
		buf_add(content, chunk, got);
	failed = ferror(f) != 0;
	fclose(f);
	if (failed || !buf_ok(content) || content->length == 0)
		return report_version("schema_unreadable", path, failed ? strerror(errno) : "empty or too large");
	return 0;
}

static int apply_file(struct db *d, const char *path)
{
	struct buf sql;
	int result = -1;

	buf_init(&sql, FILE_BYTES_MAX);
	if (read_file(path, &sql) == 0) {
		if (db_change(d, &sql) >= 0)
			result = 0;
		else
			report_version("schema_failed", path, db_error(d));
	}
	buf_free(&sql);
	return result;
}

int schema_apply(struct db *d, const char *directory)
{
	char path[PATH_BYTES_MAX];
	int version = schema_version(d);

	while (version >= 0) {
		int found = find_file(directory, version + 1, path);
		int next;

		if (found <= 0)
			return found < 0 ? -1 : version;
		if (apply_file(d, path) != 0)
			return -1;
		next = schema_version(d);
		if (next >= 0 && next != version + 1)
			return report_version("schema_failed", path, "the file did not record its version");
		version = next;
	}
	return -1;
}
