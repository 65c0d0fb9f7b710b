#include "prices/usage.h"

#include <string.h>

#include "base/check.h"

#define ITERATIONS_MAX 1000
#define TOTAL_MAX (COUNTS_MAX * DIMENSION_COLUMNS)

enum place {
	PLACE_TOP,
	PLACE_INPUT_DETAILS,
	PLACE_OUTPUT_DETAILS,
	PLACE_CACHED_DETAILS,
	PLACE_TOOL_DETAILS,
	PLACE_CREATION,
	PLACE_BILLED,
	PLACE_PROCESSED,
	PLACE_TOOLS,
	PLACE_SERVER_TOOLS
};

#define SERVED_MAX 14 /* bytes of a region or a speed: both fit into a variant */
#define CONTEXT_MAX 32

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
	/* Parts of the input, the output, and the tool results. */
	ROLE_AUDIO_IN,
	ROLE_IMAGE_IN,
	ROLE_AUDIO_READ,
	ROLE_IMAGE_READ,
	ROLE_AUDIO_OUT,
	ROLE_IMAGE_OUT,
	ROLE_VIDEO_OUT,
	ROLE_AUDIO_TOOL,
	ROLE_IMAGE_TOOL,
	/* No tokens, or beside them. */
	ROLE_CITATION,
	ROLE_SEARCHES,
	ROLE_QUERIES,
	ROLE_CLASSIFIED,
	ROLE_PAGES,
	ROLE_ANNOTATED,
	ROLE_IMAGES,
	ROLE_CALLS_WEB,
	ROLE_CALLS_X,
	ROLE_CALLS_FILE,
	ROLE_CALLS_DOCUMENT,
	ROLE_CALLS_CODE,
	ROLE_CALLS_IMAGE,
	ROLE_TOTAL,
	ROLE_PROCESSED_INPUT,
	ROLE_PROCESSED_OUTPUT,
	ROLE_COUNTS, /* the roles above are one count each */
	ROLE_INPUT_PART = ROLE_COUNTS,
	ROLE_INPUT_DETAILS,
	ROLE_OUTPUT_DETAILS,
	ROLE_CACHED_DETAILS,
	ROLE_TOOL_DETAILS,
	ROLE_CREATION,
	ROLE_BILLED,
	ROLE_PROCESSED,
	ROLE_SERVER_TOOLS,
	ROLE_TOOLS,
	ROLE_ITERATIONS,
	ROLE_CACHE_LIST,
	ROLE_SECONDS,
	ROLE_TIER,
	ROLE_CONTEXT,
	ROLE_REGION,
	ROLE_SPEED,
	ROLE_COST,
	ROLE_BYOK,
	ROLE_COST_DETAILS,
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
	/* The largest parts; of the cache and of the tool results, sums. */
	struct said input_part, output_part, cached_part, tool_part;
	struct said unknown;        /* the largest count of tokens that no line lists */
	const char *odd;            /* another unknown number */
	const char *searched;       /* the member that counts searches, "" when none */
	bool context;               /* the size of a search's context was said */
	int64_t cached_sum;         /* of the parts of the cache, while they are read */
	const char *region, *speed; /* where and how fast the provider served; NULL: as usual */
	struct said seconds;        /* times COUNTS_FRACTION */
	bool own_key;               /* a router used the platform's own key: its cost is a fee beside upstream_pico */
	int64_t upstream_pico;      /* -1: not said */
	struct counts iterations;
};

static void read_members(struct reading *r, const struct json *record, enum place place);

static void refuse_member(struct reading *r, const char *member)
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

/* Whether the count is a part of a side; the side's own sum bounds it. */
static bool is_part(enum role role)
{
	return role >= ROLE_AUDIO_IN && role <= ROLE_IMAGE_TOOL;
}

