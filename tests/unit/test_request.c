#include "unit.h"

#include "edge/frame.h"
#include "edge/request.h"
#include "edge/response.h"

#define PARAMETERS_MAX 32

static struct request request;
static const char *given[PARAMETERS_MAX];

static int setup(void **state)
{
	(void)state;
	memset(&request, 0, sizeof(request));
	request.arena = arena_new((size_t)1024 * 1024);
	return request.arena != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(request.arena);
	return 0;
}

/* Builds a request from GET, the URI and up to three further parameters. */
static enum request_defect build(const char *uri, const char *a, const char *b, const char *c)
{
	static char target[70000];

	snprintf(target, sizeof(target), "REQUEST_URI=%s", uri);
	given[0] = "FCGI_ROLE=RESPONDER";
	given[1] = "REQUEST_METHOD=GET";
	given[2] = target;
	given[3] = a;
	given[4] = a != NULL ? b : NULL;
	given[5] = b != NULL ? c : NULL;
	given[6] = NULL;
	arena_reset(request.arena);
	assert_int_equal(request_build(&request, given, "", 0), 0);
	return request.defect;
}

static void path_is(const char *uri, const char *path)
{
	assert_int_equal(build(uri, NULL, NULL, NULL), REQUEST_SOUND);
	assert_string_equal(request.path, path);
}

static void target_bad(const char *uri)
{
	if (build(uri, NULL, NULL, NULL) != REQUEST_BAD_TARGET)
		fail_msg("%s is taken for %s", uri, request.path);
	assert_string_equal(request.path, "");
	assert_string_equal(request.query, "");
}

static void test_paths(void **state)
{
	(void)state;
	path_is("/", "/");
	path_is("/api/credits", "/api/credits");
	path_is("/api/credits/", "/api/credits/");
	path_is("/api/accounts/ws%3Aacme%40x", "/api/accounts/ws:acme@x");
	path_is("/a+b", "/a+b");
	path_is("/%C3%A9t%c3%a9", "/\xc3\xa9t\xc3\xa9");
	path_is("/...", "/...");
	path_is("/.well-known/a.b", "/.well-known/a.b");
	path_is("/a?b=c?d", "/a");
	assert_string_equal(request.query, "b=c?d");
	path_is("/a?", "/a");
	assert_string_equal(request.query, "");
}

