#include "meter/meter_config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const struct conf_key keys[] = {
#define KEY(type, name, fallback, low, high, help) \
	{#name, CONF_##type, CONF_FALLBACK_##type(fallback), low, high, offsetof(struct meter_config, name)},
#include "meter/meter_config.def"
#undef KEY
};

void meter_config_providers(const struct meter_config *c, struct meter_provider providers[METER_PROVIDERS])
{
	const struct meter_provider all[METER_PROVIDERS] = {
		{"openai", c->openai_url, c->openai_key, c->openai_prices, SHAPE_OPENAI, true},
		{"anthropic", c->anthropic_url, c->anthropic_key, c->anthropic_prices, SHAPE_ANTHROPIC, false},
		{"gemini", c->gemini_url, c->gemini_key, c->gemini_prices, SHAPE_GEMINI, false},
		{c->provider1_name, c->provider1_url, c->provider1_key, c->provider1_prices, SHAPE_OPENAI, false},
		{c->provider2_name, c->provider2_url, c->provider2_key, c->provider2_prices, SHAPE_OPENAI, false},
		{c->provider3_name, c->provider3_url, c->provider3_key, c->provider3_prices, SHAPE_OPENAI, false},
		{c->provider4_name, c->provider4_url, c->provider4_key, c->provider4_prices, SHAPE_OPENAI, false},
	};

	memcpy(providers, all, sizeof(all));
}

/* Letters, digits, "-" and "_", beginning with a letter. */
static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

	return name[0] != '\0' && strchr(letters, name[0]) != NULL &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_")] == '\0';
}

/* Checks the name of a further provider against those before it. */
static void check_name(struct conf_loading *g, const struct meter_provider *all, int i, const char *key)
{
	if (!is_name(all[i].name))
		(void)conf_complain(g, "%s: %s must be small letters, digits, - and _", conf_where(g, key), key);
	for (int k = 0; k < i; k++)
		if (strcmp(all[k].name, all[i].name) == 0)
			(void)conf_complain(g, "%s: %s is another provider's name", conf_where(g, key), key);
}

static void check_url(struct conf_loading *g, const char *url, const char *key)
{
	const size_t length = strlen(url);

	if (!conf_is_trusted_url(url) || strcspn(url, " \t?#@") != length)
		(void)conf_complain(g, "%s: %s must begin with https://: a key goes there", conf_where(g, key), key);
	else if (length > 0 && url[length - 1] == '/')
		(void)conf_complain(g, "%s: %s must not end with a slash", conf_where(g, key), key);
}

static void check_providers(struct conf_loading *g, const struct meter_config *c)
{
	static const char *const names[METER_PROVIDERS] = {
		"", "", "", "provider1_name", "provider2_name", "provider3_name", "provider4_name"};
	static const char *const urls[METER_PROVIDERS] = {"openai_url",    "anthropic_url", "gemini_url",
	                                                  "provider1_url", "provider2_url", "provider3_url",
	                                                  "provider4_url"};
	struct meter_provider all[METER_PROVIDERS];

	meter_config_providers(c, all);
	for (int i = 0; i < METER_PROVIDERS; i++) {
		const bool given = names[i][0] == '\0' || all[i].name[0] != '\0';

		if (given && names[i][0] != '\0')
			check_name(g, all, i, names[i]);
		if (given)
			check_url(g, all[i].url, urls[i]);
		if (strpbrk(all[i].key, " \t") != NULL)
			(void)conf_complain(g, "%s: the key beside it must not hold blanks", conf_where(g, urls[i]));
	}
}

static void check_meter(struct conf_loading *g, const void *values)
{
	static const char *const policies[] = {"close", "drain", NULL};
	static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
	static const char *const sandboxes[] = {"auto", "on", "off", NULL};
	const struct meter_config *c = values;

	conf_check_choice(g, "abort", policies, c->abort);
	conf_check_choice(g, "log_level", levels, c->log_level);
	conf_check_choice(g, "sandbox", sandboxes, c->sandbox);
	if (!conf_is_address(c->listen))
		(void)conf_complain(g, "%s: listen must be unix:/path, 127.0.0.1:port or [::1]:port, not \"%.40s\"",
		                    conf_where(g, "listen"), c->listen);
	if (strncmp(c->octroi_url, "unix:/", 6) != 0)
		check_url(g, c->octroi_url, "octroi_url");
	if (c->octroi_key[0] == '\0' || strpbrk(c->octroi_key, " \t") != NULL)
		(void)conf_complain(g, "%s: octroi_key must be an API key of octroi's, of the scope guard",
		                    conf_where(g, "octroi_key"));
	if (c->spool[0] != '/')
		(void)conf_complain(g, "%s: spool must be an absolute path, not \"%.40s\"", conf_where(g, "spool"),
		                    c->spool);
	if (c->ca_file[0] != '\0' && access(c->ca_file, R_OK) < 0)
		(void)conf_complain(g, "%s: ca_file cannot be read: %s", conf_where(g, "ca_file"), strerror(errno));
	check_providers(g, c);
}

static const struct conf_program meter = {
	.name = "octroi-meter",
	.path_default = "/etc/octroi/octroi-meter.conf",
	.path_variable = "OCTROI_METER_CONF",
	.prefix = "OCTROI_METER_",
	.keys = keys,
	.key_count = sizeof(keys) / sizeof(keys[0]),
	.size = sizeof(struct meter_config),
	.path_offset = offsetof(struct meter_config, path),
	.check = check_meter,
};

int meter_config_load(struct meter_config *c, const char *path, char error[CONF_ERROR_MAX])
{
	return conf_load(&meter, c, path, error);
}

void meter_config_free(struct meter_config *c)
{
	conf_free(&meter, c);
}
