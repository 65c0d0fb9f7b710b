#include "worker/post.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "db/operator_alert.h"
#include "ledger/command.h"
#include "ledger/names.h"

#define BODY_MAX ((size_t)20 * 1000)
#define STATUS_GONE 410
#define MINUTE_S 60
#define HOUR_S 3600
#define REST_FIRST_US (5 * CLOCK_US_PER_SECOND)
#define REST_MAX_US (5 * 60 * CLOCK_US_PER_SECOND)
#define JITTER_PARTS 5 /* a pause is longer by a random part of a fifth of it */

/* Pauses before the repeats, in seconds, as Standard Webhooks advises; after the last one the delivery is given up. */
static const int pauses_s[] = {
	5, 5 * MINUTE_S, 30 * MINUTE_S, 2 * HOUR_S, 5 * HOUR_S, 10 * HOUR_S, 14 * HOUR_S, 20 * HOUR_S, 24 * HOUR_S,
};

static void write_operators(struct json_writer *w, const struct endpoint_claim *claim)
{
	char id[ID_PUBLIC_MAX];

	id_public_format(&claim->account, claim->alert.seq, id);
	json_put_text(w, "id", id);
	json_put_text(w, "kind", operator_alert_name(claim->alert.kind - OPERATOR_KIND_FIRST));
	json_put_text(w, "subject", claim->member);
	json_put_text(w, "detail", claim->detail);
	json_put_int(w, "value", claim->value);
	json_put_int(w, "bound", claim->bound);
	json_put_time(w, "createdAt", claim->alert.created_at_us);
}

void post_body(const struct endpoint_claim *claim, struct buf *body)
{
	char type[64];
	struct json_writer w;

	if (claim->alert.kind >= OPERATOR_KIND_FIRST)
		(void)snprintf(type, sizeof(type), POST_OPERATORS_PREFIX "%s",
		               operator_alert_name(claim->alert.kind - OPERATOR_KIND_FIRST));
	else
		(void)snprintf(type, sizeof(type), POST_TYPE_PREFIX "%s", names_alert(claim->alert.kind));
	json_writer_init(&w, body);
	json_open_record(&w, NULL);
	json_put_text(&w, "type", type);
	json_put_time(&w, "timestamp", claim->alert.created_at_us);
	json_open_record(&w, "data");
	if (claim->alert.kind >= OPERATOR_KIND_FIRST) {
		write_operators(&w, claim);
	} else {
		json_put_text(&w, "account", claim->account_id);
		alerts_write(&w, &claim->account, &claim->alert);
	}
	json_close_record(&w);
	json_close_record(&w);
}

/* The endpoint rests longer with each failure in a row, so that one that is dead costs little. */
static int64_t rest_after(int64_t failures)
{
	int64_t rest_us = REST_FIRST_US;

	for (int64_t i = 0; i < failures && rest_us < REST_MAX_US; i++)
		rest_us *= 2;
	return rest_us < REST_MAX_US ? rest_us : REST_MAX_US;
}

void post_judge(const struct endpoint_claim *claim, const struct webhook_result *result, uint32_t random,
                struct endpoint_end *end)
{
	const int64_t repeats = (int64_t)(sizeof(pauses_s) / sizeof(pauses_s[0]));
	int64_t pause_us;

	*end = (struct endpoint_end){
		.state = DELIVERY_DONE, .status = result->status, .took_us = result->took_us, .error = result->error};
	if (result->taken)
		return;
	end->rest_us = rest_after(claim->failures);
	if (result->retry_after_us > end->rest_us)
		end->rest_us = result->retry_after_us;
	if (result->status == STATUS_GONE || claim->attempts > repeats) {
		end->state = DELIVERY_FAILED;
		end->off =
			result->status == STATUS_GONE ? "it answered 410" : "a message failed at each of its attempts";
		return;
	}
	end->state = DELIVERY_PENDING;
	pause_us = pauses_s[claim->attempts > 0 ? claim->attempts - 1 : 0] * CLOCK_US_PER_SECOND;
	end->wait_us = pause_us + (int64_t)(random % 1000) * (pause_us / JITTER_PARTS) / 1000;
	if (end->wait_us < result->retry_after_us)
		end->wait_us = result->retry_after_us;
}

void post_delivery(const struct endpoint_claim *claim, const char *ca_file, struct webhook_result *result,
                   struct endpoint_end *end)
{
	char id[ID_PUBLIC_MAX];
	struct webhook w = {.url = claim->url,
	                    .inside = claim->inside,
	                    .ca_file = ca_file,
	                    .id = id,
	                    .secret_count = claim->secret_count};
	uint32_t random;
	struct buf body;

	id_public_format(&claim->account, claim->alert.seq, id);
	for (int i = 0; i < claim->secret_count; i++)
		memcpy(w.secrets[i].bytes, claim->secrets[i], sizeof(w.secrets[i].bytes));
	buf_init(&body, BODY_MAX);
	post_body(claim, &body);
	*result = (struct webhook_result){0};
	w.body = buf_text(&body);
	if (buf_ok(&body))
		webhook_send(&w, result);
	else
		(void)snprintf(result->error, sizeof(result->error), "out of memory");
	buf_free(&body);
	digest_random(&random, sizeof(random));
	post_judge(claim, result, random, end);
}
