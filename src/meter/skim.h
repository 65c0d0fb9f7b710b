/*
 * skim: reads a JSON document in pieces, of any length, and keeps little of it: the raw text of the members that
 * skim_edges.def lists, and how many bytes of text the model wrote.  Does not decide whether the document is valid
 * JSON: json_parse reads the kept texts again.  Pure but for the memory of bounded buffers; one thread at a time.
 */
#ifndef OCTROI_METER_SKIM_H
#define OCTROI_METER_SKIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SKIM_DEPTH_MAX 64
#define SKIM_NAME_MAX 32
#define SKIM_WORD_MAX 48
#define SKIM_USAGE_MAX ((size_t)8 * 1024)

struct skim {
	/* Of the document so far; skim_begin forgets them. */
	struct buf usage; /* JSON; the last one, where a list has several documents */
	struct buf begun; /* JSON: the usage of Anthropic's message_start */
	char type[SKIM_WORD_MAX], tier[SKIM_WORD_MAX];
	bool has_error;  /* there is an error that is not null */
	bool has_usage;  /* there is a usage that is a record */
	int64_t choices; /* elements of "choices"; -1: there is no such list */
	/* Of all documents. */
	int64_t text_bytes, texts; /* bytes and number of the strings that the model wrote */
	/* The reader's own. */
	int state, depth;
	unsigned char nodes[SKIM_DEPTH_MAX];
	bool lists[SKIM_DEPTH_MAX];
	int node;        /* of the value that comes next */
	int capture;     /* node whose value is being kept; -1: none */
	struct buf part; /* of that value; the one before stands until it is whole */
	int capture_depth;
	bool wrote; /* the string has a byte */
	char name[SKIM_NAME_MAX];
	size_t name_length; /* SKIM_NAME_MAX: too long to be one of the list */
	char word[SKIM_WORD_MAX];
	size_t word_length;
};

void skim_init(struct skim *s);
void skim_free(struct skim *s);
/* Begins a document. */
void skim_begin(struct skim *s);
void skim_feed(struct skim *s, const char *bytes, size_t length);
/* The document is at its end.  A member that is not whole is forgotten; of a list, the one before it stands. */
void skim_end(struct skim *s);

#endif
