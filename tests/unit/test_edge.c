/*
 * The edge with a handler that knows nothing of credits, and clients that speak FastCGI over real
 * sockets as web servers do, and as they do not.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "edge/edge.h"
#include "edge/frame.h"
#include "records.h"

#define PATIENCE_MS 20000
#define IDLE_CONNECTIONS_MAX 3000
#define LATERS_MAX 1100
#define LATER 1024 /* of workers.c */

static char directory[] = "/tmp/octroi-test-edge-XXXXXX";
static char socket_path[sizeof(directory) + 8];
static char address[sizeof(directory) + 16];

/* ---- the server ---- */

struct later {
	const struct request *request;
	struct response *response;
};

static struct {
	struct edge *edge;
	int listener;
	struct lock lock;
	struct signal_cond changed;
	int at_gate; /* handlers that wait for the gate to open */
	bool gate_open;
	struct later later[LATERS_MAX]; /* requests that were left for later */
	int laters;
} server;

static void gate_set(bool open)
{
	lock_take(&server.lock);
	server.gate_open = open;
	cond_broadcast(&server.changed);
	lock_give(&server.lock);
}

static void gate_pass(void)
{
	lock_take(&server.lock);
	server.at_gate++;
	cond_broadcast(&server.changed);
	while (!server.gate_open)
		(void)cond_wait_until(&server.changed, &server.lock, -1);
	server.at_gate--;
	cond_broadcast(&server.changed);
	lock_give(&server.lock);
}

static void gate_wait_for(int handlers)
{
	int64_t deadline_us = clock_monotonic_us() + PATIENCE_MS * CLOCK_US_PER_MS;

	lock_take(&server.lock);
	while (server.at_gate != handlers)
		assert_true(cond_wait_until(&server.changed, &server.lock, deadline_us));
	lock_give(&server.lock);
}

static void keep_for_later(const struct request *r, struct response *response)
{
	lock_take(&server.lock);
	assert_true(server.laters < LATERS_MAX);
	server.later[server.laters++] = (struct later){r, response};
	cond_broadcast(&server.changed);
	lock_give(&server.lock);
}

static void wait_laters(int wanted)
{
	int64_t deadline_us = clock_monotonic_us() + PATIENCE_MS * CLOCK_US_PER_MS;

	lock_take(&server.lock);
	while (server.laters < wanted)
		assert_true(cond_wait_until(&server.changed, &server.lock, deadline_us));
	lock_give(&server.lock);
}

static int laters(void)
{
	int count;

	lock_take(&server.lock);
	count = server.laters;
	lock_give(&server.lock);
	return count;
}

/* Answers those that were kept, the last one first. */
static void resume_laters(void)
{
	while (laters() > 0) {
		struct later l;

		lock_take(&server.lock);
		l = server.later[--server.laters];
		lock_give(&server.lock);
		buf_printf(&l.response->body, "%s %s, later", l.request->method, l.request->path);
		edge_resume(l.request);
	}
}

static enum edge_result handle(void *context, const struct request *r, struct response *response)
{
	uint32_t sum = 0;

	if (strcmp(r->path, "/later") == 0 && r->exchange != NULL) {
		keep_for_later(r, response);
		return EDGE_LATER;
	}

	assert_ptr_equal(context, &server);
	if (strcmp(r->path, "/gate") == 0)
		gate_pass();
	for (size_t i = 0; i < r->body_length; i++)
		sum = sum * 31 + (unsigned char)r->body[i];
	response->status = r->defect == REQUEST_SOUND ? 200 : r->defect == REQUEST_BODY_TOO_BIG ? 413 : 400;
	response->content_type = "text/plain";
	buf_printf(&response->body, "%s %s %d %zu %u", r->method, r->path, (int)r->defect, r->body_length,
	           (unsigned)sum);
	if (strcmp(r->path, "/big") == 0)
		for (int i = 0; i < 15000; i++)
			buf_printf(&response->body, " this is line %10d of a long text that has no end\n", i);
	return EDGE_ANSWERED;
}

static const struct edge_options usual = {
	.public_fd = -1,
	.internal_fd = -1,
	.threads = 4,
	.connections_max = 4096,
	.request_timeout_ms = 10000,
	.idle_timeout_ms = 60000,
	.handler = handle,
	.context = &server,
};

static void server_start(struct edge_options options)
{
	server.listener = edge_listen(address);
	assert_true(server.listener >= 0);
	options.public_fd = server.listener;
	server.edge = edge_start(&options);
	assert_non_null(server.edge);
}

static int setup(void **state)
{
	(void)state;
	lock_init(&server.lock);
	cond_init(&server.changed);
	server.edge = NULL;
	server.listener = -1;
	server.at_gate = 0;
	server.gate_open = false;
	server.laters = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gate_set(true);
	if (server.edge != NULL)
		assert_true(edge_drain(server.edge, PATIENCE_MS));
	edge_free(server.edge);
	close(server.listener);
	unlink(socket_path);
	cond_destroy(&server.changed);
	lock_destroy(&server.lock);
	return 0;
}

static struct edge_counts counts(void)
{
	struct edge_counts c;

	edge_count(server.edge, &c);
	return c;
}

/* ---- the clients ---- */

