#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/setup/setup.h"
#include "ctl/setup/setup_file.h"
#include "ctl/setup/setup_run.h"

#ifndef OCTROI_SHARE_DIR
#error "OCTROI_SHARE_DIR is to come from the build"
#endif

#define SHIPPED_ADDRESS "127.0.0.1:8081"
#define SHIPPED_NAME "credits.example; # yours"
#define NGINX_INCLUDE "# By octroictl setup; the servers and upstreams are in octroi/.\ninclude octroi/octroi.conf;\n"

/* Known web servers, by name: the directory of their configuration on Debian, and of a part that they read. */
static const struct web {
	const char *name, *directory, *includes;
} webs[] = {
	{"nginx", "/etc/nginx", "conf.d"},
	{"apache", "/etc/apache2", "conf-available"},
};
#define WEB_COUNT (sizeof(webs) / sizeof(webs[0]))

/* ---- files ------------------------------------------------------------------------------------- */

/* Copies text, with other words in the place of some. */
static void copy_with(struct buf *out, const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	for (; at != NULL; at = strstr(text, from)) {
		buf_add(out, text, (size_t)(at - text));
		buf_add_text(out, to);
		text = at + strlen(from);
	}
	buf_add_text(out, text);
}

/* Writes a file that is not there.  A file with another text stays, because a person may have changed it. */
static int place(struct setup *S, const char *path, const struct buf *text)
{
	struct buf before;
	int result;

	buf_init(&before, SETUP_FILE_MAX);
	result = setup_file_read(path, &before);
	if (result != CTL_OK) {
		/* explained */
	} else if (before.length > 0) {
		const bool same = strcmp(buf_text(&before), buf_text(text)) == 0;

		setup_say(S, SETUP_KEPT, "%s%s", path, same ? "" : ", which differs from the one of this version");
	} else {
		setup_say(S, SETUP_MADE, "%s", path);
		S->web_changed = true;
		if (!S->dry_run)
			result = setup_file_write(path, text, SETUP_PUBLIC);
	}
	buf_free(&before);
	return result;
}

static const char *share_directory(void)
{
	const char *environment = getenv("OCTROI_SHARE_DIR");

	return environment != NULL ? environment : OCTROI_SHARE_DIR;
}

/* Places a shipped file, with this site's address and name. */
static int place_shipped(struct setup *S, const char *from, const char *to)
{
	const struct setup_answers *a = &S->answers;
	const char *address = a->internal_address != NULL ? a->internal_address : SHIPPED_ADDRESS;
	char name[SETUP_PATH_MAX];
	struct buf shipped, addressed, text;
	int result;

	(void)snprintf(name, sizeof(name), "%s;", a->server_name != NULL ? a->server_name : "");
	buf_init(&shipped, SETUP_FILE_MAX);
	buf_init(&addressed, SETUP_FILE_MAX);
	buf_init(&text, SETUP_FILE_MAX);
	result = ctl_read(from, &shipped);
	if (result == CTL_OK) {
		copy_with(&addressed, buf_text(&shipped), SHIPPED_ADDRESS, address);
		copy_with(&text, buf_text(&addressed), SHIPPED_NAME, a->server_name != NULL ? name : SHIPPED_NAME);
		result = place(S, to, &text);
	}
	buf_free(&shipped);
	buf_free(&addressed);
	buf_free(&text);
	return result;
}

/* ---- the servers ------------------------------------------------------------------------------- */

