#include "ledger/command.h"

#include <string.h>

#include "base/check.h"
#include "base/digest.h"
#include "ledger/code.h"
#include "ledger/decide/identity.h"

#define PIECES_MAX 64

/* The pieces to be hashed.  Each text follows its length, so that no two requests give the same bytes. */
struct print {
	struct digest_piece piece[PIECES_MAX];
	uint64_t number[PIECES_MAX];
	size_t count;
};

static void add_bytes(struct print *p, const void *bytes, size_t length)
{
	CHECK(p->count + 2 <= PIECES_MAX);
	p->number[p->count] = length;
	p->piece[p->count] = (struct digest_piece){&p->number[p->count], sizeof(uint64_t)};
	p->count++;
	p->piece[p->count++] = (struct digest_piece){bytes, length};
}

static void add_text(struct print *p, const char *text)
{
	add_bytes(p, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

static void add_number(struct print *p, int64_t value)
{
	CHECK(p->count < PIECES_MAX);
	p->number[p->count] = (uint64_t)value;
	p->piece[p->count] = (struct digest_piece){&p->number[p->count], sizeof(uint64_t)};
	p->count++;
}

static void add_labels(struct print *p, const struct command_labels *labels)
{
	add_text(p, labels->conversation_id);
	add_text(p, labels->message_id);
	add_text(p, labels->metadata);
}

static void add_authorize(struct print *p, const struct command *c)
{
	add_number(p, c->authorize.model_count);
	for (int i = 0; i < c->authorize.model_count; i++)
		add_text(p, c->authorize.models[i]);
	add_text(p, c->authorize.action);
	add_number(p, c->authorize.quantity);
	add_number(p, c->authorize.input_tokens);
	add_number(p, c->authorize.max_output_tokens);
	add_number(p, c->authorize.fit ? c->authorize.fit_minimum : 0);
	add_number(p, c->authorize.byok);
	add_number(p, c->authorize.ttl_us);
	add_labels(p, &c->authorize.labels);
}

static void add_transaction(struct print *p, const struct command *c)
{
	add_number(p, c->transaction.type);
	add_number(p, c->transaction.amount_micros);
	add_number(p, c->transaction.expires_at_us);
	add_number(p, c->transaction.priority);
	add_text(p, c->transaction.description);
	add_text(p, c->transaction.reference);
	add_text(p, c->transaction.metadata);
}

static void fingerprint(struct command *c)
{
	unsigned char digest[DIGEST_BYTES];
	struct print p = {.count = 0};

	add_number(&p, c->kind);
	add_text(&p, c->member);
	switch (c->kind) {
	case COMMAND_AUTHORIZE:
		add_authorize(&p, c);
		break;
	case COMMAND_CHARGE:
		add_text(&p, c->charge.action);
		add_number(&p, c->charge.quantity);
		add_labels(&p, &c->charge.labels);
		break;
	case COMMAND_TRANSACTION:
		add_transaction(&p, c);
		break;
	case COMMAND_TOPUP:
		add_number(&p, c->topup.amount_minor);
		add_number(&p, c->topup.money_micros);
		add_text(&p, c->topup.currency);
		add_number(&p, c->topup.livemode);
		break;
	case COMMAND_BONUS: /* octroi decides the amount, not the caller */
		break;
	case COMMAND_REDEEM:
		add_text(&p, c->redeem.code);
		break;
	case COMMAND_REFER:
		add_bytes(&p, c->refer.referrer.bytes, sizeof(c->refer.referrer.bytes));
		break;
	default:
		UNREACHABLE("a command that cannot carry a request id");
	}
	digest_sha256_pieces(p.piece, p.count, digest);
	memcpy(c->fingerprint, digest, sizeof(c->fingerprint));
}

void command_event_key(enum event_provider provider, const char *id, unsigned char key[ID_KEY_BYTES])
{
	const char name = (char)('0' + (int)provider);
	const struct digest_piece pieces[] = {{&name, 1}, {id, strlen(id)}};
	unsigned char digest[DIGEST_BYTES];

	digest_sha256_pieces(pieces, 2, digest);
	memcpy(key, digest, ID_KEY_BYTES);
}

int64_t command_period_seq(const char *invoice_id)
{
	unsigned char digest[DIGEST_BYTES];
	uint64_t seq = 0;

	digest_sha256(invoice_id, strlen(invoice_id), digest);
	for (int i = 0; i < 8; i++)
		seq = seq << 8 | digest[i];
	return (int64_t)(seq >> 1);
}

/* Makes the key of one of Stripe's names, zeros for none.  *name is never NULL afterwards. */
static void name_key(const char **name, unsigned char key[ID_KEY_BYTES])
{
	memset(key, 0, ID_KEY_BYTES);
	if (*name == NULL)
		*name = "";
	if (**name != '\0')
		id_request_key(*name, strlen(*name), key);
}

/* The application's request ids are one space, and those of each customer are another.  In a common space a customer,
 * which chooses its own ids, could take those that the application is about to use.  No id has a NUL, so that no two
 * spaces meet. */
static void request_key(struct command *c)
{
	static const char space[] = "customer";
	const struct digest_piece pieces[] = {
		{space, sizeof(space)}, {c->member, strlen(c->member) + 1}, {c->request_id, strlen(c->request_id)}};
	unsigned char digest[DIGEST_BYTES];

	if (!c->by_customer) {
		id_request_key(c->request_id, strlen(c->request_id), c->request_key);
		return;
	}
	digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(pieces[0]), digest);
	memcpy(c->request_key, digest, sizeof(c->request_key));
}

/* Makes the keys of a BONUS or SIGNUP. */
static void name_claims(struct command *c)
{
	char email[IDENTITY_EMAIL_MAX];
	int count = 0;

	id_request_key(c->bonus.campaign, strlen(c->bonus.campaign), c->bonus.campaign_key);
	identity_claim(CLAIM_ACCOUNT, c->bonus.campaign, c->account_id, c->bonus.claim_key[count]);
	c->bonus.claim_kind[count++] = CLAIM_ACCOUNT;
	identity_email(c->bonus.email, email);
	if (email[0] != '\0') {
		identity_claim(CLAIM_EMAIL, c->bonus.campaign, email, c->bonus.claim_key[count]);
		c->bonus.claim_kind[count++] = CLAIM_EMAIL;
	}
	if (c->bonus.person[0] != '\0') {
		identity_claim(CLAIM_PERSON, c->bonus.campaign, c->bonus.person, c->bonus.claim_key[count]);
		c->bonus.claim_kind[count++] = CLAIM_PERSON;
	}
	c->bonus.claim_count = count;
}

/* Makes the claim keys of an ACCOUNT that has a campaign and an e-mail address. */
static void name_known_claims(struct command *c)
{
	char email[IDENTITY_EMAIL_MAX] = "";

	c->account_change.has_claims = false;
	if (c->account_change.campaign != NULL && c->account_change.email != NULL)
		identity_email(c->account_change.email, email);
	if (email[0] == '\0')
		return;
	identity_claim(CLAIM_ACCOUNT, c->account_change.campaign, c->account_id, c->account_change.account_claim);
	identity_claim(CLAIM_EMAIL, c->account_change.campaign, email, c->account_change.email_claim);
	c->account_change.has_claims = true;
}

void command_prepare(struct command *c)
{
	CHECK(c->kind < COMMAND_COUNT);
	if (c->member == NULL)
		c->member = "";
	name_key(&c->payment_id, c->payment_key);
	name_key(&c->object_id, c->object_key);
	name_key(&c->event.subject, c->subject_key);
	if (c->event.id != NULL)
		command_event_key(c->event.provider, c->event.id, c->event_key);
	if (c->kind == COMMAND_BONUS || c->kind == COMMAND_SIGNUP)
		name_claims(c);
	if (c->kind == COMMAND_ACCOUNT)
		name_known_claims(c);
	if (c->kind == COMMAND_ACCOUNT && c->account_change.time_zone != NULL)
		c->account_change.zone = zone_find(c->account_change.time_zone);
	if (c->kind == COMMAND_REDEEM)
		code_key(c->redeem.code, c->redeem.code_key);
	if (c->request_id != NULL) {
		request_key(c);
		fingerprint(c);
	}
}

/* Providers for which a customer may have its own key, in the order in which keys are preferred.  The bits are
 * part of the database (accounts.byok): append only.  prefix: of model names, "" where none is typical. */
static const struct {
	const char *name, *prefix[4];
} providers[] = {
	{"anthropic", {"claude", "", "", ""}},
	{"openai", {"gpt-", "chatgpt-", "o1", "o3"}},
	{"gemini", {"gemini", "gemma", "", ""}},
	{"mistral", {"mistral", "codestral", "", ""}},
	{"deepseek", {"deepseek", "", "", ""}},
	{"xai", {"grok", "", "", ""}},
	{"cohere", {"command", "", "", ""}},
	{"groq", {"", "", "", ""}},
	{"openrouter", {"", "", "", ""}},
	{"azure", {"", "", "", ""}},
};
#define PROVIDERS (sizeof(providers) / sizeof(providers[0]))

unsigned
provider_bit(const char *provider)
{
	for (unsigned i = 0; i < PROVIDERS; i++)
		if (strcmp(providers[i].name, provider) == 0)
			return 1U << i;
	return 0;
}

const char *provider_name(unsigned bit)
{
	for (unsigned i = 0; i < PROVIDERS; i++)
		if (bit == 1U << i)
			return providers[i].name;
	return "";
}

const char *provider_of_model(const char *model)
{
	for (unsigned i = 0; i < PROVIDERS; i++)
		for (unsigned j = 0; j < 4; j++) {
			const char *prefix = providers[i].prefix[j];

			if (prefix[0] != '\0' && strncmp(model, prefix, strlen(prefix)) == 0)
				return providers[i].name;
		}
	return "";
}
