/* A FastCGI byte stream over a socket to a channel: whole, and cut at places that the input says.  Both begin the same
 * first request, which is the one that a reading of its own finds in the records.  The records that come back are the
 * answers that were written, and an answer that is not whole has no end.  A client that goes is told once.  At the end
 * there is no request left, and no byte of a body is counted. */
#include "fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "edge/frame.h"
#include "meter/channel.h"

#define BODY_MAX 3000
#define ANSWER_MAX ((size_t)1024 * 255)
#define PIECE ((size_t)16 * 1024)
#define INPUT_MAX ((size_t)64 * 1024)
#define REQUESTS_MAX 8
#define HEAD_BYTES 3 /* of the input: how, cut, answer */

enum record_type { END = 3, PARAMETERS = 4, BODY = 5, STDOUT = 6 };
enum how { AT_ONCE, LATER, BROKEN, LEFT };

struct play {
	struct channels *channels;
	struct channel *channel; /* with a request that has not ended */
	enum how how;
	size_t answer, written; /* of each answer; of this one */
	int begun, ended, whole, gone;
	/* Of the first request. */
	enum channel_defect defect;
	struct buf parameters, body;
	/* Of the client. */
	struct buf got;
};

static char answer_bytes[ANSWER_MAX];
static struct loop *loop;
static int listen_fd, other_fd = -1;
static struct sockaddr_un address;
static socklen_t address_length;

/* ---- the meter's side ------------------------------------------------------------------------ */

static void end_request(struct play *p)
{
	struct channel *c = p->channel;

	p->channel = NULL;
	p->written = 0;
	p->ended++;
	if (p->how == BROKEN)
		channel_break(c);
	else
		p->whole++;
	channel_end(c);
}

static void write_on(struct play *p)
{
	while (p->written < p->answer && !channel_is_full(p->channel)) {
		const size_t left = p->answer - p->written, part = left < PIECE ? left : PIECE;

		channel_write(p->channel, answer_bytes + p->written, part);
		p->written += part;
	}
	if (p->written == p->answer)
		end_request(p);
}

static void keep_first(struct play *p, struct channel *c, const char *const *parameters)
{
	for (; *parameters != NULL; parameters++) {
		buf_add_text(&p->parameters, *parameters);
		buf_add_char(&p->parameters, '\n');
	}
	buf_add(&p->body, channel_body(c)->data, channel_body(c)->length);
}

static void *begin(void *context, struct channel *c, const char *const *parameters, enum channel_defect defect)
{
	struct play *p = context;

	MUST(p->channel == NULL && channels_busy(p->channels) == 1);
	MUST(defect == CHANNEL_SOUND || channel_body(c)->length == 0);
	if (p->begun++ == 0) {
		p->defect = defect;
		keep_first(p, c, parameters);
	}
	channel_drop_body(c);
	p->channel = c;
	if (p->how == AT_ONCE || p->how == BROKEN)
		write_on(p);
	return p->channel != NULL ? p : NULL;
}

static void end_gone(struct play *p)
{
	p->ended++;
	p->written = 0;
	channel_end(p->channel);
	p->channel = NULL;
}

static void gone(void *request)
{
	struct play *p = request;

	MUST(p->channel != NULL && p->gone++ == p->ended - p->whole);
	if (p->how != LEFT)
		end_gone(p);
}

static void room(void *request)
{
	struct play *p = request;

	MUST(p->channel != NULL && !channel_is_full(p->channel));
	write_on(p);
}

/* ---- the client's side ----------------------------------------------------------------------- */

static void listen_somewhere(void)
{
	const struct sockaddr_un any = {.sun_family = AF_UNIX};

	loop = loop_new();
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	MUST(loop != NULL && listen_fd >= 0);
	/* Without a path, Linux gives the socket a name of its own. */
	MUST(bind(listen_fd, (const struct sockaddr *)&any, sizeof(sa_family_t)) == 0 && listen(listen_fd, 8) == 0);
	address_length = sizeof(address);
	MUST(getsockname(listen_fd, (struct sockaddr *)&address, &address_length) == 0);
	for (size_t i = 0; i < sizeof(answer_bytes); i++)
		answer_bytes[i] = (char)(i * 7 + i / 256);
}