static int place_nginx(struct setup *S, const char *directory)
{
	char shipped[SETUP_PATH_MAX], path[SETUP_PATH_MAX * 2], from[SETUP_PATH_MAX * 2];
	struct dirent *entry;
	struct buf include;
	int result = CTL_OK;
	DIR *files;

	(void)snprintf(shipped, sizeof(shipped), "%s/nginx", share_directory());
	(void)snprintf(path, sizeof(path), "%s/octroi", directory);
	files = opendir(shipped);
	if (files == NULL)
		return ctl_fail("%s cannot be read", shipped);
	if (!S->dry_run)
		result = setup_file_directory(path, SETUP_PUBLIC);
	for (entry = readdir(files); result == CTL_OK && entry != NULL; entry = readdir(files)) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(from, sizeof(from), "%s/%.255s", shipped, entry->d_name);
		(void)snprintf(path, sizeof(path), "%s/octroi/%.255s", directory, entry->d_name);
		result = place_shipped(S, from, path);
	}
	(void)closedir(files);
	if (result != CTL_OK)
		return result;
	buf_init(&include, SETUP_FILE_MAX);
	buf_add_text(&include, NGINX_INCLUDE);
	(void)snprintf(path, sizeof(path), "%s/conf.d/octroi.conf", directory);
	result = place(S, path, &include);
	buf_free(&include);
	return result;
}

static int place_apache(struct setup *S, const char *directory)
{
	char from[SETUP_PATH_MAX], path[SETUP_PATH_MAX];

	(void)snprintf(from, sizeof(from), "%s/apache/octroi.conf", share_directory());
	(void)snprintf(path, sizeof(path), "%s/conf-available/octroi.conf", directory);
	return place_shipped(S, from, path);
}

/* The web server to set up; NULL, explained, when none or both are there and none was named. */
static const struct web *choose(struct setup *S)
{
	const struct web *found = NULL;
	const char *named = S->answers.web;

	for (size_t i = 0; i < WEB_COUNT; i++) {
		if (named != NULL && strcmp(named, webs[i].name) == 0)
			return &webs[i];
		if (named == NULL && access(webs[i].directory, F_OK) == 0) {
			if (found != NULL) {
				setup_say(S, SETUP_BY_HAND,
				          "nginx and Apache are both here: run setup again with --web "
				          "nginx or --web apache");
				return NULL;
			}
			found = &webs[i];
		}
	}
	if (found == NULL && named != NULL && strcmp(named, "none") != 0)
		(void)ctl_wrong("setup: --web is nginx, apache or none, not '%s'", named);
	else if (found == NULL)
		setup_say(S, SETUP_BY_HAND, "no web server: docs/servers.md has the lines for nginx and Apache");
	return found;
}

/* Lets Apache read the file and pass requests on. */
static int enable_apache(struct setup *S)
{
	const char *const module[] = {"a2enmod", "-q", "proxy_fcgi", NULL};
	const char *const file[] = {"a2enconf", "-q", "octroi", NULL};
	const char *const has_module[] = {"a2query", "-q", "-m", "proxy_fcgi", NULL};
	const char *const has_file[] = {"a2query", "-q", "-c", "octroi", NULL};

	if (S->answers.web_dir != NULL) /* not Debian's own */
		return CTL_OK;
	if (!setup_run_quietly(has_module)) {
		S->web_restart = true;
		if (setup_run(S, module) != CTL_OK)
			return CTL_FAILED;
	}
	if (setup_run_quietly(has_file))
		return CTL_OK;
	S->web_changed = true;
	return setup_run(S, file);
}

int setup_web(struct setup *S)
{
	const struct web *web = choose(S);
	const char *directory;
	char includes[SETUP_PATH_MAX];

	if (web == NULL)
		return S->answers.web != NULL && strcmp(S->answers.web, "none") != 0 ? CTL_FAILED : CTL_OK;
	directory = S->answers.web_dir != NULL ? S->answers.web_dir : web->directory;
	if (snprintf(includes, sizeof(includes), "%s/%s", directory, web->includes) >= (int)sizeof(includes) ||
	    strlen(share_directory()) > SETUP_PATH_MAX / 2)
		return ctl_fail("%s: the path is too long", directory);
	if (access(includes, F_OK) != 0)
		return ctl_fail("%s is not there: --web-dir names the directory of %s's configuration", includes,
		                web->name);
	S->web = web->name;
	if (strcmp(web->name, "nginx") == 0)
		return place_nginx(S, directory);
	return place_apache(S, directory) == CTL_OK ? enable_apache(S) : CTL_FAILED;
}
