#include "meter/skim.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

enum node {
	NODE_OTHER,
	NODE_TOP,
	NODE_USAGE,
	NODE_BEGUN,
	NODE_TIER,
	NODE_TYPE,
	NODE_ERROR,
	NODE_CHOICES,
	NODE_TEXT,
	NODE_RESPONSE,
	NODE_MESSAGE,
	NODE_CANDIDATES,
	NODE_CONTENT
};

static const struct edge_of_node {
	enum node from;
	const char *name;
	enum node to;
} edges[] = {
#define EDGE(from, name, to) {NODE_##from, name, NODE_##to},
#include "meter/skim_edges.def"
#undef EDGE
};

enum state { VALUE, NAME_OR_END, NAME, NAME_ESCAPE, COLON, STRING, STRING_ESCAPE, BARE, AFTER, BROKEN };

#define NONE (-1)

void skim_init(struct skim *s)
{
	*s = (struct skim){0};
	buf_init(&s->usage, SKIM_USAGE_MAX);
	buf_init(&s->begun, SKIM_USAGE_MAX);
	buf_init(&s->part, SKIM_USAGE_MAX);
	skim_begin(s);
}

void skim_free(struct skim *s)
{
	buf_free(&s->usage);
	buf_free(&s->begun);
	buf_free(&s->part);
}

void skim_begin(struct skim *s)
{
	buf_reset(&s->usage);
	buf_reset(&s->begun);
	s->type[0] = s->tier[0] = '\0';
	s->has_error = s->has_usage = false;
	s->choices = NONE;
	s->state = VALUE;
	s->depth = 0;
	s->node = NODE_TOP;
	s->capture = NONE;
}

static enum node follow_edge(enum node from, const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		if (edges[i].from == from && strlen(edges[i].name) == length &&
		    memcmp(edges[i].name, name, length) == 0)
			return edges[i].to;
	return from == NODE_TEXT ? NODE_TEXT : NODE_OTHER;
}

static bool in_list(const struct skim *s)
{
	return s->depth > 0 && s->lists[s->depth - 1];
}

/* ---- what is kept ---------------------------------------------------------------------------- */

/* The value is whole. */
static void end_capture(struct skim *s)
{
	struct buf *into = s->capture == NODE_BEGUN ? &s->begun : &s->usage;

	buf_reset(into);
	buf_add(into, s->part.data, s->part.length);
	into->failed = into->failed || !buf_ok(&s->part);
	s->capture = NONE;
}

/* A value begins with the character c. */
static void note_value(struct skim *s, char c)
{
	if (in_list(s) && s->node == NODE_CHOICES && s->choices >= 0)
		s->choices++;
	if (s->node == NODE_CHOICES && c == '[' && s->choices < 0)
		s->choices = 0;
	if (s->node == NODE_ERROR && c != 'n')
		s->has_error = true;
	if ((s->node == NODE_USAGE || s->node == NODE_BEGUN) && c == '{' && s->capture == NONE) {
		s->capture = s->node;
		s->capture_depth = s->depth;
		s->has_usage = s->has_usage || s->node == NODE_USAGE;
		buf_reset(&s->part);
	}
	s->word_length = 0;
	s->wrote = false;
}

/* A string has ended. */
static void note_string(struct skim *s)
{
	char *word = s->node == NODE_TYPE ? s->type : s->tier;

	if (s->node == NODE_TEXT && s->wrote)
		s->texts++;
	if ((s->node == NODE_TYPE || s->node == NODE_TIER) && s->word_length < SKIM_WORD_MAX)
		(void)snprintf(word, SKIM_WORD_MAX, "%.*s", (int)s->word_length, s->word);
}

static void note_bytes(struct skim *s, const char *bytes, size_t length)
{
	if (length == 0)
		return;
	s->wrote = true;
	if (s->node == NODE_TEXT)
		s->text_bytes += (int64_t)length;
	if (s->node != NODE_TYPE && s->node != NODE_TIER)
		return;
	if (s->word_length + length < SKIM_WORD_MAX)
		memcpy(s->word + s->word_length, bytes, length);
	s->word_length += length;
}

/* ---- the reader ------------------------------------------------------------------------------ */

static void end_value(struct skim *s)
{
	s->state = AFTER;
	if (s->depth > 0)
		s->node = s->nodes[s->depth - 1];
}

