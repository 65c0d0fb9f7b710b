#include "routes/grace.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hex.h"
#include "routes/api/render.h"
#include "routes/shared_keys.h"

#define PLACE_BYTES 16
#define PLACE_LENGTH (2 * PLACE_BYTES)
#define SIGNATURE_LENGTH 43 /* base64url of 32 bytes */
#define RECORD_MAX 16
#define SIGNED_MAX 512
#define TIME_MAX_S INT64_C(100000000000) /* the year 5138 */

static const char *const grace_members[] = {"place", "used", NULL};
static const char *const used_members[] = {
	"serial", "limitMicros", "endsAt", "signature", "micros", "priceVersion", NULL,
};

/* ---- the request ------------------------------------------------------------------------------------ */

static void parse_grace_use(struct parse *p, const struct json *record, struct command *command,
                            struct grace_claim *claim)
{
	struct command_grace *used = &command->authorize.used;
	struct parse inner;

	parse_record(&inner, p->request, record, used_members);
	for (size_t i = 0; used_members[i] != NULL; i++)
		parse_need(&inner, used_members[i]);
	used->serial = parse_int(&inner, "serial", 1, INT64_MAX, 1);
	claim->limit_micros = parse_int(&inner, "limitMicros", 0, INT64_MAX, 0);
	claim->ends_at_s = parse_int(&inner, "endsAt", 0, TIME_MAX_S, 0);
	claim->signature = parse_text(&inner, "signature", SIGNATURE_LENGTH, SIGNATURE_LENGTH);
	used->ends_at_us = claim->ends_at_s * CLOCK_US_PER_SECOND;
	used->micros = parse_int(&inner, "micros", 0, MONEY_AMOUNT_MAX_MICROS, 0);
	used->price_version = parse_int(&inner, "priceVersion", 0, INT64_MAX, 0);
	if (!parse_ok(&inner))
		parse_inner(p, &inner, "grace", "used");
}

static void parse_grace_place(struct parse *p, struct command *command)
{
	const char *place = parse_text(p, "place", PLACE_LENGTH, PLACE_LENGTH);
	unsigned char bytes[PLACE_BYTES];

	parse_need(p, "place");
	if (place != NULL && (strlen(place) != PLACE_LENGTH || !hex_read(place, bytes, PLACE_BYTES)))
		parse_wrong(p, "place", PARSE_PLACE);
	command->authorize.place = place;
}

void grace_parse(struct parse *p, struct command *command, struct grace_claim *claim)
{
	const struct json *record = parse_map(p, "grace", RECORD_MAX), *used;
	struct parse inner;

	*claim = (struct grace_claim){.signature = NULL};
	if (record == NULL)
		return;
	parse_record(&inner, p->request, record, grace_members);
	parse_grace_place(&inner, command);
	used = parse_map(&inner, "used", RECORD_MAX);
	if (!parse_ok(&inner))
		parse_inner(p, &inner, "grace", NULL);
	else if (used != NULL)
		parse_grace_use(p, used, command, claim);
}

/* ---- the signature ---------------------------------------------------------------------------------- */

/* Signs the fields as text.  Neither an account's id nor a place has a blank. */
static bool sign_grace(const unsigned char key[DIGEST_BYTES], const struct command *command, int64_t serial,
                       int64_t limit_micros, int64_t ends_at_s, char signature[SIGNATURE_LENGTH + 1])
{
	unsigned char digest[DIGEST_BYTES];
	char text[SIGNED_MAX];
	const int length =
		snprintf(text, sizeof(text), "octroi grace 1 %s %s %lld %lld %lld", command->account_id,
	                 command->authorize.place, (long long)serial, (long long)limit_micros, (long long)ends_at_s);

	CHECK(length > 0 && (size_t)length < sizeof(text));
	if (digest_hmac_sha256(key, DIGEST_BYTES, text, (size_t)length, digest) < 0)
		return false;
	CHECK(digest_base64url(digest, sizeof(digest), signature) == SIGNATURE_LENGTH);
	return true;
}

bool grace_admit(struct call *c, const struct command *command, const struct grace_claim *claim)
{
	const struct command_grace *used = &command->authorize.used;
	char signature[SIGNATURE_LENGTH + 1];
	unsigned char key[DIGEST_BYTES];

	if (command->authorize.place == NULL || (claim->signature == NULL && c->config->outage_grace == 0))
		return true;
	if (!shared_keys_find(c, SECRET_GRACE, key))
		return false;
	if (claim->signature == NULL)
		return true;
	if (!sign_grace(key, command, used->serial, claim->limit_micros, claim->ends_at_s, signature)) {
		render_outcome(c, OUTCOME_UNAVAILABLE);
		return false;
	}
	if (strlen(claim->signature) == SIGNATURE_LENGTH && digest_equal(claim->signature, signature, SIGNATURE_LENGTH))
		return true;
	render_outcome(c, OUTCOME_GRACE_REFUSED);
	return false;
}

/* ---- the answer ------------------------------------------------------------------------------------- */

void grace_put(struct json_writer *w, const struct call *c, const struct command *command)
{
	const struct answer_grace *g = &command->answer.grace;
	const int64_t ends_at_s = g->ends_at_us / CLOCK_US_PER_SECOND;
	char signature[SIGNATURE_LENGTH + 1];
	unsigned char key[DIGEST_BYTES];

	/* A repeated answer says nothing of graces. */
	if (command->authorize.place == NULL || command->authorize.used.serial > 0 || command->answer.replayed)
		return;
	if (g->serial == 0 || !shared_keys_known(c->shared_keys, SECRET_GRACE, key) ||
	    !sign_grace(key, command, g->serial, g->limit_micros, ends_at_s, signature)) {
		json_put_null(w, "grace");
		return;
	}
	json_open_record(w, "grace");
	json_put_int(w, "serial", g->serial);
	json_put_int(w, "limitMicros", g->limit_micros);
	json_put_int(w, "bookedMicros", g->booked_micros);
	json_put_int(w, "endsAt", ends_at_s);
	json_put_int(w, "seconds", g->left_us / CLOCK_US_PER_SECOND);
	json_put_text(w, "signature", signature);
	json_close_record(w);
}
