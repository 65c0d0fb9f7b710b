#include "meter/want.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

#define CAP_MAX 1000000000
#define NONE (-1)
#define OTHER_BYTES 4 /* of a number, a bool or null */

static int refuse_want(struct want *w, const char *why)
{
	if (w->refusal == NULL)
		w->refusal = why;
	return -1;
}

/* ---- size ------------------------------------------------------------------------------------ */

enum side { INPUT, OUTPUT };
/* Of which types a value is an address; they can be added. */
enum address { NONE_IS_ADDRESS = 0, TEXT_IS_ADDRESS = 1, RECORD_IS_ADDRESS = 2, EITHER_IS_ADDRESS = 3 };

struct opaque_member {
	const char *name;
	enum side side;
	enum address address;
};

static const struct opaque_member *find_opaque(const char *name)
{
	static const struct opaque_member members[] = {
#define OPAQUE(name, side, address) {name, side, address##_IS_ADDRESS},
#include "meter/opaque.def"
#undef OPAQUE
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (strcmp(members[i].name, name) == 0)
			return &members[i];
	return NULL;
}

static bool is_text_address(const struct json *value)
{
	return value != NULL && json_type(value) == JSON_TEXT && strncmp(json_text(value, NULL), "data:", 5) != 0;
}

static bool stands_for_input(const struct json *value, enum address address)
{
	if (json_type(value) == JSON_TEXT)
		return (address & TEXT_IS_ADDRESS) != 0 && is_text_address(value);
	return (address & RECORD_IS_ADDRESS) != 0 &&
	       (is_text_address(json_get(value, "id")) || is_text_address(json_get(value, "url")));
}

static void note_opaque(struct want *w, const char *name, const struct json *value)
{
	const struct opaque_member *m = json_type(value) != JSON_NULL_VALUE ? find_opaque(name) : NULL;

	if (m == NULL)
		return;
	if (m->side == OUTPUT)
		w->hidden = true;
	else
		w->opaque = true;
	if (stands_for_input(value, m->address)) {
		w->opaque = true;
		w->bytes += WANT_DATA_MAX;
	}
}

/* True for a file or an image in base64.  A text where one may stand counts in full. */
static bool is_file(const char *name, const char *text)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-";
	const bool is_url =
		strcmp(name, "url") == 0 || strcmp(name, "image_url") == 0 || strcmp(name, "file_data") == 0;
	const char *comma = is_url && strncmp(text, "data:", 5) == 0 ? strchr(text, ',') : NULL;

	if (comma != NULL)
		text = comma + 1;
	else if (strcmp(name, "data") != 0 && strcmp(name, "file_data") != 0)
		return false;
	return text[strspn(text, base64)] == '\0';
}

static void count_bytes(struct want *w, const struct json *value, const char *name);

static int count_text_of(void *context, const char *key, const struct json *value)
{
	struct want *w = context;

	w->bytes += (int64_t)strlen(key);
	note_opaque(w, key, value);
	count_bytes(w, value, key);
	return 0;
}

/* Recursive: JSON_DEPTH_MAX bounds the depth. */
static void count_bytes(struct want *w, const struct json *value, const char *name)
{
	size_t length = 0;
	const char *text;

	switch (json_type(value)) {
	case JSON_TEXT:
		text = json_text(value, &length);
		if (length > WANT_DATA_MAX && is_file(name, text)) {
			w->opaque = true; /* it may be a text all the same */
			length = WANT_DATA_MAX;
		}
		w->bytes += (int64_t)length;
		return;
	case JSON_RECORD:
		(void)json_each(value, count_text_of, w);
		return;
	case JSON_LIST:
		for (size_t i = 0; i < json_size(value); i++)
			count_bytes(w, json_at(value, i), "");
		return;
	case JSON_NULL_VALUE:
	case JSON_BOOL:
	case JSON_INT:
	case JSON_FRACTION:
		w->bytes += OTHER_BYTES;
		return;
	}
	UNREACHABLE("every type is in the switch");
}

/* ---- the members that matter ----------------------------------------------------------------- */

