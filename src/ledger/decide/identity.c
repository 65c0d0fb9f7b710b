#include "ledger/decide/identity.h"

#include <string.h>

#include "base/check.h"
#include "base/digest.h"

/* True for a domain whose users own every spelling of their name with dots. */
static bool ignores_dots(const char *domain)
{
	return strcmp(domain, "gmail.com") == 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* True for names of letters, digits and hyphens, with a dot between them. */
static bool is_domain(const char *text)
{
	char before = '.';

	for (; *text != '\0'; before = *text++) {
		const bool hyphen = *text == '-' && before != '.', dot = *text == '.' && is_alphanumeric(before);

		if (!is_alphanumeric(*text) && !hyphen && !dot)
			return false;
	}
	return is_alphanumeric(before);
}

/* True if the text may stand before the @ without quotes: no dot first or last, and no two in a row. */
static bool is_local(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		const bool edge = i == 0 || i + 1 == length || text[i - 1] == '.';

		if (text[i] == '.' ? edge : !is_alphanumeric(text[i]) && strchr("!#$%&'*+-/=?^_`{|}~", text[i]) == NULL)
			return false;
	}
	return length > 0;
}

/* Writes email to out without blanks around it and a dot behind it, in lower case.  Returns the length, 0 when email is
 * too long. */
static size_t trim(const char *email, char out[IDENTITY_EMAIL_MAX])
{
	size_t length;

	email += strspn(email, " \t\r\n");
	length = strlen(email);
	while (length > 0 && strchr(" \t\r\n", email[length - 1]) != NULL)
		length--;
	if (length > 0 && email[length - 1] == '.')
		length--;
	if (length >= IDENTITY_EMAIL_MAX)
		length = 0;
	for (size_t i = 0; i < length; i++)
		out[i] = lower(email[i]);
	out[length] = '\0';
	return length;
}

void identity_email(const char *email, char out[IDENTITY_EMAIL_MAX])
{
	size_t at = trim(email, out), kept = 0;
	const char *domain;

	while (at > 0 && out[at - 1] != '@')
		at--;
	domain = out + at;
	if (at < 2 || !is_local(out, at - 1) || !is_domain(domain)) {
		out[0] = '\0';
		return;
	}
	if (strcmp(domain, "googlemail.com") == 0)
		domain = "gmail.com";
	CHECK(out[at - 1] == '@');
	/* The local part is shortened in place; the domain moves up behind it. */
	for (size_t i = 0; i + 1 < at && (out[i] != '+' || i == 0); i++)
		if (out[i] != '.' || !ignores_dots(domain))
			out[kept++] = out[i];
	CHECK(kept < at);
	out[kept++] = '@';
	memmove(out + kept, domain, strlen(domain) + 1);
}

bool identity_same_email(const char *a, const char *b)
{
	char one[IDENTITY_EMAIL_MAX], other[IDENTITY_EMAIL_MAX];

	identity_email(a, one);
	identity_email(b, other);
	if (one[0] == '\0' && other[0] == '\0')
		return trim(a, one) > 0 && trim(b, other) > 0 && strcmp(one, other) == 0;
	return strcmp(one, other) == 0;
}

void identity_claim(enum claim_kind kind, const char *campaign, const char *value, unsigned char out[ID_KEY_BYTES])
{
	const unsigned char number = (unsigned char)kind;
	const struct digest_piece pieces[] = {
		{"octroi claim", sizeof("octroi claim")},
		{&number, 1},
		{campaign, strlen(campaign) + 1},
		{value, strlen(value)},
	};
	unsigned char digest[DIGEST_BYTES];

	_Static_assert(ID_KEY_BYTES <= DIGEST_BYTES, "a key is a part of a digest");
	CHECK(kind == CLAIM_ACCOUNT || kind == CLAIM_EMAIL || kind == CLAIM_PERSON);
	CHECK(value[0] != '\0');
	digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(pieces[0]), digest);
	memcpy(out, digest, ID_KEY_BYTES);
}
