#include "meter/asker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define ADDRESS_MAX 512
#define KEY_LINE_MAX 512
#define ANSWER_MAX ((size_t)1024 * 1024)
#define CONNECT_MS 2000
#define WHOLE_MS 10000

struct asker {
	struct transfers *transfers;
	char base[ADDRESS_MAX];
	char socket[ADDRESS_MAX]; /* "": none */
	char authorization[KEY_LINE_MAX];
	int64_t errors;
	struct asking *first;
};

struct asking {
	struct asker *asker;
	struct asking *next, *previous;
	struct transfer *transfer;
	asker_done *done; /* NULL: nobody waits any more */
	void *context;
	int status;
	struct buf answer;
};

struct asker *asker_new(struct transfers *transfers, const char *url, const char *key)
{
	struct asker *a = memory_part("asker", sizeof(*a));

	if (a == NULL)
		return NULL;
	a->transfers = transfers;
	if (strncmp(url, "unix:", 5) == 0) {
		(void)snprintf(a->socket, sizeof(a->socket), "%s", url + 5);
		(void)snprintf(a->base, sizeof(a->base), "http://localhost");
	} else {
		(void)snprintf(a->base, sizeof(a->base), "%s", url);
	}
	(void)snprintf(a->authorization, sizeof(a->authorization), "Authorization: Bearer %s", key);
	return a;
}

static void free_asking(struct asking *gone)
{
	if (gone->next != NULL)
		gone->next->previous = gone->previous;
	if (gone->previous != NULL)
		gone->previous->next = gone->next;
	else
		gone->asker->first = gone->next;
	buf_free(&gone->answer);
	free(gone);
}

void asker_free(struct asker *a)
{
	if (a == NULL)
		return;
	while (a->first != NULL)
		free_asking(a->first);
	explicit_bzero(a->authorization, sizeof(a->authorization));
	free(a);
}

static void note_status(void *context, int status)
{
	struct asking *asking = context;

	asking->status = status;
	buf_reset(&asking->answer);
}

static void drop_line(void *context, const char *line, size_t length)
{
	(void)context;
	(void)line;
	(void)length;
}

static bool collect_answer(void *context, const char *bytes, size_t length)
{
	struct asking *asking = context;

	buf_add(&asking->answer, bytes, length);
	return true;
}

static void hand_out(void *context, enum transfer_end end, const char *reason)
{
	struct asking *asking = context;
	char error[JSON_ERROR_MAX];
	struct json *answer = NULL;

	(void)reason;
	if (end != TRANSFER_WHOLE)
		asking->status = end == TRANSFER_NOT_SENT ? ASKER_NOT_SENT : 0;
	if (asking->status <= 0 || asking->status >= 500)
		asking->asker->errors++;
	if (asking->status > 0 && asking->answer.length > 0 && buf_ok(&asking->answer))
		answer = json_parse(asking->answer.data, asking->answer.length, false, error);
	if (asking->done != NULL)
		asking->done(asking->context, asking->status, answer);
	json_free(answer);
	free_asking(asking);
}

struct asking *asker_ask(struct asker *a, const char *path, const struct buf *body, asker_done *done, void *context)
{
	struct asking *asking = memory_part("asking", sizeof(*asking));
	char url[2 * ADDRESS_MAX];
	struct transfer_options options = {
		.method = body != NULL ? "POST" : "GET",
		.url = url,
		.socket = a->socket[0] != '\0' ? a->socket : NULL,
		.headers = {a->authorization, "Content-Type: application/json"},
		.connect_ms = CONNECT_MS,
		.whole_ms = WHOLE_MS,
		.on_status = note_status,
		.on_header = drop_line,
		.on_body = collect_answer,
		.on_end = hand_out,
		.context = asking,
	};

	if (asking == NULL)
		return NULL;
	*asking = (struct asking){.asker = a, .next = a->first, .done = done, .context = context};
	if (a->first != NULL)
		a->first->previous = asking;
	a->first = asking;
	buf_init(&asking->answer, ANSWER_MAX);
	(void)snprintf(url, sizeof(url), "%s%s", a->base, path);
	if (body != NULL) {
		options.body = malloc(body->length);
		options.body_length = body->length;
		if (options.body != NULL)
			memcpy(options.body, body->data, body->length);
	}
	if (body == NULL || options.body != NULL)
		asking->transfer = transfer_begin(a->transfers, &options);
	if (asking->transfer != NULL)
		return asking;
	free_asking(asking);
	return NULL;
}

void asker_forget(struct asking *asking)
{
	if (asking != NULL)
		asking->done = NULL;
}

int64_t asker_errors(const struct asker *a)
{
	return a->errors;
}