/* A member that is there and not null. */
static const struct json *given_member(const struct json *record, const char *name)
{
	const struct json *value = json_get(record, name);

	return value != NULL && json_type(value) != JSON_NULL_VALUE ? value : NULL;
}

/* The member as a number from 1 on; fallback when absent. */
static int64_t number_given(struct want *w, const struct json *record, const char *name, int64_t fallback, int64_t max,
                            const char *wrong)
{
	const struct json *value = given_member(record, name);

	if (value == NULL)
		return fallback;
	if (json_type(value) != JSON_INT || json_int(value) < 1 || json_int(value) > max) {
		(void)refuse_want(w, wrong);
		return fallback;
	}
	return json_int(value);
}

static bool flag_of(struct want *w, const struct json *record, const char *name, const char *wrong)
{
	const struct json *value = given_member(record, name);

	if (value == NULL)
		return false;
	if (json_type(value) != JSON_BOOL) {
		(void)refuse_want(w, wrong);
		return false;
	}
	return json_bool(value);
}

/* The record with the bounds of the output: Gemini's has a name. */
static const struct json *bounds_record(const struct want *w)
{
	return w->endpoint->shape == SHAPE_GEMINI ? json_get(w->document, "generationConfig") : w->document;
}

static void read_bounds(struct want *w)
{
	const struct json *record = bounds_record(w);

	w->cap = NONE;
	for (int i = 0; i < ENDPOINT_BOUNDS && w->endpoint->bounds[i] != NULL; i++) {
		const int64_t cap = number_given(w, record, w->endpoint->bounds[i], NONE, CAP_MAX,
		                                 "The bound of the output must be a whole number from 1 on.");

		if (cap >= 0 && w->cap >= 0)
			(void)refuse_want(w, "The bound of the output is given twice.");
		if (cap > w->cap)
			w->cap = cap;
	}
	w->answers = number_given(w, record, w->endpoint->shape == SHAPE_GEMINI ? "candidateCount" : "n", 1,
	                          WANT_ANSWERS_MAX, "The number of answers must be from 1 to 128.");
	if (w->endpoint->form == FORM_IMAGES)
		w->images = w->answers;
	/* A bound of all answers together has to fit, too. */
	if (w->cap > CAP_MAX / w->answers)
		(void)refuse_want(w, "The bound of the output is too large for so many answers.");
}

/* Google reads names_like_this too: a second bound of the output would pass unseen. */
static int refuse_snake(void *context, const char *key, const struct json *value)
{
	(void)value;
	return strchr(key, '_') != NULL ? refuse_want(context, "Names must be inCamelCase.") : 0;
}

static void read_gemini(struct want *w)
{
	const struct json *record = json_get(w->document, "generationConfig");

	(void)json_each(w->document, refuse_snake, w);
	if (record != NULL && json_type(record) == JSON_RECORD)
		(void)json_each(record, refuse_snake, w);
	else if (record != NULL)
		(void)refuse_want(w, "generationConfig must be a record.");
}

static void read_stream(struct want *w)
{
	const struct json *options = given_member(w->document, "stream_options");

	w->stream = w->endpoint->form == FORM_EVENTS;
	if (w->endpoint->form == FORM_CHAT || w->endpoint->form == FORM_STREAM)
		w->stream = flag_of(w, w->document, "stream", "stream must be true or false.");
	if (w->endpoint->form != FORM_CHAT || !w->stream)
		return;
	if (options != NULL && json_type(options) != JSON_RECORD)
		(void)refuse_want(w, "stream_options must be a record.");
	else
		w->hides_usage = !flag_of(w, options, "include_usage", "include_usage must be true or false.");
}

/* An answer that comes later, by another request, would be charged without its usage. */
static void refuse_background(struct want *w)
{
	if (flag_of(w, w->document, "background", "background must be true or false."))
		(void)refuse_want(w, "background is not metered.");
}

