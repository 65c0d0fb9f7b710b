#include "ledger/usage.h"

#include <string.h>

#include "base/check.h"

/* A usage object that is being read; the first wrong field stands. */
struct reading {
	const struct json *usage;
	const char *wrong; /* NULL while all is well */
};

static void refuse(struct reading *r, const char *field)
{
	if (r->wrong == NULL)
		r->wrong = field;
}

/* Absent and null are the same. */
static const struct json *present(const struct json *record, const char *key)
{
	const struct json *value = json_get(record, key);

	return value != NULL && json_type(value) != JSON_NULL_VALUE ? value : NULL;
}

static int64_t count_of(struct reading *r, const struct json *record, const char *key)
{
	const struct json *value = present(record, key);

	if (value == NULL)
		return 0;
	if (json_type(value) == JSON_INT && json_int(value) >= 0 &&
	    json_int(value) <= PRICE_TOKENS_MAX)
		return json_int(value);
	refuse(r, key);
	return 0;
}

/* A record of details; NULL when there is none. */
static const struct json *details_of(struct reading *r, const char *key)
{
	const struct json *value = present(r->usage, key);

	if (value == NULL || json_type(value) == JSON_RECORD)
		return value;
	refuse(r, key);
	return NULL;
}

/* whole without part; a part larger than its whole is refused, never clamped to nothing. */
static int64_t without(struct reading *r, int64_t whole, int64_t part, const char *field)
{
	if (part <= whole)
		return whole - part;
	refuse(r, field);
	return 0;
}

/* OpenAI: the input includes what was read from the cache and what was written to it. */
static void read_openai(struct reading *r, struct tokens *t, const char *input, const char *output,
                        const char *details_key)
{
	const struct json *details = details_of(r, details_key);
	int64_t read = count_of(r, details, "cached_tokens");
	int64_t written = count_of(r, details, "cache_write_tokens");

	t->count[PRICE_INPUT] =
		without(r, count_of(r, r->usage, input), read + written, details_key);
	t->count[PRICE_CACHE_READ] = read;
	t->count[PRICE_CACHE_WRITE] = written;
	t->count[PRICE_OUTPUT] = count_of(r, r->usage, output);
}

/* Anthropic: input, reads and writes are disjoint; writes of an hour are told apart. */
static void read_anthropic(struct reading *r, struct tokens *t)
{
	static const char writes[] = "cache_creation_input_tokens";
	const struct json *creation = details_of(r, "cache_creation");
	int64_t five_minutes = count_of(r, creation, "ephemeral_5m_input_tokens");
	int64_t hour = count_of(r, creation, "ephemeral_1h_input_tokens");
	int64_t written = count_of(r, r->usage, writes);

	if (present(r->usage, writes) == NULL)
		written = five_minutes + hour;
	without(r, written, five_minutes + hour, "cache_creation");
	t->count[PRICE_INPUT] = count_of(r, r->usage, "input_tokens");
	t->count[PRICE_CACHE_READ] = count_of(r, r->usage, "cache_read_input_tokens");
	/* Writes of which nothing more is said are of five minutes. */
	t->count[PRICE_CACHE_WRITE] = without(r, written, hour, "cache_creation");
	t->count[PRICE_CACHE_WRITE_1H] = hour;
	t->count[PRICE_OUTPUT] = count_of(r, r->usage, "output_tokens");
}

/* Gemini: the prompt includes what was cached; tool results and thoughts come on top. */
static void read_gemini(struct reading *r, struct tokens *t)
{
	int64_t prompt = count_of(r, r->usage, "promptTokenCount");
	int64_t cached = count_of(r, r->usage, "cachedContentTokenCount");

	t->count[PRICE_INPUT] = without(r, prompt, cached, "cachedContentTokenCount") +
	                        count_of(r, r->usage, "toolUsePromptTokenCount");
	t->count[PRICE_CACHE_READ] = cached;
	t->count[PRICE_OUTPUT] = count_of(r, r->usage, "candidatesTokenCount") +
	                         count_of(r, r->usage, "thoughtsTokenCount");
}

static bool has(const struct reading *r, const char *key)
{
	return json_get(r->usage, key) != NULL;
}

static bool is_anthropic(const struct reading *r)
{
	return has(r, "cache_read_input_tokens") || has(r, "cache_creation_input_tokens") ||
	       has(r, "cache_creation");
}

/* Tells the shapes apart by the fields that only one of them has. */
static void read_shape(struct reading *r, struct tokens *t)
{
	if (has(r, "prompt_tokens") || has(r, "completion_tokens")) {
		read_openai(r, t, "prompt_tokens", "completion_tokens", "prompt_tokens_details");
	} else if (has(r, "promptTokenCount") || has(r, "candidatesTokenCount")) {
		read_gemini(r, t);
	} else if (!has(r, "input_tokens") && !has(r, "output_tokens")) {
		refuse(r, "usage");
	} else if (present(r->usage, "input_tokens_details") != NULL) {
		/* The two disagree about what input_tokens includes. */
		if (present(r->usage, "cache_read_input_tokens") != NULL ||
		    present(r->usage, "cache_creation_input_tokens") != NULL)
			refuse(r, "input_tokens_details");
		read_openai(r, t, "input_tokens", "output_tokens", "input_tokens_details");
	} else if (is_anthropic(r)) {
		read_anthropic(r, t);
	} else {
		/* OpenAI without details, or Anthropic without a cache: the same figures. */
		read_openai(r, t, "input_tokens", "output_tokens", "input_tokens_details");
	}
}

int usage_read(const struct json *usage, struct tokens *tokens, const char **field)
{
	struct reading r = {.usage = usage};

	memset(tokens, 0, sizeof(*tokens));
	if (usage == NULL || json_type(usage) != JSON_RECORD) {
		*field = "usage";
		return -1;
	}
	read_shape(&r, tokens);
	for (int c = 0; c < PRICE_CLASSES; c++) {
		if (tokens->count[c] > PRICE_TOKENS_MAX)
			refuse(&r, "usage");
		CHECK(tokens->count[c] >= 0);
	}
	*field = r.wrong;
	return r.wrong == NULL ? 0 : -1;
}
