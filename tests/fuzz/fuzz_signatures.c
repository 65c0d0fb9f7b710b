/* Signature headers of Stripe and of Svix over a body: the verdict is what a reading of its own comes to, which does
 * not share a line with octroi's.  Without the secret nobody makes a good one, so an '@' among the headers stands for
 * what the secret's holder would have written there.  Lines: Stripe's header, Svix' id, time and signatures; the
 * body. */
#include "fuzz.h"

#include <stdio.h>

#include "base/digest.h"
#include "base/signature.h"

#define NOW_S INT64_C(1760000000)
#define STRIPE_SECRET "whsec_d0c5a1f3b7e94c2a8f6d3b1e7a5c9d2f"
#define SVIX_SECRET "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define SVIX_KEY "0123456789abcdef0123456789abcdef" /* what that is base64 of */
#define HEADER_MAX 1024
#define MADE_MAX 80

/* The secret's signature, in hexadecimal or base64. */
static void sign(const char *key, const char *id, const char *time, size_t time_length, const char *body, size_t length,
                 char made[MADE_MAX])
{
	const struct digest_piece pieces[] = {
		{id, strlen(id)}, {".", *id != '\0' ? 1 : 0}, {time, time_length}, {".", 1}, {body, length}};
	unsigned char digest[DIGEST_BYTES];

	MUST(digest_hmac_sha256_pieces(key, strlen(key), pieces, 5, digest) == 0);
	if (*id == '\0') {
		for (int i = 0; i < DIGEST_BYTES; i++)
			snprintf(made + 2 * i, 3, "%02x", digest[i]);
		return;
	}
	digest_base64url(digest, DIGEST_BYTES, made);
	for (; *made != '\0'; made++)
		*made = *made == '-' ? '+' : *made == '_' ? '/' : *made;
	memcpy(made, "=", 2);
}

/* The header with what was made in the places that are kept for it. */
static void fill(const char *header, const char *made, char out[HEADER_MAX])
{
	size_t at = 0;

	for (; *header != '\0' && at + MADE_MAX < HEADER_MAX; header++) {
		if (*header == '@')
			at += (size_t)snprintf(out + at, HEADER_MAX - at, "%s", made);
		else
			out[at++] = *header;
	}
	out[at] = '\0';
}

/* Seconds, -1 when it is not how a number is written. */
static int64_t seconds(const char *text, size_t length)
{
	char copy[16] = "", again[24];
	int64_t value;

	if (length == 0 || length > 12)
		return -1;
	memcpy(copy, text, length);
	value = strtoll(copy, NULL, 10);
	snprintf(again, sizeof(again), "%lld", (long long)value);
	return value > 0 && strlen(copy) == length && strcmp(copy, again) == 0 ? value : -1;
}

/* Whether one of the list's items is exactly this. */
static bool has_item(const char *list, char separator, const char *scheme, const char *made)
{
	char item[HEADER_MAX + 3], all[HEADER_MAX + 3];

	snprintf(item, sizeof(item), "%c%s%s%c", separator, scheme, made, separator);
	snprintf(all, sizeof(all), "%c%s%c", separator, list, separator);
	return strstr(all, item) != NULL;
}

static enum signature_verdict judge(int64_t signed_s, bool good)
{
	if (signed_s < 0)
		return SIGNATURE_MALFORMED;
	if (!good)
		return SIGNATURE_WRONG;
	return llabs(signed_s - NOW_S) <= 300 ? SIGNATURE_GOOD : SIGNATURE_STALE;
}

static void check_stripe(const char *template, const char *body, size_t length)
{
	char all[HEADER_MAX + 2] = ",", header[HEADER_MAX], made[MADE_MAX] = "";
	const char *time, *end;
	enum signature_verdict expected = SIGNATURE_MALFORMED;

	/* Its time is the first t, whose digits hold no '@'. */
	fill(template, "", header);
	memcpy(all + 1, header, strlen(header) + 1);
	time = strstr(all, ",t=");
	if (time != NULL) {
		time += 3;
		sign(STRIPE_SECRET, "", time, strcspn(time, ","), body, length, made);
	}
	fill(template, made, header);
	memcpy(all + 1, header, strlen(header) + 1);
	time = strstr(all, ",t=");
	if (time != NULL && length > 0 && strstr(all, ",v1=") != NULL && strstr(time + 3, ",t=") == NULL) {
		time += 3;
		end = strchrnul(time, ',');
		sign(STRIPE_SECRET, "", time, (size_t)(end - time), body, length, made);
		expected = judge(seconds(time, (size_t)(end - time)), has_item(header, ',', "v1=", made));
	}
	MUST(signature_stripe(STRIPE_SECRET, header, body, length, NOW_S) == expected);
	MUST(signature_stripe(STRIPE_SECRET "x", header, body, length, NOW_S) != SIGNATURE_GOOD);
	MUST(signature_stripe("short", header, body, length, NOW_S) != SIGNATURE_GOOD);
	MUST(signature_stripe("x" STRIPE_SECRET " ," STRIPE_SECRET, header, body, length, NOW_S) == expected);
}

static void check_svix(const struct signature_svix *told, const char *body, size_t length)
{
	char header[HEADER_MAX] = "", made[MADE_MAX] = "";
	struct signature_svix svix = *told;
	enum signature_verdict expected = SIGNATURE_MALFORMED;

	if (svix.signature != NULL) {
		if (svix.id[0] != '\0')
			sign(SVIX_KEY, svix.id, svix.timestamp, strlen(svix.timestamp), body, length, made);
		fill(svix.signature, made, header);
		svix.signature = header;
	}
	if (svix.signature != NULL && length > 0 && svix.id[0] != '\0' && strchr(svix.id, '.') == NULL)
		expected = judge(seconds(svix.timestamp, strlen(svix.timestamp)), has_item(header, ' ', "v1,", made));
	MUST(signature_svix(SVIX_SECRET, &svix, body, length, NOW_S) == expected);
	MUST(signature_svix("whsec_" STRIPE_SECRET, &svix, body, length, NOW_S) != SIGNATURE_GOOD);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char *text = fuzz_text(bytes, length), *rest = text;
	struct signature_svix svix = {NULL, NULL, NULL};
	const char *header = fuzz_line(&rest);
	size_t left;

	svix.id = fuzz_line(&rest);
	svix.timestamp = fuzz_line(&rest);
	svix.signature = fuzz_line(&rest);
	left = rest != NULL ? length - (size_t)(rest - text) : 0;
	check_stripe(header, rest, left);
	check_svix(&svix, rest, left);
	free(text);
	return 0;
}
