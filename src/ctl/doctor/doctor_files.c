#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/zone.h"
#include "ctl/doctor/doctor.h"

#define TOKEN_SECRET_MIN 32
#define SERVICE_USER "octroi" /* the package's */
#define CHECK_MAX 64
#define ADVICE_MAX 512
#define GROUPS_MAX 64
#define PROC_PATH_MAX 64
#define SYSTEM_USER_MAX 999 /* from here on, users of persons: anybody may give a process any name */

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

/* Whether the file or directory belongs to somebody else than root, octroi, or the user who asks. */
static bool is_anothers(const struct stat *s)
{
	const struct passwd *octroi = getpwnam(SERVICE_USER);

	return s->st_uid != 0 && s->st_uid != geteuid() && (octroi == NULL || s->st_uid != octroi->pw_uid);
}

/* Whether another user could put another file there: as its owner, or as somebody who may write to the directory. */
static bool is_replaceable(const char *path, const struct stat *s)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];
	struct stat d;

	if (is_anothers(s))
		return true;
	if (slash == NULL)
		(void)snprintf(directory, sizeof(directory), ".");
	else
		(void)snprintf(directory, sizeof(directory), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (stat(directory, &d) != 0)
		return false;
	return is_anothers(&d) || ((d.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (d.st_mode & S_ISVTX) == 0);
}

static void check_config(struct doctor *D)
{
	const struct config *config = D->ctl->config;
	struct stat s;

	if (config->path[0] == '\0') {
		doctor_say(D, "configuration", DOCTOR_WARNING,
		           "octroictl setup, or name the file with -c or OCTROI_CONF",
		           "there is no octroi.conf: the environment and the defaults hold");
		return;
	}
	if (stat(config->path, &s) != 0) {
		doctor_say(D, "configuration", DOCTOR_PROBLEM, "see that the file is there", "%s: %s", config->path,
		           strerror(errno));
		return;
	}
	doctor_say(D, "configuration", DOCTOR_OK, "", "%s is valid", config->path);
	if (is_replaceable(config->path, &s))
		doctor_say(D, "configuration owner", DOCTOR_PROBLEM,
		           "chown root the file and its directory, and chmod go-w the directory",
		           "another user may write %s anew", config->path);
	else
		doctor_say(D, "configuration owner", DOCTOR_OK, "", "nobody else may write it anew");
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

/* A secret's file is for octroi and root: its group may read it, nobody else may, and only its owner may write. */
static void check_secret_file(void *context, const char *name, const char *path)
{
	struct doctor *D = context;
	char check[CHECK_MAX], advice[ADVICE_MAX];
	struct stat s;

	(void)snprintf(check, sizeof(check), "%s_file", name);
	(void)snprintf(advice, sizeof(advice), "chown root:octroi %s && chmod 640 %s (shared hosting: chmod 600)", path,
	               path);
	if (stat(path, &s) != 0)
		doctor_say(D, check, DOCTOR_PROBLEM, "see that the file is there", "%s: %s", path, strerror(errno));
	else if ((s.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		doctor_say(D, check, DOCTOR_PROBLEM, advice,
		           "%s has mode %03o: others may read the secret or change it", path,
		           (unsigned)s.st_mode & 0777);
	else if (is_replaceable(path, &s))
		doctor_say(D, check, DOCTOR_PROBLEM,
		           "chown root the file and its directory, and chmod go-w the directory",
		           "another user may write %s anew", path);
	else
		doctor_say(D, check, DOCTOR_OK, "", "%s, mode %03o", path, (unsigned)s.st_mode & 0777);
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

/* Whether the user may write to what its owner and this group may write to. */
static bool is_let_in(uid_t user, const struct stat *s)
{
	const struct passwd *entry = getpwuid(user);
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;

	if (user == s->st_uid || entry == NULL || getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) < 0)
		return true;
	for (int i = 0; i < count; i++)
		if (groups[i] == s->st_gid)
			return true;
	return false;
}

/* Whether the process is a web server's. */
static bool is_web_server(const char *process)
{
	char path[PROC_PATH_MAX], name[32] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/comm", process);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fgets(name, sizeof(name), file) == NULL)
		name[0] = '\0';
	(void)fclose(file);
	return strcmp(name, "nginx\n") == 0 || strcmp(name, "apache2\n") == 0 || strcmp(name, "httpd\n") == 0;
}

/* Finds a system's web server that runs here and may not write to the socket.  False where there is none, or one that
 * may. */
static bool find_shut_out(const struct stat *s, uid_t *user)
{
	DIR *processes = opendir("/proc");
	bool shut_out = false, let_in = false;

	if (processes == NULL)
		return false;
	for (struct dirent *entry = readdir(processes); entry != NULL && !let_in; entry = readdir(processes)) {
		char path[PROC_PATH_MAX];
		struct stat process;

		(void)snprintf(path, sizeof(path), "/proc/%.16s", entry->d_name);
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !is_web_server(entry->d_name) ||
		    stat(path, &process) != 0 || process.st_uid == 0 || process.st_uid > SYSTEM_USER_MAX)
			continue;
		let_in = is_let_in(process.st_uid, s);
		shut_out = true;
		*user = process.st_uid;
	}
	(void)closedir(processes);
	return shut_out && !let_in;
}

static void say_shut_out(struct doctor *D, const char *check, const char *path, const char *group, bool root_group,
                         uid_t user)
{
	const struct passwd *entry = getpwuid(user);
	const char *name = entry != NULL ? entry->pw_name : "?";
	char advice[ADVICE_MAX];

	if (root_group) /* a web server must not be in it */
		(void)snprintf(advice, sizeof(advice), "give it the group of %s (SocketGroup)", name);
	else
		(void)snprintf(advice, sizeof(advice), "adduser %s %s, and restart the web server", name, group);
	doctor_say(D, check, DOCTOR_WARNING, advice,
	           "%s is for the group %s, and the web server runs as %s: it answers 502", path, group, name);
}

static void check_mode(struct doctor *D, const char *check, const char *path, const struct stat *s)
{
	const struct group *group = getgrgid(s->st_gid);
	const char *name = group != NULL ? group->gr_name : "?";
	const unsigned mode = (unsigned)s->st_mode & 0777;
	uid_t user = 0;

	if ((s->st_mode & S_IWOTH) != 0)
		doctor_say(D, check, DOCTOR_PROBLEM,
		           "give it mode 0660 and the web server's group (SocketMode, SocketGroup)",
		           "%s has mode %03o: every user of this machine can pose as the web server", path, mode);
	else if ((s->st_mode & S_IWGRP) == 0)
		doctor_say(D, check, DOCTOR_WARNING, "give it mode 0660 and the web server's group",
		           "%s has mode %03o: only its owner can connect", path, mode);
	else if (find_shut_out(s, &user))
		say_shut_out(D, check, path, name, s->st_gid == 0, user);
	else
		doctor_say(D, check, DOCTOR_OK, "", "%s, mode %03o, group %s", path, mode, name);
}

/* Sockets of the package's units, which systemd opens for octroi where its own configuration names none. */
#define BOOTED "/run/systemd/system" /* sd_booted(3) */
static const char *const unit_places[] = {"/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"};

static bool has_unit(const char *unit)
{
	char path[PROC_PATH_MAX];
	bool found = false;

	for (size_t i = 0; i < sizeof(unit_places) / sizeof(unit_places[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", unit_places[i], unit);
		found = found || access(path, F_OK) == 0;
	}
	return found && access(BOOTED, F_OK) == 0;
}

static void check_unit(struct doctor *D, const char *check, const char *unit, const char *path)
{
	struct stat s;

	if (stat(path, &s) == 0 && S_ISSOCK(s.st_mode))
		check_mode(D, check, path, &s);
	else if (has_unit(unit))
		doctor_say(D, check, DOCTOR_PROBLEM,
		           "systemctl enable --now octroi.service, and see journalctl -u octroi",
		           "%s does not listen: %s is not there", unit, path);
	else
		doctor_say(D, check, DOCTOR_SKIPPED, "", "not set");
}

static void check_listen(struct doctor *D, const char *check, const char *address)
{
	const char *path = address + strlen("unix:");
	struct stat s;

	if (strncmp(address, "unix:", strlen("unix:")) != 0)
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
	const struct config *config = D->ctl->config;

	check_config(D);
	check_time_zone(D);
	check_secret(D);
	config_each_file(D->ctl->config, check_secret_file, D);
	check_origin(D);
	if (config->listen[0] == '\0')
		check_unit(D, "listen", "octroi.socket", "/run/octroi/octroi.sock");
	else
		check_listen(D, "listen", config->listen);
	if (config->listen_internal[0] == '\0')
		check_unit(D, "listen_internal", "octroi-internal.socket", "/run/octroi/octroi-internal.sock");
	else
		check_listen(D, "listen_internal", config->listen_internal);
}
