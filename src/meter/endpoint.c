#include "meter/endpoint.h"

#include <string.h>

static const struct endpoint endpoints[] = {
#define ENDPOINT(NAME, shape, method, pattern, form, ...) {SHAPE_##shape, #method, pattern, FORM_##form, {__VA_ARGS__}},
#include "meter/endpoints.def"
#undef ENDPOINT
};

/* Letters, digits and ".-_": no model's name has a slash where the path has it. */
static bool is_model(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_", text[i]) == NULL)
			return false;
	return length > 0;
}

static bool path_fits(const char *pattern, const char *path, const char **model, size_t *model_length)
{
	const char *star = strchr(pattern, '*');
	const size_t before = star != NULL ? (size_t)(star - pattern) : 0;
	const size_t after = star != NULL ? strlen(star + 1) : 0, length = strlen(path);

	*model = NULL;
	*model_length = 0;
	if (star == NULL)
		return strcmp(pattern, path) == 0;
	if (length < before + after || strncmp(pattern, path, before) != 0 ||
	    strcmp(path + length - after, star + 1) != 0)
		return false;
	*model = path + before;
	*model_length = length - before - after;
	return is_model(*model, *model_length);
}

const struct endpoint *endpoint_find(enum endpoint_shape shape, const char *method, const char *path,
                                     const char **model, size_t *model_length)
{
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		if (endpoints[i].shape == shape && strcmp(endpoints[i].method, method) == 0 &&
		    path_fits(endpoints[i].pattern, path, model, model_length))
			return &endpoints[i];
	return NULL;
}
