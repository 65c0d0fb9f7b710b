#include "meter/tally.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/json.h"

#define NONE (-1)

/* Events after which an answer has no more, whatever the connection does. */
static const char *const last_events[] = {"message_stop", "response.completed", "response.incomplete",
                                          "response.failed"};

void tally_init(struct tally *t)
{
	*t = (struct tally){0};
	buf_init(&t->usage, SKIM_USAGE_MAX);
	buf_init(&t->begun, SKIM_USAGE_MAX);
}

void tally_free(struct tally *t)
{
	buf_free(&t->usage);
	buf_free(&t->begun);
}

static void keep(struct tally *t, struct buf *into, const struct buf *from)
{
	if (from->length == 0 && buf_ok(from))
		return;
	buf_reset(into);
	buf_add(into, from->data, from->length);
	if (!buf_ok(from) || !buf_ok(into)) {
		buf_reset(into);
		t->overflowed = true;
	}
}

static bool has_come(const struct tally *t)
{
	return t->texts > 0 || t->usage.length > 0 || t->begun.length > 0;
}

void tally_texts(struct tally *t, const struct skim *s)
{
	t->texts = s->texts;
	t->text_bytes = s->text_bytes;
}

void tally_document(struct tally *t, const struct skim *s)
{
	/* OpenAI's responses have an event of this type, without a member "error". */
	const bool error = s->has_error || strcmp(s->type, "error") == 0;

	keep(t, &t->usage, &s->usage);
	keep(t, &t->begun, &s->begun);
	tally_texts(t, s);
	if (s->tier[0] != '\0')
		(void)snprintf(t->tier, sizeof(t->tier), "%s", s->tier);
	for (size_t i = 0; i < sizeof(last_events) / sizeof(last_events[0]); i++)
		t->whole = t->whole || strcmp(s->type, last_events[i]) == 0;
	if (error && !has_come(t))
		t->failed = true;
	else if (error)
		t->broken_off = true;
}

int64_t tally_estimate(const struct tally *t, int64_t bytes_per_token, int64_t cap)
{
	const int64_t by_bytes = (t->text_bytes + bytes_per_token - 1) / bytes_per_token;
	const int64_t tokens = by_bytes > t->texts ? by_bytes : t->texts;

	CHECK(bytes_per_token > 0);
	return cap >= 0 && tokens > cap ? cap : tokens;
}

bool tally_is_estimated(const struct tally *t, const struct tally_facts *f)
{
	return f->outcome != TALLY_FAILED && t->usage.length == 0;
}

void tally_reservation(const char *hold, struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_open_record(&w, NULL);
	json_put_text(&w, "hold", hold);
	json_put_text(&w, "outcome", "partial");
	json_close_record(&w);
}

/* ---- the usage object ------------------------------------------------------------------------ */

struct merging {
	struct json_writer *w;
	const struct json *later; /* members of this record stand instead of others; NULL: none */
	int64_t output;           /* of the output, stands instead of what was said at the beginning; -1: none */
	bool tier;                /* the object says a tier */
	struct buf value;
};

static int put_used_member(void *context, const char *key, const struct json *value)
{
	struct merging *m = context;
	const struct json *later = json_get(m->later, key);

	if (json_type(value) == JSON_NULL_VALUE || (later != NULL && json_type(later) != JSON_NULL_VALUE))
		return 0;
	if (m->output >= 0 && strcmp(key, "output_tokens") == 0)
		return 0; /* a first guess */
	m->tier = m->tier || strcmp(key, "service_tier") == 0 || strcmp(key, "serviceTier") == 0 ||
	          strcmp(key, "trafficType") == 0;
	buf_reset(&m->value);
	json_dump(value, &m->value);
	if (buf_ok(&m->value) && m->value.length > 0)
		json_put_raw(m->w, key, m->value.data, m->value.length);
	return 0;
}

static struct json *read_back(const struct buf *text)
{
	char error[JSON_ERROR_MAX];

	return text->length > 0 ? json_parse(text->data, text->length, false, error) : NULL;
}

/* The texts that were kept, as documents; NULL for none. */
struct kept {
	struct json *begun, *usage;
	bool readable; /* a usage that is no JSON, or was cut, is none */
};

static struct kept read_kept(const struct tally *t)
{
	struct kept k = {.begun = read_back(&t->begun), .usage = read_back(&t->usage)};

	k.readable = !t->overflowed && (t->begun.length == 0 || k.begun != NULL) &&
	             (t->usage.length == 0 || k.usage != NULL);
	return k;
}

static void free_kept(struct kept *k)
{
	json_free(k->begun);
	json_free(k->usage);
}

/* Writes the usage: the members of the beginning, replaced by later ones.  output: the estimate, or -1 for none. */
static void put_usage(const struct tally *t, const struct kept *k, int64_t output, struct json_writer *w)
{
	struct merging m = {.w = w, .later = k->usage, .output = output};

	buf_init(&m.value, TALLY_SETTLEMENT_MAX);
	json_open_record(w, "usage");
	if (k->begun != NULL)
		(void)json_each(k->begun, put_used_member, &m);
	m.later = NULL;
	m.output = NONE;
	if (k->usage != NULL)
		(void)json_each(k->usage, put_used_member, &m);
	if (output >= 0)
		json_put_int(w, "output_tokens", output);
	if (t->tier[0] != '\0' && !m.tier)
		json_put_text(w, "service_tier", t->tier);
	json_close_record(w);
	buf_free(&m.value);
}

/* ---- the settlement -------------------------------------------------------------------------- */

static void put_used(const struct tally *t, const struct kept *k, const struct tally_facts *f, struct json_writer *w)
{
	const int64_t output = tally_estimate(t, f->bytes_per_token, f->cap);

	if (!k->readable)
		return;
	if (t->usage.length > 0)
		put_usage(t, k, NONE, w);
	else if (!f->estimate || (f->opaque && t->begun.length == 0))
		return; /* the reservation is charged */
	else if (t->begun.length > 0 || output > 0)
		put_usage(t, k, output, w);
	else /* an output of 0 alone would count nothing, and so charge the reservation */
		json_put_int(w, "inputTokens", f->input_tokens);
}

void tally_settlement(const struct tally *t, const struct tally_facts *f, struct buf *out)
{
	struct kept k = read_kept(t);
	struct json_writer w;

	json_writer_init(&w, out);
	json_open_record(&w, NULL);
	json_put_text(&w, "hold", f->hold);
	if (f->outcome != TALLY_FAILED) {
		put_used(t, &k, f, &w);
		if (f->counts != NULL && t->usage.length == 0) {
			json_put_raw(&w, "counts", f->counts, strlen(f->counts));
			if (f->variant[0] != '\0')
				json_put_text(&w, "variant", f->variant);
		}
	}
	if (f->outcome == TALLY_FAILED)
		json_put_text(&w, "outcome", "failed");
	else if (f->outcome == TALLY_PARTIAL || (t->usage.length == 0 && f->counts == NULL) || !k.readable)
		json_put_text(&w, "outcome", "partial");
	json_close_record(&w);
	free_kept(&k);
}