static int client(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

struct ask {
	const char *method, *path;
	const char *body;
	size_t body_length;
	size_t part; /* content of a record at most, 0: 32768 */
	bool keep;
	int role;          /* 0: RESPONDER */
	const char *extra; /* name of one parameter more, twice */
};

static void add_request(struct buf *out, int id, const struct ask *a)
{
	size_t part = a->part > 0 ? a->part : 32768;
	char length[32];
	struct buf params;

	buf_init(&params, (size_t)1024 * 1024);
	add_begin(out, id, a->role != 0 ? a->role : RESPONDER, a->keep);
	snprintf(length, sizeof(length), "%zu", a->body_length);
	add_pair(&params, "REQUEST_METHOD", a->method);
	add_pair(&params, "REQUEST_URI", a->path);
	add_pair(&params, "CONTENT_LENGTH", length);
	add_pair(&params, "HTTP_USER_AGENT", "a client that says who it is in many words, as browsers do");
	if (a->extra != NULL) {
		add_pair(&params, a->extra, "one");
		add_pair(&params, a->extra, "two");
	}
	add_stream(out, PARAMS, id, params.data, params.length, part);
	add_stream(out, STDIN, id, a->body, a->body_length, part);
	buf_free(&params);
	assert_true(buf_ok(out));
}

/* False when the peer closed before it took everything. */
static bool send_all(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);

		if (sent < 0) {
			assert_true(errno == EPIPE || errno == ECONNRESET);
			return false;
		}
		at += sent;
		length -= (size_t)sent;
	}
	return true;
}

static bool receive_exactly(int fd, void *out, size_t length)
{
	char *at = out;

	while (length > 0) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (poll(&ready, 1, PATIENCE_MS) <= 0)
			fail_msg("nothing came");
		got = recv(fd, at, length, 0);
		if (got <= 0)
			return false;
		at += got;
		length -= (size_t)got;
	}
	return true;
}

/* The next answer, to request id; false when the connection ends before it does. */
static bool receive(int fd, int id, struct buf *answer)
{
	unsigned char header[8], content[65535 + 255];

	buf_reset(answer);
	for (;;) {
		size_t length;

		if (!receive_exactly(fd, header, sizeof(header)))
			return false;
		length = (size_t)header[4] << 8 | header[5];
		assert_int_equal(header[2] << 8 | header[3], id);
		if (!receive_exactly(fd, content, length + header[6]))
			return false;
		if (header[1] == STDOUT)
			buf_add(answer, content, length);
		if (header[1] != END_REQUEST)
			continue;
		assert_int_equal(length, 8);
		if (content[4] != 0)
			buf_printf(answer, "protocol status %d", content[4]);
		return true;
	}
}

static bool ended(int fd)
{
	char byte;

	return !receive_exactly(fd, &byte, 1);
}

static void expect_answer(int fd, int id, const char *words)
{
	struct buf answer;

	buf_init(&answer, (size_t)2 * 1024 * 1024);
	if (!receive(fd, id, &answer))
		fail_msg("closed instead of answering \"%s\"", words);
	if (strstr(buf_text(&answer), words) == NULL)
		fail_msg("\"%s\" is not in: %.300s", words, buf_text(&answer));
	buf_free(&answer);
}

static void send_request(int fd, int id, const struct ask *a)
{
	struct buf out;

	buf_init(&out, (size_t)4 * 1024 * 1024);
	add_request(&out, id, a);
	assert_true(send_all(fd, out.data, out.length));
	buf_free(&out);
}

static void wait_connections(int64_t wanted)
{
	int64_t deadline_us = clock_monotonic_us() + PATIENCE_MS * CLOCK_US_PER_MS;

	while (counts().connections != wanted) {
		assert_true(clock_monotonic_us() < deadline_us);
		poll(NULL, 0, 1);
	}
}

static void wait_accepted(int64_t wanted)
{
	int64_t deadline_us = clock_monotonic_us() + PATIENCE_MS * CLOCK_US_PER_MS;

	while (counts().accepted != wanted) {
		assert_true(clock_monotonic_us() < deadline_us);
		poll(NULL, 0, 1);
	}
}

/* ---- requests ---- */

static const struct ask hello = {.method = "GET", .path = "/hello", .keep = true};
static const struct ask gate = {.method = "GET", .path = "/gate", .keep = true};
static const struct ask big = {.method = "GET", .path = "/big", .keep = true};

static void test_one_request(void **state)
{
	struct ask once = {.method = "POST", .path = "/once", .body = "abc", .body_length = 3};
	struct buf answer;
	int fd;

	(void)state;
	server_start(usual);
	fd = client();
	send_request(fd, 7, &once);
	buf_init(&answer, 10000);
	assert_true(receive(fd, 7, &answer));
	assert_memory_equal(answer.data, "Status: 200 OK\r\nX-Request-Id: ", 30);
	assert_non_null(strstr(answer.data, "\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\n"));
	assert_non_null(strstr(answer.data, "POST /once 0 3 "));
	buf_free(&answer);
	assert_true(ended(fd));
	close(fd);
	wait_connections(0);
	assert_int_equal(counts().served, 1);
	assert_int_equal(counts().accepted, 1);
}

static const struct ask later = {.method = "GET", .path = "/later", .keep = true};

