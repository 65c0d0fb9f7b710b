#include "routes/api/etag.h"

#include <string.h>

#define TAG_BYTES 16                    /* of the digest */
#define TAG_MAX (TAG_BYTES * 4 / 3 + 4) /* in base64url, two quotes and a NUL */

/* A tag in quotes has no quotes inside, and no other tag contains it.  A weak tag (W/) counts as well (RFC 9110 section
 * 8.8.3.2): a web server that compresses makes tags weak. */
static bool is_among(const char *tags, const char *tag)
{
	return strcmp(tags, "*") == 0 || strstr(tags, tag) != NULL;
}

bool etag_known(struct call *c, const unsigned char digest[DIGEST_BYTES])
{
	const char *known = request_parameter(c->request, "HTTP_IF_NONE_MATCH");
	char tag[TAG_MAX] = "\"";
	size_t length = digest_base64url(digest, TAG_BYTES, tag + 1);

	tag[1 + length] = '"';
	tag[2 + length] = '\0';
	response_header(c->response, "ETag", tag);
	response_header(c->response, "Cache-Control", "public, max-age=60");
	if (known == NULL || !is_among(known, tag))
		return false;
	c->response->status = 304;
	c->response->content_type = NULL;
	return true;
}
