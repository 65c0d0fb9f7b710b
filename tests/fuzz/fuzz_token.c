/* A browser's token: octroi's own, which nobody without the secret can make, and an issuer's with any key set entry.
 * Where the first line can be an account, one that octroi issues for it is taken for exactly that account, until it
 * expires, and with no byte changed. */
#include "fuzz.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "routes/auth/token.h"

#define NOW_US INT64_C(1760000000000000)
#define SECRET "0123456789abcdef0123456789abcdef"

static void check_issued(struct arena *arena, const char *account, uint8_t change)
{
	const char *token = token_issue(arena, SECRET, account, account, NOW_US, 60), *whose = NULL, *member = NULL;
	const size_t length = strlen(token);
	char *other = arena_copy(arena, token, length);

	MUST(other != NULL);
	MUST(token_accept(arena, SECRET, token, length, NOW_US + 59 * CLOCK_US_PER_SECOND, &whose, &member) == 0);
	MUST(strcmp(whose, account) == 0 && strcmp(member, account) == 0);
	MUST(token_accept(arena, SECRET, token, length, NOW_US + 66 * CLOCK_US_PER_SECOND, &whose, &member) == -1);
	MUST(token_accept(arena, "x" SECRET, token, length, NOW_US, &whose, &member) == -1);
	MUST(token_accept(arena, SECRET, token, length - 1, NOW_US, &whose, &member) == -1);
	other[change * length / 256] ^= 1;
	MUST(token_accept(arena, SECRET, other, length, NOW_US, &whose, &member) == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const struct token_issuer issuer = {
		.issuer = "https://issuer.example",
		.algorithm = length % 2 == 0 ? "RS256" : "ES256",
		.audience = "",
		.parties = "",
		.account_claim = "o.id",
		.account_prefix = "",
		.member_claim = "sub",
	};
	struct arena *arena = arena_new(1024 * 1024);
	char *text = fuzz_text(bytes, length), *rest = text;
	const char *token = fuzz_line(&rest), *account, *member, *kid;
	struct token_claims claims;

	MUST(arena != NULL);
	MUST(token_accept(arena, SECRET, token, strlen(token), NOW_US, &account, &member) == -1);
	if (id_account_valid(token, strlen(token)))
		check_issued(arena, token, bytes[length - 1]);
	kid = token_key_id(arena, issuer.algorithm, token, strlen(token));
	MUST(kid == NULL || kid[0] != '\0');
	if (rest != NULL && token_accept_issued(arena, &issuer, rest, token, strlen(token), NOW_US, &claims) == 0) {
		MUST(id_account_valid(claims.account, strlen(claims.account)) && claims.person[0] != '\0');
		MUST(id_account_valid(claims.member, strlen(claims.member)) && kid != NULL);
	}
	arena_free(arena);
	free(text);
	return 0;
}