/* Lets the channel do what there is to do, and reads what it has written.  False once it has closed. */
static bool turn(struct play *p, int fd)
{
	char bytes[65536];
	ssize_t count;

	for (;;) {
		loop_wait(loop, 0, NULL);
		count = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (count <= 0)
			break;
		buf_add(&p->got, bytes, (size_t)count);
	}
	return count < 0 && errno == EAGAIN;
}

static void send_in_parts(struct play *p, int fd, const uint8_t *bytes, size_t length, size_t part)
{
	bool open = turn(p, fd);

	for (size_t at = 0; at < length && open && p->begun < REQUESTS_MAX; at += part) {
		const size_t size = length - at < part ? length - at : part;

		/* A channel reads no further while its request is under way. */
		if (send(fd, bytes + at, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size)
			return;
		open = turn(p, fd);
		if (p->how == LATER && p->channel != NULL) {
			write_on(p);
			open = turn(p, fd);
		}
	}
}

/* One connection, from its first byte to its end. */
static void play(struct play *p, const uint8_t *bytes, size_t length, size_t part)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && connect(fd, (const struct sockaddr *)&address, address_length) == 0);
	send_in_parts(p, fd, bytes, length, part);
	close(fd);
	for (int i = 0; i < 4; i++) {
		loop_wait(loop, 0, NULL);
		channels_tick(p->channels);
	}
	if (p->how == LEFT && p->channel != NULL) {
		/* The provider is still read. */
		channel_write(p->channel, answer_bytes, PIECE);
		MUST(p->gone == 1 && !channel_is_full(p->channel));
		end_gone(p);
	}
	MUST(p->channel == NULL && channels_busy(p->channels) == 0);
	MUST(p->ended == p->begun && p->whole + p->gone <= p->ended);
}

static void new_play(struct play *p, enum how how, size_t answer, size_t memory_max)
{
	const struct channel_options options = {.listen_fd = listen_fd,
	                                        .channels_max = 4,
	                                        .body_max = BODY_MAX,
	                                        .memory_max = memory_max,
	                                        .begin = begin,
	                                        .gone = gone,
	                                        .room = room,
	                                        .context = p};

	*p = (struct play){.how = how, .answer = answer};
	buf_init(&p->parameters, 8 * INPUT_MAX);
	buf_init(&p->body, INPUT_MAX);
	buf_init(&p->got, 1024 * INPUT_MAX);
	p->channels = channels_new(loop, &options);
	MUST(p->channels != NULL);
}

static void free_play(struct play *p)
{
	channels_free(p->channels);
	buf_free(&p->parameters);
	buf_free(&p->body);
	buf_free(&p->got);
}

/* ---- readings of its own --------------------------------------------------------------------- */

/* Appends the content of all records of that type. */
static void gather(const uint8_t *bytes, size_t length, unsigned type, struct buf *out)
{
	for (size_t at = 0; at + 8 <= length;) {
		const size_t content = (size_t)bytes[at + 4] << 8 | bytes[at + 5];

		if (bytes[at + 1] == type)
			buf_add(out, bytes + at + 8, content);
		at += 8 + content + bytes[at + 6];
	}
}

/* Appends a line for each pair; their number. */
static int list_pairs(const struct buf *pairs, struct buf *out)
{
	const uint8_t *bytes = (const uint8_t *)buf_text(pairs);
	int count = 0;

	for (size_t at = 0; at < pairs->length; count++) {
		const size_t name = fuzz_length(bytes, &at), value = fuzz_length(bytes, &at);

		buf_add(out, bytes + at, name);
		buf_add_char(out, '=');
		buf_add(out, bytes + at + name, value);
		buf_add_char(out, '\n');
		at += name + value;
	}
	return count;
}

static bool is_same(const struct buf *a, const struct buf *b)
{
	return a->length == b->length && memcmp(buf_text(a), buf_text(b), a->length) == 0;
}

/* The first request is the one of the records, or there is none. */
static void check_first(const struct play *p, const uint8_t *bytes, size_t length, size_t memory_max)
{
	struct buf pairs, lines, body;
	size_t used = 0;
	const bool ready = frame_inspect(bytes, length, &used) == FRAME_READY;
	int count;

	buf_init(&pairs, INPUT_MAX);
	buf_init(&lines, 8 * INPUT_MAX);
	buf_init(&body, INPUT_MAX);
	gather(bytes, ready ? used : 0, PARAMETERS, &pairs);
	gather(bytes, ready ? used : 0, BODY, &body);
	count = list_pairs(&pairs, &lines);
	MUST((p->begun > 0) == (ready && count <= 512));
	if (p->begun > 0) {
		const bool fits = body.length <= BODY_MAX && body.length <= memory_max;

		MUST(is_same(&p->parameters, &lines) && (p->defect == CHANNEL_SOUND) == fits);
		MUST(!fits || is_same(&p->body, &body));
	}
	buf_free(&pairs);
	buf_free(&lines);
	buf_free(&body);
}