static int refuse_unmetered_member(void *context, const char *key, const struct json *value)
{
	static const struct {
		enum endpoint_shape shape;
		const char *name;
	} unmetered[] = {
#define UNMETERED(shape, name) {SHAPE_##shape, name},
#include "meter/unmetered.def"
	};
	struct want *w = context;

	for (size_t i = 0; i < sizeof(unmetered) / sizeof(unmetered[0]); i++)
		if (json_type(value) != JSON_NULL_VALUE && unmetered[i].shape == w->endpoint->shape &&
		    strncmp(key, unmetered[i].name, strlen(unmetered[i].name)) == 0)
			(void)refuse_want(w, "The request has a member whose costs are not metered.");
	return 0;
}

static void refuse_unmetered_models(struct want *w)
{
	static const char *const parts[] = {
#define UNMETERED_MODEL(part) part,
#include "meter/unmetered.def"
	};

	for (int i = 0; i < w->model_count; i++)
		for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++)
			if (strstr(w->models[i], parts[k]) != NULL)
				(void)refuse_want(w, "The searches of this model are not metered.");
}

static int note_tool(void *context, const char *name, const struct json *value)
{
	static const struct {
		enum endpoint_shape shape;
		const char *name;
		enum { OUTSIDE, INSIDE } runs;
	} tools[] = {
#define TOOL(shape, name, runs) {SHAPE_##shape, name, runs},
#include "meter/tools.def"
#undef TOOL
	};
	struct want *w = context;

	(void)value;
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		if (tools[i].shape != w->endpoint->shape || strncmp(name, tools[i].name, strlen(tools[i].name)) != 0)
			continue;
		w->hidden = w->hidden || tools[i].runs == INSIDE;
		return 0;
	}
	return refuse_want(w, "This tool of the provider is not metered.");
}

/* Reads the tools of the request, or of an item that brings more of them. */
static void read_tools(struct want *w, const struct json *from)
{
	const struct json *tools = given_member(from, "tools");

	if (tools != NULL && json_type(tools) != JSON_LIST)
		(void)refuse_want(w, "tools must be a list.");
	for (size_t i = 0; tools != NULL && json_type(tools) == JSON_LIST && i < json_size(tools); i++) {
		const struct json *tool = json_at(tools, i);
		const struct json *type = given_member(tool, "type");

		if (json_type(tool) != JSON_RECORD || (type != NULL && json_type(type) != JSON_TEXT))
			(void)refuse_want(w, "A tool must be a record, and its type a text.");
		else if (w->endpoint->shape == SHAPE_GEMINI)
			(void)json_each(tool, note_tool, w);
		else if (type != NULL) /* without a type it is the application's own */
			(void)note_tool(w, json_text(type, NULL), type);
	}
}

/* An item of before stands for its text.  Its type may be left out. */
static void read_input_items(struct want *w)
{
	const struct json *items = given_member(w->document, "input");

	if (w->endpoint->form != FORM_STREAM || items == NULL || json_type(items) != JSON_LIST)
		return;
	for (size_t i = 0; i < json_size(items); i++) {
		const struct json *item = json_at(items, i);
		const char *type = json_get_text(item, "type");

		read_tools(w, item);
		if (strcmp(type, "item_reference") != 0 && (type[0] != '\0' || json_get(item, "role") != NULL))
			continue;
		w->opaque = true;
		w->bytes += WANT_DATA_MAX;
	}
}

bool want_may_reason(const struct want *w, const char *model)
{
	static const char *const plain[] = {
#define PLAIN(beginning) beginning,
#include "meter/plain.def"
#undef PLAIN
	};

	if (w->endpoint->shape != SHAPE_OPENAI || !w->stream)
		return false;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (strncmp(model, plain[i], strlen(plain[i])) == 0)
			return false;
	return true;
}

/* ---- other prices ---------------------------------------------------------------------------- */

static void read_tier_wanted(struct want *w)
{
	const bool gemini = w->endpoint->shape == SHAPE_GEMINI;
	const char *name = json_get_text(w->document, gemini ? "serviceTier" : "service_tier");

	if (strcmp(name, "flex") == 0)
		w->tier = "flex";
	if (strcmp(name, "priority") == 0)
		w->tier = "priority";
}

static void read_speech(struct want *w)
{
	const struct json *input = given_member(w->document, "input");
	size_t length = 0;
	const char *text = input != NULL && json_type(input) == JSON_TEXT ? json_text(input, &length) : NULL;

	if (text == NULL)
		(void)refuse_want(w, "input must be a text.");
	for (size_t i = 0; i < length; i++)
		w->characters += (text[i] & 0xc0) != 0x80 ? 1 : 0; /* of UTF-8, the bytes that begin a character */
}