static void test_later_takes_no_thread(void **state)
{
	struct edge_options one = usual;
	int waiting, other;

	(void)state;
	one.threads = 1;
	server_start(one);
	waiting = client();
	other = client();
	for (int i = 0; i < 3; i++) {
		send_request(waiting, 1, &later);
		wait_laters(1);
		send_request(other, 2, &hello);
		expect_answer(other, 2, "GET /hello 0 0 0");
		resume_laters();
		expect_answer(waiting, 1, "GET /later, later");
		send_request(waiting, 3, &hello);
		expect_answer(waiting, 3, "GET /hello 0 0 0");
	}
	close(waiting);
	close(other);
	wait_connections(0);
	assert_int_equal(counts().served, 9);
}

static void test_later_in_pieces(void **state)
{
	struct buf out;
	int fd;

	(void)state;
	server_start(usual);
	buf_init(&out, 10000);
	add_request(&out, 5, &later);
	fd = client();
	for (size_t i = 0; i < out.length; i++)
		assert_true(send_all(fd, out.data + i, 1));
	wait_laters(1);
	/* Requests that come meanwhile are looked at afterwards. */
	send_request(fd, 6, &hello);
	resume_laters();
	expect_answer(fd, 5, "GET /later, later");
	expect_answer(fd, 6, "GET /hello 0 0 0");
	/* Two at once: the first has to be answered before the second is read. */
	buf_reset(&out);
	add_request(&out, 7, &later);
	add_request(&out, 8, &later);
	assert_true(send_all(fd, out.data, out.length));
	expect_answer(fd, 7, "GET /later 0 0 0");
	wait_laters(1);
	resume_laters();
	expect_answer(fd, 8, "GET /later, later");
	buf_free(&out);
	close(fd);
}

static void test_later_and_the_peer_is_gone(void **state)
{
	struct ask once = {.method = "GET", .path = "/later"};
	int fd = -1;

	(void)state;
	server_start(usual);
	fd = client();
	send_request(fd, 1, &later);
	wait_laters(1);
	close(fd);
	resume_laters();
	wait_connections(0);
	fd = client();
	send_request(fd, 1, &once);
	wait_laters(1);
	resume_laters();
	expect_answer(fd, 1, "GET /later, later");
	assert_true(ended(fd)); /* it was not to be kept */
	close(fd);
	wait_connections(0);
}

/* One that sends and sends and reads nothing may not make anybody wait. */
static void test_later_and_answers_are_not_taken(void **state)
{
	int fd, sent = 0;

	(void)state;
	server_start(usual);
	fd = client();
	wait_connections(1);
	while (counts().connections > 0) {
		struct buf out;

		buf_init(&out, 10000);
		add_request(&out, 1, &later);
		if (!send_all(fd, out.data, out.length)) {
			buf_free(&out);
			break;
		}
		buf_free(&out);
		sent++;
		while (laters() == 0 && counts().connections > 0)
			poll(NULL, 0, 1);
		resume_laters();
		assert_true(sent < 100000);
	}
	assert_true(sent > 1);
	wait_connections(0);
	close(fd);
}

static void test_laters_are_bounded(void **state)
{
	static int fds[LATERS_MAX];
	int direct = 0;

	(void)state;
	server_start(usual);
	for (int i = 0; i < LATERS_MAX; i++) {
		fds[i] = client();
		send_request(fds[i], 1, &later);
	}
	wait_laters(LATER);
	while (counts().served + laters() < LATERS_MAX)
		poll(NULL, 0, 1);
	direct = (int)counts().served;
	assert_in_range(direct, LATERS_MAX - LATER - 2 * usual.threads, LATERS_MAX - LATER);
	resume_laters();
	for (int i = 0; i < LATERS_MAX; i++) {
		expect_answer(fds[i], 1, "GET /later");
		close(fds[i]);
	}
	wait_connections(0);
}

static void *drain(void *argument)
{
	bool *drained = argument;

	*drained = edge_drain(server.edge, PATIENCE_MS);
	return NULL;
}

static void test_later_is_answered_before_the_end(void **state)
{
	int waiting, idle;
	bool drained = false;
	pthread_t thread;

	(void)state;
	server_start(usual);
	waiting = client();
	idle = client();
	send_request(idle, 1, &hello);
	expect_answer(idle, 1, "GET /hello");
	send_request(waiting, 1, &later);
	wait_laters(1);
	assert_int_equal(pthread_create(&thread, NULL, drain, &drained), 0);
	assert_true(ended(idle)); /* the drain has begun */
	resume_laters();
	expect_answer(waiting, 1, "GET /later, later");
	assert_true(ended(waiting));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(drained);
	edge_free(server.edge);
	server.edge = NULL;
	close(idle);
	close(waiting);
}

static void test_kept_alive(void **state)
{
	int fd;

	(void)state;
	server_start(usual);
	fd = client();
	for (int i = 0; i < 200; i++) {
		send_request(fd, 1, &hello);
		expect_answer(fd, 1, "GET /hello 0 0 0");
	}
	assert_int_equal(counts().connections, 1);
	assert_int_equal(counts().accepted, 1);
	close(fd);
	wait_connections(0);
	assert_int_equal(counts().served, 200); /* the last is counted after it is answered */
}

