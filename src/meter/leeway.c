#define _GNU_SOURCE
#include "meter/leeway.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/money.h"

#define PATH_BYTES 512
#define NONCE_BYTES 16
#define NONCE_LINE (2 * NONCE_BYTES + 1)
#define PLACE_BYTES 16
#define SIGNATURE_LENGTH 43
#define COSTS 8
#define WAYS 8
#define ACCOUNTS 4096
#define PAYERS 8192
#define NONE (-1)

struct grace {
	int64_t serial; /* 0: none */
	int64_t limit, ends_at, until_us;
	char signature[SIGNATURE_LENGTH + 1];
};

/* The hold of an earlier request: a like one with no more input and output costs no more. */
struct cost {
	unsigned char kind[DIGEST_BYTES];
	int64_t input, output, micros, version; /* version 0: none */
	int64_t asked;                          /* output that was asked for; octroi may have given less */
};

struct account {
	char id[ID_ACCOUNT_MAX + 1];
	int64_t used_at;         /* 0: free; the least recently used one makes room */
	int64_t booked, pending; /* amounts */
	int64_t uses;            /* that are pending */
	struct grace grace;
	struct cost costs[COSTS]; /* the latest first */
};

struct payer {
	unsigned char digest[DIGEST_BYTES];
	int64_t used_at;
	char account[ID_ACCOUNT_MAX + 1], member[ID_ACCOUNT_MAX + 1];
};

struct leeway {
	int fd;
	char path[PATH_BYTES];
	char place[128]; /* JSON */
	char name[2 * PLACE_BYTES + 1];
	int64_t at;        /* counts for used_at */
	int64_t changes;   /* of uses and their ends */
	int64_t pending;   /* uses without an end */
	int64_t untracked; /* of them, those for whose account there was no room: until their end there is no grace */
	/* Of each digest, WAYS places in turn. */
	struct account accounts[ACCOUNTS];
	struct payer payers[PAYERS];
};

/* ---- the place ------------------------------------------------------------------------------- */

static int complain_place(const struct leeway *a, const char *step)
{
	log_event(LOG_LEVEL_ERROR, "grace_place_failed", LOG_TEXT("file", a->path), LOG_TEXT("step", step),
	          LOG_TEXT("error", strerror(errno)));
	return -1;
}

static bool is_nonce(const char *line, ssize_t length)
{
	unsigned char bytes[NONCE_BYTES];

	return length == NONCE_LINE && line[NONCE_LINE - 1] == '\n' && hex_read(line, bytes, sizeof(bytes));
}

/* Brings the names of the files beside it to the disk, too. */
static int sync_directory(const struct leeway *a)
{
	char path[PATH_BYTES];
	char *slash;
	int fd, result;

	(void)snprintf(path, sizeof(path), "%s", a->path);
	slash = strrchr(path, '/');
	CHECK(slash != NULL);
	slash[slash == path ? 1 : 0] = '\0';
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	result = fd >= 0 && fsync(fd) == 0 ? 0 : complain_place(a, "sync");
	if (fd >= 0)
		close(fd);
	return result;
}

static int write_nonce(const struct leeway *a, char line[NONCE_LINE])
{
	unsigned char bytes[NONCE_BYTES];
	struct buf text;
	bool written;

	digest_random(bytes, sizeof(bytes));
	buf_init(&text, NONCE_LINE + 1);
	buf_add_hex(&text, bytes, sizeof(bytes));
	buf_add_char(&text, '\n');
	written = buf_ok(&text) && ftruncate(a->fd, 0) == 0 &&
	          pwrite(a->fd, text.data, text.length, 0) == (ssize_t)text.length && fsync(a->fd) == 0;
	if (written)
		memcpy(line, text.data, NONCE_LINE);
	buf_free(&text);
	if (!written)
		return complain_place(a, "write");
	log_event(LOG_LEVEL_INFO, "grace_place_made", LOG_TEXT("file", a->path));
	return 0;
}