/* A member that the variant is made of; "" when the provider chooses. */
static const char *variant_part(struct want *w, const char *name)
{
	const struct json *value = given_member(w->document, name);
	const char *text = value != NULL && json_type(value) == JSON_TEXT ? json_text(value, NULL) : "";

	if (strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(text) || strlen(text) > 16)
		(void)refuse_want(w,
		                  "size, quality, speed and inference_geo must be names of small letters and digits.");
	else if (value != NULL && text[0] == '\0')
		(void)refuse_want(w, "size, quality, speed and inference_geo must be names.");
	return strcmp(text, "auto") != 0 ? text : "";
}

/* Larger and better images have prices of their own, and so have Anthropic's faster answers and its regions, which are
 * named here for the reservation: the usage says them again.  The variants are called as docs/prices.md says. */
static void read_variant(struct want *w)
{
	const bool images = w->endpoint->form == FORM_IMAGES;
	const char *first = variant_part(w, images ? "size" : "inference_geo");
	const char *second = variant_part(w, images ? "quality" : "speed");
	const bool both = first[0] != '\0' && second[0] != '\0';

	if (w->refusal != NULL || (first[0] == '\0' && second[0] == '\0'))
		return;
	if (images)
		(void)snprintf(w->variant, sizeof(w->variant), "%s%s%s", first[0] != '\0' ? first : "1024x1024",
		               second[0] != '\0' ? "/" : "", second);
	else
		(void)snprintf(w->variant, sizeof(w->variant), "%s%s%s%s%s", first[0] != '\0' ? "region=" : "", first,
		               both ? "/" : "", second[0] != '\0' ? "speed=" : "", second);
}

/* ---- models ---------------------------------------------------------------------------------- */

static void add_model(struct want *w, const char *name, size_t length)
{
	if (w->model_count == WANT_MODELS_MAX || length == 0 || length >= WANT_MODEL_MAX) {
		(void)refuse_want(w, "The model must have a name of 1 to 127 bytes, and be one of 8 at most.");
		return;
	}
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			(void)refuse_want(w, "The model's name has a control character.");
	(void)snprintf(w->models[w->model_count++], WANT_MODEL_MAX, "%.*s", (int)length, name);
}

static void read_fallback(struct want *w, const char *list)
{
	for (const char *at = list; *at != '\0'; at++)
		if ((unsigned char)*at >= 0x80) /* a header may be no UTF-8 */
			(void)refuse_want(w, "X-Octroi-Models must be ASCII.");
	while (*list != '\0') {
		size_t length;

		list += strspn(list, " \t,");
		length = strcspn(list, " \t,");
		if (length > 0)
			add_model(w, list, length);
		list += length;
	}
}

static void read_models(struct want *w, const char *model, size_t model_length, const char *fallback)
{
	const struct json *named = given_member(w->document, "model");
	size_t length = 0;

	if (model != NULL)
		add_model(w, model, model_length);
	else if (fallback != NULL)
		read_fallback(w, fallback);
	else if (named != NULL && json_type(named) == JSON_TEXT)
		add_model(w, json_text(named, NULL), (json_text(named, &length), length));
	if (w->model_count == 0)
		(void)refuse_want(w, "The request names no model.");
}

int want_read(struct want *w, const struct endpoint *endpoint, const char *body, size_t length, const char *model,
              size_t model_length, const char *fallback)
{
	char error[JSON_ERROR_MAX];

	*w = (struct want){.endpoint = endpoint, .cap = NONE, .answers = 1};
	w->document = json_parse(body, length, false, error);
	if (w->document == NULL || json_type(w->document) != JSON_RECORD)
		return refuse_want(w, "The body is no JSON record, or has a name twice, or is too deep.");
	if (endpoint->shape == SHAPE_GEMINI)
		read_gemini(w);
	if (w->refusal != NULL)
		return -1;
	read_models(w, model, model_length, fallback);
	read_bounds(w);
	read_stream(w);
	read_tier_wanted(w);
	refuse_background(w);
	if (endpoint->form == FORM_SPEECH)
		read_speech(w);
	if (endpoint->form == FORM_IMAGES || endpoint->shape == SHAPE_ANTHROPIC)
		read_variant(w);
	(void)json_each(w->document, refuse_unmetered_member, w);
	refuse_unmetered_models(w);
	read_tools(w, w->document);
	read_input_items(w);
	count_bytes(w, w->document, "");
	return w->refusal == NULL ? 0 : -1;
}

