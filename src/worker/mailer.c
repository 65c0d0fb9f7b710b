#include "worker/mailer.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "ledger/command.h"
#include "worker/letter.h"

#define ID_MAX 400
#define UNSUBSCRIBE_MAX 2048
#define POOL_PATIENCE_US (5 * CLOCK_US_PER_SECOND)
#define MINUTE_S 60
#define HOUR_S 3600
#define JITTER_PARTS 5

/* Pauses before the repeats, in seconds: greylisting is over after minutes, a full mailbox after hours. */
static const int mail_pauses_s[] = {
	MINUTE_S, 5 * MINUTE_S, 15 * MINUTE_S, HOUR_S, 2 * HOUR_S, 4 * HOUR_S, 8 * HOUR_S, 12 * HOUR_S, 24 * HOUR_S,
};

/* "1732435200000000.0.7.0.KEY@example.com": of the row and the address's place, and of nothing else. */
static void make_id(const struct mail_claim *claim, int place, const char *from, char id[ID_MAX])
{
	char key[ID_KEY_BYTES * 2];

	(void)digest_base64url(claim->account.bytes, sizeof(claim->account.bytes), key);
	(void)snprintf(id, ID_MAX, "%lld.%lld.%lld.%d.%s%s", (long long)claim->created_at_us, (long long)claim->kind,
	               (long long)claim->number, place, key, strchr(from, '@'));
}

static void make_unsubscribe(const struct mailer_options *o, const char *account_id, char out[UNSUBSCRIBE_MAX])
{
	struct buf account;

	buf_init(&account, UNSUBSCRIBE_MAX / 2);
	buf_add_encoded(&account, account_id);
	(void)snprintf(out, UNSUBSCRIBE_MAX, "<mailto:%s?subject=unsubscribe%%20%s>%s%s%s", o->server.from,
	               buf_text(&account), o->page[0] != '\0' ? ", <" : "", o->page, o->page[0] != '\0' ? ">" : "");
	buf_free(&account);
}

static void send_to(const struct mailer_options *o, const struct mail_claim *claim, const struct letter *letter,
                    int place, const char *address, struct smtp_result *result)
{
	char id[ID_MAX], unsubscribe[UNSUBSCRIBE_MAX];

	make_id(claim, place, o->server.from, id);
	make_unsubscribe(o, claim->of_operator ? "operator" : claim->account_id, unsubscribe);
	smtp_send(&o->server,
	          &(struct smtp_mail){.to = address,
	                              .to_name = claim->name,
	                              .subject = buf_text(&letter->subject),
	                              .text = buf_text(&letter->text),
	                              .html = buf_text(&letter->html),
	                              .message_id = id,
	                              .unsubscribe = unsubscribe,
	                              .date_us = clock_wall_us()},
	          result);
}

static void note_places(const struct mailer_options *o, const struct mail_claim *claim)
{
	struct db *d = pool_take(o->pool, clock_monotonic_us() + POOL_PATIENCE_US);

	if (d == NULL)
		return;
	(void)mails_note(d, claim);
	pool_give(o->pool, d);
}

/* Sends to each address that has not had the mail; the last failure is in result.  Returns how many are left. */
static int send_all(const struct mailer_options *o, struct mail_claim *claim, const struct letter *letter,
                    struct smtp_result *result, struct mailer_counts *counts)
{
	char address[SMTP_ADDRESS_MAX + 1];
	const char *next = claim->addresses;
	int left = 0;

	for (int place = 0; place < MAILS_ADDRESSES_MAX && *next != '\0'; place++) {
		const size_t length = strcspn(next, " ");
		struct smtp_result one = {.end = SMTP_REFUSED, .error = "the address is none"};

		(void)snprintf(address, sizeof(address), "%.*s", (int)length, next);
		next += length + (next[length] == ' ' ? 1 : 0);
		if (((claim->sent_mask | claim->dead_mask) >> place & 1) != 0)
			continue;
		if (result->end == SMTP_DOWN)
			one = *result; /* as for the address before */
		else if (length <= SMTP_ADDRESS_MAX && smtp_address_valid(address))
			send_to(o, claim, letter, place, address, &one);
		claim->sent_mask |= one.end == SMTP_SENT ? INT64_C(1) << place : 0;
		claim->dead_mask |= one.end == SMTP_REFUSED ? INT64_C(1) << place : 0;
		counts->sent += one.end == SMTP_SENT ? 1 : 0;
		counts->refused += one.end == SMTP_REFUSED ? 1 : 0;
		left += one.end == SMTP_LATER || one.end == SMTP_DOWN ? 1 : 0;
		if (one.end == SMTP_SENT || one.end == SMTP_REFUSED)
			note_places(o, claim);
		if (one.end != SMTP_SENT)
			*result = one;
	}
	return left;
}

