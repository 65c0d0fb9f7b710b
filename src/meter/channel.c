#define _GNU_SOURCE
#include "meter/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "edge/frame.h"

#define BEGIN_BYTES 8
#define END_BYTES 8
#define VERSION 1
#define KEEP_CONN 1
#define RECORD_MAX 65528
#define READ_BYTES 65536
#define HEAD_MAX (FRAME_PARAMS_MAX * 2 + READ_BYTES)
#define OUT_MAX ((size_t)2 * 1024 * 1024) /* the meter's own answers, and what libcurl delivers at once, come on top */
#define PARAMETERS_MAX 512
#define STALL_US (60 * CLOCK_US_PER_SECOND)
#define READ_US (60 * CLOCK_US_PER_SECOND)

enum record_kind { BEGIN_REQUEST = 1, ABORT_REQUEST = 2, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_SERVED, PHASE_LAST };

struct channel {
	struct loop_source source; /* first: the loop hands it back */
	struct channels *all;
	struct channel *next, *previous;
	enum phase phase;
	unsigned id;
	bool keep;
	struct buf head; /* bytes of the records up to the parameters' end */
	size_t params_end;
	struct buf body;
	enum channel_defect defect;
	/* The record of the body that is coming. */
	unsigned char header[FRAME_HEADER_BYTES];
	size_t header_length, content_left, padding_left;
	bool ends; /* that record is the last */
	struct buf out;
	size_t out_at;
	int64_t moved_us; /* of the last byte that came or was taken */
	void *request;    /* NULL: none has begun */
	bool broken;      /* nothing more can be written */
	bool halved;      /* the answer is not whole, and the client shall see it */
	bool told;        /* the request was told that the client has gone */
};

struct channels {
	struct loop *loop;
	struct channel_options options;
	struct loop_source door;
	struct channel *first;
	int count;
	int64_t busy;
	size_t body_bytes;
};

/* ---- life ------------------------------------------------------------------------------------ */

static void close_channel(struct channel *c)
{
	struct channels *C = c->all;

	CHECK(c->request == NULL);
	(void)loop_watch(C->loop, &c->source, 0);
	close(c->source.fd);
	if (c->next != NULL)
		c->next->previous = c->previous;
	if (c->previous != NULL)
		c->previous->next = c->next;
	else
		C->first = c->next;
	channel_drop_body(c);
	buf_free(&c->head);
	buf_free(&c->out);
	free(c);
	C->count--;
}

/* Makes the channel ready for the next request. */
static void begin_again(struct channel *c)
{
	channel_drop_body(c);
	buf_free(&c->head);
	buf_free(&c->out);
	c->phase = PHASE_HEAD;
	c->out_at = c->header_length = c->content_left = c->padding_left = 0;
	c->ends = c->told = false;
	c->defect = CHANNEL_SOUND;
	c->moved_us = clock_monotonic_us();
}

const struct buf *channel_body(const struct channel *c)
{
	return &c->body;
}

void channel_drop_body(struct channel *c)
{
	c->all->body_bytes -= c->body.length;
	buf_free(&c->body);
}

/* Tells the request once that the client has gone; a channel without a request is closed. */
static void lose_client(struct channel *c)
{
	c->broken = true;
	buf_reset(&c->out);
	c->out_at = 0;
	if (c->request == NULL) {
		close_channel(c);
		return;
	}
	(void)loop_watch(c->all->loop, &c->source, 0);
	if (!c->told) {
		c->told = true;
		c->all->options.gone(c->request);
	}
}

/* ---- writing --------------------------------------------------------------------------------- */

static void watch_channel(struct channel *c)
{
	uint32_t events = EPOLLRDHUP;

	if (c->phase != PHASE_LAST)
		events |= EPOLLIN;
	if (c->out.length > c->out_at)
		events |= EPOLLOUT;
	if (!c->broken && loop_watch(c->all->loop, &c->source, events) < 0)
		c->broken = true;
}

/* Writes bytes that wait, as many as the client takes.  A failure is seen by the next event. */
static void flush_channel(struct channel *c)
{
	while (!c->broken && c->out.length > c->out_at) {
		const ssize_t count = send(c->source.fd, c->out.data + c->out_at, c->out.length - c->out_at,
		                           MSG_NOSIGNAL | MSG_DONTWAIT);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (count < 0) {
			c->broken = true;
			break;
		}
		c->out_at += (size_t)count;
		c->moved_us = clock_monotonic_us();
	}
	if (c->out_at == c->out.length || c->broken) {
		buf_reset(&c->out);
		c->out_at = 0;
	}
	/* A hang-up is told by epoll whether it is watched or not, so a broken channel is found. */
	if (!c->broken)
		watch_channel(c);
}

