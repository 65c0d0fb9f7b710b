#include "meter/meter_error.h"

#include <string.h>

#include "base/json.h"

static const struct name_of_error {
	int status;
	const char *types[3]; /* by shape */
} names[] = {
#define ERROR(status, openai, anthropic, gemini) {status, {openai, anthropic, gemini}},
#include "meter/meter_errors.def"
#undef ERROR
};

static const char *type_of(enum endpoint_shape shape, int status)
{
	size_t i = 0;

	while (names[i].status != status && names[i].status != 0)
		i++;
	return names[i].types[shape];
}

/* OpenAI's libraries know these codes. */
static const char *openai_code(int status, const char *code)
{
	if (status == 401)
		return "invalid_api_key";
	return status == 402 ? "insufficient_quota" : code;
}

void meter_error_body(enum endpoint_shape shape, int status, const char *code, const char *message, struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_open_record(&w, NULL);
	if (shape == SHAPE_ANTHROPIC)
		json_put_text(&w, "type", "error");
	json_open_record(&w, "error");
	if (shape == SHAPE_GEMINI) {
		json_put_int(&w, "code", status);
		json_put_text(&w, "message", message);
		json_put_text(&w, "status", type_of(shape, status));
	} else {
		json_put_text(&w, "type", type_of(shape, status));
		json_put_text(&w, "message", message);
	}
	if (shape == SHAPE_OPENAI) {
		json_put_null(&w, "param");
		json_put_text(&w, "code", openai_code(status, code));
	}
	json_close_record(&w);
	json_close_record(&w);
}