static void add_padded(struct buf *out, int type, const void *content, size_t length, const struct buf *padding)
{
	assert_true(padding->length <= 255);
	add_record(out, type, 1, content, length, (unsigned char)padding->length);
	memcpy(out->data + out->length - padding->length, padding->data, padding->length);
}

/* libfcgi forgets some padding, and reads what stands there as records that nobody has looked at. */
static void test_padding_is_no_record(void **state)
{
	static const unsigned char begin[8] = {0, RESPONDER, 1};
	struct buf out, good, evil, request, body;
	int fd;

	(void)state;
	buf_init(&out, 10000);
	buf_init(&good, 1000);
	buf_init(&evil, 1000);
	buf_init(&request, 1000);
	buf_init(&body, 1000);
	add_pair(&good, "REQUEST_METHOD", "POST");
	add_pair(&good, "REQUEST_URI", "/good");
	add_pair(&evil, "REQUEST_METHOD", "POST");
	add_pair(&evil, "REQUEST_URI", "/evil");
	add_stream(&request, PARAMS, 1, evil.data, evil.length, 1000);
	add_stream(&request, STDIN, 1, NULL, 0, 1000);
	add_stream(&body, STDIN, 1, "evil", 4, 1000);
	add_padded(&out, BEGIN_REQUEST, begin, sizeof(begin), &request);
	add_record(&out, PARAMS, 1, good.data, good.length, 5);
	add_padded(&out, PARAMS, NULL, 0, &body);
	add_record(&out, STDIN, 1, "abc", 3, 3);
	add_record(&out, STDIN, 1, NULL, 0, 9);
	server_start(usual);
	fd = client();
	for (int i = 0; i < 3; i++) {
		assert_true(send_all(fd, out.data, out.length));
		expect_answer(fd, 1, "POST /good 0 3 96354");
	}
	close(fd);
	buf_free(&out);
	buf_free(&good);
	buf_free(&evil);
	buf_free(&request);
	buf_free(&body);
}

static void test_pipelined(void **state)
{
	struct buf out;
	char path[32];
	int fd;

	(void)state;
	server_start(usual);
	buf_init(&out, (size_t)1024 * 1024);
	for (int i = 1; i <= 100; i++) {
		struct ask numbered = {.method = "GET", .path = path, .keep = true};

		snprintf(path, sizeof(path), "/number/%d", i);
		add_request(&out, i, &numbered);
	}
	fd = client();
	assert_true(send_all(fd, out.data, out.length));
	for (int i = 1; i <= 100; i++) {
		snprintf(path, sizeof(path), "GET /number/%d 0 0 0", i);
		expect_answer(fd, i, path);
	}
	buf_free(&out);
	close(fd);
}

static void test_byte_by_byte(void **state)
{
	struct ask posted = {.method = "POST", .path = "/slow", .body = "body", .body_length = 4, .keep = true};
	struct buf out;
	int fd;

	(void)state;
	server_start(usual);
	buf_init(&out, 100000);
	add_request(&out, 1, &posted);
	add_request(&out, 2, &posted);
	fd = client();
	for (size_t i = 0; i < out.length; i++)
		assert_true(send_all(fd, out.data + i, 1));
	expect_answer(fd, 1, "POST /slow 0 4 3029410");
	expect_answer(fd, 2, "POST /slow 0 4 3029410");
	buf_free(&out);
	close(fd);
}

static void test_large_bodies(void **state)
{
	static const size_t parts[] = {100, 8192, 65535};
	char *body = malloc(FRAME_BODY_MAX);
	int fd;

	(void)state;
	assert_non_null(body);
	memset(body, 'x', FRAME_BODY_MAX);
	server_start(usual);
	fd = client();
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct ask posted = {.method = "POST",
		                     .path = "/body",
		                     .body = body,
		                     .body_length = FRAME_BODY_MAX,
		                     .part = parts[i],
		                     .keep = true};

		send_request(fd, 1, &posted);
		expect_answer(fd, 1, "POST /body 0 131072 ");
		send_request(fd, 1, &hello);
		expect_answer(fd, 1, "GET /hello 0 0 0");
	}
	free(body);
	close(fd);
}

static void too_big(size_t length, bool kept)
{
	char *body = calloc(1, length);
	struct ask posted = {.method = "POST", .path = "/body", .body = body, .body_length = length, .keep = true};
	int fd = client();
	struct buf out;

	assert_non_null(body);
	buf_init(&out, (size_t)16 * 1024 * 1024);
	add_request(&out, 1, &posted);
	/* A peer that only reads once it has sent everything is answered all the same. */
	assert_true(send_all(fd, out.data, out.length));
	expect_answer(fd, 1, "Status: 413 ");
	if (kept) {
		send_request(fd, 2, &hello);
		expect_answer(fd, 2, "GET /hello 0 0 0");
	} else {
		assert_true(ended(fd));
	}
	buf_free(&out);
	free(body);
	close(fd);
}

static void test_bodies_over_the_cap(void **state)
{
	(void)state;
	server_start(usual);
	too_big(FRAME_BODY_MAX + 1, true);
	too_big((size_t)256 * 1024, true);
	too_big((size_t)2 * 1024 * 1024 + 3, true);
	too_big((size_t)6 * 1024 * 1024, false);
	wait_connections(0);
}

