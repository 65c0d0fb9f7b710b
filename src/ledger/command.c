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

static void add_number_part(struct print *p, int64_t value)
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

/* Without the grace: a use is booked under the id of the request that had no answer, which may have taken effect. */
static void add_authorize(struct print *p, const struct command *c)
{
	CHECK(c->authorize.model_count >= 0 && c->authorize.model_count <= COMMAND_MODELS_MAX);
	add_number_part(p, c->authorize.model_count);
	for (int i = 0; i < c->authorize.model_count; i++)
		add_text(p, c->authorize.models[i]);
	add_text(p, c->authorize.action);
	add_number_part(p, c->authorize.quantity);
	add_number_part(p, c->authorize.input_tokens);
	add_number_part(p, c->authorize.max_output_tokens);
	add_number_part(p, c->authorize.fit ? c->authorize.fit_minimum : 0);
	add_number_part(p, c->authorize.byok);
	add_number_part(p, c->authorize.ttl_us);
	add_labels(p, &c->authorize.labels);
	/* Not where nothing of it is said, so that a request id from before schema version 4 repeats. */
	if (counts_any(&c->authorize.counts) || c->authorize.tier != TIER_STANDARD || c->authorize.variant[0] != '\0') {
		add_bytes(p, c->authorize.counts.of, sizeof(c->authorize.counts.of));
		add_number_part(p, c->authorize.tier);
		add_text(p, c->authorize.variant);
	}
}

static void add_transaction_needs(struct print *p, const struct command *c)
{
	add_number_part(p, c->transaction.type);
	add_number_part(p, c->transaction.amount_micros);
	add_number_part(p, c->transaction.expires_at_us);
	add_number_part(p, c->transaction.priority);
	add_text(p, c->transaction.description);
	add_text(p, c->transaction.reference);
	add_text(p, c->transaction.metadata);
}

