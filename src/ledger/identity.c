#include "ledger/identity.h"

#include <string.h>

#include "base/digest.h"

/* Whose users own every spelling of their name with dots. */
static bool ignores_dots(const char *domain)
{
	return strcmp(domain, "gmail.com") == 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void identity_email(const char *email, char out[IDENTITY_EMAIL_MAX])
{
	size_t length, at, kept = 0;
	const char *domain;

	out[0] = '\0';
	email += strspn(email, " \t\r\n");
	length = strlen(email);
	while (length > 0 && strchr(" \t\r\n", email[length - 1]) != NULL)
		length--;
	for (at = length; at > 0 && email[at - 1] != '@';)
		at--;
	if (at < 2 || at == length || length >= IDENTITY_EMAIL_MAX)
		return;
	for (size_t i = 0; i < length; i++)
		out[i] = lower(email[i]);
	out[length] = '\0';
	domain = out + at;
	if (strcmp(domain, "googlemail.com") == 0)
		domain = "gmail.com";
	/* The local part is shortened in place; the domain moves up behind it. */
	for (size_t i = 0; i + 1 < at && (out[i] != '+' || i == 0); i++)
		if (out[i] != '.' || !ignores_dots(domain))
			out[kept++] = out[i];
	out[kept++] = '@';
	memmove(out + kept, domain, strlen(domain) + 1);
}

bool identity_same_email(const char *a, const char *b)
{
	char one[IDENTITY_EMAIL_MAX], other[IDENTITY_EMAIL_MAX];

	identity_email(a, one);
	identity_email(b, other);
	return one[0] != '\0' && strcmp(one, other) == 0;
}

/* First half of the SHA-256 of kind, campaign and value, each behind a NUL. */
static void claim_key(enum claim_kind kind, const char *campaign, const char *value, unsigned char out[ID_KEY_BYTES])
{
	const unsigned char number = (unsigned char)kind;
	const struct digest_piece pieces[] = {
		{"octroi claim", sizeof("octroi claim")},
		{&number, 1},
		{campaign, strlen(campaign) + 1},
		{value, strlen(value)},
	};
	unsigned char digest[DIGEST_BYTES];

	digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(pieces[0]), digest);
	memcpy(out, digest, ID_KEY_BYTES);
}

void identity_claims(struct command *c)
{
	char email[IDENTITY_EMAIL_MAX];
	int count = 0;

	id_request_key(c->bonus.campaign, strlen(c->bonus.campaign), c->bonus.campaign_key);
	claim_key(CLAIM_ACCOUNT, c->bonus.campaign, c->account_id, c->bonus.claim_key[count]);
	c->bonus.claim_kind[count++] = CLAIM_ACCOUNT;
	identity_email(c->bonus.email, email);
	if (email[0] != '\0') {
		claim_key(CLAIM_EMAIL, c->bonus.campaign, email, c->bonus.claim_key[count]);
		c->bonus.claim_kind[count++] = CLAIM_EMAIL;
	}
	if (c->bonus.person[0] != '\0') {
		claim_key(CLAIM_PERSON, c->bonus.campaign, c->bonus.person, c->bonus.claim_key[count]);
		c->bonus.claim_kind[count++] = CLAIM_PERSON;
	}
	c->bonus.claim_count = count;
}