static void test_large_answer(void **state)
{
	int fd;

	(void)state;
	server_start(usual);
	fd = client();
	for (int i = 0; i < 3; i++) {
		send_request(fd, 1, &big);
		expect_answer(fd, 1, "this is line      14999 of a long text");
	}
	close(fd);
}

static void test_defects_reach_the_handler(void **state)
{
	struct ask twice = {.method = "GET", .path = "/", .keep = true, .extra = "HTTP_AUTHORIZATION"};
	struct ask forged = {.method = "GET", .path = "/", .keep = true, .extra = "HTTP_OCTROI_ACCOUNT"};
	struct ask target = {.method = "GET", .path = "/a/../b", .keep = true};
	char want[32];
	int fd;

	(void)state;
	server_start(usual);
	fd = client();
	send_request(fd, 1, &twice);
	snprintf(want, sizeof(want), "GET / %d 0 0", (int)REQUEST_DUPLICATE_PARAMETER);
	expect_answer(fd, 1, want);
	send_request(fd, 2, &forged);
	snprintf(want, sizeof(want), "GET / %d 0 0", (int)REQUEST_FORGED_PARAMETER);
	expect_answer(fd, 2, want);
	send_request(fd, 3, &target);
	snprintf(want, sizeof(want), "GET  %d 0 0", (int)REQUEST_BAD_TARGET);
	expect_answer(fd, 3, want);
	close(fd);
}

/* ---- what no web server sends ---- */

static void test_other_roles(void **state)
{
	struct ask filter = {.method = "GET", .path = "/", .keep = true, .role = FILTER};
	int fd;

	(void)state;
	server_start(usual);
	fd = client();
	send_request(fd, 5, &filter);
	expect_answer(fd, 5, "protocol status 3");
	assert_true(ended(fd));
	close(fd);
	wait_connections(0);
	assert_int_equal(counts().refused, 1);
	assert_int_equal(counts().served, 0);
}

static void closed_after(const void *bytes, size_t length)
{
	int fd = client();

	(void)send_all(fd, bytes, length);
	assert_true(ended(fd));
	close(fd);
}

static void test_not_fastcgi(void **state)
{
	static char value[70000];
	struct buf out, params;

	(void)state;
	server_start(usual);
	closed_after("GET / HTTP/1.1\r\n\r\n", 18);
	buf_init(&out, (size_t)1024 * 1024);
	buf_init(&params, (size_t)1024 * 1024);
	add_record(&out, GET_VALUES, 0, "\xe\0FCGI_MAX_CONNS", 16, 0);
	closed_after(out.data, out.length);
	buf_reset(&out);
	add_begin(&out, 1, RESPONDER, true);
	add_record(&out, PARAMS, 1, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 0);
	closed_after(out.data, out.length);
	buf_reset(&out);
	memset(value, 'v', sizeof(value) - 1);
	add_begin(&out, 1, RESPONDER, true);
	add_pair(&params, "TOO_LONG", value);
	add_stream(&out, PARAMS, 1, params.data, params.length, 32768);
	closed_after(out.data, out.length);
	wait_connections(0);
	assert_int_equal(counts().refused, 4);
	buf_free(&params);
	buf_free(&out);
}

static void test_peers_that_leave(void **state)
{
	struct buf out;
	int fd;

	(void)state;
	server_start(usual);
	buf_init(&out, 100000);
	add_request(&out, 1, &big);
	for (size_t cut = 0; cut <= out.length; cut += 7) {
		fd = client();
		assert_true(send_all(fd, out.data, cut));
		close(fd);
	}
	fd = client(); /* said all, and that it will say no more */
	send_request(fd, 1, &hello);
	shutdown(fd, SHUT_WR);
	expect_answer(fd, 1, "GET /hello 0 0 0");
	assert_true(ended(fd));
	close(fd);
	wait_connections(0);
	buf_free(&out);
}

/* ---- time ---- */

/* Reaps, as main does each second, until the peer closes. */
static void reaped(int fd)
{
	int64_t deadline_us = clock_monotonic_us() + PATIENCE_MS * CLOCK_US_PER_MS;
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	while (poll(&ready, 1, 5) == 0) {
		assert_true(clock_monotonic_us() < deadline_us);
		edge_reap(server.edge);
	}
	assert_true(ended(fd));
}

static void test_slow_sender_is_cut(void **state)
{
	struct edge_options options = usual;
	int64_t began_us = clock_monotonic_us();
	struct buf out;
	int fd, other;

	(void)state;
	options.request_timeout_ms = 150;
	server_start(options);
	buf_init(&out, 100000);
	add_request(&out, 1, &hello);
	fd = client();
	other = client();
	assert_true(send_all(fd, out.data, out.length - 1));
	reaped(fd);
	assert_true(clock_monotonic_us() - began_us >= 150 * CLOCK_US_PER_MS);
	assert_int_equal(counts().timed_out, 1);
	send_request(other, 1, &hello); /* silence is not slowness */
	expect_answer(other, 1, "GET /hello 0 0 0");
	buf_free(&out);
	close(fd);
	close(other);
}

