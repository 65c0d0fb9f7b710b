/* Headers of callers, and what of them may come out in one.  Ten lines: Authorization, X-Octroi-Key,
 * X-Request-Id, the web server's request id, Accept-Language, Idempotency-Key, the web server's account and member,
 * an e-mail address and a name; one that begins with '!' is not sent.  Who is let in, which language, which ids are
 * what readings of its own say, and each answer is one that a web server reads as it was meant.  Ledger, readers and
 * pool are the fakes of tests/unit/test_router.c. */
#include "fuzz.h"

int router_tests_main(void);
#define main router_tests_main
#include "../unit/test_router.c"
#undef main

#include <ctype.h>
#include <strings.h>

#include "base/id.h"
#include "routes/api/language.h"

enum line { AUTHORIZATION, KEY, REQUEST_ID, SERVER_ID, LANGUAGE, IDEMPOTENCY, ACCOUNT, MEMBER, EMAIL, NAME, LINES };

#define LINE_MAX_BYTES 1024

static const char *const parameter_names[] = {
	[AUTHORIZATION] = "HTTP_AUTHORIZATION", [KEY] = "HTTP_X_OCTROI_KEY",
	[REQUEST_ID] = "HTTP_X_REQUEST_ID",     [SERVER_ID] = "OCTROI_REQUEST_ID",
	[LANGUAGE] = "HTTP_ACCEPT_LANGUAGE",    [IDEMPOTENCY] = "HTTP_IDEMPOTENCY_KEY",
	[ACCOUNT] = "OCTROI_ACCOUNT",           [MEMBER] = "OCTROI_MEMBER",
};

/* ---- readings of its own --------------------------------------------------------------------- */

/* Values that a header may have: a tab is the one control character that may stand in it. */
static bool passes(const char *value)
{
	for (; value != NULL && *value != '\0'; value++)
		if (iscntrl((unsigned char)*value) && *value != '\t')
			return false;
	return true;
}

static bool is_id(const char *text, size_t max, const char *others)
{
	if (text == NULL || *text == '\0' || strlen(text) > max)
		return false;
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && strchr(others, *text) == NULL)
			return false;
	return true;
}

/* The key that is shown, "" for none, NULL for two that differ. */
static const char *shown_key(const char *authorization, const char *key)
{
	const char *bearer = "";

	if (authorization != NULL && strlen(authorization) >= 7 && strncasecmp(authorization, "bearer ", 7) == 0)
		for (bearer = authorization + 7; *bearer == ' '; bearer++)
			;
	if (key == NULL || *key == '\0')
		return bearer;
	return *bearer == '\0' || strcmp(bearer, key) == 0 ? key : NULL;
}

static int expected_status(const char *shown)
{
	static const struct {
		const char *key;
		int status;
	} keys[] = {{GUARD_KEY, 403}, {APP_KEY, 403}, {ADMIN_KEY, 200}, {REPORT_KEY, 200}};

	for (size_t i = 0; shown != NULL && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(shown, keys[i].key) == 0)
			return keys[i].status;
	return shown == NULL ? 400 : 401;
}

/* Thousandths; -1 where it is no weight. */
static int weight(const char *text, size_t length)
{
	int value = 0;

	if (length == 0 || length > 5 || (text[0] != '0' && text[0] != '1') || (length > 1 && text[1] != '.'))
		return -1;
	for (size_t i = 0, unit = 1000; i < length; i++, unit /= i == 1 ? 1 : 10) {
		if (i == 1)
			continue;
		if (!isdigit((unsigned char)text[i]))
			return -1;
		value += (text[i] - '0') * (int)unit;
	}
	return value <= 1000 ? value : -1;
}

/* Weight of one of the comma's pieces for a language, -1 when it is about another or cannot be read. */
static int likes(const char *piece, size_t length, const char *language)
{
	const char *end = piece + length, *semicolon;

	while (piece < end && (*piece == ' ' || *piece == '\t'))
		piece++;
	if (end - piece < 2 || strncasecmp(piece, language, 2) != 0 ||
	    (end - piece > 2 && strchr("-; \t", piece[2]) == NULL))
		return -1;
	semicolon = memchr(piece, ';', (size_t)(end - piece));
	if (semicolon == NULL)
		return 1000;
	for (semicolon++; semicolon < end && (*semicolon == ' ' || *semicolon == '\t'); semicolon++)
		;
	if (end - semicolon < 2 || (*semicolon | 32) != 'q' || semicolon[1] != '=')
		return -1;
	while (end[-1] == ' ' || end[-1] == '\t')
		end--;
	return weight(semicolon + 2, (size_t)(end - semicolon - 2));
}

