#include "meter/ingress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/id.h"
#include "edge/request.h"

#define REPEAT_MAX 255

static const struct passed_on {
	const char *parameter, *name;
} passed[] = {
#define REQUEST(parameter, name) {#parameter, name},
#include "meter/headers.def"
};

static const char upload_refusal[] =
	"The meter reads JSON only: an upload (multipart/form-data) is not metered, and so not passed on.";

struct heads {
	struct ingress *in;
	struct request request;
	const struct meter_config *config;
	const char *const *parameters;
	struct arena *arena;
	bool wrong; /* a parameter came twice, or has a control character */
};

static void refuse_head(struct ingress *in, int status, const char *code, const char *message)
{
	if (in->kind == INGRESS_REFUSED)
		return;
	in->kind = INGRESS_REFUSED;
	in->status = status;
	in->code = code;
	in->message = message;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static bool has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* A copy of the parameter's value; NULL when it is absent or empty. */
static const char *head_value(struct heads *h, const char *name)
{
	const size_t length = strlen(name);
	const char *found = NULL;

	for (const char *const *p = h->parameters; *p != NULL; p++) {
		if (strncmp(*p, name, length) != 0 || (*p)[length] != '=')
			continue;
		if (found != NULL || has_control(*p + length + 1))
			h->wrong = true;
		found = *p + length + 1;
	}
	if (found == NULL || found[0] == '\0')
		return NULL;
	found = arena_copy(h->arena, found, strlen(found));
	h->wrong = h->wrong || found == NULL;
	return found;
}

/* ---- who pays -------------------------------------------------------------------------------- */

/* Takes a key that was found; two different ones are none. */
static void take_found_key(struct heads *h, const char *key, bool *twice)
{
	if (key == NULL)
		return;
	if (h->in->key != NULL && strcmp(h->in->key, key) != 0)
		*twice = true;
	h->in->key = key;
}

static const char *bearer_of(struct heads *h)
{
	const char *value = head_value(h, "HTTP_AUTHORIZATION");

	if (value == NULL)
		return NULL;
	if (strncasecmp(value, "Bearer ", 7) != 0)
		return ""; /* another scheme is a wrong key */
	value += 7;
	return value + strspn(value, " ");
}

/* True if the query names the key twice. */
static bool has_two_keys(const char *query)
{
	int keys = 0;

	for (const char *at = query; *at != '\0'; at += *at == '&' ? 1 : 0) {
		keys += strncmp(at, "key=", 4) == 0 ? 1 : 0;
		at += strcspn(at, "&");
	}
	return keys > 1;
}

/* Printable ASCII without blanks, as a key of octroi's is. */
static bool is_plain_key(const char *key)
{
	const size_t length = strlen(key);

	for (size_t i = 0; i < length; i++)
		if (key[i] <= 0x20 || key[i] >= 0x7f || key[i] == '"' || key[i] == '\\')
			return false;
	return length > 0 && length <= INGRESS_KEY_MAX;
}

static void read_payer(struct heads *h)
{
	struct ingress *in = h->in;
	bool twice = has_two_keys(h->request.query), bad = false;

	take_found_key(h, bearer_of(h), &twice);
	take_found_key(h, head_value(h, "HTTP_X_API_KEY"), &twice);
	take_found_key(h, head_value(h, "HTTP_X_GOOG_API_KEY"), &twice);
	take_found_key(h, request_query(&h->request, "key", &bad), &twice);
	in->member = "";
	if (in->key == NULL && h->config->trust_server_params) {
		in->account = head_value(h, "OCTROI_ACCOUNT");
		in->member = head_value(h, "OCTROI_MEMBER");
		in->member = in->member != NULL ? in->member : "";
	}
	if (twice || bad || (in->key != NULL && !is_plain_key(in->key)) || (in->key == NULL && in->account == NULL))
		refuse_head(in, 401, "UNAUTHORIZED", "A key of octroi's meter is required.");
	else if (in->account != NULL && !id_account_valid(in->account, strlen(in->account)))
		refuse_head(in, 401, "UNAUTHORIZED", "The account's name is not valid.");
}

/* ---- the path -------------------------------------------------------------------------------- */

/* The path below the web server's prefix, or NULL. */
static const char *below_prefix(struct heads *h)
{
	const char *prefix = head_value(h, "OCTROI_PREFIX");
	const char *path = h->request.path;
	const size_t length = prefix != NULL ? strlen(prefix) : 0;

	if (length == 0)
		return path;
	if (strncmp(path, prefix, length) != 0 || path[length] != '/')
		return NULL;
	return path + length;
}

static const struct meter_provider *find_provider(const struct meter_provider *providers, const char *path,
                                                  const char **rest)
{
	const size_t length = path[0] == '/' ? strcspn(path + 1, "/") : 0;

	for (int i = 0; i < METER_PROVIDERS && length > 0; i++) {
		if (strlen(providers[i].name) != length || strncmp(providers[i].name, path + 1, length) != 0)
			continue;
		*rest = path + 1 + length;
		return &providers[i];
	}
	return NULL;
}

/* The path at the provider: of Gemini's query, only the form of the stream goes with it. */
static void set_rest(struct heads *h, struct arena *arena, const char *rest)
{
	bool bad = false;
	const char *alt = h->in->shape == SHAPE_GEMINI ? request_query(&h->request, "alt", &bad) : NULL;
	const bool events = alt != NULL && strcmp(alt, "sse") == 0;
	const size_t length = strlen(rest);
	char *whole = arena_alloc(arena, length + sizeof("?alt=sse"));

	if (bad || (alt != NULL && !events && strcmp(alt, "json") != 0))
		refuse_head(h->in, 400, "INVALID_REQUEST", "alt may only be sse or json.");
	else if (whole == NULL)
		refuse_head(h->in, 503, "UNAVAILABLE", "There is no memory for this request.");
	else
		(void)snprintf(whole, length + sizeof("?alt=sse"), "%s%s", rest, events ? "?alt=sse" : "");
	h->in->rest = whole;
}

static void read_path(struct heads *h, struct arena *arena, const struct meter_provider *providers)
{
	struct ingress *in = h->in;
	const char *path = below_prefix(h), *metrics = head_value(h, "OCTROI_METRICS"), *rest = NULL;
	const bool get = strcmp(h->request.method, "GET") == 0;

	if (path != NULL && get && strcmp(path, "/healthz") == 0)
		in->kind = INGRESS_HEALTH;
	else if (path != NULL && get && metrics != NULL && strcmp(metrics, "on") == 0 && strcmp(path, "/metrics") == 0)
		in->kind = INGRESS_METRICS;
	if (in->kind != INGRESS_PROVIDER)
		return;
	in->provider = path != NULL ? find_provider(providers, path, &rest) : NULL;
	if (in->provider == NULL) {
		refuse_head(in, 403, "FORBIDDEN", "The meter does not pass this path on.");
		return;
	}
	in->shape = in->provider->shape;
	in->endpoint = endpoint_find(in->shape, h->request.method, rest, &in->model, &in->model_length);
	if (in->endpoint == NULL)
		refuse_head(in, 403, "FORBIDDEN", "The meter does not pass this path on.");
	else if (in->provider->key[0] == '\0')
		refuse_head(in, 404, "NOT_FOUND", "This provider is not configured.");
	else if (in->endpoint->form == FORM_UPLOAD)
		refuse_head(in, 415, "UNSUPPORTED_MEDIA_TYPE", upload_refusal);
	else
		set_rest(h, arena, rest);
}

/* ---- the other headers ----------------------------------------------------------------------- */

static void read_headers(struct heads *h, struct arena *arena)
{
	struct ingress *in = h->in;
	const char *coding, *type = head_value(h, "CONTENT_TYPE");
	size_t count = 0;

	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		const char *value = head_value(h, passed[i].parameter);
		const size_t length = value != NULL ? strlen(value) + strlen(passed[i].name) + 3 : 0;
		char *line = value != NULL ? arena_alloc(arena, length) : NULL;

		if (value == NULL)
			continue;
		if (line == NULL) {
			refuse_head(in, 503, "UNAVAILABLE", "There is no memory for this request.");
			return;
		}
		(void)snprintf(line, length, "%s: %s", passed[i].name, value);
		CHECK(count < INGRESS_HEADERS_MAX);
		in->headers[count++] = line;
	}
	in->fallback = in->shape != SHAPE_GEMINI ? head_value(h, "HTTP_X_OCTROI_MODELS") : NULL;
	in->repeat = head_value(h, "HTTP_IDEMPOTENCY_KEY");
	if (type != NULL && strncasecmp(type, "multipart/", strlen("multipart/")) == 0)
		refuse_head(in, 415, "UNSUPPORTED_MEDIA_TYPE", upload_refusal);
	coding = head_value(h, "HTTP_CONTENT_ENCODING");
	if (coding != NULL && strcasecmp(coding, "identity") != 0)
		refuse_head(in, 415, "UNSUPPORTED_MEDIA_TYPE", "The body must be plain JSON.");
	if (in->repeat != NULL && strlen(in->repeat) > REPEAT_MAX)
		refuse_head(in, 400, "INVALID_REQUEST", "The Idempotency-Key is too long.");
}

