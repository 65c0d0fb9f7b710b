#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "routes/auth/token.h"

#define ARENA_MAX ((size_t)64 * 1024)
#define LINK_MAX ((size_t)8192)
#define SECONDS_PER_MINUTE 60
#define MINUTES_MAX (TOKEN_OPERATOR_LIFE_MAX_SECONDS / SECONDS_PER_MINUTE)

/* The page's address with the token in its fragment, which no browser sends to a server. */
static int print_link(const struct ctl *c, const char *base, const char *token, int64_t expires_us)
{
	struct listing *l = listing_new("links");
	size_t length = strlen(base);
	struct buf url;

	while (length > 0 && base[length - 1] == '/')
		length--;
	buf_init(&url, LINK_MAX);
	buf_add(&url, base, length);
	buf_add_text(&url, "/admin#token=");
	buf_add_text(&url, token);
	listing_row(l);
	listing_text(l, "url", "address", buf_text(&url));
	listing_time(l, "expiresAt", "until", expires_us);
	listing_print_single(l, c->json);
	listing_free(l);
	buf_free(&url);
	return CTL_OK;
}

static bool is_page_address(const char *url)
{
	return (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0) && strpbrk(url, "#? ") == NULL;
}

int ctl_admin_link(struct ctl *c)
{
	const char *url = c->config->admin_url, *minutes_text = NULL, *token;
	const struct ctl_option options[] = {
		{.name = "--url", .value = &url}, {.name = "--minutes", .value = &minutes_text}, {0}};
	const int64_t now_us = clock_wall_us() / CLOCK_US_PER_SECOND * CLOCK_US_PER_SECOND;
	int64_t minutes = TOKEN_LIFE_MAX_SECONDS / SECONDS_PER_MINUTE;
	struct arena *arena;
	int result;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0 ||
	    (minutes_text != NULL && ctl_integer(minutes_text, "--minutes", 1, MINUTES_MAX, &minutes) != 0))
		return CTL_FAILED;
	if (!is_page_address(url))
		return ctl_wrong("where is the internal server? --url https://…, or admin_url in octroi.conf");
	if (strlen(c->config->token_secret) < TOKEN_SECRET_MIN)
		return ctl_fail("no tokens are issued until token_secret is configured");
	arena = arena_new(ARENA_MAX);
	token = arena == NULL
	                ? NULL
	                : token_issue_operator(arena, c->config->token_secret, now_us, minutes * SECONDS_PER_MINUTE);
	if (token == NULL)
		result = ctl_fail("out of memory");
	else
		result = print_link(c, url, token, now_us + minutes * SECONDS_PER_MINUTE * CLOCK_US_PER_SECOND);
	arena_free(arena);
	return result;
}