static bool wants_french(const char *accept)
{
	int best[2] = {0, 0}, since[2] = {0, 0};

	for (int at = 0; accept != NULL && *accept != '\0'; at++) {
		const size_t length = strcspn(accept, ",");
		const int now[2] = {likes(accept, length, "fr"), likes(accept, length, "en")};

		for (int i = 0; i < 2; i++)
			if (now[i] > best[i]) {
				best[i] = now[i];
				since[i] = at;
			}
		accept += length + (accept[length] == ',' ? 1 : 0);
	}
	return best[0] > best[1] || (best[0] > 0 && best[0] == best[1] && since[0] < since[1]);
}

/* A text that stays on its line wherever it is put: no control character, not those of ISO 8859, no separator of lines
 * or paragraphs. */
static bool is_one_line(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	for (; *at != '\0'; at++)
		if (iscntrl(*at) || (at[0] == 0xc2 && at[1] < 0xa0) ||
		    (at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9)))
			return false;
	return true;
}

/* The answer as a web server reads it: lines up to an empty one, each header known and there once, then the body. */
static void check_answer(int status)
{
	static const char *const known[] = {"Status",
	                                    "X-Request-Id",
	                                    "Content-Type",
	                                    "Content-Length",
	                                    "Cache-Control",
	                                    "WWW-Authenticate",
	                                    "Retry-After",
	                                    "Allow",
	                                    "X-Octroi-Status",
	                                    "X-Octroi-Error",
	                                    "X-Octroi-Available-Micros"};
	unsigned seen = 0;
	const char *line, *end;
	struct buf out;
	bool ended = false;

	buf_init(&out, RESPONSE_BODY_MAX + RESPONSE_HEADERS_MAX);
	MUST(response_render(&response, request.id, &out) == status && buf_ok(&out));
	for (line = buf_text(&out); !ended; line = end + 2) {
		size_t length, place = 0;

		end = strstr(line, "\r\n");
		MUST(end != NULL);
		length = (size_t)(end - line);
		ended = length == 0;
		if (ended)
			continue;
		while (place < sizeof(known) / sizeof(known[0]) &&
		       (strncmp(line, known[place], strlen(known[place])) != 0 || line[strlen(known[place])] != ':'))
			place++;
		MUST(place < sizeof(known) / sizeof(known[0]) && (seen & 1U << place) == 0);
		seen |= 1U << place;
		for (size_t i = 0; i < length; i++)
			MUST(!iscntrl((unsigned char)line[i]));
		if (place == 0)
			MUST(atoi(line + 7) == status);
		if (place == 1)
			MUST(length == 14 + strlen(request.id) &&
			     strncmp(line + 14, request.id, strlen(request.id)) == 0);
		if (place == 3)
			MUST((size_t)atol(line + 15) == response.body.length);
	}
	MUST((seen & 3) == 3);
	MUST(out.length - (size_t)(line - buf_text(&out)) == ((seen & 8) != 0 ? response.body.length : 0));
	buf_free(&out);
}

/* ---- octroi's -------------------------------------------------------------------------------- */

static char values[EMAIL][64 + LINE_MAX_BYTES];

/* "NAME=value" of the lines from first to last that are sent. */
static void parameters_of(const char *const line[LINES], int first, int last, const char *fixed, const char **more)
{
	int count = 0;

	more[count++] = fixed;
	for (int i = first; i <= last; i++) {
		if (line[i] == NULL)
			continue;
		snprintf(values[i], sizeof(values[i]), "%s=%s", parameter_names[i], line[i]);
		more[count++] = values[i];
	}
	more[count] = NULL;
}

static bool all_pass(const char *const line[LINES], int first, int last)
{
	for (int i = first; i <= last; i++)
		if (!passes(line[i]))
			return false;
	return true;
}

