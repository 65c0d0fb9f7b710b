#include "config.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/signature.h"
#include "clients/smtp.h"
#include "prices/counts.h"
#include "prices/topup_bonus.h"

#define CONNECTIONS_DEFAULT 8
#define TOKEN_SECRET_MIN_BYTES 32
#define CURRENCY_LETTERS 3

static const struct conf_key keys[] = {
#define KEY(type, name, fallback, low, high, help) \
	{#name, CONF_##type, CONF_FALLBACK_##type(fallback), low, high, offsetof(struct config, name)},
#include "config.def"
#undef KEY
};

/* Keys whose value is one of a few words. */
#define CHOICES_MAX 4
static const struct choice {
	const char *name;
	size_t offset;
	const char *words[CHOICES_MAX + 1];
} choices[] = {
#define CHOICE(name, ...) {#name, offsetof(struct config, name), {__VA_ARGS__, NULL}},
#include "config_choices.def"
#undef CHOICE
};

/* A key that moves money: no Stripe of tests or of the demo may take its place. */
static bool is_live_key(const char *key)
{
	return strncmp(key, "sk_live_", 8) == 0 || strncmp(key, "rk_live_", 8) == 0;
}

static void people_check(struct conf_loading *g, const struct config *c)
{
	const char *url = c->jwt_jwks_url[0] != '\0' ? c->jwt_jwks_url : c->jwt_issuer;

	if (c->jwt_issuer[0] != '\0' && !conf_is_trusted_url(url))
		(void)conf_complain(g, "%s: jwt_jwks_url, or else jwt_issuer, must begin with https://",
		                    conf_where(g, c->jwt_jwks_url[0] != '\0' ? "jwt_jwks_url" : "jwt_issuer"));
	if (is_live_key(c->stripe_secret_key) && strncmp(c->stripe_api_base, "https://", 8) != 0)
		(void)conf_complain(g, "%s: stripe_api_base must begin with https:// with a live stripe_secret_key",
		                    conf_where(g, "stripe_api_base"));
	else if (c->stripe_secret_key[0] != '\0' && !conf_is_trusted_url(c->stripe_api_base))
		(void)conf_complain(g, "%s: stripe_api_base must begin with https://: the secret key goes there",
		                    conf_where(g, "stripe_api_base"));
}

/* An empty or guessable secret would make everybody's signature good. */
static void webhooks_check(struct conf_loading *g, const struct config *c)
{
	if (c->stripe_secret_key[0] != '\0' && c->stripe_webhook_secret[0] == '\0')
		(void)conf_complain(g,
		                    "%s: stripe_secret_key needs stripe_webhook_secret: payments would not be "
		                    "credited",
		                    conf_where(g, "stripe_secret_key"));
	if (c->stripe_webhook_secret[0] != '\0' &&
	    signature_check_secrets(c->stripe_webhook_secret, SIGNATURE_STRIPE) != 0)
		(void)conf_complain(g,
		                    "%s: stripe_webhook_secret must be empty or Stripe's whole whsec_…; at least 32 "
		                    "characters each",
		                    conf_where(g, "stripe_webhook_secret"));
	if (c->clerk_webhook_secret[0] != '\0' && signature_check_secrets(c->clerk_webhook_secret, SIGNATURE_SVIX) != 0)
		(void)conf_complain(
			g, "%s: clerk_webhook_secret must be empty or whsec_ and base64 of at least 24 bytes each",
			conf_where(g, "clerk_webhook_secret"));
}

/* Checks the keys of the platform, and the URLs to which they are sent. */
static void probes_check(struct conf_loading *g, const struct config *c)
{
	if (strpbrk(c->openai_api_key, " \t") != NULL)
		(void)conf_complain(g, "%s: openai_api_key must not hold blanks", conf_where(g, "openai_api_key"));
	if (strpbrk(c->anthropic_api_key, " \t") != NULL)
		(void)conf_complain(g, "%s: anthropic_api_key must not hold blanks",
		                    conf_where(g, "anthropic_api_key"));
	if (!conf_is_trusted_url(c->openai_api_base))
		(void)conf_complain(g, "%s: openai_api_base must begin with https://",
		                    conf_where(g, "openai_api_base"));
	if (!conf_is_trusted_url(c->anthropic_api_base))
		(void)conf_complain(g, "%s: anthropic_api_base must begin with https://",
		                    conf_where(g, "anthropic_api_base"));
}

/* Whether the text is "name:policy,name:policy". */
static bool policies_valid(const char *text)
{
	static const char *const policies[] = {":ignore", ":prefer", ":max", NULL};

	while (*text != '\0') {
		const size_t name = strcspn(text, ":,");
		int i = 0;

		while (policies[i] != NULL && strncmp(text + name, policies[i], strlen(policies[i])) != 0)
			i++;
		if (name == 0 || policies[i] == NULL)
			return false;
		text += name + strlen(policies[i]);
		if (*text == ',' && text[1] != '\0')
			text++;
		else if (*text != '\0')
			return false;
	}
	return true;
}

#define OPERATOR_ADDRESSES_MAX 5

static bool are_addresses(const char *text)
{
	char address[SMTP_ADDRESS_MAX + 1];
	int count = 0;

	while (*text != '\0') {
		const size_t length = strcspn(text, " ");

		if (length == 0 || length > SMTP_ADDRESS_MAX || ++count > OPERATOR_ADDRESSES_MAX)
			return false;
		(void)snprintf(address, sizeof(address), "%.*s", (int)length, text);
		if (!smtp_address_valid(address))
			return false;
		text += length + (text[length] == ' ' ? 1 : 0);
	}
	return true;
}

/* Checks the rules that a key's range cannot express. */
/* Without TLS passwords and names would be read on the way; within this machine nobody is on it. */
static void mail_check(struct conf_loading *g, const struct config *c)
{
	const bool plain = strncmp(c->smtp_url, "smtp://", 7) == 0, off = strcmp(c->smtp_tls, "off") == 0;

	if (!are_addresses(c->operator_mail))
		(void)conf_complain(g, "%s: operator_mail must be at most %d addresses with blanks between",
		                    conf_where(g, "operator_mail"), OPERATOR_ADDRESSES_MAX);
	if (c->smtp_url[0] == '\0')
		return;
	if (!plain && strncmp(c->smtp_url, "smtps://", 8) != 0)
		(void)conf_complain(g, "%s: smtp_url must begin with smtp:// or smtps://", conf_where(g, "smtp_url"));
	if (strchr(c->smtp_url, '@') != NULL)
		(void)conf_complain(g, "%s: smtp_url must not hold a user or a password: smtp_user, smtp_password",
		                    conf_where(g, "smtp_url"));
	if (off && !conf_host_is(c->smtp_url, "smtp://127.0.0.1") && !conf_host_is(c->smtp_url, "smtp://localhost") &&
	    !conf_host_is(c->smtp_url, "smtp://[::1]"))
		(void)conf_complain(g, "%s: smtp_tls may be off only for smtp:// and a server on this machine",
		                    conf_where(g, "smtp_tls"));
	if (!smtp_address_valid(c->mail_from))
		(void)conf_complain(g, "%s: mail_from must be an address such as alerts@example.com",
		                    conf_where(g, "mail_from"));
}

static void check_values(struct conf_loading *g, const void *values)
{
	const struct config *c = values;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		conf_check_choice(g, choices[i].name, choices[i].words,
		                  *(char *const *)((const char *)c + choices[i].offset));
	if (!conf_is_address(c->listen))
		(void)conf_complain(g, "%s: listen must be unix:/path, 127.0.0.1:port or [::1]:port, not \"%.40s\"",
		                    conf_where(g, "listen"), c->listen);
	if (!conf_is_address(c->listen_internal))
		(void)conf_complain(
			g, "%s: listen_internal must be unix:/path, 127.0.0.1:port or [::1]:port, not \"%.40s\"",
			conf_where(g, "listen_internal"), c->listen_internal);
	if (c->public_url[0] != '\0' && !conf_has_scheme(c->public_url))
		(void)conf_complain(g, "%s: public_url must begin with https:// or http://, not \"%.40s\"",
		                    conf_where(g, "public_url"), c->public_url);
	if (counts_read(&(struct counts){{0}}, c->estimate_counts, strlen(c->estimate_counts)) != 0)
		(void)conf_complain(g,
		                    "%s: estimate_counts must be counts such as seconds=60,images=1, in the order of "
		                    "docs/prices.md",
		                    conf_where(g, "estimate_counts"));
	if (!policies_valid(c->provider_cost))
		(void)conf_complain(g, "%s: provider_cost must be such as openrouter:prefer,other:max, not \"%.40s\"",
		                    conf_where(g, "provider_cost"), c->provider_cost);
	if (strspn(c->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != CURRENCY_LETTERS ||
	    strlen(c->currency) != CURRENCY_LETTERS)
		(void)conf_complain(g, "%s: currency must be three capital letters, not \"%.10s\"",
		                    conf_where(g, "currency"), c->currency);
	if (c->token_secret[0] != '\0' && strlen(c->token_secret) < TOKEN_SECRET_MIN_BYTES)
		(void)conf_complain(g, "%s: token_secret must be empty or at least %d characters long",
		                    conf_where(g, "token_secret"), TOKEN_SECRET_MIN_BYTES);
	if (c->topup_min > c->topup_max)
		(void)conf_complain(g, "%s: topup_min must not be larger than topup_max", conf_where(g, "topup_min"));
	if (topup_bonus_read(&(struct topup_bonus){.count = 0}, c->topup_bonus) != 0)
		(void)conf_complain(
			g,
			"%s: topup_bonus must be at most %d tiers such as 5000:5%%, 10000:10%% (rising amounts in "
			"cents, whole percents to %d), not \"%.40s\"",
			conf_where(g, "topup_bonus"), TOPUP_BONUS_TIERS_MAX, TOPUP_BONUS_PERCENT_MAX, c->topup_bonus);
	if (strpbrk(c->stripe_secret_key, " \t") != NULL)
		(void)conf_complain(g, "%s: stripe_secret_key must not hold blanks",
		                    conf_where(g, "stripe_secret_key"));
	webhooks_check(g, c);
	probes_check(g, c);
	people_check(g, c);
	mail_check(g, c);
}

static const struct conf_program program = {
	.name = "octroi",
	.path_default = "/etc/octroi/octroi.conf",
	.path_variable = "OCTROI_CONF",
	.prefix = "OCTROI_",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.size = sizeof(struct config),
	.path_offset = offsetof(struct config, path),
	.check = check_values,
};

int config_load(struct config *c, const char *path, char error[CONF_ERROR_MAX])
{
	return conf_load(&program, c, path, error);
}

void config_free(struct config *c)
{
	conf_free(&program, c);
}

void config_topup_url(const struct config *c, char url[CONFIG_URL_MAX])
{
	const size_t length = strlen(c->public_url);
	const int kept = (int)(length > 0 && c->public_url[length - 1] == '/' ? length - 1 : length);

	url[0] = '\0';
	if (c->topup_url[0] != '\0')
		snprintf(url, CONFIG_URL_MAX, "%s", c->topup_url);
	else if (length > 0)
		snprintf(url, CONFIG_URL_MAX, "%.*s/billing", kept, c->public_url);
}

int config_connections(const struct config *c)
{
	return c->db_connections > 0 ? (int)c->db_connections : CONNECTIONS_DEFAULT;
}

void config_each(const struct config *c, void (*visit)(void *context, const char *name, const char *value),
                 void *context)
{
	conf_each(&program, c, visit, context);
}

void config_each_file(const struct config *c, void (*visit)(void *context, const char *name, const char *path),
                      void *context)
{
	conf_each_file(&program, c, visit, context);
}