static void test_bad_targets(void **state)
{
	static const char *const targets[] = {
		"",           "*",    "api",     "http://h/api", "//",         "//api",         "/api//x",    "/.",
		"/./a",       "/a/.", "/..",     "/a/../b",      "/a/..",      "/%2e%2e/b",     "/a/%2E",     "/a%2fb",
		"/a%2Fb",     "/%00", "/a%0ab",  "/a%7f",        "/a%",        "/a%4",          "/a%zz",      "/a%-1",
		"/%ff",       "/%c3", "/%c0%80", "/%c3%28",      "/%ed%a0%80", "/%f4%90%80%80", "/%e0%80%af", "/a#b",
		"/a?b#c",     "/a?%", "/a?b=%0", "/a?b=%zz",     "/a\x01",     "/a\tb",         "/a?b\nc",    "/\xff",
		"/a?b=c\x7f",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		target_bad(targets[i]);
	given[0] = "REQUEST_METHOD=GET";
	given[1] = NULL;
	assert_int_equal(request_build(&request, given, "", 0), 0);
	assert_int_equal(request.defect, REQUEST_BAD_TARGET);
	given[0] = "REQUEST_URI=/";
	assert_int_equal(request_build(&request, given, "", 0), 0);
	assert_int_equal(request.defect, REQUEST_BAD_TARGET);
}

static void below_script(const char *script, const char *uri, const char *path)
{
	char parameter[200];

	snprintf(parameter, sizeof(parameter), "SCRIPT_NAME=%s", script);
	assert_int_equal(build(uri, parameter, NULL, NULL), REQUEST_SOUND);
	assert_string_equal(request.path, path);
}

static void test_shared_hosting(void **state)
{
	(void)state;
	below_script("/octroi/octroi.fcgi", "/octroi/api/credits?x=y", "/api/credits");
	below_script("/octroi/octroi.fcgi", "/octroi/octroi.fcgi/api/credits", "/api/credits");
	below_script("/octroi/octroi.fcgi", "/octroi/octroi.fcgi", "/");
	below_script("/octroi/octroi.fcgi", "/octroi", "/");
	below_script("/octroi/octroi.fcgi", "/octroi/", "/");
	below_script("/octroi/octroi.fcgi", "/octroi/octroi.fcgix/api", "/octroi.fcgix/api");
	below_script("/octroi/octroi.fcgi", "/octroix/api", "/octroix/api");
	below_script("/octroi/octroi.fcgi", "/api/credits", "/api/credits");
	below_script("/octroi.fcgi", "/octroi.fcgi/api/credits", "/api/credits");
	below_script("/octroi.fcgi", "/api/credits", "/api/credits");
	below_script("/a/b c/octroi.fcgi", "/a/b%20c/api/credits", "/api/credits");
	below_script("/octroi/index.php", "/octroi/api/credits", "/octroi/api/credits");
	below_script("", "/octroi/api/credits", "/octroi/api/credits");
	below_script(".fcgi", "/octroi/api/credits", "/octroi/api/credits");
}

static void test_parameters(void **state)
{
	(void)state;
	assert_int_equal(build("/", "HTTP_X_OCTROI_KEY=k=1", "HTTP_COOKIE=secret", "SERVER_NAME=x"), REQUEST_SOUND);
	assert_string_equal(request_parameter(&request, "HTTP_X_OCTROI_KEY"), "k=1");
	assert_string_equal(request_parameter(&request, "REQUEST_METHOD"), "GET");
	assert_string_equal(request.method, "GET");
	assert_null(request_parameter(&request, "HTTP_AUTHORIZATION"));
	for (size_t i = 0; request.parameters[i] != NULL; i++)
		assert_null(strstr(request.parameters[i], "secret"));
}

static void ask_unlisted(void)
{
	void *state;

	setup(&state);
	build("/", NULL, NULL, NULL);
	(void)request_parameter(&request, "HTTP_COOKIE");
}

static void test_unlisted_parameter_is_a_bug(void **state)
{
	(void)state;
	assert_true(aborts(ask_unlisted));
}

static void test_duplicates_and_forgeries(void **state)
{
	(void)state;
	assert_int_equal(build("/", "HTTP_AUTHORIZATION=a", "HTTP_AUTHORIZATION=a", NULL), REQUEST_DUPLICATE_PARAMETER);
	assert_int_equal(build("/", "REQUEST_METHOD=POST", NULL, NULL), REQUEST_DUPLICATE_PARAMETER);
	assert_int_equal(build("/", "OCTROI_ACCOUNT=a", "X=1", "OCTROI_ACCOUNT="), REQUEST_DUPLICATE_PARAMETER);
	assert_int_equal(build("/", "CONTENT_LENGTH=", "CONTENT_LENGTH=5", NULL), REQUEST_DUPLICATE_PARAMETER);
	assert_int_equal(build("/", "HTTP_ACCEPT_LANGUAGE=fr", "HTTP_ACCEPT_LANGUAGE=en", NULL), REQUEST_SOUND);
	assert_string_equal(request_parameter(&request, "HTTP_ACCEPT_LANGUAGE"), "en");
	assert_int_equal(build("/", "HTTP_OCTROI_ACCOUNT=a", NULL, NULL), REQUEST_FORGED_PARAMETER);
	assert_int_equal(build("/", "HTTP_OCTROI_REQUEST_ID=a", NULL, NULL), REQUEST_FORGED_PARAMETER);
	assert_int_equal(build("/", "HTTP_OCTROI_OTHER=a", "HTTP_REMOTE_ADDR=1.2.3.4", NULL), REQUEST_SOUND);
	assert_null(request_parameter(&request, "REMOTE_ADDR"));
	assert_int_equal(build("/", "HTTP_X_OCTROI_KEY=a\nb", NULL, NULL), REQUEST_BAD_TARGET);
	assert_int_equal(build("/", "OCTROI_ACCOUNT=a\x7f", NULL, NULL), REQUEST_BAD_TARGET);
	assert_int_equal(build("/", "HTTP_ACCEPT_LANGUAGE=fr,\ten", "HTTP_COOKIE=\x01", NULL), REQUEST_SOUND);
}

static void test_request_ids(void **state)
{
	char long_id[100] = "HTTP_X_REQUEST_ID=";
	char first[REQUEST_ID_MAX];

	(void)state;
	build("/", "HTTP_X_REQUEST_ID=A-z.0_9", "OCTROI_REQUEST_ID=other", NULL);
	assert_string_equal(request.id, "A-z.0_9");
	build("/", "HTTP_X_REQUEST_ID=a b", "OCTROI_REQUEST_ID=other", NULL);
	assert_string_equal(request.id, "other");
	build("/", "HTTP_X_REQUEST_ID=", "OCTROI_REQUEST_ID=\"", NULL);
	assert_int_equal(strlen(request.id), 32);
	assert_int_equal(strspn(request.id, "0123456789abcdef"), 32);
	memcpy(first, request.id, sizeof(first));
	build("/", NULL, NULL, NULL);
	assert_int_equal(strlen(request.id), 32);
	assert_string_not_equal(request.id, first);
	memset(long_id + strlen(long_id), 'x', 63);
	build("/", long_id, NULL, NULL);
	assert_int_equal(strlen(request.id), 63);
	long_id[strlen(long_id)] = 'x';
	build("/", long_id, NULL, NULL);
	assert_int_equal(strlen(request.id), 32);
}

static const char *query(const char *name, bool *bad)
{
	*bad = false;
	return request_query(&request, name, bad);
}

static void test_queries(void **state)
{
	bool bad;

	(void)state;
	assert_int_equal(
		build("/?account=ws%3Aacme&limit=5&limit=6&empty=&flag&a+b=c+d%2B&%78=y&&=z", NULL, NULL, NULL),
		REQUEST_SOUND);
	assert_string_equal(query("account", &bad), "ws:acme");
	assert_string_equal(query("limit", &bad), "5");
	assert_string_equal(query("empty", &bad), "");
	assert_string_equal(query("flag", &bad), "");
	assert_string_equal(query("a b", &bad), "c d+");
	assert_string_equal(query("x", &bad), "y");
	assert_null(query("account=ws", &bad));
	assert_null(query("none", &bad));
	assert_false(bad);
	assert_int_equal(build("/?a=%00&b=%ff&c=%0a&%ff=1&d=%c3%a9/", NULL, NULL, NULL), REQUEST_SOUND);
	assert_null(query("a", &bad));
	assert_true(bad);
	assert_null(query("b", &bad));
	assert_true(bad);
	assert_null(query("c", &bad));
	assert_true(bad);
	assert_string_equal(query("d", &bad), "\xc3\xa9/");
	assert_false(bad);
}

/* A query of nothing but other names takes no memory; one that takes it all has not been read. */
static void test_long_queries(void **state)
{
	static char uri[65000] = "/?";
	bool bad;

	(void)state;
	memset(uri + 2, '&', sizeof(uri) - 20);
	memcpy(uri + sizeof(uri) - 18, "limit=5", 8);
	assert_int_equal(build(uri, NULL, NULL, NULL), REQUEST_SOUND);
	for (int i = 0; i < 100; i++)
		assert_null(query("account", &bad));
	assert_false(bad);
	assert_string_equal(query("limit", &bad), "5");
	assert_false(bad);
	while (arena_alloc(request.arena, 1) != NULL)
		;
	assert_null(query("limit", &bad));
	assert_true(bad);
	assert_null(query("account", &bad));
	assert_false(bad);
}

static enum request_defect build_body(const char *content_length, const char *body, size_t length)
{
	static char parameter[100];

	snprintf(parameter, sizeof(parameter), "CONTENT_LENGTH=%s", content_length);
	given[0] = "REQUEST_METHOD=POST";
	given[1] = "REQUEST_URI=/";
	given[2] = parameter;
	given[3] = NULL;
	assert_int_equal(request_build(&request, given, body, length), 0);
	assert_non_null(request.body);
	if (request.defect != REQUEST_SOUND)
		assert_int_equal(request.body_length, 0);
	return request.defect;
}

static void test_bodies(void **state)
{
	(void)state;
	assert_int_equal(build_body("5", "hello", 5), REQUEST_SOUND);
	assert_int_equal(request.body_length, 5);
	assert_string_equal(request.body, "hello");
	assert_int_equal(build_body("", "hello", 5), REQUEST_SOUND);
	assert_int_equal(build_body("6", "hello", 5), REQUEST_BODY_SHORT);
	assert_int_equal(build_body("4", "hello", 5), REQUEST_BODY_SHORT);
	assert_int_equal(build_body("5x", "hello", 5), REQUEST_BODY_SHORT);
	assert_int_equal(build_body("-5", "hello", 5), REQUEST_BODY_SHORT);
	assert_int_equal(build_body("18446744073709551621", "hello", 5), REQUEST_BODY_SHORT);
	assert_int_equal(build_body("500", "", 0), REQUEST_SOUND);
	assert_int_equal(build_body("131072", "big", FRAME_BODY_MAX + 1), REQUEST_BODY_TOO_BIG);
}

static void test_response(void **state)
{
	struct response r;
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	response_init(&r);
	r.status = 402;
	response_header(&r, "Cache-Control", "no-store");
	buf_add_text(&r.body, "{}");
	assert_int_equal(response_render(&r, "id-1", &out), 402);
	assert_string_equal(buf_text(&out), "Status: 402 Payment Required\r\nX-Request-Id: id-1\r\n"
	                                    "Cache-Control: no-store\r\nContent-Type: application/json\r\n"
	                                    "Content-Length: 2\r\n\r\n{}");
	response_reset(&r);
	r.status = 204;
	buf_reset(&out);
	assert_int_equal(response_render(&r, "id-2", &out), 204);
	assert_string_equal(buf_text(&out), "Status: 204 No Content\r\nX-Request-Id: id-2\r\n\r\n");
	response_reset(&r);
	r.content_type = NULL;
	buf_reset(&out);
	assert_int_equal(response_render(&r, "id-3", &out), 200);
	assert_string_equal(buf_text(&out), "Status: 200 OK\r\nX-Request-Id: id-3\r\n\r\n");
	response_free(&r);
	buf_free(&out);
}

static void test_answer_that_outgrew(void **state)
{
	static const char kilobyte[1024];
	struct response r;
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	response_init(&r);
	for (int i = 0; i < 1025; i++)
		buf_add(&r.body, kilobyte, sizeof(kilobyte));
	assert_int_equal(response_render(&r, "id-4", &out), 503);
	assert_non_null(strstr(buf_text(&out), "Status: 503 "));
	assert_non_null(strstr(buf_text(&out), "\"requestId\":\"id-4\"}"));
	response_free(&r);
	buf_free(&out);
}

static void split_header(void)
{
	struct response r;

	response_init(&r);
	response_header(&r, "Location", "/\r\nSet-Cookie: a=b");
}

static void test_header_splitting_is_a_bug(void **state)
{
	(void)state;
	assert_true(aborts(split_header));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_targets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared_hosting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parameters, setup, teardown),
		cmocka_unit_test(test_unlisted_parameter_is_a_bug),
		cmocka_unit_test_setup_teardown(test_duplicates_and_forgeries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_request_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_queries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bodies, setup, teardown),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_answer_that_outgrew),
		cmocka_unit_test(test_header_splitting_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
