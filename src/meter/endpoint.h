/*
 * endpoint: the paths of providers that the meter passes on, by endpoints.def.  Pure.
 */
#ifndef OCTROI_METER_ENDPOINT_H
#define OCTROI_METER_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

enum endpoint_shape { SHAPE_OPENAI, SHAPE_ANTHROPIC, SHAPE_GEMINI };

enum endpoint_form {
	FORM_CHAT,
	FORM_STREAM,
	FORM_WHOLE,
	FORM_EVENTS,
	FORM_SPEECH,
	FORM_IMAGES,
	FORM_FREE,
	FORM_UPLOAD,
	FORM_MODELS
};

#define ENDPOINT_BOUNDS 2

struct endpoint {
	enum endpoint_shape shape;
	const char *method, *pattern;
	enum endpoint_form form;
	const char *bounds[ENDPOINT_BOUNDS]; /* NULL: none */
};

/* The endpoint of the path, or NULL.  *model, *model_length: the part of the path that names the model, if the pattern
 * has one. */
const struct endpoint *endpoint_find(enum endpoint_shape shape, const char *method, const char *path,
                                     const char **model, size_t *model_length);

#endif