static void test_idle_connection_is_closed(void **state)
{
	struct edge_options options = usual;
	int64_t began_us = clock_monotonic_us();
	int fd;

	(void)state;
	options.idle_timeout_ms = 150;
	server_start(options);
	fd = client();
	send_request(fd, 1, &hello);
	expect_answer(fd, 1, "GET /hello 0 0 0");
	reaped(fd);
	assert_true(clock_monotonic_us() - began_us >= 150 * CLOCK_US_PER_MS);
	assert_int_equal(counts().timed_out, 0);
	close(fd);
}

static void test_peer_that_does_not_read(void **state)
{
	struct edge_options options = usual;
	int64_t deadline_us = clock_monotonic_us() + PATIENCE_MS * CLOCK_US_PER_MS;
	int fd[8];

	(void)state;
	options.threads = 2;
	options.request_timeout_ms = 150;
	server_start(options);
	for (int i = 0; i < 8; i++) {
		fd[i] = client();
		send_request(fd[i], 1, &big);
	}
	while (counts().connections > 0) {
		assert_true(clock_monotonic_us() < deadline_us);
		edge_reap(server.edge);
		poll(NULL, 0, 5);
	}
	assert_int_equal(counts().served, 0);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
}

/* ---- many ---- */

static void test_idle_connections_cost_no_worker(void **state)
{
	static int idle[IDLE_CONNECTIONS_MAX];
	struct edge_options options = usual;
	struct rlimit limit;
	int many = IDLE_CONNECTIONS_MAX;

	(void)state;
	options.threads = 2;
	server_start(options); /* raises the limit */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 2 * IDLE_CONNECTIONS_MAX + 500)
		many = (int)(limit.rlim_cur - 500) / 2;
	for (int i = 0; i < many; i++) {
		idle[i] = client();
		if (i % 3 > 0)
			send_request(idle[i], 1, &hello);
	}
	for (int i = 0; i < many; i++)
		if (i % 3 > 0)
			expect_answer(idle[i], 1, "GET /hello 0 0 0");
	wait_connections(many);
	for (int i = 0; i < 500; i++) {
		int fd = client();

		send_request(fd, 1, &hello);
		expect_answer(fd, 1, "GET /hello 0 0 0");
		close(fd);
	}
	for (int i = 0; i < many; i++) {
		send_request(idle[i], 1, &hello);
		expect_answer(idle[i], 1, "GET /hello 0 0 0");
		close(idle[i]);
	}
	wait_connections(0);
}

static void test_no_more_than_connections_max(void **state)
{
	struct edge_options options = usual;
	struct pollfd third = {.events = POLLIN};
	int first, second;

	(void)state;
	options.connections_max = 2;
	server_start(options);
	first = client();
	second = client();
	send_request(first, 1, &hello);
	send_request(second, 1, &hello);
	expect_answer(first, 1, "GET /hello 0 0 0");
	expect_answer(second, 1, "GET /hello 0 0 0");
	third.fd = client();
	send_request(third.fd, 1, &hello);
	assert_int_equal(poll(&third, 1, 100), 0);
	assert_int_equal(counts().connections, 2);
	edge_reap(server.edge);
	assert_int_equal(poll(&third, 1, 50), 0);
	close(first);
	expect_answer(third.fd, 1, "GET /hello 0 0 0");
	close(third.fd);
	close(second);
	wait_connections(0);
}

/* There are more unproven connections than places, silent or with half a request.  Served connections keep their
 * places, the newest unproven ones are served once their request is whole, and the oldest have been cut. */
static void test_unproven_connections_keep_none_out(void **state)
{
	enum { PLACES = 40, UNPROVEN = 200, NEWEST = 4 };
	struct edge_options options = usual;
	int known[2], unproven[UNPROVEN];
	struct buf half;

	(void)state;
	options.connections_max = PLACES;
	server_start(options);
	buf_init(&half, 100000);
	add_request(&half, 1, &hello);
	for (int i = 0; i < 2; i++) {
		known[i] = client();
		send_request(known[i], 1, &hello);
		expect_answer(known[i], 1, "GET /hello 0 0 0");
	}
	for (int i = 0; i < UNPROVEN; i++) {
		unproven[i] = client();
		assert_true(send_all(unproven[i], half.data, i % 2 == 0 ? half.length / 2 : 0));
	}
	for (int i = 0; i < 2; i++) {
		send_request(known[i], 2, &hello);
		expect_answer(known[i], 2, "GET /hello 0 0 0");
	}
	for (int i = UNPROVEN - NEWEST; i < UNPROVEN; i++) {
		size_t sent = i % 2 == 0 ? half.length / 2 : 0;

		assert_true(send_all(unproven[i], half.data + sent, half.length - sent));
		expect_answer(unproven[i], 1, "GET /hello 0 0 0");
	}
	wait_accepted(UNPROVEN + 2);
	assert_true(counts().connections <= PLACES);
	for (int i = 0; i < UNPROVEN; i++)
		close(unproven[i]);
	for (int i = 0; i < 2; i++)
		close(known[i]);
	buf_free(&half);
	wait_connections(0);
}