static void check_ids(const char *const line[LINES])
{
	const char *id = is_id(line[REQUEST_ID], 63, "._-") ? line[REQUEST_ID] : line[SERVER_ID];

	if (is_id(id, 63, "._-"))
		MUST(strcmp(request.id, id) == 0);
	else
		MUST(strlen(request.id) == 32 && is_id(request.id, 32, ""));
}

/* The caller, by the first headers. */
static void ask_who(const char *const line[LINES])
{
	const char *more[LINES + 2];
	int status;

	parameters_of(line, AUTHORIZATION, LANGUAGE, "REMOTE_ADDR=::1", more);
	status = send_with(LISTENER_INTERNAL, "GET /metrics", "", more);
	check_ids(line);
	check_answer(status);
	if (!all_pass(line, AUTHORIZATION, LANGUAGE)) {
		MUST(status == 400);
		return;
	}
	MUST(status == expected_status(shown_key(line[AUTHORIZATION], line[KEY])));
	if (status == 401)
		MUST((strstr(text_at("message"), "requise") != NULL) == wants_french(line[LANGUAGE]));
	MUST(language_french(line[LANGUAGE]) == wants_french(line[LANGUAGE]));
}

/* The account, where the web server says it. */
static void ask_whose(const char *const line[LINES])
{
	const char *more[LINES + 2], *who = line[ACCOUNT], *member = line[MEMBER];
	const bool valid = is_id(who, ID_ACCOUNT_MAX, "._:@-") &&
	                   (member == NULL || *member == '\0' || is_id(member, ID_ACCOUNT_MAX, "._:@-"));
	int status;

	parameters_of(line, ACCOUNT, MEMBER, "REMOTE_ADDR=::1", more);
	config.trust_server_params = true;
	status = send_with(LISTENER_PUBLIC, "GET /api/credits", "", more);
	config.trust_server_params = false;
	check_answer(status);
	if (!all_pass(line, ACCOUNT, MEMBER))
		MUST(status == 400);
	else
		MUST(status == (who == NULL || *who == '\0' ? 401 : valid ? 200 : 400));
}

/* Details that are kept of an account and go into mails. */
static void put_profile(const char *const line[LINES])
{
	static char key[] = "HTTP_X_OCTROI_KEY=" APP_KEY;
	const char *more[LINES + 2];
	struct json_writer w;
	struct buf body;
	int status;

	buf_init(&body, 1 << 16);
	json_writer_init(&w, &body);
	json_open_record(&w, NULL);
	if (line[EMAIL] != NULL)
		json_put_text(&w, "email", line[EMAIL]);
	if (line[NAME] != NULL)
		json_put_text(&w, "name", line[NAME]);
	json_close_record(&w);
	parameters_of(line, IDEMPOTENCY, IDEMPOTENCY, key, more);
	more[line[IDEMPOTENCY] != NULL ? 2 : 1] = "CONTENT_TYPE=application/json";
	more[line[IDEMPOTENCY] != NULL ? 3 : 2] = NULL;
	asked_count = 0;
	memset(&asked, 0, sizeof(asked));
	status = send_with(LISTENER_INTERNAL, "PUT /api/accounts/a", buf_text(&body), more);
	buf_free(&body);
	check_answer(status);
	MUST((status == 200) == (asked_count > 0) || !all_pass(line, IDEMPOTENCY, IDEMPOTENCY));
	if (asked_count == 0 || asked.kind != COMMAND_ACCOUNT)
		return;
	if (asked.account_change.email != NULL) {
		MUST(is_one_line(asked.account_change.email) && strlen(asked.account_change.email) >= 3);
		MUST(strchr(asked.account_change.email, '@') == strrchr(asked.account_change.email, '@'));
	}
	if (asked.account_change.name != NULL)
		MUST(is_one_line(asked.account_change.name));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const char *line[LINES];
	char *text, *rest;
	static bool ready;

	if (!ready)
		ready = set_up(NULL) == 0;
	MUST(ready);
	text = rest = fuzz_text(bytes, length);
	for (int i = 0; i < LINES; i++) {
		line[i] = fuzz_line(&rest);
		if (line[i] != NULL && (line[i][0] == '!' || strlen(line[i]) > LINE_MAX_BYTES))
			line[i] = NULL;
	}
	ask_who(line);
	ask_whose(line);
	put_profile(line);
	free(text);
	return 0;
}