/* Spellings of one count must agree; of a part the largest counts. */
static void say(struct reading *r, const struct member *m, const struct json *value)
{
	struct said *s = &r->said[m->role];

	if (!is_count(value, m->role == ROLE_TOTAL ? TOTAL_MAX : COUNTS_MAX)) {
		refuse_member(r, m->name);
		return;
	}
	if (is_part(m->role)) {
		keep_largest(s, json_int(value), r->holder);
		r->cached_sum += m->place == PLACE_CACHED_DETAILS ? json_int(value) : 0;
		return;
	}
	if (s->given && s->count != json_int(value))
		refuse_member(r, r->holder);
	*s = (struct said){true, json_int(value), r->holder};
	if (m->role == ROLE_SEARCHES)
		r->searched = m->name;
	if (m->role == ROLE_INPUT && m->cache == CACHE_INSIDE)
		r->whole = true;
	if (m->role != ROLE_INPUT && json_int(value) > 0) {
		r->inside = r->inside || m->cache == CACHE_INSIDE;
		r->beside = r->beside || m->cache == CACHE_BESIDE;
	}
}

static void say_part(struct reading *r, enum place place, const char *name, const struct json *value)
{
	struct said *part = place == PLACE_OUTPUT_DETAILS ? &r->output_part : &r->input_part;

	if (!is_count(value, TOTAL_MAX)) {
		refuse_member(r, name);
		return;
	}
	keep_largest(part, json_int(value), r->holder);
	if (place == PLACE_CACHED_DETAILS)
		r->cached_sum += json_int(value);
}

/* True if the name is that of the modality, in capital or small letters. */
static bool is_modality(const char *name, const char *small)
{
	for (; *small != '\0' && (*name | 0x20) == *small; small++)
		name++;
	return *small == '\0' && *name == '\0';
}

/* The role of a modality's tokens in that place; ROLE_OTHER: they are counted as text. */
static enum role role_of_modality(enum place place, const struct json *modality)
{
	size_t length = 0;
	const char *name = modality != NULL && json_type(modality) == JSON_TEXT ? json_text(modality, &length) : "";
	const bool audio = is_modality(name, "audio"), image = is_modality(name, "image");

	switch (place) {
	case PLACE_INPUT_DETAILS:
		return audio ? ROLE_AUDIO_IN : image ? ROLE_IMAGE_IN : ROLE_OTHER;
	case PLACE_TOOL_DETAILS:
		return audio ? ROLE_AUDIO_TOOL : image ? ROLE_IMAGE_TOOL : ROLE_OTHER;
	case PLACE_CACHED_DETAILS:
		return audio ? ROLE_AUDIO_READ : image ? ROLE_IMAGE_READ : ROLE_OTHER;
	case PLACE_OUTPUT_DETAILS:
		if (is_modality(name, "video"))
			return ROLE_VIDEO_OUT;
		return audio ? ROLE_AUDIO_OUT : image ? ROLE_IMAGE_OUT : ROLE_OTHER;
	case PLACE_TOP:
	case PLACE_CREATION:
	case PLACE_BILLED:
	case PLACE_PROCESSED:
	case PLACE_TOOLS:
	case PLACE_SERVER_TOOLS:
		break;
	}
	return ROLE_OTHER;
}

/* The side that the modalities of a list are parts of. */
static struct said *part_of(struct reading *r, enum place place)
{
	return place == PLACE_OUTPUT_DETAILS   ? &r->output_part
	       : place == PLACE_CACHED_DETAILS ? &r->cached_part
	       : place == PLACE_TOOL_DETAILS   ? &r->tool_part
	                                       : &r->input_part;
}

