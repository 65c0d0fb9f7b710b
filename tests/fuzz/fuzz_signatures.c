/* Signature headers of Stripe and of Svix over a body, by someone who does not hold the secret: never good. */
#include "fuzz.h"

#include "base/signature.h"

#define NOW_S INT64_C(1760000000)
#define STRIPE_SECRET "whsec_d0c5a1f3b7e94c2a8f6d3b1e7a5c9d2f"
#define SVIX_SECRET "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

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
	MUST(signature_stripe(STRIPE_SECRET, header, rest, left, NOW_S) != SIGNATURE_GOOD);
	MUST(signature_svix(SVIX_SECRET, &svix, rest, left, NOW_S) != SIGNATURE_GOOD);
	free(text);
	return 0;
}