static void put_record(struct channel *c, unsigned type, const void *content, size_t length)
{
	const unsigned char header[FRAME_HEADER_BYTES] = {
		VERSION,
		(unsigned char)type,
		(unsigned char)(c->id >> 8),
		(unsigned char)c->id,
		(unsigned char)(length >> 8),
		(unsigned char)length,
	};

	buf_add(&c->out, header, sizeof(header));
	buf_add(&c->out, content, length);
}

/* Moves the bytes that wait to the front, so that the buffer's bound is one of waiting bytes. */
static void pack_out(struct channel *c)
{
	if (c->out_at == 0)
		return;
	memmove(c->out.data, c->out.data + c->out_at, c->out.length - c->out_at);
	c->out.length -= c->out_at;
	c->out_at = 0;
}

void channel_write(struct channel *c, const void *bytes, size_t length)
{
	const char *from = bytes;

	if (c->broken)
		return;
	pack_out(c);
	for (size_t at = 0; at < length;) {
		const size_t part = length - at < RECORD_MAX ? length - at : RECORD_MAX;

		put_record(c, STDOUT, from + at, part);
		at += part;
	}
	if (!buf_ok(&c->out)) { /* no memory: half an answer would pass for a whole one */
		c->broken = true;
		(void)shutdown(c->source.fd, SHUT_RDWR);
		return;
	}
	flush_channel(c);
}

bool channel_is_full(const struct channel *c)
{
	return !c->broken && c->out.length - c->out_at > CHANNEL_WAITING_MAX;
}

void channel_break(struct channel *c)
{
	c->halved = true;
	c->keep = false;
}

/* The answer has left. */
static void end_or_begin_again(struct channel *c)
{
	if (!c->keep) {
		close_channel(c);
		return;
	}
	begin_again(c);
	watch_channel(c);
}

void channel_end(struct channel *c)
{
	static const unsigned char complete[END_BYTES] = {0};

	CHECK(c->request != NULL);
	c->request = NULL;
	c->all->busy--;
	if (c->broken) {
		close_channel(c);
		return;
	}
	pack_out(c);
	if (!c->halved) {
		put_record(c, STDOUT, "", 0);
		put_record(c, END_REQUEST, complete, sizeof(complete));
	}
	if (!buf_ok(&c->out)) {
		close_channel(c);
		return;
	}
	c->phase = PHASE_LAST;
	flush_channel(c);
	if (c->broken)
		close_channel(c);
	else if (c->out.length == 0)
		end_or_begin_again(c);
}

/* ---- the parameters -------------------------------------------------------------------------- */

/* Ends of the records before the body, which frame_inspect has found whole. */
static size_t find_params_end(const struct channel *c)
{
	const unsigned char *bytes = (const unsigned char *)c->head.data;

	for (size_t at = 0; at + FRAME_HEADER_BYTES <= c->head.length;) {
		const struct frame_record r = frame_record(bytes + at);

		at += FRAME_HEADER_BYTES + r.content_length + r.padding_length;
		if (r.type == PARAMS && r.content_length == 0)
			return at;
	}
	UNREACHABLE("the parameters are whole");
}

/* Joins the content of the parameters' records in text. */
static void join_params(const struct channel *c, struct buf *text)
{
	const unsigned char *bytes = (const unsigned char *)c->head.data;

	for (size_t at = 0; at < c->params_end;) {
		const struct frame_record r = frame_record(bytes + at);

		if (r.type == PARAMS)
			buf_add(text, bytes + at + FRAME_HEADER_BYTES, r.content_length);
		at += FRAME_HEADER_BYTES + r.content_length + r.padding_length;
	}
}

static size_t pair_length(const unsigned char **at)
{
	const unsigned char *b = *at;

	if ((b[0] & 0x80) == 0) {
		*at += 1;
		return b[0];
	}
	*at += 4;
	return (size_t)(b[0] & 0x7f) << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
}

