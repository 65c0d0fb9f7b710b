#include "routes/auth/origin.h"

#include <string.h>
#include <strings.h>

/* scheme://host[:port] without the scheme's own port; host is empty where the text is no such thing. */
struct origin {
	bool tls;
	const char *host;
	size_t length;
};

/* The length of a host and port without that port at their end. */
static size_t without_port(const char *host, size_t length, const char *port)
{
	const size_t port_length = strlen(port);

	if (length > port_length && memcmp(host + length - port_length, port, port_length) == 0)
		return length - port_length;
	return length;
}

static size_t host_length(const char *host, size_t length, bool tls)
{
	return without_port(host, length, tls ? ":443" : ":80");
}

static struct origin parse_origin(const char *text)
{
	static const char plain[] = "http://";
	static const char tls[] = "https://";
	struct origin o = {.host = "", .length = 0};

	if (strncasecmp(text, tls, sizeof(tls) - 1) == 0) {
		o.tls = true;
		o.host = text + sizeof(tls) - 1;
	} else if (strncasecmp(text, plain, sizeof(plain) - 1) == 0) {
		o.host = text + sizeof(plain) - 1;
	}
	o.length = host_length(o.host, strcspn(o.host, "/?#"), o.tls);
	return o;
}

static bool same_host(const struct origin *o, const char *host, size_t length)
{
	return o->length > 0 && o->length == length && strncasecmp(o->host, host, length) == 0;
}

/* A page of another host of the same site is foreign too: the host may be a blog's or a customer's.  No answer of
 * octroi lets a page of another host read it. */
static bool site_is_foreign(const char *site)
{
	return site != NULL && site[0] != '\0' && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
}

bool origin_is_foreign(const struct request *r, const char *public_url)
{
	const char *text = request_parameter(r, "HTTP_ORIGIN");
	const char *host = request_parameter(r, "HTTP_HOST");
	struct origin sent, own;

	if (site_is_foreign(request_parameter(r, "HTTP_SEC_FETCH_SITE")))
		return true;
	if (text == NULL || text[0] == '\0')
		return false;
	sent = parse_origin(text);
	if (public_url[0] != '\0') {
		own = parse_origin(public_url);
		return sent.tls != own.tls || !same_host(&sent, own.host, own.length);
	}
	return host == NULL || !same_host(&sent, host, host_length(host, strlen(host), sent.tls));
}
