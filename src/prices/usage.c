#include "prices/usage.h"

#include <string.h>

#include "base/check.h"

#define ITERATIONS_MAX 1000
#define TOTAL_MAX (PRICE_TOKENS_MAX * PRICE_CLASSES)

enum place {
	PLACE_TOP,
	PLACE_INPUT_DETAILS,
	PLACE_OUTPUT_DETAILS,
	PLACE_CREATION,
	PLACE_BILLED,
	PLACE_PROCESSED
};

enum cache { CACHE_NEUTRAL, CACHE_INSIDE, CACHE_BESIDE };

enum role {
	ROLE_INPUT,
	ROLE_OUTPUT,
	ROLE_READ,
	ROLE_WRITE,
	ROLE_WRITE_5M,
	ROLE_WRITE_1H,
	ROLE_TOOL,      /* tool results, beside the input */
	ROLE_THOUGHTS,  /* beside the output */
	ROLE_REASONING, /* a part of the output; xAI counts it beside the output, and the total says so */
	ROLE_TOTAL,
	ROLE_PROCESSED_INPUT,
	ROLE_PROCESSED_OUTPUT,
	ROLE_COUNTS, /* the roles above are one count each */
	ROLE_INPUT_PART = ROLE_COUNTS,
	ROLE_INPUT_DETAILS,
	ROLE_OUTPUT_DETAILS,
	ROLE_CREATION,
	ROLE_BILLED,
	ROLE_PROCESSED,
	ROLE_ITERATIONS,
	ROLE_CACHE_LIST,
	ROLE_OTHER
};

struct member {
	enum place place;
	char name[40];
	enum role role;
	enum cache cache;
};

static const struct member members[] = {
#define MEMBER(place, name, role, cache) {PLACE_##place, name, ROLE_##role, CACHE_##cache},
#include "prices/usage_members.def"
#undef MEMBER
};

/* A count, and the member of the object that it stands in. */
struct said {
	bool given;
	int64_t count;
	const char *holder;
};

struct reading {
	const struct json *usage;
	struct usage *u;
	const char *wrong;  /* the first wrong member; NULL while all is well */
	const char *holder; /* the member of the object that is being read */
	enum place place;
	bool known;          /* at least one member is listed */
	bool whole;          /* the input includes the cache, even if other members are BESIDE */
	bool inside, beside; /* some count of the cache is in the input, or beside it */
	bool billed;         /* the counts are those that Cohere bills */
	bool unset;          /* input_tokens and output_tokens are a gateway's zeros */
	struct said said[ROLE_COUNTS];
	struct said input_part, output_part; /* the largest ones */
	struct said unknown;                 /* the largest count of tokens that no line lists */
	const char *odd;                     /* another unknown number */
	struct tokens iterations;
};

static void read_members(struct reading *r, const struct json *record, enum place place);

static void refuse(struct reading *r, const char *member)
{
	if (r->wrong == NULL)
		r->wrong = member;
}

static bool is_count(const struct json *value, int64_t max)
{
	return json_type(value) == JSON_INT && json_int(value) >= 0 && json_int(value) <= max;
}

static void keep_largest(struct said *s, int64_t count, const char *holder)
{
	if (!s->given || count > s->count)
		*s = (struct said){true, count, holder};
}

/* ---- members ------------------------------------------------------------------------------------- */

static const struct member *find_member(enum place place, const char *name)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (members[i].place == place && members[i].name[0] == name[0] && strcmp(members[i].name, name) == 0)
			return &members[i];
	return NULL;
}

/* Spellings of one count must agree. */
static void say(struct reading *r, const struct member *m, const struct json *value)
{
	struct said *s = &r->said[m->role];

	if (!is_count(value, m->role == ROLE_TOTAL ? TOTAL_MAX : PRICE_TOKENS_MAX)) {
		refuse(r, m->name);
		return;
	}
	if (s->given && s->count != json_int(value))
		refuse(r, r->holder);
	*s = (struct said){true, json_int(value), r->holder};
	if (m->role == ROLE_INPUT && m->cache == CACHE_INSIDE)
		r->whole = true;
	if (m->role != ROLE_INPUT && json_int(value) > 0) {
		r->inside = r->inside || m->cache == CACHE_INSIDE;
		r->beside = r->beside || m->cache == CACHE_BESIDE;
	}
}

static void say_part(struct reading *r, enum place place, const char *name, const struct json *value)
{
	struct said *part = place == PLACE_INPUT_DETAILS ? &r->input_part : &r->output_part;

	if (!is_count(value, TOTAL_MAX))
		refuse(r, name);
	else
		keep_largest(part, json_int(value), r->holder);
}

