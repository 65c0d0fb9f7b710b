/* Cursors.  Eight bytes are a number, one the list: what is made of them is as a reading of its own makes it, opens no
 * other list, and no other text opens this one.  The rest is a text that a caller made up: one that is taken is one
 * that octroi gives out. */
#include "fuzz.h"

#include "routes/api/cursor.h"

#define HEAD 10 /* the number, the list, the place where a cursor is changed */
#define LISTS 9

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static struct account_key owners[2];

static void of_list(unsigned list, enum cursor_kind *kind, const struct account_key **owner)
{
	*kind = (enum cursor_kind)(list % 3);
	*owner = list / 3 < 2 ? &owners[list / 3] : NULL;
}

/* Kind, seven bytes of the owner, the number; six bits a character. */
static void write_naively(enum cursor_kind kind, const struct account_key *owner, uint64_t seq, char out[CURSOR_MAX])
{
	unsigned char bytes[18] = {(unsigned char)kind};

	if (owner != NULL)
		memcpy(bytes + 1, owner->bytes, 7);
	for (int i = 0; i < 8; i++)
		bytes[8 + i] = (unsigned char)(seq >> (56 - 8 * i));
	for (size_t bit = 0, i = 0; i < CURSOR_MAX - 1; i++, bit += 6) {
		const unsigned two = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];

		out[i] = alphabet[two >> (10 - bit % 8) & 63];
	}
	out[CURSOR_MAX - 1] = '\0';
}

/* A cursor that octroi gave out. */
static void check_made(int64_t seq, unsigned list, unsigned change)
{
	const struct account_key *owner;
	enum cursor_kind kind;
	char cursor[CURSOR_MAX + 1], expected[CURSOR_MAX];
	int64_t again = 0;

	of_list(list, &kind, &owner);
	cursor_format(kind, owner, seq, cursor);
	write_naively(kind, owner, (uint64_t)seq, expected);
	MUST(strcmp(cursor, expected) == 0);
	for (unsigned other = 0; other < LISTS; other++) {
		of_list(other, &kind, &owner);
		MUST((cursor_parse(cursor, kind, owner, &again) == 0) == (other == list));
	}
	MUST(again == seq);
	of_list(list, &kind, &owner);
	memcpy(cursor + CURSOR_MAX - 1, "A", 2);
	MUST(cursor_parse(cursor, kind, owner, &again) != 0);
	cursor[CURSOR_MAX - 2] = '\0';
	MUST(cursor_parse(cursor, kind, owner, &again) != 0);
	memcpy(cursor, expected, sizeof(expected));
	cursor[change / 64 % 4 + CURSOR_MAX - 5] = alphabet[change % 64];
	MUST(cursor_parse(cursor, kind, owner, &again) != 0 || (again == seq) == (strcmp(cursor, expected) == 0));
}

static void check_told(const char *text)
{
	unsigned taken = 0;

	for (unsigned list = 0; list < LISTS; list++) {
		const struct account_key *owner;
		enum cursor_kind kind;
		char cursor[CURSOR_MAX];
		int64_t seq = 0;

		of_list(list, &kind, &owner);
		if (cursor_parse(text, kind, owner, &seq) != 0) {
			MUST(seq == 0);
			continue;
		}
		MUST(seq > 0);
		write_naively(kind, owner, (uint64_t)seq, cursor);
		MUST(strcmp(cursor, text) == 0);
		taken++;
	}
	MUST(taken <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	uint64_t number = 0;
	char *text;

	owners[0] = id_account_key("ws:acme", 7);
	owners[1] = id_account_key("ws:other", 8);
	if (length >= HEAD) {
		for (int i = 0; i < 8; i++)
			number = number << 8 | bytes[i];
		number &= INT64_MAX;
		if (number > 0)
			check_made((int64_t)number, bytes[8] % LISTS, bytes[9]);
		bytes += HEAD;
		length -= HEAD;
	}
	text = fuzz_text(bytes, length);
	check_told(text);
	free(text);
	return 0;
}