/* Writes "NAME=value" for each pair, and points to them.  0, or -1 when there are too many. */
static int list_parameters(const struct buf *pairs, struct buf *text, const char *parameters[PARAMETERS_MAX + 1])
{
	const unsigned char *at = (const unsigned char *)buf_text(pairs), *end = at + pairs->length;
	size_t starts[PARAMETERS_MAX];
	size_t count = 0;

	while (at < end) {
		const size_t name = pair_length(&at), value = pair_length(&at);

		CHECK(name + value <= (size_t)(end - at));
		if (count == PARAMETERS_MAX)
			return -1;
		starts[count++] = text->length;
		buf_add(text, at, name);
		buf_add_char(text, '=');
		buf_add(text, at + name, value);
		buf_add(text, "", 1);
		at += name + value;
	}
	if (!buf_ok(text))
		return -1;
	for (size_t i = 0; i < count; i++)
		parameters[i] = text->data + starts[i];
	parameters[count] = NULL;
	return 0;
}

/* The request is whole: hands it over. */
static void begin_request(struct channel *c)
{
	const char *parameters[PARAMETERS_MAX + 1];
	struct buf pairs, text;
	int result;

	buf_init(&pairs, FRAME_PARAMS_MAX + 1);
	buf_init(&text, 2 * FRAME_PARAMS_MAX + PARAMETERS_MAX);
	join_params(c, &pairs);
	result = buf_ok(&pairs) ? list_parameters(&pairs, &text, parameters) : -1;
	buf_free(&c->head);
	if (result == 0) {
		c->phase = PHASE_SERVED;
		c->all->busy++;
		c->request = c; /* until begin has returned: it may end the request at once */
		void *request = c->all->options.begin(c->all->options.context, c, parameters, c->defect);
		if (request != NULL)
			c->request = request;
	}
	explicit_bzero(text.data != NULL ? text.data : (char *)&text, text.data != NULL ? text.length : 0);
	buf_free(&pairs);
	buf_free(&text);
	if (result < 0)
		close_channel(c);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Takes content of the body.  A body that is too big is read on and dropped. */
static void take_content(struct channel *c, const unsigned char *bytes, size_t length)
{
	struct channels *C = c->all;

	if (c->defect != CHANNEL_SOUND)
		return;
	if (c->body.length + length > C->options.body_max)
		c->defect = CHANNEL_BODY_TOO_BIG;
	else if (C->body_bytes + length > C->options.memory_max)
		c->defect = CHANNEL_NO_MEMORY;
	if (c->defect == CHANNEL_SOUND) {
		if (c->body.max == 0)
			buf_init(&c->body, C->options.body_max + 1);
		buf_add(&c->body, bytes, length);
		if (buf_ok(&c->body))
			C->body_bytes += length;
		else
			c->defect = CHANNEL_NO_MEMORY;
	}
	if (c->defect != CHANNEL_SOUND)
		channel_drop_body(c);
}

/* Begins the record whose header has come.  False: it is none of the body's. */
static bool begin_record(struct channel *c)
{
	const struct frame_record r = frame_record(c->header);

	c->header_length = 0;
	c->content_left = r.content_length;
	c->padding_left = r.padding_length;
	c->ends = r.type == STDIN && r.content_length == 0;
	return c->header[0] == VERSION && r.type == STDIN && r.id == c->id;
}

/* Reads records of the body.  1: the body is whole; 0: more is to come; -1: no FastCGI, or an abort. */
static int read_body_records(struct channel *c, const unsigned char *bytes, size_t length)
{
	for (size_t at = 0;;) {
		size_t part = length - at < c->content_left ? length - at : c->content_left;

		take_content(c, bytes + at, part);
		at += part;
		c->content_left -= part;
		part = length - at < c->padding_left ? length - at : c->padding_left;
		at += part;
		c->padding_left -= part;
		if (c->content_left == 0 && c->padding_left == 0 && c->ends)
			return 1;
		if (at == length)
			return 0;
		c->header[c->header_length++] = bytes[at++];
		if (c->header_length == FRAME_HEADER_BYTES && !begin_record(c))
			return -1;
	}
}

/* Reads the records before the body.  The same answers. */
static int read_head_records(struct channel *c, const unsigned char *bytes, size_t length)
{
	size_t used = 0, rest;
	enum frame_verdict verdict;

	if (c->head.max == 0)
		buf_init(&c->head, HEAD_MAX);
	buf_add(&c->head, bytes, length);
	if (!buf_ok(&c->head))
		return -1;
	verdict = frame_inspect((const unsigned char *)c->head.data, c->head.length, &used);
	if (verdict == FRAME_MORE)
		return 0;
	if (verdict != FRAME_READY && verdict != FRAME_BODY)
		return -1;
	c->id = frame_record((const unsigned char *)c->head.data).id;
	c->keep = (c->head.data[FRAME_HEADER_BYTES + 2] & KEEP_CONN) != 0;
	c->params_end = find_params_end(c);
	if (c->params_end > c->head.length) /* the padding of the last record is still coming */
		return 0;
	c->phase = PHASE_BODY;
	rest = c->head.length - c->params_end;
	return rest > 0 ? read_body_records(c, (const unsigned char *)c->head.data + c->params_end, rest) : 0;
}

/* Reads what comes while the request is served: only an abort may. */
static void read_while_served(struct channel *c)
{
	unsigned char bytes[FRAME_HEADER_BYTES];
	const ssize_t count = recv(c->source.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	lose_client(c);
}

static void read_channel(struct channel *c)
{
	unsigned char bytes[READ_BYTES];
	const ssize_t count = recv(c->source.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	int result;

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		lose_client(c);
		return;
	}
	c->moved_us = clock_monotonic_us();
	result = c->phase == PHASE_HEAD ? read_head_records(c, bytes, (size_t)count)
	                                : read_body_records(c, bytes, (size_t)count);
	if (result < 0)
		close_channel(c);
	else if (result > 0)
		begin_request(c);
}

static void channel_ready(struct loop_source *source, uint32_t events)
{
	struct channel *c = (struct channel *)source;

	if ((events & EPOLLOUT) != 0 && !c->broken) {
		flush_channel(c);
		if (!c->broken && c->phase == PHASE_LAST && c->out.length == 0) {
			end_or_begin_again(c);
			return;
		}
		if (!c->broken && c->request != NULL && !channel_is_full(c)) {
			c->all->options.room(c->request);
			return; /* the request may have ended, and the channel with it */
		}
	}
	if (c->broken || (events & (EPOLLERR | EPOLLHUP)) != 0)
		lose_client(c);
	else if (c->phase == PHASE_SERVED && (events & (EPOLLIN | EPOLLRDHUP)) != 0)
		read_while_served(c);
	else if (c->phase != PHASE_LAST && (events & (EPOLLIN | EPOLLRDHUP)) != 0)
		read_channel(c);
	else if (c->phase == PHASE_LAST && (events & EPOLLRDHUP) != 0)
		lose_client(c);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void accept_channel(struct loop_source *source, uint32_t events)
{
	struct channels *C = (struct channels *)((char *)source - offsetof(struct channels, door));
	const int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct channel *c = NULL;

	(void)events;
	if (fd < 0)
		return;
	if (C->count < C->options.channels_max)
		c = memory_part("channel", sizeof(*c));
	if (c == NULL) {
		close(fd);
		return;
	}
	c->source = (struct loop_source){.fd = fd, .ready = channel_ready};
	c->all = C;
	c->next = C->first;
	if (C->first != NULL)
		C->first->previous = c;
	C->first = c;
	C->count++;
	c->moved_us = clock_monotonic_us();
	buf_init(&c->out, OUT_MAX);
	watch_channel(c);
}

struct channels *channels_new(struct loop *l, const struct channel_options *options)
{
	struct channels *C = memory_part("channels", sizeof(*C));

	if (C == NULL)
		return NULL;
	C->loop = l;
	C->options = *options;
	C->door = (struct loop_source){.fd = options->listen_fd, .ready = accept_channel};
	if (loop_watch(l, &C->door, EPOLLIN) == 0)
		return C;
	free(C);
	return NULL;
}

void channels_drain(struct channels *C)
{
	(void)loop_watch(C->loop, &C->door, 0);
	for (struct channel *c = C->first, *next; c != NULL; c = next) {
		next = c->next;
		c->keep = false;
		if (c->request == NULL && c->phase == PHASE_HEAD)
			close_channel(c);
	}
}

void channels_free(struct channels *C)
{
	if (C == NULL)
		return;
	(void)loop_watch(C->loop, &C->door, 0);
	while (C->first != NULL) {
		C->first->request = NULL;
		close_channel(C->first);
	}
	free(C);
}

void channels_tick(struct channels *C)
{
	const int64_t now_us = clock_monotonic_us();

	for (struct channel *c = C->first, *next; c != NULL; c = next) {
		next = c->next;
		if (c->broken && !c->told && c->request != NULL)
			lose_client(c);
		else if (!c->broken && c->out.length > c->out_at && now_us - c->moved_us > STALL_US)
			lose_client(c);
		else if ((c->phase == PHASE_BODY || (c->phase == PHASE_HEAD && c->head.length > 0)) &&
		         now_us - c->moved_us > READ_US)
			close_channel(c);
	}
}

int64_t channels_busy(const struct channels *C)
{
	return C->busy;
}