/* Reads Gemini's list of {modality, tokenCount}, whose sum is a part of its side. */
static void read_modalities(struct reading *r, const struct json *list, enum place place)
{
	int64_t sum = 0;

	for (size_t i = 0; i < json_size(list); i++) {
		const struct json *count = json_get(json_at(list, i), "tokenCount");

		if (count == NULL)
			count = json_get(json_at(list, i), "token_count");
		if (count == NULL || json_type(count) == JSON_NULL_VALUE)
			continue;
		if (!is_count(count, PRICE_TOKENS_MAX) || sum > TOTAL_MAX) {
			refuse(r, r->holder);
			return;
		}
		sum += json_int(count);
	}
	keep_largest(place == PLACE_INPUT_DETAILS ? &r->input_part : &r->output_part, sum, r->holder);
}

static void read_details(struct reading *r, const struct json *value, enum place place)
{
	if (json_type(value) == JSON_LIST && place != PLACE_CREATION)
		read_modalities(r, value, place);
	else if (json_type(value) == JSON_RECORD)
		read_members(r, value, place);
	else
		refuse(r, r->holder);
}

/* Reads Bedrock's list of {ttl, inputTokens}: the tokens written to the cache, by how long they are kept. */
static void read_cache_list(struct reading *r, const struct json *list)
{
	for (size_t i = 0; json_type(list) == JSON_LIST && i < json_size(list); i++) {
		const struct json *count = json_get(json_at(list, i), "inputTokens");
		const struct json *ttl = json_get(json_at(list, i), "ttl");
		size_t length = 0;
		bool short_lived = ttl != NULL && json_type(ttl) == JSON_TEXT &&
		                   strcmp(json_text(ttl, &length), "5m") == 0;
		struct said *s = &r->said[short_lived ? ROLE_WRITE_5M : ROLE_WRITE_1H];

		if (count == NULL || !is_count(count, PRICE_TOKENS_MAX - s->count)) {
			refuse(r, r->holder);
			return;
		}
		*s = (struct said){true, s->count + json_int(count), r->holder};
		r->beside = r->beside || json_int(count) > 0;
	}
	if (json_type(list) != JSON_LIST)
		refuse(r, r->holder);
}

/* Anthropic lists an entry for each inference.  The object's own counts leave out those of a compaction, an advisor
 * and a declined attempt (platform.claude.com, build-with-claude/compaction, "Understanding usage"). */
static void read_iterations(struct reading *r, const struct json *list)
{
	if (json_type(list) != JSON_LIST || json_size(list) > ITERATIONS_MAX) {
		refuse(r, r->holder);
		return;
	}
	for (size_t i = 0; i < json_size(list); i++) {
		struct usage entry;

		/* An entry has no iterations of its own, so the recursion is one level deep. */
		if (json_get(json_at(list, i), "iterations") != NULL || usage_read(json_at(list, i), &entry) < 0) {
			refuse(r, r->holder);
			return;
		}
		for (int c = 0; c < PRICE_CLASSES; c++)
			r->iterations.count[c] += entry.tokens.count[c];
		r->u->rest += entry.rest;
	}
}

/* ---- members that no line lists ------------------------------------------------------------------ */

static bool names_tokens(const char *name)
{
	for (; *name != '\0'; name++)
		if (strncmp(name, "token", 5) == 0 || strncmp(name, "Token", 5) == 0 || strncmp(name, "TOKEN", 5) == 0)
			return true;
	return false;
}

static bool is_numeric(const struct json *value)
{
	size_t length = 0;

	if (json_type(value) == JSON_INT)
		return json_int(value) != 0;
	if (json_type(value) == JSON_TEXT) {
		const char *text = json_text(value, &length);

		return length > 0 && text[strspn(text, "0123456789.-")] == '\0';
	}
	return json_type(value) == JSON_FRACTION;
}

static int look_for_tokens(void *context, const char *name, const struct json *value);

/* Looks for counts of tokens anywhere in a list or record. */
static void look_inside(struct reading *r, const struct json *value)
{
	if (json_type(value) == JSON_RECORD)
		json_each(value, look_for_tokens, r);
	for (size_t i = 0; json_type(value) == JSON_LIST && i < json_size(value); i++)
		look_inside(r, json_at(value, i));
}

static int look_for_tokens(void *context, const char *name, const struct json *value)
{
	struct reading *r = context;

	if (names_tokens(name) && is_numeric(value))
		keep_largest(&r->unknown, json_type(value) == JSON_INT ? json_int(value) : 0, r->holder);
	if (names_tokens(name) && json_type(value) == JSON_INT && json_int(value) < 0)
		refuse(r, r->holder);
	look_inside(r, value);
	return 0;
}