static void open_level(struct skim *s, bool list)
{
	if (s->depth == SKIM_DEPTH_MAX) {
		s->state = BROKEN;
		return;
	}
	s->nodes[s->depth] = (unsigned char)s->node;
	s->lists[s->depth++] = list;
	s->state = list ? VALUE : NAME_OR_END;
}

static void close_level(struct skim *s)
{
	if (s->depth == 0) {
		s->state = BROKEN;
		return;
	}
	s->depth--;
	end_value(s);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void begin_value(struct skim *s, char c)
{
	if (c == ']' && in_list(s)) { /* the empty list */
		close_level(s);
		return;
	}
	note_value(s, c);
	if (c == '{' || c == '[')
		open_level(s, c == '[');
	else if (c == '"')
		s->state = STRING;
	else if (c == ',' || c == ':' || c == '}' || c == ']')
		s->state = BROKEN;
	else
		s->state = BARE;
}

/* After a value: a comma, or the end of the record or list. */
static void after_value(struct skim *s, char c)
{
	if (c == '}' || c == ']')
		close_level(s);
	else if (c == ',' && s->depth > 0)
		s->state = in_list(s) ? VALUE : NAME_OR_END;
	else
		s->state = BROKEN;
}

static void name_byte(struct skim *s, char c)
{
	if (c == '"') {
		s->state = COLON;
	} else {
		if (s->name_length < SKIM_NAME_MAX)
			s->name[s->name_length++] = c;
		s->state = c == '\\' ? NAME_ESCAPE : NAME;
	}
}

static void name_end(struct skim *s)
{
	CHECK(s->depth > 0);
	s->node = (int)follow_edge((enum node)s->nodes[s->depth - 1], s->name, s->name_length);
	s->state = VALUE;
}

/* Takes one character outside of strings. */
static void take_character(struct skim *s, char c)
{
	switch ((enum state)s->state) {
	case VALUE:
		if (!is_blank(c))
			begin_value(s, c);
		break;
	case NAME_OR_END:
		s->name_length = 0;
		if (c == '}')
			close_level(s);
		else if (!is_blank(c))
			s->state = c == '"' ? NAME : BROKEN;
		break;
	case NAME:
		name_byte(s, c);
		break;
	case NAME_ESCAPE:
		s->state = NAME;
		break;
	case COLON:
		if (c == ':')
			name_end(s);
		else if (!is_blank(c))
			s->state = BROKEN;
		break;
	case STRING_ESCAPE:
		s->state = STRING;
		break;
	case AFTER:
		if (!is_blank(c))
			after_value(s, c);
		break;
	case STRING:
	case BARE:
	case BROKEN:
		break;
	}
}

/* Takes the part of a string that has come.  Returns its length, with the quotation mark. */
static size_t take_string(struct skim *s, const char *bytes, size_t length)
{
	size_t at = 0;

	while (at < length && bytes[at] != '"' && bytes[at] != '\\')
		at++;
	note_bytes(s, bytes, at);
	if (at == length)
		return at;
	if (bytes[at] == '\\') {
		s->state = STRING_ESCAPE;
		note_bytes(s, bytes + at, 1);
		return at + 1;
	}
	note_string(s);
	end_value(s);
	return at + 1;
}

/* Takes the part of a number or of a word that has come.  The character behind it is another's. */
static size_t take_bare(struct skim *s, const char *bytes, size_t length)
{
	size_t at = 0;

	while (at < length && !is_blank(bytes[at]) && bytes[at] != ',' && bytes[at] != '}' && bytes[at] != ']')
		at++;
	if (at < length)
		end_value(s);
	return at;
}

void skim_feed(struct skim *s, const char *bytes, size_t length)
{
	size_t at = 0, kept = 0;

	while (at < length && s->state != BROKEN) {
		const bool capturing = s->capture != NONE;

		if (s->state == STRING) {
			at += take_string(s, bytes + at, length - at);
		} else if (s->state == BARE) {
			at += take_bare(s, bytes + at, length - at);
		} else {
			take_character(s, bytes[at]);
			at++;
		}
		if (!capturing && s->capture != NONE)
			kept = at - 1; /* the brace */
		if (s->capture != NONE && s->state == AFTER && s->depth == s->capture_depth) {
			buf_add(&s->part, bytes + kept, at - kept);
			end_capture(s);
		}
	}
	if (s->capture != NONE)
		buf_add(&s->part, bytes + kept, at - kept);
}

void skim_end(struct skim *s)
{
	s->capture = NONE;
}
