/*
 * batch_rows: an arena and rows for the tests of a program, set up and freed by cmocka.
 */
#ifndef OCTROI_TESTS_BATCH_ROWS_H
#define OCTROI_TESTS_BATCH_ROWS_H

#include "ledger/rows/rows.h"

static struct arena *arena;
static struct rows *rows;

static int start_rows(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
	rows = arena != NULL ? rows_new(arena) : NULL;
	return rows != NULL ? 0 : -1;
}

static int end_rows(void **state)
{
	(void)state;
	rows_free(rows);
	arena_free(arena);
	return 0;
}

#endif