static void read_unknown(struct reading *r, const char *name, const struct json *value)
{
	const bool details = r->place == PLACE_INPUT_DETAILS || r->place == PLACE_OUTPUT_DETAILS;

	if (details && json_type(value) == JSON_RECORD)
		read_members(r, value, r->place);
	else if (details && (is_numeric(value) || json_type(value) == JSON_BOOL))
		say_part(r, r->place, name, value);
	else if (!details)
		look_for_tokens(r, name, value);
	if (r->place == PLACE_TOP && json_type(value) == JSON_INT && json_int(value) != 0 && r->odd == NULL)
		r->odd = r->holder;
}

/* ---- one member after the other ------------------------------------------------------------------ */

static void read_listed(struct reading *r, const struct member *m, const struct json *value)
{
	static const enum place inner[] = {
		[ROLE_INPUT_DETAILS] = PLACE_INPUT_DETAILS, [ROLE_OUTPUT_DETAILS] = PLACE_OUTPUT_DETAILS,
		[ROLE_CREATION] = PLACE_CREATION,           [ROLE_BILLED] = PLACE_BILLED,
		[ROLE_PROCESSED] = PLACE_PROCESSED,
	};

	if (m->role < ROLE_COUNTS)
		say(r, m, value);
	else if (m->role == ROLE_INPUT_PART)
		say_part(r, PLACE_INPUT_DETAILS, m->name, value);
	else if (m->role >= ROLE_INPUT_DETAILS && m->role <= ROLE_PROCESSED)
		read_details(r, value, inner[m->role]);
	else if (m->role == ROLE_ITERATIONS)
		read_iterations(r, value);
	else if (m->role == ROLE_CACHE_LIST)
		read_cache_list(r, value);
	else
		look_inside(r, value);
	r->billed = r->billed || m->place == PLACE_BILLED;
}

static bool is_unset(const struct reading *r, const char *name)
{
	return r->unset && (strcmp(name, "input_tokens") == 0 || strcmp(name, "output_tokens") == 0);
}

static int read_member(void *context, const char *name, const struct json *value)
{
	struct reading *r = context;
	const struct member *m = find_member(r->place, name);

	if (r->place == PLACE_TOP) {
		r->holder = name;
		r->known = r->known || m != NULL;
		if (is_unset(r, name))
			return 0;
	}
	if (json_type(value) == JSON_NULL_VALUE)
		return 0;
	if (m != NULL)
		read_listed(r, m, value);
	else
		read_unknown(r, name, value);
	return r->wrong != NULL;
}

static void read_members(struct reading *r, const struct json *record, enum place place)
{
	const enum place outer = r->place;

	r->place = place;
	json_each(record, read_member, r);
	r->place = outer;
}

static bool says(const struct json *usage, const char *name, bool zero)
{
	const struct json *value = json_get(usage, name);

	return value != NULL && json_type(value) == JSON_INT && (json_int(value) == 0) == zero;
}

/* new-api writes both spellings, and leaves zero in the one that it does not use (dto/openai_response.go, Usage). */
static bool has_unset(const struct json *usage)
{
	return says(usage, "input_tokens", true) && says(usage, "output_tokens", true) &&
	       (says(usage, "prompt_tokens", false) || says(usage, "completion_tokens", false));
}

/* ---- the sums ------------------------------------------------------------------------------------ */

/* The tokens that were written to the cache. */
static struct said written(struct reading *r)
{
	const struct said *five = &r->said[ROLE_WRITE_5M], *hour = &r->said[ROLE_WRITE_1H];
	const struct said *whole = &r->said[ROLE_WRITE];
	const struct said parts = {five->given || hour->given, five->count + hour->count,
	                           hour->given ? hour->holder : five->holder};

	if (!whole->given)
		return parts;
	if (parts.count > whole->count)
		refuse(r, parts.holder);
	return *whole;
}

/* All of the input, the cache included. */
static int64_t input_side(struct reading *r, const struct said *read, const struct said *write)
{
	const struct said *input = &r->said[ROLE_INPUT];
	const int64_t cached = read->count + write->count;
	const char *holder = read->count > 0 ? read->holder : write->holder;

	if (cached > 0 && r->inside && r->beside && !r->whole)
		refuse(r, holder);
	if (r->beside && !r->whole)
		return input->count + cached + r->said[ROLE_TOOL].count;
	if (cached > input->count)
		refuse(r, holder);
	return input->count + r->said[ROLE_TOOL].count;
}

/* True for a count that totals are known to leave out: the cache (BerriAI/litellm#13207, browser-use/browser-use#5685),
 * tool results (Gemini's REST reference: "prompt + thoughts + response candidates"). */
static bool is_left_out(const struct reading *r, int64_t missing, int64_t read, int64_t write)
{
	return missing == read || missing == write || missing == read + write ||
	       missing == r->said[ROLE_TOOL].count;
}

