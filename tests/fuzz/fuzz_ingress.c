/* A client's request as the meter reads it: parameters, a blank line, the body.  What is taken goes to a listed path, in a
 * key's or an account's name, without a control character.  The body for the provider is JSON with one model and one
 * bound, which the granted output covers.  Read again, it asks for the same. */
#include "fuzz.h"

#include "base/json.h"
#include "meter/ingress.h"
#include "meter/want.h"

#define ARENA_BYTES ((size_t)256 * 1024)
#define PARAMETERS_MAX 64
#define BODY_MAX ((size_t)1024 * 1024)

static const struct meter_provider providers[METER_PROVIDERS] = {
	{"openai", "https://a", "k", "", SHAPE_OPENAI, true},
	{"anthropic", "https://a", "k", "", SHAPE_ANTHROPIC, false},
	{"gemini", "https://a", "k", "g/", SHAPE_GEMINI, false},
	{"mistral", "https://a", "k", "m/", SHAPE_OPENAI, false},
	{"closed", "https://a", "", "", SHAPE_OPENAI, false},
	{"", "", "", "", SHAPE_OPENAI, false},
	{"", "", "", "", SHAPE_OPENAI, false},
};

static bool is_one_line(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static void check_head(const struct ingress *in)
{
	if (in->kind == INGRESS_REFUSED) {
		MUST(in->status >= 400 && in->status < 600 && in->code != NULL && in->message != NULL);
		return;
	}
	if (in->kind != INGRESS_PROVIDER)
		return;
	MUST(in->provider != NULL && in->provider->key[0] != '\0' && in->endpoint != NULL &&
	     in->endpoint->shape == in->shape);
	MUST((in->key != NULL) != (in->account != NULL) && in->endpoint->form != FORM_UPLOAD);
	MUST(in->key == NULL || (in->key[0] != '\0' && is_one_line(in->key) && strpbrk(in->key, " \"\\") == NULL));
	MUST(strncmp(in->rest, "/v1", 3) == 0 && is_one_line(in->rest) && strpbrk(in->rest, " #%\\") == NULL);
	MUST(strchr(in->rest, '?') == NULL || strcmp(strchr(in->rest, '?'), "?alt=sse") == 0);
	for (int i = 0; in->headers[i] != NULL; i++)
		MUST(is_one_line(in->headers[i]) && strstr(in->headers[i], ": ") != NULL);
}

static struct json *parse(const struct buf *text)
{
	char error[JSON_ERROR_MAX];
	struct json *document = json_parse(buf_text(text), text->length, false, error);

	MUST(document != NULL && json_type(document) == JSON_RECORD);
	return document;
}

/* The one bound of the body, or -1 for none. */
static int64_t bound_of(const struct want *w, const struct json *document)
{
	const bool gemini = w->endpoint->shape == SHAPE_GEMINI;
	const struct json *record = gemini ? json_get(document, "generationConfig") : document;
	int64_t found = -1;

	for (int i = 0; i < ENDPOINT_BOUNDS && w->endpoint->bounds[i] != NULL; i++) {
		const struct json *value = json_get(record, w->endpoint->bounds[i]);

		if (value == NULL)
			continue;
		MUST(found < 0 && json_type(value) == JSON_INT && json_int(value) > 0);
		found = json_int(value);
	}
	return found;
}

static void check_again(const struct want *w, const struct ingress *in, const struct buf *body, int64_t granted)
{
	const char *model = in->model != NULL ? in->model : NULL;
	struct want again;

	MUST(want_read(&again, in->endpoint, buf_text(body), body->length, model, in->model_length, NULL) == 0);
	MUST(strcmp(again.models[0], w->models[0]) == 0 && again.model_count == 1 && again.answers == w->answers);
	MUST(again.cap * again.answers <= granted || again.cap == 1 || w->endpoint->bounds[0] == NULL);
	MUST(w->cap < 0 || again.cap <= w->cap);
	MUST(again.stream == w->stream && again.hidden == w->hidden && again.opaque == w->opaque &&
	     again.tier == w->tier);
	MUST(!again.hides_usage && strcmp(again.variant, w->variant) == 0 && again.characters == w->characters);
	want_free(&again);
}

static void check_body(const struct want *w, const struct ingress *in, int64_t granted)
{
	struct json *document;
	struct buf body;

	buf_init(&body, BODY_MAX);
	want_body(w, w->models[0], granted, in->provider->newer, &body);
	MUST(buf_ok(&body));
	document = parse(&body);
	MUST(in->shape == SHAPE_GEMINI ? json_get(document, "model") == NULL
	                               : strcmp(json_get_text(document, "model"), w->models[0]) == 0);
	if (w->endpoint->bounds[0] != NULL) {
		const int64_t bound = bound_of(w, document);

		MUST(bound == 1 || (bound > 0 && bound * w->answers <= granted));
	}
	check_again(w, in, &body, granted);
	json_free(document);
	buf_free(&body);
}

static void check_authorize(const struct want *w, const struct ingress *in)
{
	const struct want_terms terms = {.meter_key = in->key,
	                                 .account = in->account,
	                                 .member = in->member,
	                                 .request_id = "r",
	                                 .prefix = in->provider->prices,
	                                 .hold_seconds = 180};
	struct json *document;
	struct buf text;

	buf_init(&text, BODY_MAX);
	want_authorize(w, &terms, &text);
	MUST(buf_ok(&text));
	document = parse(&text);
	MUST(json_get_int(document, "inputBytes", 0) > 0 &&
	     (json_get(document, "model") != NULL) == (w->model_count == 1));
	MUST(w->cap < 0 || json_get_int(document, "maxOutputTokens", -1) == w->cap * w->answers);
	json_free(document);
	buf_free(&text);
}

static void check_want(const struct ingress *in, const char *body, size_t length)
{
	struct want w;

	if (want_read(&w, in->endpoint, body, length, in->model, in->model_length, in->fallback) == 0) {
		MUST(w.refusal == NULL && w.model_count > 0 && w.answers >= 1 && w.bytes >= 0);
		for (int i = 0; i < w.model_count; i++)
			MUST(w.models[i][0] != '\0' && is_one_line(w.models[i]));
		check_authorize(&w, in);
		check_body(&w, in, 1);
		check_body(&w, in, 1000);
	} else {
		MUST(w.refusal != NULL && w.refusal[0] != '\0');
	}
	want_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const char *parameters[PARAMETERS_MAX + 1] = {NULL};
	struct meter_config config = {.abort = (char[]){"close"}};
	struct arena *arena = arena_new(ARENA_BYTES);
	char *text, *rest, *body = NULL;
	struct ingress in;
	size_t count = 0;

	MUST(arena != NULL);
	if (length == 0) {
		arena_free(arena);
		return 0;
	}
	config.trust_server_params = (bytes[0] & 1) != 0;
	text = rest = fuzz_text(bytes + 1, length - 1);
	for (char *line = fuzz_line(&rest); line != NULL && line[0] != '\0'; line = fuzz_line(&rest))
		if (count < PARAMETERS_MAX && strchr(line, '=') != NULL)
			parameters[count++] = line;
	body = rest != NULL ? rest : text + length - 1;
	length = length - 1 - (size_t)(body - text);
	ingress_read(&in, arena, &config, providers, parameters, length);
	check_head(&in);
	if (in.kind == INGRESS_PROVIDER && in.endpoint->form != FORM_MODELS)
		check_want(&in, body, length);
	free(text);
	arena_free(arena);
	return 0;
}
