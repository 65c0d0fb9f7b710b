#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/zone.h"
#include "ctl/doctor/doctor.h"

#define TOKEN_SECRET_MIN 32

/* ---- octroi.conf ----------------------------------------------------------------------------- */

static bool holds_secrets(const struct config *config)
{
	bool any = false;

#define ANY_TEXT(name)
#define ANY_NUMBER(name)
#define ANY_SWITCH(name)
#define ANY_DECIMAL(name)
#define ANY_SECRET(name) any = any || config->name[0] != '\0';
#define KEY(type, name, fallback, low, high, help) ANY_##type(name)
#include "config.def"
#undef KEY
	return any;
}

static void check_config(struct doctor *D)
{
	const struct config *config = D->ctl->config;
	struct stat s;

	if (config->path[0] == '\0') {
		doctor_say(D, "configuration", DOCTOR_OK, "", "no file: the environment and defaults");
		return;
	}
	if (stat(config->path, &s) != 0) {
		doctor_say(D, "configuration", DOCTOR_PROBLEM, "see that the file is there", "%s: %s", config->path,
		           strerror(errno));
		return;
	}
	doctor_say(D, "configuration", DOCTOR_OK, "", "%s is valid", config->path);
	if ((s.st_mode & (S_IROTH | S_IWOTH)) == 0 && (s.st_mode & S_IWGRP) == 0)
		doctor_say(D, "configuration mode", DOCTOR_OK, "", "%03o", (unsigned)s.st_mode & 0777);
	else if ((s.st_mode & (S_IWOTH | S_IWGRP)) != 0 || holds_secrets(config))
		doctor_say(D, "configuration mode", DOCTOR_PROBLEM,
		           "chown root:octroi and chmod 640 the file (shared hosting: chmod 600)",
		           "%s has mode %03o: others may read its secrets or change it", config->path,
		           (unsigned)s.st_mode & 0777);
	else
		doctor_say(D, "configuration mode", DOCTOR_WARNING, "chmod 640 the file before a secret is put there",
		           "%s has mode %03o", config->path, (unsigned)s.st_mode & 0777);
}

static void check_secret(struct doctor *D)
{
	const size_t length = strlen(D->ctl->config->token_secret);

	if (length == 0)
		doctor_say(D, "token_secret", DOCTOR_SKIPPED, "set token_secret to let browsers call",
		           "not set: no browser tokens are issued or accepted");
	else if (length < TOKEN_SECRET_MIN)
		doctor_say(D, "token_secret", DOCTOR_PROBLEM, "openssl rand -base64 48", "shorter than %d characters",
		           TOKEN_SECRET_MIN);
	else
		doctor_say(D, "token_secret", DOCTOR_OK, "", "%zu characters", length);
}

/* public_url tells octroi's own pages from those of other sites.  It matters with trust_server_params, where a browser
 * identifies its user by itself. */
static void check_origin(struct doctor *D)
{
	const struct config *config = D->ctl->config;

	if (!config->trust_server_params)
		doctor_say(D, "own pages", DOCTOR_SKIPPED, "", "trust_server_params is off");
	else if (config->public_url[0] != '\0')
		doctor_say(D, "own pages", DOCTOR_OK, "", "those of %s may change something", config->public_url);
	else
		doctor_say(D, "own pages", DOCTOR_WARNING, "set public_url to the address that customers see",
		           "public_url is not set: pages of every host name that leads here may change something");
}

/* ---- sockets --------------------------------------------------------------------------------- */

static void check_tcp(struct doctor *D, const char *check, const char *address)
{
	if (strncmp(address, "127.", 4) == 0 || strncmp(address, "localhost:", 10) == 0 ||
	    strncmp(address, "[::1]:", 6) == 0)
		doctor_say(D, check, DOCTOR_OK, "", "%s: this machine only", address);
	else
		doctor_say(D, check, DOCTOR_PROBLEM, "listen on unix:/path or 127.0.0.1",
		           "%s: whoever reaches it can pose as the web server", address);
}

static void check_mode(struct doctor *D, const char *check, const char *path, const struct stat *s)
{
	const struct group *group = getgrgid(s->st_gid);
	const char *name = group != NULL ? group->gr_name : "?";
	const unsigned mode = (unsigned)s->st_mode & 0777;

	if ((s->st_mode & S_IWOTH) != 0)
		doctor_say(D, check, DOCTOR_PROBLEM,
		           "give it mode 0660 and the web server's group (SocketMode, SocketGroup)",
		           "%s has mode %03o: every user of this machine can pose as the web server", path, mode);
	else if ((s->st_mode & S_IWGRP) == 0)
		doctor_say(D, check, DOCTOR_WARNING, "give it mode 0660 and the web server's group",
		           "%s has mode %03o: only its owner can connect", path, mode);
	else
		doctor_say(D, check, DOCTOR_OK, "", "%s, mode %03o, group %s", path, mode, name);
}

static void check_listen(struct doctor *D, const char *check, const char *address)
{
	const char *path = address + strlen("unix:");
	struct stat s;

	if (*address == '\0')
		doctor_say(D, check, DOCTOR_SKIPPED, "", "not set");
	else if (strncmp(address, "unix:", strlen("unix:")) != 0)
		check_tcp(D, check, address);
	else if (stat(path, &s) != 0)
		doctor_say(D, check, DOCTOR_PROBLEM, "start octroi, or see its log", "%s: %s", path, strerror(errno));
	else if (!S_ISSOCK(s.st_mode))
		doctor_say(D, check, DOCTOR_PROBLEM, "remove it and start octroi", "%s is no socket", path);
	else
		check_mode(D, check, path, &s);
}

static void check_time_zone(struct doctor *D)
{
	const char *name = D->ctl->config->time_zone;

	if (zone_find(name) != NULL)
		doctor_say(D, "time zone", DOCTOR_OK, "", "%s", name);
	else
		doctor_say(D, "time zone", DOCTOR_PROBLEM, "correct time_zone, or install the time zones (tzdata)",
		           "this machine does not know %s", name);
}

void doctor_files(struct doctor *D)
{
	check_config(D);
	check_time_zone(D);
	check_secret(D);
	check_origin(D);
	check_listen(D, "listen", D->ctl->config->listen);
	check_listen(D, "listen_internal", D->ctl->config->listen_internal);
}
