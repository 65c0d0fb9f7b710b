#include "ledger/command.h"

#include <string.h>

#include "base/check.h"
#include "base/digest.h"

#define PIECES_MAX 64

/* What is hashed, each piece behind its length so that no two requests run together. */
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

void command_fingerprint(struct command *c)
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
	default:
		UNREACHABLE("a command that cannot carry a request id");
	}
	digest_sha256_pieces(p.piece, p.count, digest);
	memcpy(c->fingerprint, digest, sizeof(c->fingerprint));
}

/* Who can be the customer's own provider, in the order in which their keys are preferred; the bits are
 * part of the database (accounts.byok): append only.  Prefixes of model names, "" where none is typical. */
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