static void judge_mail(const struct mail_claim *claim, int left, struct mail_end *end, struct mailer_counts *counts)
{
	const int64_t repeats = (int64_t)(sizeof(mail_pauses_s) / sizeof(mail_pauses_s[0]));
	int64_t pause_us;
	uint32_t random;

	end->attempts = claim->attempts;
	if (left == 0) {
		end->state = claim->dead_mask == 0 ? DELIVERY_DONE : DELIVERY_FAILED;
		return;
	}
	if (claim->attempts > repeats) {
		end->state = DELIVERY_FAILED;
		counts->failed++;
		return;
	}
	digest_random(&random, sizeof(random));
	pause_us = mail_pauses_s[claim->attempts > 0 ? claim->attempts - 1 : 0] * CLOCK_US_PER_SECOND;
	end->state = DELIVERY_PENDING;
	end->wait_us = pause_us + (int64_t)(random % 1000) * (pause_us / JITTER_PARTS) / 1000;
}

static bool write_letter(const struct mailer_options *o, const struct mail_claim *claim, const struct mail_line *lines,
                         int line_count, int64_t count, struct letter *letter)
{
	return letter_write(&(struct letter_about){.account_id = claim->account_id,
	                                           .name = claim->name,
	                                           .currency = o->currency,
	                                           .page = o->page,
	                                           .unit = claim->unit,
	                                           .kind = claim->kind,
	                                           .count = count,
	                                           .french = claim->french,
	                                           .of_operator = claim->of_operator,
	                                           .lines = lines,
	                                           .line_count = line_count},
	                    letter);
}

bool mailer_send(const struct mailer_options *o, struct mail_claim *claim, struct mail_end *end, char *error,
                 struct mailer_counts *counts)
{
	struct smtp_result result = {.end = SMTP_SENT};
	struct mail_line lines[MAILS_LINES_MAX];
	struct letter letter;
	int64_t count = 0;
	int read = -1, left = 1;
	struct db *d = pool_take(o->pool, clock_monotonic_us() + POOL_PATIENCE_US);

	*counts = (struct mailer_counts){0};
	*end = (struct mail_end){.error = error};
	if (d != NULL) {
		read = mails_read(d, claim, lines, &count);
		pool_give(o->pool, d);
	}
	if (read < 0) {
		(void)snprintf(result.error, sizeof(result.error), "the alerts could not be read");
	} else {
		if (write_letter(o, claim, lines, read, count, &letter))
			left = send_all(o, claim, &letter, &result, counts);
		else
			(void)snprintf(result.error, sizeof(result.error), "out of memory");
		letter_free(&letter);
	}
	(void)snprintf(error, SMTP_ERROR_MAX, "%s", result.error);
	judge_mail(claim, left, end, counts);
	return result.end != SMTP_DOWN;
}

void mailer_test(const struct mailer_options *o, const char *address, bool french, struct smtp_result *result)
{
	const char *text = french ? "Les messages d'octroi arrivent.\r\n" : "Mail of octroi arrives.\r\n";
	const char *html = french ? "<p>Les messages d'octroi arrivent.</p>\r\n" : "<p>Mail of octroi arrives.</p>\r\n";
	unsigned char random[ID_KEY_BYTES];
	char key[ID_KEY_BYTES * 2], id[ID_MAX], unsubscribe[UNSUBSCRIBE_MAX];

	digest_random(random, sizeof(random));
	(void)digest_base64url(random, sizeof(random), key);
	(void)snprintf(id, sizeof(id), "test.%s%s", key, strchr(o->server.from, '@'));
	make_unsubscribe(o, "test", unsubscribe);
	smtp_send(&o->server,
	          &(struct smtp_mail){.to = address,
	                              .to_name = "",
	                              .subject = french ? "Un essai d'octroi" : "A test of octroi",
	                              .text = text,
	                              .html = html,
	                              .message_id = id,
	                              .unsubscribe = unsubscribe,
	                              .date_us = clock_wall_us()},
	          result);
}