static void read_machine(char machine[65])
{
	const int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	const ssize_t length = fd >= 0 ? read(fd, machine, 64) : 0;

	machine[length > 0 ? length : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Makes the name: a copy of the file has another inode, and a copy of the disk another machine. */
static void name_place(struct leeway *a, const char *nonce, uint64_t inode)
{
	unsigned char digest[DIGEST_BYTES];
	char machine[65];
	struct buf text, name;

	read_machine(machine);
	buf_init(&text, 256);
	buf_add(&text, nonce, NONCE_LINE);
	buf_printf(&text, "%llu\n%s", (unsigned long long)inode, machine);
	buf_init(&name, sizeof(a->name));
	CHECK(buf_ok(&text));
	digest_sha256(text.data, text.length, digest);
	buf_add_hex(&name, digest, PLACE_BYTES);
	CHECK(buf_ok(&name));
	(void)snprintf(a->name, sizeof(a->name), "%s", buf_text(&name));
	(void)snprintf(a->place, sizeof(a->place), "{\"place\":\"%s\"}", a->name);
	buf_free(&text);
	buf_free(&name);
}

static int open_place(struct leeway *a)
{
	char line[NONCE_LINE + 1];
	struct stat status;
	ssize_t length;

	a->fd = open(a->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (a->fd < 0 || fstat(a->fd, &status) < 0)
		return complain_place(a, "open");
	if (flock(a->fd, LOCK_EX | LOCK_NB) < 0)
		return complain_place(a, "lock");
	length = pread(a->fd, line, sizeof(line), 0);
	if (length < 0)
		return complain_place(a, "read");
	if (!is_nonce(line, length) && write_nonce(a, line) < 0)
		return -1;
	if (sync_directory(a) < 0)
		return -1;
	name_place(a, line, (uint64_t)status.st_ino);
	return 0;
}

struct leeway *leeway_open(const char *spool)
{
	struct leeway *a = memory_part("leeway", sizeof(*a));

	if (a == NULL)
		return NULL;
	(void)snprintf(a->path, sizeof(a->path), "%s.grace", spool);
	if (open_place(a) == 0)
		return a;
	leeway_free(a);
	return NULL;
}

void leeway_free(struct leeway *a)
{
	if (a == NULL)
		return;
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

/* ---- accounts and payers --------------------------------------------------------------------- */

static size_t first_way(const unsigned char digest[DIGEST_BYTES], size_t count)
{
	uint32_t number;

	memcpy(&number, digest, sizeof(number));
	return number % (count / WAYS) * WAYS;
}

static struct account *account_ways(struct leeway *a, const char *id)
{
	unsigned char digest[DIGEST_BYTES];

	digest_sha256(id, strlen(id), digest);
	return a->accounts + first_way(digest, ACCOUNTS);
}

/* NULL: it is not known. */
static struct account *find_account(struct leeway *a, const char *id)
{
	struct account *ways = account_ways(a, id);

	for (int i = 0; i < WAYS; i++)
		if (ways[i].used_at > 0 && strcmp(ways[i].id, id) == 0)
			return &ways[i];
	return NULL;
}

/* The account, made where it is not known.  NULL: there is no room, because all others have uses without an end. */
static struct account *make_account(struct leeway *a, const char *id, bool *is_new)
{
	struct account *ways = account_ways(a, id), *found = find_account(a, id);

	*is_new = found == NULL;
	for (int i = 0; *is_new && i < WAYS; i++)
		if (ways[i].uses == 0 && (found == NULL || ways[i].used_at < found->used_at))
			found = &ways[i];
	if (*is_new && found != NULL) {
		*found = (struct account){.used_at = 0};
		(void)snprintf(found->id, sizeof(found->id), "%s", id);
	}
	if (found != NULL)
		found->used_at = ++a->at;
	return found;
}

static struct payer *find_payer(struct leeway *a, const unsigned char digest[DIGEST_BYTES])
{
	struct payer *ways = a->payers + first_way(digest, PAYERS);

	for (int i = 0; i < WAYS; i++)
		if (ways[i].used_at > 0 && memcmp(ways[i].digest, digest, DIGEST_BYTES) == 0)
			return &ways[i];
	return NULL;
}

static void note_payer(struct leeway *a, const unsigned char digest[DIGEST_BYTES], const char *account,
                       const char *member)
{
	struct payer *ways = a->payers + first_way(digest, PAYERS), *found = find_payer(a, digest), *room = ways;

	for (int i = 1; i < WAYS; i++)
		if (ways[i].used_at < room->used_at)
			room = &ways[i];
	if (found == NULL)
		found = room;
	memcpy(found->digest, digest, DIGEST_BYTES);
	found->used_at = ++a->at;
	(void)snprintf(found->account, sizeof(found->account), "%s", account);
	(void)snprintf(found->member, sizeof(found->member), "%s", member);
}

/* ---- octroi's answers ------------------------------------------------------------------------ */

const char *leeway_place(struct leeway *a, struct leeway_ask *ask)
{
	ask->asked_us = clock_monotonic_us();
	ask->changes = a->pending == 0 ? a->changes : NONE;
	return a->place;
}

/* Takes the grace.  Where nothing was used or booked since octroi was asked, its sum is the truth.  Else an answer from
 * before may come late, and its sum is at least a part of the truth. */
static void read_grace(struct leeway *a, struct account *account, bool is_new, const struct leeway_ask *ask,
                       const struct json *grace)
{
	const char *signature = json_get_text(grace, "signature");
	unsigned char bytes[DIGEST_BYTES];
	const int64_t booked = json_get_int(grace, "bookedMicros", NONE);
	const bool is_exact = ask->changes == a->changes;
	const struct grace given = {
		.serial = json_get_int(grace, "serial", 0),
		.limit = json_get_int(grace, "limitMicros", NONE),
		.ends_at = json_get_int(grace, "endsAt", NONE),
		.until_us = ask->asked_us + json_get_int(grace, "seconds", 0) * CLOCK_US_PER_SECOND,
	};

	if (is_new && !is_exact)
		return;
	if (is_exact || booked > account->booked)
		account->booked = booked > 0 ? booked : 0;
	account->grace.serial = 0;
	if (given.serial <= 0 || given.limit < 0 || given.ends_at < 0 || booked < 0 ||
	    strlen(signature) != SIGNATURE_LENGTH ||
	    digest_unbase64url(signature, SIGNATURE_LENGTH, bytes, sizeof(bytes)) != DIGEST_BYTES)
		return;
	account->grace = given;
	(void)snprintf(account->grace.signature, sizeof(account->grace.signature), "%s", signature);
}

/* True if the latest cost says all that the old one does. */
static bool replaces(const struct cost *latest, const struct cost *old)
{
	return memcmp(latest->kind, old->kind, sizeof(latest->kind)) == 0 &&
	       (latest->version != old->version ||
	        (latest->input >= old->input && latest->output >= old->output && latest->asked >= old->asked));
}

static void note_cost(struct account *account, const struct leeway_ask *ask, const struct json *answer)
{
	struct cost latest = {
		.input = ask->input,
		.output = json_get_int(answer, "maxOutputTokens", 0),
		.micros = json_get_int(answer, "reservedMicros", NONE),
		.version = json_get_int(answer, "priceVersion", 0),
	};
	struct cost kept[COSTS];
	int count = 1;

	if (latest.micros < 0 || latest.version <= 0 || latest.output < 0)
		return;
	memcpy(latest.kind, ask->kind, sizeof(latest.kind));
	latest.asked = ask->output;
	memset(kept, 0, sizeof(kept));
	kept[0] = latest;
	for (int i = 0; i < COSTS && count < COSTS; i++)
		if (account->costs[i].version > 0 && !replaces(&latest, &account->costs[i]))
			kept[count++] = account->costs[i];
	memcpy(account->costs, kept, sizeof(kept));
}

void leeway_note(struct leeway *a, const struct leeway_ask *ask, const struct json *answer)
{
	const char *id = ask->account != NULL ? ask->account : json_get_text(answer, "account");
	const char *member = ask->account != NULL ? ask->member : json_get_text(answer, "member");
	const struct json *replayed = json_get(answer, "replayed"), *grace = json_get(answer, "grace");
	struct account *account;
	bool is_new;

	if (strcmp(json_get_text(answer, "decision"), "allow") != 0 || replayed == NULL ||
	    json_type(replayed) != JSON_BOOL || json_bool(replayed) || !id_account_valid(id, strlen(id)) ||
	    (member[0] != '\0' && !id_account_valid(member, strlen(member))))
		return;
	account = make_account(a, id, &is_new);
	if (account == NULL)
		return;
	note_payer(a, ask->payer, id, member);
	if (grace != NULL)
		read_grace(a, account, is_new, ask, grace);
	if (strcmp(json_get_text(answer, "source"), "platform") == 0)
		note_cost(account, ask, answer);
}

void leeway_forget(struct leeway *a, const unsigned char payer[DIGEST_BYTES])
{
	struct payer *known = find_payer(a, payer);
	struct account *account = known != NULL ? find_account(a, known->account) : NULL;

	if (account != NULL)
		account->grace.serial = 0;
	if (known != NULL)
		*known = (struct payer){.used_at = 0};
}

/* ---- uses ------------------------------------------------------------------------------------ */

/* The output that the cost pays for; -1: it is not known to cover the request.  A wish that octroi has fitted is fitted
 * to no less when it books, and a smaller one, too. */
static int64_t covered_output(const struct cost *cost, const struct leeway_ask *ask)
{
	if (cost->version <= 0 || memcmp(cost->kind, ask->kind, sizeof(cost->kind)) != 0 || ask->input > cost->input)
		return NONE;
	if (ask->output < 0)
		return cost->output;
	if (ask->output <= cost->output)
		return ask->output;
	return ask->output <= cost->asked ? cost->output : NONE;
}

/* The cost within the amount that pays for the most output, and of these the cheapest.  NULL: none. */
static const struct cost *find_cost(const struct account *account, const struct leeway_ask *ask, int64_t left)
{
	const struct cost *best = NULL;

	for (int i = 0; i < COSTS; i++) {
		const struct cost *cost = &account->costs[i];
		const int64_t output = covered_output(cost, ask);
		const int64_t best_output = best != NULL ? covered_output(best, ask) : NONE;

		if (output < 0 || cost->micros > left)
			continue;
		if (output > best_output || (output == best_output && cost->micros < best->micros))
			best = cost;
	}
	return best;
}

static void fill_use(const struct leeway *a, const struct account *account, const struct payer *payer,
                     const struct cost *cost, struct leeway_use *use)
{
	const struct grace *g = &account->grace;
	int length;

	(void)snprintf(use->account, sizeof(use->account), "%s", payer->account);
	(void)snprintf(use->member, sizeof(use->member), "%s", payer->member);
	use->micros = cost->micros;
	length = snprintf(use->grace, sizeof(use->grace),
	                  "{\"place\":\"%s\",\"used\":{\"serial\":%lld,\"limitMicros\":%lld,\"endsAt\":%lld,"
	                  "\"signature\":\"%s\",\"micros\":%lld,\"priceVersion\":%lld}}",
	                  a->name, (long long)g->serial, (long long)g->limit, (long long)g->ends_at, g->signature,
	                  (long long)cost->micros, (long long)cost->version);
	CHECK(length > 0 && (size_t)length < sizeof(use->grace));
}

bool leeway_use(struct leeway *a, const struct leeway_ask *ask, struct leeway_use *use)
{
	const struct payer *payer = find_payer(a, ask->payer);
	struct account *account = payer != NULL ? find_account(a, payer->account) : NULL;
	const struct cost *cost;
	int64_t used;

	if (account == NULL || account->grace.serial == 0 || a->untracked > 0 ||
	    clock_monotonic_us() >= account->grace.until_us)
		return false;
	if (!money_add(account->booked, account->pending, &used) || used > account->grace.limit)
		return false;
	cost = find_cost(account, ask, account->grace.limit - used);
	if (cost == NULL)
		return false;
	use->output = covered_output(cost, ask);
	fill_use(a, account, payer, cost, use);
	account->pending += cost->micros;
	account->uses++;
	account->used_at = ++a->at;
	a->pending++;
	a->changes++;
	CHECK(account->booked + account->pending <= account->grace.limit);
	return true;
}

void leeway_found(struct leeway *a, const char *account_id, int64_t amount)
{
	bool is_new;
	struct account *account = make_account(a, account_id, &is_new);

	a->pending++;
	a->changes++;
	if (account != NULL && money_add(account->pending, amount, &account->pending))
		account->uses++;
	else
		a->untracked++;
}

void leeway_end(struct leeway *a, const char *account_id, int64_t amount, bool booked)
{
	struct account *account = find_account(a, account_id);

	CHECK(a->pending > 0);
	a->pending--;
	a->changes++;
	if (account == NULL || account->uses == 0) {
		a->untracked -= a->untracked > 0 ? 1 : 0;
		return;
	}
	account->uses--;
	account->pending -= amount;
	CHECK(account->pending >= 0);
	if (booked && !money_add(account->booked, amount, &account->booked))
		account->grace.serial = 0;
}
