/*
 * schema: the numbered files of sql/, applied once each, in order.
 */
#ifndef OCTROI_DB_SCHEMA_H
#define OCTROI_DB_SCHEMA_H

#include "db/db.h"

#define SCHEMA_VERSION 5 /* of the newest file in sql/; the style tests compare */

/* Version of the database, 0 when empty, -1 on a fault. */
int schema_version(struct db *d);
/* Applies the files of directory above the database's version; the new version, or -1, logged. */
int schema_apply(struct db *d, const char *directory);

#endif