int want_name(struct want *w, const struct endpoint *endpoint, const char *model)
{
	*w = (struct want){.endpoint = endpoint, .cap = NONE, .answers = 1};
	add_model(w, model, strlen(model));
	return w->refusal == NULL ? 0 : -1;
}

void want_free(struct want *w)
{
	json_free(w->document);
	w->document = NULL;
}

/* ---- the request to octroi ------------------------------------------------------------------- */

static void put_model_name(const struct want *w, const struct want_terms *terms, int i, struct json_writer *out)
{
	char name[2 * WANT_MODEL_MAX];

	(void)snprintf(name, sizeof(name), "%s%s", terms->prefix, w->models[i]);
	json_put_text(out, w->model_count == 1 ? "model" : NULL, name);
}

void want_counts(const struct want *w, struct buf *out)
{
	if (w->characters > 0)
		buf_printf(out, "{\"characters\":%lld}", (long long)w->characters);
	else if (w->images > 0)
		buf_printf(out, "{\"images\":%lld}", (long long)w->images);
}

int64_t want_output(const struct want *w)
{
	if (w->cap >= 0)
		return w->cap * w->answers;
	return w->endpoint->form == FORM_FREE || w->endpoint->form == FORM_MODELS ? 0 : NONE;
}

void want_authorize(const struct want *w, const struct want_terms *terms, struct buf *out)
{
	struct json_writer j;
	struct buf counts;

	CHECK(w->model_count > 0);
	buf_init(&counts, 64);
	json_writer_init(&j, out);
	json_open_record(&j, NULL);
	json_put_text(&j, terms->meter_key != NULL ? "meterKey" : "account",
	              terms->meter_key != NULL ? terms->meter_key : terms->account);
	if (terms->meter_key == NULL && terms->member[0] != '\0')
		json_put_text(&j, "member", terms->member);
	if (w->model_count > 1)
		json_open_list(&j, "models");
	for (int i = 0; i < w->model_count; i++)
		put_model_name(w, terms, i, &j);
	if (w->model_count > 1)
		json_close_list(&j);
	json_put_text(&j, "requestId", terms->request_id);
	json_put_int(&j, "inputBytes", w->bytes > 0 ? w->bytes : 1);
	if (want_output(w) >= 0)
		json_put_int(&j, "maxOutputTokens", want_output(w));
	if (w->endpoint->bounds[0] != NULL)
		json_put_bool(&j, "fit", true);
	json_put_int(&j, "ttlSeconds", terms->hold_seconds);
	if (w->tier != NULL)
		json_put_text(&j, "serviceTier", w->tier);
	if (w->variant[0] != '\0')
		json_put_text(&j, "variant", w->variant);
	want_counts(w, &counts);
	if (counts.length > 0)
		json_put_raw(&j, "counts", counts.data, counts.length);
	if (terms->grace != NULL)
		json_put_raw(&j, "grace", terms->grace, strlen(terms->grace));
	json_close_record(&j);
	buf_free(&counts);
}

bool want_may_have_grace(const struct want *w)
{
	return w->model_count == 1 && !w->opaque && !w->hidden && w->endpoint->form != FORM_FREE &&
	       w->endpoint->form != FORM_MODELS;
}

void want_kind(const struct want *w, const char *prefix, unsigned char kind[DIGEST_BYTES])
{
	const struct want_terms terms = {.account = "", .member = "", .request_id = "", .prefix = prefix};
	struct want like = *w;
	struct buf text;

	like.bytes = 0;
	like.cap = w->cap >= 0 ? 1 : NONE;
	like.answers = 1;
	buf_init(&text, 16 * WANT_MODEL_MAX);
	want_authorize(&like, &terms, &text);
	/* Without memory it is like no other. */
	if (buf_ok(&text))
		digest_sha256(text.data, text.length, kind);
	else
		digest_random(kind, DIGEST_BYTES);
	buf_free(&text);
}

