#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/digest.h"
#include "ctl/setup/conf_edit.h"
#include "ctl/setup/setup.h"
#include "ctl/setup/setup_file.h"

#define SECRET_BYTES 32

static const char *const sockets[] = {"/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/tmp/mysql.sock"};

/* ---- values ------------------------------------------------------------------------------------ */

static int set(const struct setup *S, struct buf *text, const char *key, const char *value)
{
	if (strpbrk(value, "\r\n;#") != NULL)
		return ctl_wrong("%s: '%s' cannot stand in octroi.conf", key, value);
	if (conf_edit_set(text, key, value))
		setup_say(S, SETUP_MADE, "%s: %s = %s", S->conf, key, value);
	return CTL_OK;
}

/* Sets what was answered; what was not keeps the file's value, and gets the fallback in a file that has none. */
static int set_answer(const struct setup *S, struct buf *text, const char *key, const char *said, const char *fallback)
{
	if (said != NULL)
		return set(S, text, key, said);
	return *fallback != '\0' && !conf_edit_has(text, key) ? set(S, text, key, fallback) : CTL_OK;
}

static const char *socket_found(void)
{
	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++)
		if (access(sockets[i], F_OK) == 0)
			return sockets[i];
	return "";
}

static int set_database(const struct setup *S, struct buf *text)
{
	const struct setup_answers *a = &S->answers;
	const bool decided = a->db_host != NULL || conf_edit_has(text, "db_host") || conf_edit_has(text, "db_socket");

	if (a->db_host != NULL && a->db_socket != NULL)
		return ctl_wrong("setup: --db-host or --db-socket, not both");
	if (set_answer(S, text, "db_socket", a->db_socket, decided ? "" : socket_found()) != CTL_OK ||
	    set_answer(S, text, "db_host", a->db_host, "") != CTL_OK ||
	    set_answer(S, text, "db_name", a->db_name, "") != CTL_OK)
		return CTL_FAILED;
	return set_answer(S, text, "db_user", a->db_user, "");
}

static int set_values(const struct setup *S, struct buf *text)
{
	const struct setup_answers *a = &S->answers;

	if (set_database(S, text) != CTL_OK || set_answer(S, text, "currency", a->currency, "EUR") != CTL_OK ||
	    set_answer(S, text, "public_url", a->public_url, "") != CTL_OK ||
	    set_answer(S, text, "bonus_amount", a->bonus, "0") != CTL_OK)
		return CTL_FAILED;
	return set_answer(S, text, "bonus_campaign_cap", a->bonus_cap, "");
}

/* ---- checking ---------------------------------------------------------------------------------- */

/* Loads the text as a configuration, before any file is changed; CTL_OK, or CTL_FAILED, explained. */
static int load_text(struct setup *S, const struct buf *text)
{
	char path[64], error[CONF_ERROR_MAX];
	const int fd = memfd_create("octroi.conf", MFD_CLOEXEC);
	int result = CTL_OK;

	if (fd < 0 || !buf_ok(text) || write(fd, buf_text(text), text->length) != (ssize_t)text->length) {
		result = ctl_fail("no memory for octroi.conf");
		goto done;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config_free(&S->config);
	S->config = (struct config){0};
	if (config_load(&S->config, path, error) != 0)
		result = ctl_fail("octroi.conf as it would be: %s", error);
done:
	if (fd >= 0)
		(void)close(fd);
	return result;
}

int setup_configuration_reload(struct setup *S)
{
	char error[CONF_ERROR_MAX];

	ctl_close(S->ctl);
	config_free(&S->config);
	S->config = (struct config){0};
	if (config_load(&S->config, S->conf, error) != 0)
		return ctl_fail("%s", error);
	return CTL_OK;
}

/* ---- secrets ----------------------------------------------------------------------------------- */

int setup_configuration_secret(struct setup *S, struct buf *text, const char *name)
{
	char path[SETUP_PATH_MAX], key[64];
	unsigned char bytes[SECRET_BYTES];
	struct buf secret;
	int result = CTL_OK;

	(void)snprintf(key, sizeof(key), "%s_file", name);
	if (snprintf(path, sizeof(path), "%s/%s", S->secrets, name) >= (int)sizeof(path))
		return ctl_fail("%s: the path is too long", S->secrets);
	if (access(path, F_OK) == 0) {
		setup_say(S, SETUP_KEPT, "%s", path);
		return S->dry_run ? CTL_OK : set(S, text, key, path);
	}
	setup_say(S, SETUP_MADE, "%s: a random secret", path);
	S->conf_changed = true;
	if (S->dry_run) {
		setup_say(S, SETUP_MADE, "%s: %s = %s", S->conf, key, path);
		return CTL_OK;
	}
	digest_random(bytes, sizeof(bytes));
	buf_init(&secret, SETUP_FILE_MAX);
	buf_add_hex(&secret, bytes, sizeof(bytes));
	buf_add_char(&secret, '\n');
	if (setup_file_directory(S->secrets, SETUP_SECRET) != CTL_OK ||
	    setup_file_write(path, &secret, SETUP_SECRET) != CTL_OK)
		result = CTL_FAILED;
	buf_free(&secret);
	return result == CTL_OK ? set(S, text, key, path) : result;
}

/* ---- the step ---------------------------------------------------------------------------------- */

int setup_configuration_store(struct setup *S, const struct buf *before, const struct buf *text)
{
	if (load_text(S, text) != CTL_OK)
		return CTL_FAILED;
	if (strcmp(buf_text(before), buf_text(text)) == 0) {
		if (!S->conf_changed)
			setup_say(S, SETUP_KEPT, "%s", S->conf);
		return S->dry_run ? CTL_OK : setup_configuration_reload(S);
	}
	S->conf_changed = true;
	if (S->dry_run)
		return CTL_OK;
	return setup_file_write(S->conf, text, SETUP_SECRET) != CTL_OK ? CTL_FAILED : setup_configuration_reload(S);
}

int setup_configuration(struct setup *S)
{
	struct buf before, text;
	int result = CTL_FAILED;

	buf_init(&before, SETUP_FILE_MAX);
	buf_init(&text, SETUP_FILE_MAX);
	if (setup_file_read(S->conf, &before) != CTL_OK)
		goto done;
	buf_add_text(&text, buf_text(&before));
	if (before.length == 0)
		buf_add_text(&text, "# octroi's configuration: lines of key = value, as octroi.conf(5) has them.\n");
	if (set_values(S, &text) != CTL_OK || load_text(S, &text) != CTL_OK)
		goto done;
	if (S->config.token_secret[0] == '\0' && setup_configuration_secret(S, &text, "token_secret") != CTL_OK)
		goto done;
	result = setup_configuration_store(S, &before, &text);
done:
	buf_free(&before);
	buf_free(&text);
	return result;
}