/* Reads Gemini's list of {modality, tokenCount}, whose sum is a part of its side.  A modality may stand there twice. */
static void read_modalities(struct reading *r, const struct json *list, enum place place)
{
	int64_t sum = 0, parts[ROLE_OTHER + 1] = {0};

	for (size_t i = 0; i < json_size(list); i++) {
		const struct json *count = json_get(json_at(list, i), "tokenCount");
		const enum role role = role_of_modality(place, json_get(json_at(list, i), "modality"));

		if (count == NULL)
			count = json_get(json_at(list, i), "token_count");
		if (count == NULL || json_type(count) == JSON_NULL_VALUE)
			continue;
		if (!is_count(count, COUNTS_MAX) || sum > TOTAL_MAX) {
			refuse_member(r, r->holder);
			return;
		}
		sum += json_int(count);
		parts[role] += json_int(count);
	}
	keep_largest(part_of(r, place), sum, r->holder);
	for (int role = ROLE_AUDIO_IN; role <= ROLE_IMAGE_TOOL; role++)
		if (parts[role] > 0)
			keep_largest(&r->said[role], parts[role], r->holder);
}

static void read_details(struct reading *r, const struct json *value, enum place place)
{
	if (json_type(value) == JSON_LIST && place != PLACE_CREATION)
		read_modalities(r, value, place);
	else if (json_type(value) == JSON_RECORD)
		read_members(r, value, place);
	else
		refuse_member(r, r->holder);
	if (place == PLACE_CACHED_DETAILS)
		keep_largest(&r->cached_part, r->cached_sum, r->holder);
	r->cached_sum = place == PLACE_CACHED_DETAILS ? 0 : r->cached_sum;
}

/* Reads Bedrock's list of {ttl, inputTokens}: the tokens written to the cache, by how long they are kept. */
static void read_cache_list(struct reading *r, const struct json *list)
{
	for (size_t i = 0; json_type(list) == JSON_LIST && i < json_size(list); i++) {
		const struct json *count = json_get(json_at(list, i), "inputTokens");
		const struct json *ttl = json_get(json_at(list, i), "ttl");
		size_t length = 0;
		bool short_lived =
			ttl != NULL && json_type(ttl) == JSON_TEXT && strcmp(json_text(ttl, &length), "5m") == 0;
		struct said *s = &r->said[short_lived ? ROLE_WRITE_5M : ROLE_WRITE_1H];

		if (count == NULL || !is_count(count, COUNTS_MAX - s->count)) {
			refuse_member(r, r->holder);
			return;
		}
		*s = (struct said){true, s->count + json_int(count), r->holder};
		r->beside = r->beside || json_int(count) > 0;
	}
	if (json_type(list) != JSON_LIST)
		refuse_member(r, r->holder);
}

/* Anthropic lists an entry for each inference.  The object's own counts leave out those of a compaction, an advisor
 * and a declined attempt (platform.claude.com, build-with-claude/compaction, "Understanding usage"). */