/* ---- the body for the provider --------------------------------------------------------------- */

struct rewriting {
	const struct want *w;
	struct json_writer j;
	struct buf value;
	const char *model;
	int64_t share; /* of each answer; -1: the bounds stay as they are */
};

static bool is_bound(const struct rewriting *r, const char *key)
{
	for (int i = 0; i < ENDPOINT_BOUNDS; i++)
		if (r->w->endpoint->bounds[i] != NULL && strcmp(r->w->endpoint->bounds[i], key) == 0)
			return r->share >= 0;
	return false;
}

static void put_as_it_is(struct rewriting *r, const char *key, const struct json *value)
{
	buf_reset(&r->value);
	json_dump(value, &r->value);
	if (r->value.length > 0 && buf_ok(&r->value))
		json_put_raw(&r->j, key, r->value.data, r->value.length);
	else
		r->j.out->failed = true;
}

static int put_bounded(void *context, const char *key, const struct json *value)
{
	struct rewriting *r = context;

	if (is_bound(r, key) && json_type(value) == JSON_INT)
		json_put_int(&r->j, key, json_int(value) < r->share ? json_int(value) : r->share);
	else if (!is_bound(r, key))
		put_as_it_is(r, key, value);
	return 0;
}

static int put_top(void *context, const char *key, const struct json *value)
{
	struct rewriting *r = context;
	const struct want *w = r->w;
	const bool gemini = w->endpoint->shape == SHAPE_GEMINI;

	if (strcmp(key, "model") == 0) /* Gemini's is in the path */
		return 0;
	if (w->hides_usage && strcmp(key, "stream_options") == 0)
		return 0;
	if (gemini && strcmp(key, "generationConfig") == 0)
		return 0;
	return gemini ? (put_as_it_is(r, key, value), 0) : put_bounded(r, key, value);
}

/* The bound that the request does not have. */
static void put_first_bound(struct rewriting *r, bool newer)
{
	const char *const *bounds = r->w->endpoint->bounds;

	if (r->w->cap < 0 && r->share >= 0 && bounds[0] != NULL)
		json_put_int(&r->j, newer || bounds[1] == NULL ? bounds[0] : bounds[1], r->share);
}

static void put_generation_config(struct rewriting *r)
{
	const struct json *record = json_get(r->w->document, "generationConfig");

	json_open_record(&r->j, "generationConfig");
	if (record != NULL)
		(void)json_each(record, put_bounded, r);
	put_first_bound(r, true);
	json_close_record(&r->j);
}

static int put_option(void *context, const char *key, const struct json *value)
{
	if (strcmp(key, "include_usage") != 0)
		put_as_it_is(context, key, value);
	return 0;
}

static void put_stream_options(struct rewriting *r)
{
	const struct json *options = given_member(r->w->document, "stream_options");

	json_open_record(&r->j, "stream_options");
	if (options != NULL)
		(void)json_each(options, put_option, r);
	json_put_bool(&r->j, "include_usage", true);
	json_close_record(&r->j);
}

void want_body(const struct want *w, const char *model, int64_t granted, bool newer, struct buf *out)
{
	struct rewriting r = {.w = w, .model = model, .share = NONE};

	if (granted >= 0)
		r.share = granted / w->answers > 0 ? granted / w->answers : 1;
	buf_init(&r.value, out->max);
	json_writer_init(&r.j, out);
	json_open_record(&r.j, NULL);
	if (w->endpoint->shape != SHAPE_GEMINI)
		json_put_text(&r.j, "model", model);
	(void)json_each(w->document, put_top, &r);
	if (w->endpoint->shape == SHAPE_GEMINI)
		put_generation_config(&r);
	else
		put_first_bound(&r, newer);
	if (w->hides_usage)
		put_stream_options(&r);
	json_close_record(&r.j);
	buf_free(&r.value);
}
