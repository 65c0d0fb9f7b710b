/*
 * tally: the count of an answer, from its documents: the last cumulative usage, the tier as served, whether the answer
 * is whole, and an estimate of the output of an answer that breaks off.  Writes the settlement that octroi gets.
 * Pure but for the memory of bounded buffers; one thread at a time.
 */
#ifndef OCTROI_METER_TALLY_H
#define OCTROI_METER_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "meter/skim.h"

/* Limit of a settlement's text. */
#define TALLY_SETTLEMENT_MAX ((size_t)16 * 1024)

struct tally {
	struct buf usage, begun; /* JSON, "" for none */
	char tier[SKIM_WORD_MAX];
	bool whole;      /* the answer has said that it is at its end */
	bool failed;     /* an error came before anything else */
	bool broken_off; /* an error came after something */
	bool overflowed; /* a usage was too long to be kept */
	int64_t texts, text_bytes;
};

void tally_init(struct tally *t);
void tally_free(struct tally *t);
/* Takes the texts of a document that s is reading, for the estimate. */
void tally_texts(struct tally *t, const struct skim *s);
/* Takes the whole document that s has read. */
void tally_document(struct tally *t, const struct skim *s);

enum tally_outcome { TALLY_COMPLETE, TALLY_PARTIAL, TALLY_FAILED };

struct tally_facts {
	const char *hold;
	enum tally_outcome outcome;
	const char *counts;  /* JSON of counts that go with the usage; NULL: none */
	const char *variant; /* of the counts; "": none */
	int64_t cap;         /* of the output that was granted; -1: none */
	int64_t bytes_per_token;
	int64_t input_tokens; /* as announced; charged where nothing came back */
	bool estimate;        /* without a usage the output is estimated; else the reservation is charged */
	bool opaque;          /* the announced input is not all: without a count of it the reservation is charged */
};

/* The estimated tokens of the output so far. */
int64_t tally_estimate(const struct tally *t, int64_t bytes_per_token, int64_t cap);
/* True if the output of the settlement is an estimate. */
bool tally_is_estimated(const struct tally *t, const struct tally_facts *f);
/* Appends the settlement as JSON, as octroi's route settle takes it. */
void tally_settlement(const struct tally *t, const struct tally_facts *f, struct buf *out);
/* Appends the settlement that charges the reservation. */
void tally_reservation(const char *hold, struct buf *out);

#endif