static void read_iterations(struct reading *r, const struct json *list)
{
	if (json_type(list) != JSON_LIST || json_size(list) > ITERATIONS_MAX) {
		refuse_member(r, r->holder);
		return;
	}
	for (size_t i = 0; i < json_size(list); i++) {
		struct usage entry;

		/* An entry has no iterations of its own, so the recursion is one level deep. */
		if (json_get(json_at(list, i), "iterations") != NULL || usage_read(json_at(list, i), &entry) < 0) {
			refuse_member(r, r->holder);
			return;
		}
		for (int d = 0; d < DIMENSION_COUNT; d++)
			r->iterations.of[d] += entry.counts.of[d];
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
		refuse_member(r, r->holder);
	look_inside(r, value);
	return 0;
}

static void read_unknown(struct reading *r, const char *name, const struct json *value)
{
	const bool details = r->place >= PLACE_INPUT_DETAILS && r->place <= PLACE_TOOL_DETAILS;

	if (details && json_type(value) == JSON_RECORD)
		read_members(r, value, r->place);
	else if (details && (is_numeric(value) || json_type(value) == JSON_BOOL))
		say_part(r, r->place, name, value);
	else if (!details)
		look_for_tokens(r, name, value);
	if (r->place == PLACE_TOP && json_type(value) == JSON_INT && json_int(value) != 0 && r->odd == NULL)
		r->odd = r->holder;
}

/* ---- no counts of tokens -------------------------------------------------------------------------- */

static bool read_whole(int64_t whole, int places, int64_t *number)
{
	for (*number = whole; places > 0; places--)
		if (__builtin_mul_overflow(*number, INT64_C(10), number))
			return false;
	return whole >= 0;
}

/* A duration or an amount of dollars, which may have a fraction, times 10^places; false, refused, when it is none. */
static bool read_fraction(struct reading *r, const struct json *value, int places, int64_t *number)
{
	const char *text = "";
	size_t length = 0;

	if (json_type(value) == JSON_TEXT)
		text = json_text(value, &length);
	else if (json_type(value) == JSON_FRACTION)
		text = json_fraction(value, &length);
	if (json_type(value) == JSON_INT ? read_whole(json_int(value), places, number)
	                                 : decimal_parse(text, length, places, true, number) == 0 && *number >= 0)
		return true;
	refuse_member(r, r->holder);
	return false;
}

/* Providers' names of tiers: OpenAI's, then those of Vertex.  -1: the name says none. */
static const struct {
	char name[32];
	int tier;
} tier_names[] = {
	{"default", TIER_STANDARD},
	{"scale", TIER_STANDARD},
	{"auto", -1},
	{"unspecified", -1},
	{"ON_DEMAND", TIER_STANDARD},
	{"ON_DEMAND_PRIORITY", TIER_PRIORITY},
	{"ON_DEMAND_FLEX", TIER_FLEX},
	{"PROVISIONED_THROUGHPUT", TIER_STANDARD},
	{"TRAFFIC_TYPE_UNSPECIFIED", -1},
};

/* The tier in which the provider served.  A name that is not known is TIER_OTHER: its price is the dearest one. */
static void read_tier(struct reading *r, const struct json *value)
{
	const char *name = json_type(value) == JSON_TEXT ? json_text(value, NULL) : "";
	int tier = service_tier_named(name);

	if (name[0] == '\0')
		refuse_member(r, r->holder);
	if (tier < 0)
		tier = TIER_OTHER;
	for (size_t i = 0; i < sizeof(tier_names) / sizeof(tier_names[0]); i++)
		if (strcmp(name, tier_names[i].name) == 0)
			tier = tier_names[i].tier;
	if (tier >= 0 && r->u->tier >= 0 && r->u->tier != tier)
		refuse_member(r, r->holder);
	if (tier >= 0)
		r->u->tier = tier;
}

/* Two spellings of a duration must agree. */
static void read_seconds(struct reading *r, const struct json *value)
{
	int64_t number;

	if (!read_fraction(r, value, dimension_places(DIMENSION_SECONDS), &number))
		return;
	if (number > COUNTS_MAX * COUNTS_FRACTION || (r->seconds.given && r->seconds.count != number))
		refuse_member(r, r->holder);
	else
		r->seconds = (struct said){true, number, r->holder};
}

static void add_variant(struct usage *u, const char *prefix, const char *name)
{
	const size_t length = strlen(u->variant), prefix_length = strlen(prefix), name_length = strlen(name);

	CHECK(length + prefix_length + name_length < sizeof(u->variant));
	memcpy(u->variant + length, prefix, prefix_length);
	memcpy(u->variant + length + prefix_length, name, name_length + 1);
}

/* The size of a search's context is the variant of its price. */
static void read_context(struct reading *r, const char *size)
{
	if (strlen(size) > CONTEXT_MAX || !price_variant_valid(size))
		refuse_member(r, r->holder);
	else
		add_variant(r->u, "context=", size);
	r->context = true;
}

/* Where or how fast Anthropic served; its names for the usual are left out. */
static void read_served(const char **served, const struct json *value)
{
	static const char usual[][16] = {"", "standard", "global", "not_available"};
	size_t length;
	const char *name = json_type(value) == JSON_TEXT ? json_text(value, &length) : "";

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (strcmp(name, usual[i]) == 0)
			return;
	if (length <= SERVED_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length)
		*served = name;
}

/* The variant of a price for a region and a speed, as pricelist.c writes it: "region=us/speed=fast". */
static void put_served(struct reading *r)
{
	if (r->context)
		return;
	if (r->region != NULL)
		add_variant(r->u, "region=", r->region);
	if (r->speed != NULL)
		add_variant(r->u, r->region != NULL ? "/speed=" : "speed=", r->speed);
}

/* Perplexity's cost is a record of parts with their sum. */
static const struct json *total_of(const struct json *cost)
{
	const struct json *total = json_get(cost, "total_cost");

	return total != NULL ? total : cost;
}

static void read_cost_details(struct reading *r, const struct json *details)
{
	const struct json *upstream = json_get(details, "upstream_inference_cost");

	look_inside(r, details);
	if (upstream != NULL && json_type(upstream) != JSON_NULL_VALUE &&
	    !read_fraction(r, upstream, USAGE_COST_PLACES, &r->upstream_pico))
		r->upstream_pico = -1;
}

static void read_other(struct reading *r, const struct member *m, const struct json *value)
{
	int64_t number;

	if (m->role == ROLE_TIER) {
		read_tier(r, value);
	} else if (m->role == ROLE_CONTEXT && json_type(value) == JSON_TEXT) {
		read_context(r, json_text(value, NULL));
	} else if (m->role == ROLE_REGION || m->role == ROLE_SPEED) {
		read_served(m->role == ROLE_REGION ? &r->region : &r->speed, value);
	} else if (m->role == ROLE_SECONDS && json_type(value) == JSON_RECORD) {
		look_inside(r, value); /* mistralai's client writes {} where nothing is set */
	} else if (m->role == ROLE_SECONDS) {
		read_seconds(r, value);
	} else if (m->role == ROLE_BYOK) {
		r->own_key = json_type(value) != JSON_BOOL || json_bool(value);
	} else if (m->role == ROLE_COST_DETAILS) {
		read_cost_details(r, value);
	} else if (m->role == ROLE_COST && read_fraction(r, total_of(value), USAGE_COST_PLACES, &number)) {
		r->u->has_cost = true;
		r->u->cost_pico = number;
	}
}

/* A fee alone is not the cost: without the provider's own charge the cost is not known. */
static void put_cost(struct reading *r)
{
	if (!r->own_key || !r->u->has_cost)
		return;
	if (r->upstream_pico < 0)
		r->u->has_cost = false;
	else if (__builtin_add_overflow(r->u->cost_pico, r->upstream_pico, &r->u->cost_pico))
		refuse_member(r, "cost");
}

/* ---- one member after the other ------------------------------------------------------------------ */

static void read_listed(struct reading *r, const struct member *m, const struct json *value)
{
	static const enum place inner[] = {
		[ROLE_INPUT_DETAILS] = PLACE_INPUT_DETAILS,
		[ROLE_OUTPUT_DETAILS] = PLACE_OUTPUT_DETAILS,
		[ROLE_CACHED_DETAILS] = PLACE_CACHED_DETAILS,
		[ROLE_TOOL_DETAILS] = PLACE_TOOL_DETAILS,
		[ROLE_CREATION] = PLACE_CREATION,
		[ROLE_BILLED] = PLACE_BILLED,
		[ROLE_PROCESSED] = PLACE_PROCESSED,
		[ROLE_SERVER_TOOLS] = PLACE_SERVER_TOOLS,
		[ROLE_TOOLS] = PLACE_TOOLS,
	};

	if (m->role < ROLE_COUNTS)
		say(r, m, value);
	else if (m->role == ROLE_INPUT_PART)
		say_part(r, PLACE_INPUT_DETAILS, m->name, value);
	else if (m->role >= ROLE_INPUT_DETAILS && m->role <= ROLE_TOOLS)
		read_details(r, value, inner[m->role]);
	else if (m->role == ROLE_ITERATIONS)
		read_iterations(r, value);
	else if (m->role == ROLE_CACHE_LIST)
		read_cache_list(r, value);
	else if (m->role >= ROLE_SECONDS && m->role <= ROLE_COST_DETAILS)
		read_other(r, m, value);
	else
		look_inside(r, value);
	if (m->role == ROLE_AUDIO_IN || m->role == ROLE_IMAGE_IN)
		say_part(r, PLACE_INPUT_DETAILS, m->name, value);
	if (m->role >= ROLE_AUDIO_OUT && m->role <= ROLE_VIDEO_OUT)
		say_part(r, PLACE_OUTPUT_DETAILS, m->name, value);
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
		refuse_member(r, parts.holder);
	return *whole;
}

/* All of the input, the cache included. */
static int64_t input_side(struct reading *r, const struct said *read, const struct said *write)
{
	const struct said *input = &r->said[ROLE_INPUT];
	const int64_t cached = read->count + write->count;
	const char *holder = read->count > 0 ? read->holder : write->holder;

	if (cached > 0 && r->inside && r->beside && !r->whole)
		refuse_member(r, holder);
	if (r->beside && !r->whole)
		return input->count + cached + r->said[ROLE_TOOL].count;
	/* Gemini's cache may hold tool results, too. */
	if (cached > input->count + r->said[ROLE_TOOL].count)
		refuse_member(r, holder);
	return input->count + r->said[ROLE_TOOL].count;
}

/* True for a count that totals are known to leave out: the cache (BerriAI/litellm#13207, browser-use/browser-use#5685),
 * tool results (Gemini's REST reference: "prompt + thoughts + response candidates"). */
static bool is_left_out(const struct reading *r, int64_t missing, int64_t read, int64_t write)
{
	return missing == read || missing == write || missing == read + write || missing == r->said[ROLE_TOOL].count;
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
	refuse_member(r, total->holder);
	return output;
}

/* Refuses a count of tokens that usage_members.def does not list, unless a total covers it: it would be free. */
static void check_unlisted(struct reading *r)
{
	const struct said *total = &r->said[ROLE_TOTAL];

	if (r->unknown.given && (!total->given || r->unknown.count > total->count))
		refuse_member(r, r->unknown.holder);
	if (!r->known && json_size(r->usage) > 0)
		refuse_member(r, "usage");
	/* If a side is missing, any number may be its misspelt count. */
	if (r->odd != NULL && !total->given && !(r->said[ROLE_INPUT].given && r->said[ROLE_OUTPUT].given))
		refuse_member(r, r->odd);
}

/* Refuses parts that exclude one another, and are more than their whole. */
static void check_sum(struct reading *r, enum role first, enum role last, int64_t whole)
{
	const char *holder = NULL;
	int64_t sum = 0;

	for (enum role role = first; role <= last; role++) {
		sum += r->said[role].count;
		holder = r->said[role].given ? r->said[role].holder : holder;
	}
	if (sum > whole)
		refuse_member(r, holder);
}

static void check_parts(struct reading *r, int64_t input, int64_t output)
{
	if (r->input_part.count > input)
		refuse_member(r, r->input_part.holder);
	if (r->output_part.count > output)
		refuse_member(r, r->output_part.holder);
	if (r->said[ROLE_REASONING].count > output)
		refuse_member(r, r->said[ROLE_REASONING].holder);
	check_sum(r, ROLE_AUDIO_IN, ROLE_IMAGE_IN, input);
	check_sum(r, ROLE_AUDIO_READ, ROLE_IMAGE_READ, r->said[ROLE_READ].count);
	check_sum(r, ROLE_AUDIO_OUT, ROLE_VIDEO_OUT, output);
	if (r->cached_part.count > r->said[ROLE_READ].count)
		refuse_member(r, r->cached_part.holder);
	if (r->tool_part.count > r->said[ROLE_TOOL].count)
		refuse_member(r, r->tool_part.holder);
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

/* Perplexity's research counts citations and reasoning beside the output, and beside the total or in it
 * (docs.perplexity.ai, api-reference/chat-completions, usage). */
static bool is_research(const struct reading *r)
{
	const struct said *reasoning = &r->said[ROLE_REASONING];

	return r->said[ROLE_CITATION].given ||
	       (reasoning->count > 0 && strcmp(reasoning->holder, "reasoning_tokens") == 0 &&
	        strcmp(r->searched, "num_search_queries") == 0);
}

/* Whether the total has room for the reasoning and the citations of a research. */
static bool is_in_total(const struct reading *r)
{
	const struct said *total = &r->said[ROLE_TOTAL];

	return total->given && total->count - r->said[ROLE_INPUT].count - r->said[ROLE_OUTPUT].count >=
	                               r->said[ROLE_REASONING].count + r->said[ROLE_CITATION].count;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Splits the input into its modalities; read and write are the tokens of the cache.  Cached tokens without a modality
 * are text first, then images, then audio: audio is the dearest. */
static void split_input(struct reading *r, int64_t input, int64_t read, int64_t write)
{
	const struct said *said = r->said;
	const int64_t pool = input - write;
	const int64_t audio = least(said[ROLE_AUDIO_IN].count + said[ROLE_AUDIO_TOOL].count, pool);
	int64_t image = least(said[ROLE_IMAGE_IN].count + said[ROLE_IMAGE_TOOL].count, pool - audio);
	int64_t audio_read = said[ROLE_AUDIO_READ].count, *of = r->u->counts.of, over, of_images;
	const int64_t image_read = said[ROLE_IMAGE_READ].count;

	if (audio_read > audio || image_read > image) {
		refuse_member(r, said[audio_read > audio ? ROLE_AUDIO_READ : ROLE_IMAGE_READ].holder);
		return;
	}
	over = read - audio_read - image_read - (pool - audio - image);
	image -= image_read;
	if (over > 0) {
		of_images = least(over, image);
		image -= of_images;
		audio_read += over - of_images;
	}
	of[DIMENSION_AUDIO_CACHE_READ] = audio_read;
	of[DIMENSION_CACHE_READ] = read - audio_read;
	of[DIMENSION_AUDIO_INPUT] = audio - audio_read;
	of[DIMENSION_IMAGE_INPUT] = image;
	of[DIMENSION_INPUT] = pool - read - (audio - audio_read) - image;
	/* Writes without a stated lifetime are of five minutes. */
	of[DIMENSION_CACHE_WRITE_1H] = said[ROLE_WRITE_1H].count;
	of[DIMENSION_CACHE_WRITE] = write - of[DIMENSION_CACHE_WRITE_1H];
}

/* Splits the output into its modalities and the reasoning, which may be among them. */
static void split_output(struct reading *r, int64_t output, int64_t reasoning)
{
	const struct said *said = r->said;
	int64_t *of = r->u->counts.of;

	of[DIMENSION_AUDIO_OUTPUT] = least(said[ROLE_AUDIO_OUT].count, output);
	output -= of[DIMENSION_AUDIO_OUTPUT];
	of[DIMENSION_IMAGE_OUTPUT] = least(said[ROLE_IMAGE_OUT].count, output);
	output -= of[DIMENSION_IMAGE_OUTPUT];
	of[DIMENSION_VIDEO_OUTPUT] = least(said[ROLE_VIDEO_OUT].count, output);
	output -= of[DIMENSION_VIDEO_OUTPUT];
	of[DIMENSION_REASONING] = least(reasoning, output);
	of[DIMENSION_OUTPUT] = output - of[DIMENSION_REASONING];
}

/* The counts that are not of tokens, or that no total has. */
static void add_others(struct reading *r)
{
	static const struct {
		enum role role;
		enum dimension dimension;
	} others[] = {
		{ROLE_CITATION, DIMENSION_CITATION},   {ROLE_SEARCHES, DIMENSION_SEARCH_CALLS},
		{ROLE_QUERIES, DIMENSION_QUERIES},     {ROLE_CLASSIFIED, DIMENSION_QUERIES},
		{ROLE_PAGES, DIMENSION_PAGES},         {ROLE_ANNOTATED, DIMENSION_ANNOTATION_PAGES},
		{ROLE_IMAGES, DIMENSION_INPUT_IMAGES}, {ROLE_CALLS_CODE, DIMENSION_SESSIONS},
		{ROLE_CALLS_IMAGE, DIMENSION_IMAGES},
	};
	int64_t calls = 0;

	r->u->counts.of[DIMENSION_SECONDS] = r->seconds.count;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		r->u->counts.of[others[i].dimension] += r->said[others[i].role].count;
	/* xAI's older count of the sources may be of the same searches. */
	for (enum role role = ROLE_CALLS_WEB; role <= ROLE_CALLS_DOCUMENT; role++)
		calls += r->said[role].count;
	if (calls > r->u->counts.of[DIMENSION_SEARCH_CALLS])
		r->u->counts.of[DIMENSION_SEARCH_CALLS] = calls;
	/* Perplexity's models that search once do not count it (docs.perplexity.ai, pricing, request fee). */
	if (r->context && !r->said[ROLE_SEARCHES].given)
		r->u->counts.of[DIMENSION_SEARCH_CALLS] = 1;
}

static void add_up(struct reading *r)
{
	struct said read, write;
	int64_t *of = r->u->counts.of;
	int64_t input, output, reasoning, beside = 0;

	use_processed(r);
	if (is_research(r) && !is_in_total(r)) {
		beside = r->said[ROLE_REASONING].count;
		r->said[ROLE_REASONING] = (struct said){0};
	}
	read = r->said[ROLE_READ];
	write = written(r);
	input = input_side(r, &read, &write);
	output = output_side(r, input, read.count, write.count);
	check_parts(r, input, output);
	reasoning = r->said[ROLE_REASONING].count + r->said[ROLE_THOUGHTS].count;
	split_input(r, input, read.count, write.count);
	split_output(r, output, reasoning);
	of[DIMENSION_REASONING] += beside;
	if (is_research(r) && is_in_total(r))
		of[DIMENSION_OUTPUT] -= least(of[DIMENSION_OUTPUT], r->said[ROLE_CITATION].count);
	add_others(r);
	for (int d = 0; d < DIMENSION_COUNT; d++)
		if (r->iterations.of[d] > of[d])
			of[d] = r->iterations.of[d];
	r->u->no_input = counts_input(&r->u->counts) == 0 && output > 0 && !r->said[ROLE_INPUT].given &&
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

/* Whether each count is in range, and also the tokens of text, audio and images together, which a price may not tell
 * apart. */
static bool is_countable(const struct counts *c)
{
	int64_t output = 0;

	if (!counts_valid(c))
		return false;
	for (int d = 0; d < DIMENSION_COUNT; d++)
		output += dimension_side((enum dimension)d) == SIDE_OUTPUT && d != DIMENSION_CITATION ? c->of[d] : 0;
	return output <= COUNTS_MAX &&
	       c->of[DIMENSION_INPUT] + c->of[DIMENSION_AUDIO_INPUT] + c->of[DIMENSION_IMAGE_INPUT] <= COUNTS_MAX;
}

int usage_read(const struct json *usage, struct usage *u)
{
	struct reading r = {.usage = usage, .u = u, .searched = "", .upstream_pico = -1};

	memset(u, 0, sizeof(*u));
	u->tier = -1;
	if (usage == NULL || json_type(usage) != JSON_RECORD) {
		name_field(u, "usage");
		return -1;
	}
	r.unset = has_unset(usage);
	read_members(&r, usage, PLACE_TOP);
	if (r.wrong == NULL) {
		check_unlisted(&r);
		add_up(&r);
		put_served(&r);
		put_cost(&r);
	}
	u->counted = r.wrong == NULL && counts_any(&u->counts);
	u->zero = r.wrong == NULL && !u->counted && (r.said[ROLE_INPUT].given || r.said[ROLE_TOTAL].given);
	if (r.wrong == NULL && !is_countable(&u->counts))
		refuse_member(&r, "usage");
	if (r.wrong == NULL)
		return 0;
	name_field(u, r.wrong);
	return -1;
}