/* All of the output, checked against the total. */
static int64_t output_side(struct reading *r, int64_t input, int64_t read, int64_t write)
{
	const struct said *total = &r->said[ROLE_TOTAL], *thoughts = &r->said[ROLE_THOUGHTS];
	const int64_t reasoning = r->said[ROLE_REASONING].count, answer = r->said[ROLE_OUTPUT].count;
	const int64_t output = answer + thoughts->count, rest = total->count - input - output;

	if (!total->given)
		return reasoning > output ? output + reasoning : output;
	if (rest >= 0) {
		r->u->rest += rest != reasoning ? rest : 0;
		return output + rest;
	}
	if (is_left_out(r, -rest, read, write))
		return output;
	/* Gemini's models may count the thoughts among the candidates (BerriAI/litellm#10141). */
	if (-rest == thoughts->count && thoughts->count <= answer)
		return answer;
	refuse(r, total->holder);
	return output;
}

/* Refuses a count of tokens that usage_members.def does not list, unless a total covers it: it would be free. */
static void check_unlisted(struct reading *r)
{
	const struct said *total = &r->said[ROLE_TOTAL];

	if (r->unknown.given && (!total->given || r->unknown.count > total->count))
		refuse(r, r->unknown.holder);
	if (!r->known && json_size(r->usage) > 0)
		refuse(r, "usage");
	/* If a side is missing, any number may be its misspelt count. */
	if (r->odd != NULL && !total->given && !(r->said[ROLE_INPUT].given && r->said[ROLE_OUTPUT].given))
		refuse(r, r->odd);
}

static void check_parts(struct reading *r, int64_t input, int64_t output)
{
	if (r->input_part.count > input)
		refuse(r, r->input_part.holder);
	if (r->output_part.count > output)
		refuse(r, r->output_part.holder);
	if (r->said[ROLE_REASONING].count > output)
		refuse(r, r->said[ROLE_REASONING].holder);
}

static void use_processed(struct reading *r)
{
	if (!r->said[ROLE_INPUT].given)
		r->said[ROLE_INPUT] = r->said[ROLE_PROCESSED_INPUT];
	if (!r->said[ROLE_OUTPUT].given)
		r->said[ROLE_OUTPUT] = r->said[ROLE_PROCESSED_OUTPUT];
	/* Cohere's count of the cache is of all processed tokens, which may be more than the billed ones. */
	if (r->billed && !r->beside)
		r->said[ROLE_READ] = (struct said){0};
}

static void add_up(struct reading *r)
{
	const struct said *read = &r->said[ROLE_READ];
	int64_t *count = r->u->tokens.count;
	struct said write;
	int64_t input;

	use_processed(r);
	write = written(r);
	input = input_side(r, read, &write);
	count[PRICE_OUTPUT] = output_side(r, input, read->count, write.count);
	check_parts(r, input, count[PRICE_OUTPUT]);
	count[PRICE_INPUT] = input - read->count - write.count;
	count[PRICE_CACHE_READ] = read->count;
	/* Writes without a stated lifetime are of five minutes. */
	count[PRICE_CACHE_WRITE_1H] = r->said[ROLE_WRITE_1H].count;
	count[PRICE_CACHE_WRITE] = write.count - count[PRICE_CACHE_WRITE_1H];
	for (int c = 0; c < PRICE_CLASSES; c++) {
		if (r->iterations.count[c] > count[c])
			count[c] = r->iterations.count[c];
		input += c != PRICE_OUTPUT ? r->iterations.count[c] : 0;
	}
	r->u->no_input = input == 0 && count[PRICE_OUTPUT] > 0 && !r->said[ROLE_INPUT].given &&
	                 !r->said[ROLE_TOTAL].given;
}

/* Copies the name, which may be the caller's own and lives no longer than the object.  Odd names become "usage". */
static void name_field(struct usage *u, const char *name)
{
	const size_t length = strlen(name);
	const bool plain = length > 0 && length < sizeof(u->field) &&
	                   strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == length;

	memcpy(u->field, plain ? name : "usage", plain ? length + 1 : sizeof("usage"));
}

int usage_read(const struct json *usage, struct usage *u)
{
	struct reading r = {.usage = usage, .u = u};

	memset(u, 0, sizeof(*u));
	if (usage == NULL || json_type(usage) != JSON_RECORD) {
		name_field(u, "usage");
		return -1;
	}
	r.unset = has_unset(usage);
	read_members(&r, usage, PLACE_TOP);
	if (r.wrong == NULL) {
		check_unlisted(&r);
		add_up(&r);
	}
	for (int c = 0; c < PRICE_CLASSES && r.wrong == NULL; c++) {
		CHECK(u->tokens.count[c] >= 0);
		u->counted = u->counted || u->tokens.count[c] > 0;
		if (u->tokens.count[c] > PRICE_TOKENS_MAX)
			refuse(&r, "usage");
	}
	if (r.wrong == NULL)
		return 0;
	name_field(u, r.wrong);
	return -1;
}
