#define _GNU_SOURCE /* memfd_create */
#include "ctl/client_program.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/system_user.h"
#include "ctl/ctl.h"
#include "ctl/program.h"
#include "db/hosts.h"

#define LOGIN_MAX 16384

/* Adds name="value" in the escapes of MariaDB's option files. */
static void add_option(struct buf *out, const char *name, const char *value)
{
	if (*value == '\0')
		return;
	buf_printf(out, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			buf_add_char(out, '\\');
		if (*value == '\n')
			buf_add_text(out, "\\n");
		else
			buf_add_char(out, *value);
	}
	buf_add_text(out, "\"\n");
}

/* Returns an unnamed file with the login, which the started program has too; -1 without memory, or a primary. */
static int login_file(const struct db_options *login)
{
	const int fd = memfd_create("login", 0);
	struct primary_host host = {.port = login->port};
	struct buf text;
	bool done;

	if (!hosts_primary(login, &host))
		return -1;
	buf_init(&text, LOGIN_MAX);
	buf_add_text(&text, "[client]\n");
	add_option(&text, "user", login->user);
	add_option(&text, "password", login->password);
	if (login->socket[0] != '\0') {
		add_option(&text, "socket", login->socket);
	} else if (login->host[0] != '\0') {
		add_option(&text, "host", host.name);
		buf_printf(&text, "port=%u\n", host.port);
		add_option(&text, "ssl-ca", login->tls_ca);
		if (login->tls_ca[0] != '\0')
			buf_add_text(&text, "ssl-verify-server-cert\n");
	}
	/* A file that others may write to is ignored. */
	done = fd >= 0 && buf_ok(&text) && fchmod(fd, 0600) == 0 &&
	       write(fd, buf_text(&text), text.length) == (ssize_t)text.length;
	buf_free(&text);
	if (done)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* Whether MariaDB lets the login in by the name of the system's user. */
static bool by_name(const struct db_options *login)
{
	return login->as_system_user && login->password[0] == '\0' &&
	       (login->socket[0] != '\0' || login->host[0] == '\0');
}

int client_program_run(const struct db_options *login, const char *name, const char *older,
                       const char *const *arguments, int in, int out)
{
	const bool entered = by_name(login) && system_user_enter(login->user);
	const char *words[CLIENT_ARGUMENTS_MAX + 3] = {name};
	const struct program p = {.words = words, .in = in, .out = out, .error = STDERR_FILENO};
	const int fd = login_file(login); /* of the user who is to read it */
	char option[64];
	int status = -1;

	(void)snprintf(option, sizeof(option), "--defaults-file=/dev/fd/%d", fd);
	words[1] = option;
	for (int i = 0; i < CLIENT_ARGUMENTS_MAX && arguments[i] != NULL; i++)
		words[i + 2] = arguments[i];
	if (fd >= 0)
		status = program_run(&p);
	if (fd >= 0 && status < 0) {
		words[0] = older;
		status = program_run(&p);
	}
	if (entered)
		system_user_leave();
	if (fd < 0)
		return ctl_fail("no memory for the login of %s", name);
	(void)close(fd);
	if (status < 0)
		return ctl_fail("%s cannot be run: apt-get install mariadb-client", name);
	return status == 0 ? CTL_OK : ctl_fail("%s failed", name);
}