/* Each record is of an answer; the content goes on where it was; an answer that has ended is whole. */
static void check_answers(const struct play *p)
{
	const uint8_t *bytes = (const uint8_t *)buf_text(&p->got);
	size_t at = 0, seen = 0;
	int ends = 0;

	MUST(buf_ok(&p->got));
	while (at + 8 <= p->got.length) {
		const size_t content = (size_t)bytes[at + 4] << 8 | bytes[at + 5];
		const size_t there = p->got.length - at - 8 < content ? p->got.length - at - 8 : content;

		MUST(bytes[at] == 1 && bytes[at + 6] == 0 && (bytes[at + 1] == STDOUT || bytes[at + 1] == END));
		if (bytes[at + 1] == END) {
			MUST(seen == p->answer && content == 8);
			seen = 0;
			ends++;
		} else {
			MUST(seen + there <= p->answer && memcmp(bytes + at + 8, answer_bytes + seen, there) == 0);
			seen += there;
		}
		at += 8 + there;
	}
	MUST(ends <= p->whole && (p->how != BROKEN || ends == 0));
}

/* A body as large as all bodies may be is taken: none of before is counted any more. */
static void check_memory(struct play *p, size_t memory_max)
{
	uint8_t request[16 + 8 + 8 + BODY_MAX + 8] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1};
	const size_t size = memory_max < BODY_MAX ? memory_max : BODY_MAX;
	size_t at = 16;

	memcpy(request + at, "\1\4\0\1\0\0\0", 8);
	at += 8;
	memcpy(request + at, "\1\5\0\1", 4);
	request[at + 4] = (uint8_t)(size >> 8);
	request[at + 5] = (uint8_t)size;
	at += 8 + size;
	memcpy(request + at, "\1\5\0\1\0\0\0", 8);
	p->begun = p->ended = p->whole = p->gone = 0;
	play(p, request, at + 8, at + 8);
	MUST(p->begun == 1 && p->defect == CHANNEL_SOUND);
}

/* A second client, whose body has begun and counts as well. */
static void begin_other(bool wanted)
{
	static const char half[] = "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0"
				   "\1\4\0\1\0\0\0\0"
				   "\1\5\0\1\1\0\0\0"
				   "8 bytes.";

	if (!wanted)
		return;
	other_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(other_fd >= 0 && connect(other_fd, (const struct sockaddr *)&address, address_length) == 0);
	MUST(send(other_fd, half, sizeof(half) - 1, MSG_NOSIGNAL) == sizeof(half) - 1);
	loop_wait(loop, 0, NULL);
	loop_wait(loop, 0, NULL);
}

static void end_other(void)
{
	if (other_fd < 0)
		return;
	close(other_fd);
	other_fd = -1;
	loop_wait(loop, 0, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct play whole, cut;
	size_t memory_max, left;

	if (length < HEAD_BYTES || length > INPUT_MAX)
		return 0;
	if (loop == NULL)
		listen_somewhere();
	memory_max = (bytes[0] & 4) != 0 ? 1000 : 5000;
	left = (bytes[0] & 8) != 0 ? 8 : 0; /* bytes of the other client */
	new_play(&whole, (enum how)(bytes[0] & 3), bytes[2] * (size_t)1024, memory_max);
	play(&whole, bytes + HEAD_BYTES, length - HEAD_BYTES, length);
	check_first(&whole, bytes + HEAD_BYTES, length - HEAD_BYTES, memory_max);
	check_answers(&whole);
	free_play(&whole);
	new_play(&cut, (enum how)(bytes[0] & 3), bytes[2] * (size_t)1024, memory_max);
	begin_other(left > 0);
	play(&cut, bytes + HEAD_BYTES, length - HEAD_BYTES, (size_t)bytes[1] + 1);
	check_first(&cut, bytes + HEAD_BYTES, length - HEAD_BYTES, memory_max - left);
	check_answers(&cut);
	end_other();
	check_memory(&cut, memory_max);
	free_play(&cut);
	return 0;
}