/* A connection that writes a moment after it was accepted is not cut in between, however many come after it. */
static void test_unproven_connections_have_time_to_write(void **state)
{
	enum { PLACES = 4, UNPROVEN = 40, HEARING_MS = 20 };
	struct edge_options options = usual;
	int64_t since_us[UNPROVEN];
	int unproven[UNPROVEN];

	(void)state;
	options.connections_max = PLACES;
	server_start(options);
	for (int i = 0; i < UNPROVEN; i++) {
		since_us[i] = clock_monotonic_us();
		unproven[i] = client();
	}
	for (int i = 0; i < UNPROVEN - PLACES; i++) {
		struct pollfd end = {.fd = unproven[i], .events = POLLIN};
		int64_t lived_us;

		assert_int_equal(poll(&end, 1, 10000), 1);
		lived_us = clock_monotonic_us() - since_us[i];
		assert_true(lived_us >= HEARING_MS * CLOCK_US_PER_MS);
		close(unproven[i]);
	}
	for (int i = UNPROVEN - PLACES; i < UNPROVEN; i++) {
		send_request(unproven[i], 1, &hello);
		expect_answer(unproven[i], 1, "GET /hello 0 0 0");
		close(unproven[i]);
	}
	wait_connections(0);
}

/* More half requests than may be gathered: the oldest are given up, and a long one is still taken. */
static void test_half_requests_keep_nobody_out(void **state)
{
	enum { UNPROVEN = 700 };
	static char body[100 * 1024];
	const struct ask post = {.method = "POST", .path = "/hello", .body = body, .body_length = sizeof(body)};
	int unproven[UNPROVEN], last;
	struct buf out;

	(void)state;
	server_start(usual);
	memset(body, 'x', sizeof(body));
	buf_init(&out, 2 * sizeof(body));
	add_request(&out, 1, &post);
	for (int i = 0; i < UNPROVEN; i++) {
		unproven[i] = client();
		(void)send_all(unproven[i], out.data, out.length - 100);
	}
	last = client();
	assert_true(send_all(last, out.data, out.length));
	expect_answer(last, 1, "POST /hello 0 102400");
	assert_true(counts().timed_out > 0);
	close(last);
	for (int i = 0; i < UNPROVEN; i++)
		close(unproven[i]);
	buf_free(&out);
	wait_connections(0);
}

