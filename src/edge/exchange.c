#include "edge/exchange.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "edge/frame.h"

#define ARENA_MAX ((size_t)1024 * 1024)
#define ANSWER_MAX (RESPONSE_BODY_MAX + RESPONSE_HEADERS_MAX + 4096)
#define ANSWER_KEPT_BYTES ((size_t)64 * 1024)

struct exchanges {
	int threads, later_max;
	/* under the lock */
	struct lock lock;
	struct signal_cond back; /* all taken ones are back */
	struct exchange *free;
	int made;  /* at least threads + left */
	int taken; /* left ones included */
	int left;
};

struct exchange *exchange_new(void)
{
	struct exchange *x = memory_part("exchange", sizeof(*x));

	if (x == NULL)
		return NULL;
	response_init(&x->response);
	buf_init(&x->answer, ANSWER_MAX);
	x->fcgi = fcgi_new();
	x->arena = arena_new(ARENA_MAX);
	if (x->fcgi != NULL && x->arena != NULL)
		return x;
	if (x->arena == NULL)
		memory_missing("exchange");
	exchange_free(x);
	return NULL;
}

void exchange_free(struct exchange *x)
{
	if (x == NULL)
		return;
	fcgi_free(x->fcgi);
	arena_free(x->arena);
	response_free(&x->response);
	buf_free(&x->answer);
	free(x);
}

/* Builds the request from the parameters and the body that libfcgi holds. */
static int build(struct exchange *x, size_t length, bool whole)
{
	/* A body is never longer than its request.  One byte over FRAME_BODY_MAX shows that the body is too big. */
	size_t max = length < FRAME_BODY_MAX ? length : FRAME_BODY_MAX + 1;
	char *body = arena_alloc(x->arena, max + 1);
	size_t body_length;

	if (body == NULL)
		return -1;
	body_length = fcgi_body(x->fcgi, body, max);
	return request_build(&x->request, fcgi_parameters(x->fcgi), body, whole ? body_length : FRAME_BODY_MAX + 1);
}

int exchange_begin(struct exchange *x, struct fcgi_reqbuf *reqbuf, struct connection *c, const unsigned char *bytes,
                   size_t length, bool whole)
{
	if (fcgi_begin(x->fcgi, reqbuf, bytes, length) < 0)
		return -1;
	x->connection = c;
	x->request = (struct request){
		.arena = x->arena,
		.listener = c->listener,
		.received_us = c->received_us,
	};
	response_reset(&x->response);
	if (build(x, length, whole) == 0)
		return 0;
	log_event(LOG_LEVEL_ERROR, "request_memory_failed", LOG_NUMBER("bytes", (int64_t)length));
	(void)exchange_end(x);
	return -1;
}

int exchange_answer(struct exchange *x)
{
	buf_reset(&x->answer);
	(void)response_render(&x->response, x->request.id, &x->answer);
	if (!buf_ok(&x->answer))
		return -1;
	return fcgi_answer(x->fcgi, x->connection->fd, buf_text(&x->answer), x->answer.length);
}

bool exchange_end(struct exchange *x)
{
	bool keep = fcgi_end(x->fcgi);

	arena_reset(x->arena);
	if (x->answer.capacity > ANSWER_KEPT_BYTES)
		buf_free(&x->answer);
	return keep;
}

/* Adds an exchange to the pool.  False, logged, when memory is short. */
static bool pool_grow(struct exchanges *pool)
{
	struct exchange *x = exchange_new();

	lock_assert_held(&pool->lock);
	if (x == NULL)
		return false;
	x->next_free = pool->free;
	pool->free = x;
	pool->made++;
	return true;
}

struct exchanges *exchanges_new(int threads, int later_max)
{
	struct exchanges *pool = memory_part("exchanges", sizeof(*pool));

	if (pool == NULL)
		return NULL;
	lock_init(&pool->lock);
	cond_init(&pool->back);
	pool->threads = threads;
	pool->later_max = later_max;
	lock_take(&pool->lock);
	while (pool->made < threads && pool_grow(pool))
		;
	lock_give(&pool->lock);
	if (pool->made == threads)
		return pool;
	exchanges_free(pool);
	return NULL;
}

void exchanges_free(struct exchanges *pool)
{
	if (pool == NULL)
		return;
	CHECK(pool->taken == 0);
	while (pool->free != NULL) {
		struct exchange *x = pool->free;

		pool->free = x->next_free;
		exchange_free(x);
	}
	cond_destroy(&pool->back);
	lock_destroy(&pool->lock);
	free(pool);
}

struct exchange *exchanges_take(struct exchanges *pool)
{
	struct exchange *x;

	lock_take(&pool->lock);
	x = pool->free;
	CHECK(x != NULL);
	pool->free = x->next_free;
	pool->taken++;
	lock_give(&pool->lock);
	return x;
}

bool exchanges_leave(struct exchanges *pool, struct exchange *x)
{
	lock_take(&pool->lock);
	x->left = pool->left < pool->later_max && (pool->made > pool->threads + pool->left || pool_grow(pool));
	pool->left += x->left ? 1 : 0;
	lock_give(&pool->lock);
	return x->left;
}

void exchanges_give(struct exchanges *pool, struct exchange *x)
{
	lock_take(&pool->lock);
	pool->left -= x->left ? 1 : 0;
	x->left = false;
	x->next_free = pool->free;
	pool->free = x;
	pool->taken--;
	if (pool->taken == 0)
		cond_broadcast(&pool->back);
	lock_give(&pool->lock);
}

bool exchanges_back_until(struct exchanges *pool, int64_t deadline_us)
{
	bool back;

	lock_take(&pool->lock);
	while (pool->taken > 0 && cond_wait_until(&pool->back, &pool->lock, deadline_us))
		;
	back = pool->taken == 0;
	lock_give(&pool->lock);
	return back;
}
