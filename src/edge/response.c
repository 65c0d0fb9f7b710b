#include "edge/response.h"

#include <stddef.h>

#include "base/check.h"
#include "base/log.h"

/* Size up to which the memory of a body is kept for the next request. */
#define KEPT_BYTES ((size_t)64 * 1024)

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{402, "Payment Required"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{413, "Content Too Large"},
	{415, "Unsupported Media Type"},
	{422, "Unprocessable Content"},
	{429, "Too Many Requests"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
};

const char *response_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Other";
}

static void response_begin(struct response *r)
{
	r->status = 200;
	r->content_type = "application/json";
	r->outcome = "OK";
}

void response_init(struct response *r)
{
	response_begin(r);
	buf_init(&r->headers, RESPONSE_HEADERS_MAX);
	buf_init(&r->body, RESPONSE_BODY_MAX);
}

void response_free(struct response *r)
{
	buf_free(&r->headers);
	buf_free(&r->body);
}

void response_reset(struct response *r)
{
	response_begin(r);
	buf_reset(&r->headers);
	if (r->body.capacity > KEPT_BYTES)
		buf_free(&r->body);
	buf_reset(&r->body);
}

/* A control character in a name or value could end its line and begin another. */
static void check_plain(const char *text)
{
	for (; *text != '\0'; text++)
		CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

void response_header(struct response *r, const char *name, const char *value)
{
	check_plain(name);
	check_plain(value);
	buf_add_text(&r->headers, name);
	buf_add_text(&r->headers, ": ");
	buf_add_text(&r->headers, value);
	buf_add_text(&r->headers, "\r\n");
}

static void render_head(int status, const char *request_id, struct buf *out)
{
	buf_add_text(out, "Status: ");
	buf_add_int(out, status);
	buf_add_char(out, ' ');
	buf_add_text(out, response_reason(status));
	buf_add_text(out, "\r\nX-Request-Id: ");
	buf_add_text(out, request_id);
	buf_add_text(out, "\r\n");
}

static void render_body(const char *content_type, const char *body, size_t length, struct buf *out)
{
	buf_add_text(out, "Content-Type: ");
	buf_add_text(out, content_type);
	buf_add_text(out, "\r\nContent-Length: ");
	buf_add_int(out, (int64_t)length);
	buf_add_text(out, "\r\n\r\n");
	buf_add(out, body, length);
}

static int render_unavailable(const char *request_id, struct buf *out)
{
	struct buf body;

	log_event(LOG_LEVEL_ERROR, "answer_too_big", LOG_TEXT("request_id", request_id));
	buf_init(&body, 512);
	buf_printf(&body,
	           "{\"error\":\"UNAVAILABLE\",\"message\":\"The answer could not be made.\","
	           "\"requestId\":\"%s\"}",
	           request_id);
	render_head(503, request_id, out);
	buf_add_text(out, "Retry-After: 1\r\n");
	render_body("application/json", buf_text(&body), body.length, out);
	buf_free(&body);
	return 503;
}

int response_render(const struct response *r, const char *request_id, struct buf *out)
{
	CHECK(r->status >= 200 && r->status <= 599);
	if (!buf_ok(&r->headers) || !buf_ok(&r->body))
		return render_unavailable(request_id, out);
	render_head(r->status, request_id, out);
	buf_add(out, buf_text(&r->headers), r->headers.length);
	if (r->content_type != NULL && r->status != 204 && r->status != 304)
		render_body(r->content_type, buf_text(&r->body), r->body.length, out);
	else
		buf_add_text(out, "\r\n");
	return r->status;
}
