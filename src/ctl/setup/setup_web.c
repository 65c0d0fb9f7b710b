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

#define SHIPPED_NAME "credits.example"
#define INCLUDE "# By octroictl setup; what it includes is in octroi/.\n"
#define CONF_SUFFIX ".conf"

/* Known web servers, by name: the directory of their configuration on Debian, the file in it that includes octroi, and
 * the one that includes a server for browsers.  The latter is read last, because the first server of an address takes
 * the requests that name none. */
static const struct web {
	const char *name, *directory, *include, *include_text, *site, *site_text;
} webs[] = {
	{"nginx", "/etc/nginx", "conf.d/octroi.conf", INCLUDE "include octroi/octroi.conf;\n",
         "sites-enabled/zz-octroi.conf", INCLUDE "include octroi/site.conf;\n"},
	{"apache", "/etc/apache2", "conf-available/octroi.conf", INCLUDE "Include octroi/octroi.conf\n",
         "sites-available/zz-octroi.conf", INCLUDE "Include octroi/site.conf\n"},
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
	struct buf shipped, addressed, text;
	int result;

	buf_init(&shipped, SETUP_FILE_MAX);
	buf_init(&addressed, SETUP_FILE_MAX);
	buf_init(&text, SETUP_FILE_MAX);
	result = ctl_read(from, &shipped);
	if (result == CTL_OK) {
		copy_with(&addressed, buf_text(&shipped), SETUP_INTERNAL_ADDRESS, setup_internal_address(S));
		copy_with(&text, buf_text(&addressed), SHIPPED_NAME,
		          a->server_name != NULL ? a->server_name : SHIPPED_NAME);
		result = place(S, to, &text);
	}
	buf_free(&shipped);
	buf_free(&addressed);
	buf_free(&text);
	return result;
}

static bool is_shipped(const char *name)
{
	const char *suffix = strrchr(name, '.');

	return name[0] != '.' &&
	       (strcmp(name, "fastcgi_params") == 0 || (suffix != NULL && strcmp(suffix, CONF_SUFFIX) == 0));
}

/* Copies the shipped files of the web server to its directory octroi. */
static int place_all(struct setup *S, const struct web *web, const char *directory)
{
	char shipped[SETUP_PATH_MAX], path[SETUP_PATH_MAX * 2], from[SETUP_PATH_MAX * 2];
	struct dirent *entry;
	int result = CTL_OK;
	DIR *files;

	(void)snprintf(shipped, sizeof(shipped), "%s/%s", share_directory(), web->name);
	(void)snprintf(path, sizeof(path), "%s/octroi", directory);
	files = opendir(shipped);
	if (files == NULL)
		return ctl_fail("%s cannot be read", shipped);
	if (!S->dry_run)
		result = setup_file_directory(path, SETUP_PUBLIC);
	for (entry = readdir(files); result == CTL_OK && entry != NULL; entry = readdir(files)) {
		if (!is_shipped(entry->d_name))
			continue;
		(void)snprintf(from, sizeof(from), "%s/%.255s", shipped, entry->d_name);
		(void)snprintf(path, sizeof(path), "%s/octroi/%.255s", directory, entry->d_name);
		result = place_shipped(S, from, path);
	}
	(void)closedir(files);
	return result;
}

static int place_include(struct setup *S, const char *directory, const char *name, const char *words)
{
	char path[SETUP_PATH_MAX * 2];
	struct buf text;
	int result;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	buf_init(&text, SETUP_FILE_MAX);
	buf_add_text(&text, words);
	result = place(S, path, &text);
	buf_free(&text);
	return result;
}

/* ---- the servers ------------------------------------------------------------------------------- */

/* Whether the directory has the one of the file's name. */
static bool has_place(const char *directory, const char *name)
{
	char path[SETUP_PATH_MAX * 2];

	(void)snprintf(path, sizeof(path), "%s/%.*s", directory, (int)strcspn(name, "/"), name);
	return access(path, F_OK) == 0;
}

/* A server for browsers, if it was given a name.  nginx of other makers has no sites-enabled. */
static int place_site(struct setup *S, const struct web *web, const char *directory)
{
	const char *site = has_place(directory, web->site) ? web->site : "conf.d/zz-octroi.conf";

	if (S->answers.server_name != NULL)
		return place_include(S, directory, site, web->site_text);
	setup_say(
		S, SETUP_BY_HAND,
		"browsers reach octroi where a site of yours includes octroi/public.conf and octroi/web.conf, or with "
		"--server-name NAME");
	return CTL_OK;
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

/* Runs a2enmod, a2enconf or a2ensite for a name, unless a2query knows that it was. */
static int enable(struct setup *S, const char *program, const char *kind, const char *name, bool *changed)
{
	const char *const run[] = {program, "-q", name, NULL};
	const char *const query[] = {"a2query", "-q", kind, name, NULL};

	if (setup_run_quietly(query))
		return CTL_OK;
	*changed = true;
	return setup_run(S, run);
}

/* Lets Apache read the files, pass requests on, and serve the page. */
static int enable_apache(struct setup *S)
{
	static const char *const modules[] = {"proxy_fcgi", "alias", "headers", "mime"};
	int result = CTL_OK;

	if (S->answers.web_dir != NULL) /* not Debian's own */
		return CTL_OK;
	for (size_t i = 0; result == CTL_OK && i < sizeof(modules) / sizeof(modules[0]); i++)
		result = enable(S, "a2enmod", "-m", modules[i], &S->web_restart);
	if (result == CTL_OK)
		result = enable(S, "a2enconf", "-c", "octroi", &S->web_changed);
	if (result == CTL_OK && S->answers.server_name != NULL)
		result = enable(S, "a2ensite", "-s", "zz-octroi", &S->web_changed);
	return result;
}

int setup_web(struct setup *S)
{
	const struct web *web = choose(S);
	const char *directory;

	if (web == NULL)
		return S->answers.web != NULL && strcmp(S->answers.web, "none") != 0 ? CTL_FAILED : CTL_OK;
	directory = S->answers.web_dir != NULL ? S->answers.web_dir : web->directory;
	if (strlen(directory) > SETUP_PATH_MAX / 2 || strlen(share_directory()) > SETUP_PATH_MAX / 2)
		return ctl_fail("%s: the path is too long", directory);
	if (!has_place(directory, web->include))
		return ctl_fail("%s/%.*s is not there: --web-dir names the directory of %s's configuration", directory,
		                (int)strcspn(web->include, "/"), web->include, web->name);
	S->web = web->name;
	if (place_all(S, web, directory) != CTL_OK ||
	    place_include(S, directory, web->include, web->include_text) != CTL_OK ||
	    place_site(S, web, directory) != CTL_OK)
		return CTL_FAILED;
	return strcmp(web->name, "apache") == 0 ? enable_apache(S) : CTL_OK;
}
