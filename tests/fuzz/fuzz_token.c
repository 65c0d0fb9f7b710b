/* A browser's token: octroi's own, which nobody without the secret can make, and an issuer's with any key set entry. */
#include "fuzz.h"

#include "base/json.h"
#include "routes/token.h"

#define NOW_US INT64_C(1760000000000000)
#define SECRET "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const struct token_issuer issuer = {
		.issuer = "https://issuer.example", .algorithm = length % 2 == 0 ? "RS256" : "ES256",
		.audience = "", .parties = "", .account_claim = "o.id", .account_prefix = "", .member_claim = "sub",
	};
	struct arena *arena = arena_new(1024 * 1024);
	char *text = fuzz_text(bytes, length), *rest = text;
	const char *token = fuzz_line(&rest), *account, *member;
	struct token_claims claims;

	MUST(arena != NULL);
	MUST(token_accept(arena, SECRET, token, strlen(token), NOW_US, &account, &member) == -1);
	(void)token_key_id(arena, issuer.algorithm, token, strlen(token));
	if (rest != NULL)
		(void)token_accept_issued(arena, &issuer, rest, token, strlen(token), NOW_US, &claims);
	arena_free(arena);
	free(text);
	return 0;
}
