#include "db/primary.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/lock.h"
#include "base/log.h"

#define PORT_MAX 65535
#define LIST_SEPARATORS ", \t"

static struct {
	struct lock lock;
	struct epoch newest;                  /* of all that were seen */
	int64_t heard[2 * PRIMARY_HOSTS_MAX]; /* ids of servers that answered */
	int heard_count;
	int chosen; /* place in the list, -1: none */
	enum primary_verdict why;
	int64_t moves; /* atomic: read without the lock */
} primary = {.newest = {.servers = 1}, .chosen = -1, .why = PRIMARY_SILENT};

static pthread_once_t lock_once = PTHREAD_ONCE_INIT;

bool primary_take_epoch(struct epoch *e, const char *const *field)
{
	*e = (struct epoch){.number = strtoll(field[0], NULL, 10),
	                    .server_id = strtoll(field[1], NULL, 10),
	                    .servers = strtoll(field[2], NULL, 10)};
	return e->number >= 0 && e->servers >= 1;
}

static void init_primary_lock(void)
{
	lock_init(&primary.lock);
}

static void lock_primary(void)
{
	pthread_once(&lock_once, init_primary_lock);
	lock_take(&primary.lock);
}

/* ---- the list ---------------------------------------------------------------------------------------- */

/* Reads a decimal port up to the end; 0: it is none. */
static unsigned parse_port(const char *text, size_t length)
{
	unsigned port = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9' || port > PORT_MAX)
			return 0;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	return port <= PORT_MAX ? port : 0;
}

/* "host", "host:port", "[address]:port", or an address of IPv6 alone. */
static bool parse_host(const char *text, size_t length, unsigned port, struct primary_host *host)
{
	const char *const end = text + length, *colon, *name = text;
	size_t name_length = length;

	host->port = port;
	colon = memchr(text, ':', length);
	if (text[0] == '[') {
		const char *close = memchr(text, ']', length);

		if (close == NULL || (close + 1 < end && close[1] != ':'))
			return false;
		name = text + 1;
		name_length = (size_t)(close - name);
		colon = close + 1 < end ? close + 1 : NULL;
	} else if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL) {
		colon = NULL;
	} else if (colon != NULL) {
		name_length = (size_t)(colon - text);
	}
	if (colon != NULL)
		host->port = parse_port(colon + 1, (size_t)(end - colon - 1));
	if (name_length == 0 || name_length >= sizeof(host->name) || host->port == 0)
		return false;
	memcpy(host->name, name, name_length);
	host->name[name_length] = '\0';
	return true;
}

int primary_parse(const char *list, unsigned port, struct primary_host hosts[PRIMARY_HOSTS_MAX])
{
	int count = 0;

	for (;;) {
		size_t length;

		list += strspn(list, LIST_SEPARATORS);
		length = strcspn(list, LIST_SEPARATORS);
		if (length == 0)
			return count;
		if (count == PRIMARY_HOSTS_MAX || !parse_host(list, length, port, &hosts[count]))
			return -1;
		count++;
		list += length;
	}
}

/* ---- the rules --------------------------------------------------------------------------------------- */

/* Notes the server's epoch, and that it was heard. */
static void note_server(const struct primary_server *s)
{
	int i = 0;

	lock_assert_held(&primary.lock);
	CHECK(s->epoch.number >= 0 && s->epoch.servers >= 1);
	if (s->epoch.number > primary.newest.number) {
		primary.newest = s->epoch;
		__atomic_fetch_add(&primary.moves, 1, __ATOMIC_RELAXED);
	}
	while (i < primary.heard_count && primary.heard[i] != s->server_id)
		i++;
	if (i == primary.heard_count && i < (int)(sizeof(primary.heard) / sizeof(primary.heard[0])))
		primary.heard[primary.heard_count++] = s->server_id;
}

static enum primary_verdict judge_server(const struct primary_server *s, bool untaken)
{
	lock_assert_held(&primary.lock);
	if (!s->heard)
		return PRIMARY_SILENT;
	if (s->cluster && !s->ready)
		return PRIMARY_NOT_READY;
	if (s->read_only)
		return PRIMARY_READ_ONLY;
	if (s->epoch.number < primary.newest.number)
		return PRIMARY_OLD;
	if (s->epoch.server_id != primary.newest.server_id)
		return PRIMARY_RIVAL;
	if (!untaken && s->epoch.number == 0 && !s->cluster)
		return PRIMARY_UNTAKEN;
	if (s->epoch.server_id != 0 && s->epoch.server_id != s->server_id)
		return PRIMARY_UNNAMED;
	return 2 * primary.heard_count > s->epoch.servers ? PRIMARY_PRIMARY : PRIMARY_UNHEARD;
}