struct swarm {
	pthread_t thread;
	uint32_t seed;
	const char *problem;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* One request in pieces; whether the right answer came. */
static bool swarm_ask(struct swarm *s, int fd, struct buf *out, struct buf *answer, bool keep)
{
	static const char body[3000] = "x";
	struct ask a = {.method = "POST", .path = "/swarm", .body = body, .keep = keep};
	char want[64];
	size_t at = 0;

	a.body_length = next_random(&s->seed) % 2 == 0 ? 0 : next_random(&s->seed) % sizeof(body);
	buf_reset(out);
	add_request(out, 1, &a);
	while (at < out->length) {
		size_t part = next_random(&s->seed) % 3 == 0 ? 1 + next_random(&s->seed) % 400 : out->length;

		part = part < out->length - at ? part : out->length - at;
		if (!send_all(fd, out->data + at, part))
			return false;
		at += part;
	}
	snprintf(want, sizeof(want), "POST /swarm 0 %zu ", a.body_length);
	return receive(fd, 1, answer) && strstr(buf_text(answer), want) != NULL;
}

static void *swarm_main(void *argument)
{
	struct swarm *s = argument;
	struct buf out, answer;
	int fd = -1;

	buf_init(&out, 100000);
	buf_init(&answer, 100000);
	for (int i = 0; i < 300 && s->problem == NULL; i++) {
		bool keep = next_random(&s->seed) % 8 != 0;

		if (fd < 0)
			fd = client();
		if (!swarm_ask(s, fd, &out, &answer, keep))
			s->problem = "no answer, or another one's";
		if (!keep) {
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
	buf_free(&out);
	buf_free(&answer);
	return NULL;
}

static void test_swarm(void **state)
{
	struct swarm swarm[16];

	(void)state;
	server_start(usual);
	for (int i = 0; i < 16; i++) {
		swarm[i] = (struct swarm){.seed = (uint32_t)i + 1};
		assert_int_equal(pthread_create(&swarm[i].thread, NULL, swarm_main, &swarm[i]), 0);
	}
	for (int i = 0; i < 16; i++) {
		assert_int_equal(pthread_join(swarm[i].thread, NULL), 0);
		if (swarm[i].problem != NULL)
			fail_msg("seed %d: %s", i + 1, swarm[i].problem);
	}
	wait_connections(0);
	assert_int_equal(counts().served, 16 * 300);
}

/* ---- the end ---- */

static void *drain_main(void *argument)
{
	(void)edge_drain(server.edge, *(int64_t *)argument);
	return NULL;
}

static void test_drain_answers_what_it_has(void **state)
{
	int64_t timeout_ms = PATIENCE_MS;
	int idle, busy, half, late;
	pthread_t drainer;
	struct buf out;

	(void)state;
	server_start(usual);
	idle = client();
	send_request(idle, 1, &hello);
	expect_answer(idle, 1, "GET /hello 0 0 0");
	buf_init(&out, 100000);
	add_request(&out, 3, &hello);
	half = client();
	assert_true(send_all(half, out.data, out.length - 10));
	busy = client();
	send_request(busy, 1, &gate);
	send_request(busy, 2, &hello); /* waits behind it */
	gate_wait_for(1);
	wait_connections(3);
	assert_int_equal(pthread_create(&drainer, NULL, drain_main, &timeout_ms), 0);
	assert_true(ended(idle));
	late = client();
	send_request(late, 1, &hello);
	assert_true(send_all(half, out.data + out.length - 10, 10));
	expect_answer(half, 3, "GET /hello 0 0 0");
	assert_true(ended(half));
	gate_set(true);
	expect_answer(busy, 1, "GET /gate 0 0 0");
	expect_answer(busy, 2, "GET /hello 0 0 0");
	assert_true(ended(busy));
	assert_int_equal(pthread_join(drainer, NULL), 0);
	assert_int_equal(counts().connections, 0);
	assert_int_equal(counts().accepted, 3); /* late still waits for who listens next */
	edge_free(server.edge);
	server.edge = NULL;
	buf_free(&out);
	close(idle);
	close(half);
	close(busy);
	close(late);
}

static void test_drain_ends_in_time(void **state)
{
	int64_t began_us;
	int busy, half;

	(void)state;
	server_start(usual);
	half = client();
	assert_true(send_all(half, "\1", 1));
	busy = client();
	send_request(busy, 1, &gate);
	gate_wait_for(1);
	wait_connections(2);
	began_us = clock_monotonic_us();
	assert_false(edge_drain(server.edge, 300));
	assert_true(clock_monotonic_us() - began_us < 5 * CLOCK_US_PER_SECOND);
	assert_true(ended(half));
	assert_true(ended(busy)); /* cut */
	edge_free(server.edge);   /* and not freed under the worker that is still in there */
	gate_set(true);
	gate_wait_for(0);
	assert_true(edge_drain(server.edge, PATIENCE_MS)); /* now it can */
	edge_free(server.edge);
	server.edge = NULL;
	close(half);
	close(busy);
}

/* ---- listening ---- */

static int free_port(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	close(fd);
	return ntohs(name.sin_port);
}

static void test_loopback_tcp(void **state)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct edge_options options = usual;
	char where[32];
	int port = free_port(), fd, internal;

	(void)state;
	snprintf(where, sizeof(where), "127.0.0.1:%d", port);
	internal = edge_listen(where);
	assert_true(internal >= 0);
	options.internal_fd = internal;
	server_start(options);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	name.sin_port = htons((uint16_t)port);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	for (int i = 0; i < 20; i++) {
		send_request(fd, 1, &big);
		expect_answer(fd, 1, "this is line      14999 of a long text");
	}
	close(fd);
	wait_connections(0);
	close(internal);
}

static void test_listening(void **state)
{
	static const char *const refused[] = {
		"",
		"unix:",
		"unix:relative",
		"unix:/nonexistent/o.sock",
		"0.0.0.0:9000",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:0",
		"127.0.0.1:65536",
		"127.0.0.1:90x",
		"[::]:9000",
		"localhost:9000",
		"/run/o.sock",
		"127.0.0.1:-1",
	};
	mode_t mask = umask(0077);
	struct stat status;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(edge_listen(refused[i]), -1);
	fd = edge_listen(address);
	umask(mask);
	assert_true(fd >= 0);
	assert_int_equal(stat(socket_path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
	assert_int_equal(edge_listen(address), -1); /* live */
	close(fd);
	fd = edge_listen(address); /* stale */
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(unlink(socket_path), 0);
	fd = open(socket_path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(edge_listen(address), -1); /* somebody's file */
	assert_int_equal(stat(socket_path, &status), 0);
}

static int setup_all(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/s", directory);
	snprintf(address, sizeof(address), "unix:%s", socket_path);
	return log_open("/dev/null", LOG_LEVEL_ERROR);
}

static int teardown_all(void **state)
{
	(void)state;
	return rmdir(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_request),
		TEST(test_later_takes_no_thread),
		TEST(test_later_in_pieces),
		TEST(test_later_and_the_peer_is_gone),
		TEST(test_later_and_answers_are_not_taken),
		TEST(test_laters_are_bounded),
		TEST(test_later_is_answered_before_the_end),
		TEST(test_kept_alive),
		TEST(test_padding_is_no_record),
		TEST(test_pipelined),
		TEST(test_byte_by_byte),
		TEST(test_large_bodies),
		TEST(test_bodies_over_the_cap),
		TEST(test_large_answer),
		TEST(test_defects_reach_the_handler),
		TEST(test_other_roles),
		TEST(test_not_fastcgi),
		TEST(test_peers_that_leave),
		TEST(test_slow_sender_is_cut),
		TEST(test_idle_connection_is_closed),
		TEST(test_peer_that_does_not_read),
		TEST(test_idle_connections_cost_no_worker),
		TEST(test_no_more_than_connections_max),
		TEST(test_unproven_connections_keep_none_out),
		TEST(test_unproven_connections_have_time_to_write),
		TEST(test_half_requests_keep_nobody_out),
		TEST(test_swarm),
		TEST(test_drain_answers_what_it_has),
		TEST(test_drain_ends_in_time),
		TEST(test_loopback_tcp),
		TEST(test_listening),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