static void fingerprint(struct command *c)
{
	unsigned char digest[DIGEST_BYTES];
	struct print p = {.count = 0};

	add_number_part(&p, c->kind);
	add_text(&p, c->member);
	switch (c->kind) {
	case COMMAND_AUTHORIZE:
		add_authorize(&p, c);
		break;
	case COMMAND_CHARGE:
		add_text(&p, c->charge.action);
		add_number_part(&p, c->charge.quantity);
		add_labels(&p, &c->charge.labels);
		break;
	case COMMAND_TRANSACTION:
		add_transaction_needs(&p, c);
		break;
	case COMMAND_TOPUP:
		add_number_part(&p, c->topup.amount_minor);
		add_number_part(&p, c->topup.money_micros);
		add_text(&p, c->topup.currency);
		add_number_part(&p, c->topup.livemode);
		if (c->topup.save_card) /* so that a request id from before it repeats */
			add_number_part(&p, c->topup.save_card);
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
	/* The kind and the member's length and text, at least. */
	CHECK(p.count >= 3 && p.count <= PIECES_MAX);
	digest_sha256_pieces(p.piece, p.count, digest);
	memcpy(c->fingerprint, digest, sizeof(c->fingerprint));
}

void command_event_key(enum event_provider provider, const char *id, unsigned char key[ID_KEY_BYTES])
{
	const char name = (char)('0' + (int)provider);
	const struct digest_piece pieces[] = {{&name, 1}, {id, strlen(id)}};
	unsigned char digest[DIGEST_BYTES];

	_Static_assert(ID_KEY_BYTES <= DIGEST_BYTES, "a key is a part of a digest");
	CHECK(provider == PROVIDER_STRIPE || provider == PROVIDER_CLERK);
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

	CHECK(c->request_id[0] != '\0');
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
	CHECK(count > 0 && count <= COMMAND_CLAIMS_MAX);
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

static bool is_limit(micros limit)
{
	return limit >= COMMAND_NO_LIMIT;
}

static bool is_unit(enum account_unit unit)
{
	return unit == UNIT_MONEY || unit == UNIT_CREDIT;
}

/* The ranges that the arguments of a change by an application or a person have been parsed into. */
static void check_account(const struct command *c)
{
	const bool daily = c->account_change.set_daily_limit, monthly = c->account_change.set_monthly_limit;

	CHECK(!c->account_change.set_unit || is_unit(c->account_change.unit));
	CHECK(!c->account_change.set_mode || c->account_change.mode == MODE_PREPAID ||
	      c->account_change.mode == MODE_POSTPAID);
	/* PAST_DUE and UNPAID are the ledger's own. */
	CHECK(!c->account_change.set_status || c->account_change.status == STATUS_ACTIVE ||
	      c->account_change.status == STATUS_SUSPENDED);
	CHECK(!c->account_change.set_hard_limit || c->account_change.hard_limit_micros >= 0);
	CHECK(!c->account_change.set_soft_limit || c->account_change.soft_limit_micros >= 0);
	CHECK(!daily || is_limit(c->account_change.daily_limit_micros));
	CHECK(!monthly || is_limit(c->account_change.monthly_limit_micros));
	CHECK(c->account_change.day_micros >= 0 && c->account_change.month_micros >= 0);
}

static void check_member(const struct command *c)
{
	CHECK(!c->member_change.set_role || c->member_change.role == ROLE_MEMBER ||
	      c->member_change.role == ROLE_MANAGER);
	CHECK(!c->member_change.set_limit || is_limit(c->member_change.limit_micros));
	CHECK(!c->member_change.set_daily_limit || is_limit(c->member_change.daily_limit_micros));
	CHECK(!c->member_change.set_monthly_limit || is_limit(c->member_change.monthly_limit_micros));
}

/* The states that an event of a payment provider has been read into. */
static void check_money(const struct command *c)
{
	CHECK(c->payment_kind >= PAYMENT_OF_TOPUP && c->payment_kind <= PAYMENT_OF_PERIOD);
	CHECK(c->kind != COMMAND_PAYMENT || (unsigned)c->payment.state <= TOPUP_PAID);
	CHECK(c->kind != COMMAND_REFUND || (unsigned)c->refund.status <= REFUND_FAILED);
	CHECK(c->kind != COMMAND_STATEMENT_NOTE || c->statement_note.attempt >= 0);
	CHECK(c->kind != COMMAND_EVENT || (unsigned)c->event_only.state <= EVENT_WAITING);
	CHECK(c->kind != COMMAND_EVENT || c->event.id != NULL);
	CHECK(c->event.id == NULL || (c->event.id[0] != '\0' && c->event.created_at_us >= 0));
}

/* The amounts that octroi's configuration gives for bonuses, codes and referrals. */
static void check_gifts(const struct command *c)
{
	const bool bonus = c->kind == COMMAND_BONUS || c->kind == COMMAND_SIGNUP;

	CHECK(!bonus || (c->bonus.amount_micros >= 0 && c->bonus.cap_micros >= 0 && is_unit(c->bonus.unit)));
	CHECK(c->kind != COMMAND_REDEEM || c->redeem.guesses_max > 0);
	CHECK(c->kind != COMMAND_REFER || (c->refer.guesses_max > 0 && is_unit(c->refer.unit)));
	CHECK(c->kind != COMMAND_REFER || c->refer.reward_micros >= 0);
}

static void check_recharge(const struct command *c)
{
	if (c->kind == COMMAND_RECHARGE && c->recharge.enabled) {
		CHECK(c->recharge.below_micros > 0 && c->recharge.below_micros <= MONEY_AMOUNT_MAX_MICROS);
		CHECK(c->recharge.charge_micros > 0 && c->recharge.charge_micros <= c->recharge.cap_micros);
		CHECK(c->recharge.cap_micros <= MONEY_AMOUNT_MAX_MICROS);
	}
	CHECK(c->kind != COMMAND_RECHARGE_BEGIN || c->recharge_begin.session_key[0] != '\0');
	CHECK(c->kind != COMMAND_RECHARGE_NOTE || c->recharge_note.card[0] != '\0');
}

static void check_spending(const struct command *c)
{
	CHECK(c->kind != COMMAND_AUTHORIZE || c->authorize.model_count > 0 || c->authorize.action != NULL);
	CHECK(c->kind != COMMAND_AUTHORIZE || (c->authorize.ttl_us > 0 && c->authorize.fit_minimum >= 0));
	CHECK(c->kind != COMMAND_AUTHORIZE || (c->authorize.used.serial >= 0 && c->authorize.used.micros >= 0));
	CHECK(c->kind != COMMAND_AUTHORIZE || c->authorize.used.serial == 0 || c->authorize.place != NULL);
	CHECK(c->kind != COMMAND_SETTLE || ((unsigned)c->settle.outcome <= SETTLE_FAILED && c->settle.rest >= 0));
	CHECK(c->kind != COMMAND_EXTEND || (c->extend.ttl_us >= 0 && c->extend.max_output_tokens >= 0));
	CHECK(c->kind != COMMAND_TRANSACTION || (unsigned)c->transaction.type < TRANSACTION_COUNT);
	CHECK(c->kind != COMMAND_TRANSACTION || c->transaction.priority >= -1);
	CHECK(c->kind != COMMAND_CHECK || (c->check.input_tokens >= 0 && c->check.max_output_tokens >= 0));
	CHECK(c->kind != COMMAND_AUTHORIZE || (unsigned)c->authorize.tier < TIER_COUNT);
	CHECK(c->kind != COMMAND_SETTLE || (c->settle.tier < TIER_COUNT && c->settle.cost_pico >= 0));
}

/* The arguments have been parsed, so that a value out of its range is a bug of the caller. */
static void check_arguments(const struct command *c)
{
	CHECK(c->kind < COMMAND_COUNT);
	CHECK(c->hold_seq >= 0 && c->topup_seq >= 0 && c->statement_seq >= 0);
	/* NULL where a hold's id named the account. */
	CHECK(c->account_id == NULL || c->account_id[0] != '\0');
	/* A command that can be repeated names its account. */
	CHECK(c->request_id == NULL || c->account_id != NULL);
	CHECK(!c->by_customer || c->account_id != NULL);
	if (c->kind == COMMAND_ACCOUNT)
		check_account(c);
	if (c->kind == COMMAND_MEMBER)
		check_member(c);
	check_money(c);
	check_gifts(c);
	check_recharge(c);
	check_spending(c);
}

void command_prepare(struct command *c)
{
	check_arguments(c);
	if (c->member == NULL)
		c->member = "";
	if (c->kind == COMMAND_AUTHORIZE && c->authorize.variant == NULL)
		c->authorize.variant = "";
	if (c->kind == COMMAND_SETTLE && c->settle.variant == NULL)
		c->settle.variant = "";
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
	{"anthropic", {"claude", "", "", ""}},   {"openai", {"gpt-", "chatgpt-", "o1", "o3"}},
	{"gemini", {"gemini", "gemma", "", ""}}, {"mistral", {"mistral", "codestral", "", ""}},
	{"deepseek", {"deepseek", "", "", ""}},  {"xai", {"grok", "", "", ""}},
	{"cohere", {"command", "", "", ""}},     {"groq", {"", "", "", ""}},
	{"openrouter", {"", "", "", ""}},        {"azure", {"", "", "", ""}},
};
#define PROVIDERS (sizeof(providers) / sizeof(providers[0]))
_Static_assert(PROVIDERS <= 31, "accounts.byok has a bit for each");

unsigned provider_bit(const char *provider)
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
