#include "ctl/setup/conf_edit.h"

#include <string.h>

#include "base/check.h"

/* A line of the text; end is at its line feed, or at the end of the text. */
struct line {
	const char *start, *end;
};

static bool next_line(const char *text, struct line *line)
{
	const char *start = line->start == NULL ? text : line->end + (*line->end == '\n');

	if (*start == '\0')
		return false;
	line->start = start;
	line->end = start + strcspn(start, "\n");
	return true;
}

/* The place behind "key =" in the line, after a '#' if commented; NULL when it sets another key. */
static const char *value_in(const struct line *line, const char *key, bool commented)
{
	const size_t length = strlen(key);
	const char *at = line->start;

	if (commented != (*at == '#'))
		return NULL;
	at += commented;
	if (strncmp(at, key, length) != 0)
		return NULL;
	at += length;
	at += strspn(at, " \t");
	return *at == '=' ? at + 1 + strspn(at + 1, " \t") : NULL;
}

static bool find(const char *text, const char *key, bool commented, struct line *line, const char **value)
{
	*line = (struct line){0};
	while (next_line(text, line)) {
		*value = value_in(line, key, commented);
		if (*value != NULL)
			return true;
	}
	return false;
}

bool conf_edit_has(const struct buf *text, const char *key)
{
	const char *value;
	struct line line;

	return find(buf_text(text), key, false, &line, &value);
}

static bool is_same(const struct line *line, const char *was, const char *value)
{
	const size_t length = (size_t)(line->end - was);

	return strlen(value) == length && strncmp(was, value, length) == 0;
}

bool conf_edit_set(struct buf *text, const char *key, const char *value)
{
	const char *old = buf_text(text), *was;
	struct line line;
	struct buf changed;

	CHECK(*key != '\0' && strpbrk(value, "\r\n") == NULL);
	if (find(old, key, false, &line, &was)) {
		if (is_same(&line, was, value))
			return false;
	} else if (!find(old, key, true, &line, &was)) {
		line.start = line.end = old + strlen(old);
	}
	buf_init(&changed, text->max);
	buf_add(&changed, old, (size_t)(line.start - old));
	if (line.start > old && line.start[-1] != '\n')
		buf_add_char(&changed, '\n');
	buf_printf(&changed, "%s = %s", key, value);
	buf_add_text(&changed, *line.end == '\0' ? "\n" : line.end);
	buf_free(text);
	*text = changed;
	return true;
}