static void read_policy(struct heads *h)
{
	const char *policy = head_value(h, "OCTROI_ABORT");

	h->in->drain = strcmp(policy != NULL ? policy : h->config->abort, "drain") == 0;
}

/* A body that is shorter or longer than the web server said is cut. */
static void check_length(struct heads *h, size_t body_length)
{
	const char *declared = head_value(h, "CONTENT_LENGTH");
	char *end = NULL;

	if (declared == NULL)
		return;
	if (strtoull(declared, &end, 10) != body_length || *end != '\0')
		refuse_head(h->in, 400, "INVALID_REQUEST", "The body is not as long as announced.");
}

void ingress_read(struct ingress *in, struct arena *arena, const struct meter_config *config,
                  const struct meter_provider *providers, const char *const *parameters, size_t body_length)
{
	struct heads h = {
		.in = in, .config = config, .parameters = parameters, .arena = arena, .request = {.arena = arena}};

	*in = (struct ingress){.kind = INGRESS_PROVIDER};
	if (request_build(&h.request, parameters, "", 0) < 0) {
		refuse_head(in, 503, "UNAVAILABLE", "There is no memory for this request.");
		return;
	}
	if (h.request.defect != REQUEST_SOUND) {
		refuse_head(in, 400, "INVALID_REQUEST", "The request's head is not valid.");
		return;
	}
	read_path(&h, arena, providers);
	if (in->kind != INGRESS_PROVIDER)
		return;
	read_payer(&h);
	read_headers(&h, arena);
	read_policy(&h);
	check_length(&h, body_length);
	if (h.wrong)
		refuse_head(in, 400, "INVALID_REQUEST", "A header came twice, or has a control character.");
}