enum primary_verdict primary_check(const struct primary_server *server)
{
	enum primary_verdict verdict;

	CHECK(server->heard);
	lock_primary();
	note_server(server);
	verdict = judge_server(server, true);
	lock_give(&primary.lock);
	return verdict;
}

/* Of several that may be written to, the nodes of a cluster give way to the first; others are a mistake. */
static int choose_server(const struct primary_server *servers, int count, enum primary_verdict *verdicts)
{
	int chosen = -1;
	bool twice = false;

	for (int i = 0; i < count; i++) {
		if (verdicts[i] != PRIMARY_PRIMARY)
			continue;
		twice = twice || (chosen >= 0 && !(servers[i].cluster && servers[chosen].cluster));
		if (chosen >= 0)
			verdicts[i] = PRIMARY_SPARE;
		else
			chosen = i;
	}
	if (!twice)
		return chosen;
	for (int i = 0; i < count; i++)
		if (verdicts[i] == PRIMARY_PRIMARY || verdicts[i] == PRIMARY_SPARE)
			verdicts[i] = PRIMARY_TWICE;
	return -1;
}

enum primary_verdict primary_worst(const enum primary_verdict *verdicts, int count)
{
	enum primary_verdict why = PRIMARY_SILENT;

	for (int i = 0; i < count; i++)
		why = verdicts[i] > why ? verdicts[i] : why;
	return why;
}

void primary_choose(const struct primary_server *servers, int count, bool untaken, enum primary_verdict *verdicts)
{
	enum primary_verdict why;
	int chosen;
	bool moved;

	CHECK(count > 0 && count <= PRIMARY_HOSTS_MAX);
	lock_primary();
	for (int i = 0; i < count; i++)
		if (servers[i].heard)
			note_server(&servers[i]);
	for (int i = 0; i < count; i++)
		verdicts[i] = judge_server(&servers[i], untaken);
	chosen = choose_server(servers, count, verdicts);
	/* A server that is only slow keeps its connections until another one is the primary. */
	if (chosen < 0 && primary.chosen >= 0 && primary.chosen < count && verdicts[primary.chosen] == PRIMARY_SILENT)
		chosen = primary.chosen;
	why = chosen >= 0 ? PRIMARY_PRIMARY : primary_worst(verdicts, count);
	moved = chosen != primary.chosen || why != primary.why;
	if (chosen != primary.chosen)
		__atomic_fetch_add(&primary.moves, 1, __ATOMIC_RELAXED);
	primary.chosen = chosen;
	primary.why = why;
	lock_give(&primary.lock);
	if (moved && !untaken)
		log_event(chosen >= 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "database_primary",
		          LOG_NUMBER("place", chosen + 1), LOG_TEXT("message", primary_sentence(why)));
}

int primary_chosen(enum primary_verdict *why)
{
	int chosen;

	lock_primary();
	chosen = primary.chosen;
	*why = primary.why;
	lock_give(&primary.lock);
	return chosen;
}

int64_t primary_moves(void)
{
	return __atomic_load_n(&primary.moves, __ATOMIC_RELAXED);
}

struct epoch primary_epoch(void)
{
	struct epoch newest;

	lock_primary();
	newest = primary.newest;
	lock_give(&primary.lock);
	return newest;
}

void primary_forget(void)
{
	lock_primary();
	primary.newest = (struct epoch){.servers = 1};
	primary.heard_count = 0;
	primary.chosen = -1;
	primary.why = PRIMARY_SILENT;
	lock_give(&primary.lock);
}

/* ---- words ------------------------------------------------------------------------------------------- */

static const struct {
	const char *word, *sentence;
} verdict_texts[] = {
#define VERDICT(name, word, sentence) {word, sentence},
#include "db/primary_verdicts.def"
#undef VERDICT
};

const char *primary_word(enum primary_verdict verdict)
{
	CHECK((unsigned)verdict < PRIMARY_VERDICT_COUNT);
	return verdict_texts[verdict].word;
}

const char *primary_sentence(enum primary_verdict verdict)
{
	CHECK((unsigned)verdict < PRIMARY_VERDICT_COUNT);
	return verdict_texts[verdict].sentence;
}
