/*
 * Preloaded into octroi: counts what it asks of the allocator, of the database's library and of the system,
 * and lets one such call fail.  torture.py shares a page with it (struct control), where it says which call is
 * to fail and reads what became of it; so one process is tortured again and again.
 *
 * Only calls of the threads that serve requests are counted, or only those of all others.  A thread serves
 * requests when it waits in epoll_wait.  A site is a call together with its callers, and has the same number in
 * every process that runs the same files, wherever they are loaded.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <errmsg.h>
#include <mysql.h>

#define DEPTH 7       /* callers that tell a site from others */
#define FRAMES_MAX 24 /* that are shown of a call that failed */
#define SITES_MAX 65536
#define SPARED_MAX 64
#define NAME_MAX_BYTES 24
#define MODULES_MAX 128
#define DESCRIPTORS_MAX 65536

/* Calls that can fail, as in torture.py. */
enum class { NOTHING, MEMORY, DATABASE, SYSTEM };

/* How.  MEMORY knows FAILS only. */
enum kind {
	FAILS,       /* the worst that can be said at once; DATABASE: the connection is lost before */
	AFTERWARDS,  /* DATABASE: done, and then the connection is lost.  SYSTEM: closed by the peer */
	EXHAUSTED,   /* DATABASE: the library has no memory.  SYSTEM: half of it, or nothing in time */
	INTERRUPTED, /* SYSTEM */
	KINDS
};

struct site {
	uint64_t hash;
	uint64_t module; /* that called, MODULES_MAX when it is not known */
	char name[NAME_MAX_BYTES];
};

/* The page that is shared; every number is 64 bits wide, and torture.py knows their order. */
struct control {
	_Atomic uint64_t class, kind, others; /* others: of the threads that serve nobody */
	_Atomic uint64_t nth;                 /* which one fails, from 1; 0: none, they are written down */
	_Atomic uint64_t hash;                /* of this site only; 0: of any */
	_Atomic uint64_t lasting;             /* all after it fail as well */
	_Atomic uint64_t count;               /* of calls that came into question */
	_Atomic uint64_t fired;
	_Atomic uint64_t servers, waiting; /* threads that serve requests, and how many have nothing to do */
	_Atomic uint64_t accepted, closed; /* connections */
	_Atomic uint64_t blocks;           /* allocated by the serving threads and not freed by them, mod 2^64 */
	_Atomic uint64_t sites;
	_Atomic uint64_t fired_hash;
	_Atomic uint64_t spared; /* sites that are left alone, so many of them */
	_Atomic uint64_t spare[SPARED_MAX];
	char fired_name[NAME_MAX_BYTES];
	_Atomic uint64_t frames;
	struct {
		uint64_t module, offset;
	} frame[FRAMES_MAX];
	char module[MODULES_MAX][128];
	struct site site[SITES_MAX];
};

static struct control *C; /* NULL: nobody tortures */
static __thread bool serves;
static __thread int inside; /* this file's own calls are not counted */
static _Atomic bool is_connection[DESCRIPTORS_MAX];

/* ---- where a call comes from ---------------------------------------------------------------------- */

static struct module {
	uintptr_t low, high, base;
	uint64_t hash;
} modules[MODULES_MAX];
static _Atomic size_t module_count;
static pthread_mutex_t modules_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t mix(uint64_t hash, uint64_t value)
{
	for (int i = 0; i < 8; i++) {
		hash = (hash ^ (value >> (8 * i) & 0xff)) * UINT64_C(0x100000001b3);
	}
	return hash;
}

static uint64_t mix_text(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}

static int module_add(struct dl_phdr_info *info, size_t size, void *context)
{
	const char *name = info->dlpi_name[0] != '\0' ? info->dlpi_name : "octroi";
	size_t count = atomic_load(&module_count);

	(void)size;
	(void)context;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		struct module m = {.base = info->dlpi_addr, .hash = mix_text(name)};

		if (p->p_type != PT_LOAD || (p->p_flags & PF_X) == 0 || count == MODULES_MAX)
			continue;
		m.low = info->dlpi_addr + p->p_vaddr;
		m.high = m.low + p->p_memsz;
		for (size_t k = 0; k < count; k++)
			if (modules[k].low == m.low)
				return 0;
		modules[count] = m;
		snprintf(C->module[count], sizeof(C->module[count]), "%s", name);
		atomic_store(&module_count, ++count);
	}
	return 0;
}

static const struct module *module_of(uintptr_t address)
{
	for (int again = 0; again < 2; again++) {
		const size_t count = atomic_load(&module_count);

		for (size_t i = 0; i < count; i++)
			if (address >= modules[i].low && address < modules[i].high)
				return &modules[i];
		if (again == 0) {
			pthread_mutex_lock(&modules_lock);
			dl_iterate_phdr(module_add, NULL);
			pthread_mutex_unlock(&modules_lock);
		}
	}
	return NULL;
}

/* The callers outside of this file, nearest first; how many. */
static int callers(void **frames, int max)
{
	static const char here;
	void *all[FRAMES_MAX + 8];
	const int count = backtrace(all, max + 6 < FRAMES_MAX + 8 ? max + 6 : FRAMES_MAX + 8);
	const struct module *mine = module_of((uintptr_t)&callers);
	int found = 0;

	(void)here;
	for (int i = 0; i < count && found < max; i++) {
		const uintptr_t address = (uintptr_t)all[i];

		if (mine != NULL && address >= mine->low && address < mine->high)
			continue;
		frames[found++] = all[i];
	}
	return found;
}

static uint64_t site_hash(const char *name)
{
	void *frames[DEPTH];
	const int count = callers(frames, DEPTH);
	uint64_t hash = mix_text(name);

	for (int i = 0; i < count; i++) {
		const struct module *m = module_of((uintptr_t)frames[i]);

		hash = mix(hash, m != NULL ? m->hash : 0);
		hash = mix(hash, m != NULL ? (uintptr_t)frames[i] - m->base : 0);
	}
	return hash != 0 ? hash : 1;
}

static void tell(const char *name, uint64_t hash)
{
	void *frames[FRAMES_MAX];
	const int count = callers(frames, FRAMES_MAX);

	atomic_store(&C->fired_hash, hash);
	snprintf(C->fired_name, sizeof(C->fired_name), "%s", name);
	for (int i = 0; i < count; i++) {
		const struct module *m = module_of((uintptr_t)frames[i]);

		C->frame[i].module = m != NULL ? (uint64_t)(m - modules) : MODULES_MAX;
		C->frame[i].offset = (uintptr_t)frames[i] - (m != NULL ? m->base : 0);
	}
	atomic_store(&C->frames, (uint64_t)count);
}

static void note(const char *name, uint64_t hash)
{
	const uint64_t at = atomic_fetch_add(&C->sites, 1);
	const struct module *m = NULL;
	void *caller;

	if (at >= SITES_MAX)
		return;
	if (callers(&caller, 1) == 1)
		m = module_of((uintptr_t)caller);
	C->site[at].module = m != NULL ? (uint64_t)(m - modules) : MODULES_MAX;
	snprintf(C->site[at].name, sizeof(C->site[at].name), "%s", name);
	C->site[at].hash = hash;
}

static bool is_spared(uint64_t hash)
{
	const uint64_t count = atomic_load(&C->spared);

	for (uint64_t i = 0; i < count && i < SPARED_MAX; i++)
		if (atomic_load(&C->spare[i]) == hash)
			return true;
	return false;
}

/* Whether this call fails.  kinds: of which it can. */
static bool fails(enum class class, unsigned kinds, const char *name)
{
	const bool in_question = C != NULL && inside == 0 && atomic_load(&C->class) == class &&
	                         (kinds & 1U << atomic_load(&C->kind)) != 0 && (atomic_load(&C->others) != 0) != serves;
	const int error = errno;
	bool failed = false;
	uint64_t nth, hash, site = 0;

	if (!in_question)
		return false;
	inside++;
	nth = atomic_load(&C->nth);
	hash = atomic_load(&C->hash);
	if (nth == 0 || hash != 0 || atomic_load(&C->spared) != 0)
		site = site_hash(name);
	if (site != 0 && is_spared(site)) {
		/* neither fails nor counts */
	} else if (nth == 0) {
		note(name, site);
		atomic_fetch_add(&C->count, 1);
	} else if (hash == 0 || hash == site) {
		const uint64_t this = atomic_fetch_add(&C->count, 1) + 1;

		failed = this == nth || (this > nth && atomic_load(&C->lasting) != 0);
		if (this == nth)
			tell(name, site != 0 ? site : site_hash(name));
		if (failed)
			atomic_fetch_add(&C->fired, 1);
	}
	inside--;
	errno = error;
	return failed;
}

static enum kind kind(void)
{
	return (enum kind)atomic_load(&C->kind);
}

/* ---- the real ones -------------------------------------------------------------------------------- */

#define REAL(name) ((__typeof__(&name))real((void *_Atomic *)&real_##name, #name))

static void *real(void *_Atomic *known, const char *name)
{
	void *found = atomic_load(known);

	if (found == NULL) {
		inside++;
		found = dlsym(RTLD_NEXT, name);
		inside--;
		if (found == NULL)
			_exit(97);
		atomic_store(known, found);
	}
	return found;
}

/* dlsym allocates before malloc is known. */
static _Alignas(16) char early[8192];
static size_t early_used;

static void *early_alloc(size_t size)
{
	void *memory = early + early_used;

	early_used += (size + 15) / 16 * 16;
	if (early_used > sizeof(early))
		_exit(98);
	return memory;
}

static bool is_early(const void *memory)
{
	return (const char *)memory >= early && (const char *)memory < early + sizeof(early);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("TORTURE_CONTROL");
	void *frames[2];
	int file;

	if (path == NULL)
		return;
	inside++;
	(void)backtrace(frames, 2); /* loads what it needs */
	file = open(path, O_RDWR | O_CLOEXEC);
	if (file >= 0) {
		void *page = mmap(NULL, sizeof(*C), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

		close(file);
		if (page != MAP_FAILED) {
			C = page;
			(void)module_of((uintptr_t)&begin);
		}
	}
	inside--;
}

/* ---- memory --------------------------------------------------------------------------------------- */

static void *_Atomic real_malloc, *_Atomic real_calloc, *_Atomic real_realloc, *_Atomic real_free;
static void *_Atomic real_posix_memalign, *_Atomic real_aligned_alloc;
static __thread bool finding;

static bool memory_fails(const char *name)
{
	if (!fails(MEMORY, 1U << FAILS, name))
		return false;
	errno = ENOMEM;
	return true;
}

static void *counted(void *memory)
{
	if (memory != NULL && C != NULL && serves)
		atomic_fetch_add_explicit(&C->blocks, 1, memory_order_relaxed);
	return memory;
}

/* False while the real ones are being looked for by this very thread. */
static bool found(void *_Atomic *known, const char *name)
{
	if (atomic_load(known) != NULL)
		return true;
	if (finding)
		return false;
	finding = true;
	(void)real(known, name);
	finding = false;
	return true;
}

void *malloc(size_t size)
{
	if (!found(&real_malloc, "malloc"))
		return early_alloc(size);
	return memory_fails("malloc") ? NULL : counted(REAL(malloc)(size));
}

void *calloc(size_t count, size_t size)
{
	if (!found(&real_calloc, "calloc"))
		return early_alloc(count * size);
	return memory_fails("calloc") ? NULL : counted(REAL(calloc)(count, size));
}

void *realloc(void *memory, size_t size)
{
	if (memory == NULL)
		return malloc(size);
	if (is_early(memory) || !found(&real_realloc, "realloc"))
		_exit(99);
	return size > 0 && memory_fails("realloc") ? NULL : REAL(realloc)(memory, size);
}

void *reallocarray(void *memory, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(memory, count * size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	int error;

	if (memory_fails("posix_memalign"))
		return ENOMEM;
	error = REAL(posix_memalign)(memory, alignment, size);
	if (error == 0)
		(void)counted(*memory);
	return error;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memory_fails("aligned_alloc") ? NULL : counted(REAL(aligned_alloc)(alignment, size));
}

void free(void *memory)
{
	if (memory == NULL || is_early(memory) || !found(&real_free, "free"))
		return;
	if (C != NULL && serves)
		atomic_fetch_sub_explicit(&C->blocks, 1, memory_order_relaxed);
	REAL(free)(memory);
}

/* ---- the database --------------------------------------------------------------------------------- */

/* The handle's mysql_errno until it is used again. */
static __thread const void *said_of;
static __thread unsigned said;

#define SAYS(type, name_errno, name_error) \
	static void *_Atomic real_##name_errno, *_Atomic real_##name_error; \
	unsigned name_errno(type *handle) \
	{ \
		return handle != NULL && handle == said_of ? said : REAL(name_errno)(handle); \
	} \
	const char *name_error(type *handle) \
	{ \
		return handle != NULL && handle == said_of ? "as the torture has it" : REAL(name_error)(handle); \
	}
SAYS(MYSQL, mysql_errno, mysql_error)
SAYS(MYSQL_STMT, mysql_stmt_errno, mysql_stmt_error)
#undef SAYS

static void say(const void *handle, MYSQL *m, unsigned number)
{
	said_of = handle;
	said = number;
	/* A reader of CR_SERVER_LOST has a connection that is of no more use, and the server knows. */
	if (number == CR_SERVER_LOST && m != NULL)
		(void)shutdown((int)mysql_get_socket(m), SHUT_RDWR);
}

/* Reads all that the database has to say: so it has done everything that it was told. */
static void drain(MYSQL *m)
{
	int more = 0;

	inside++;
	while (more == 0) {
		MYSQL_RES *result = mysql_store_result(m);

		if (result != NULL)
			mysql_free_result(result);
		more = mysql_next_result(m);
	}
	inside--;
}

static unsigned number_of(void)
{
	return kind() == EXHAUSTED ? CR_OUT_OF_MEMORY : CR_SERVER_LOST;
}

#define LOST_OR_EXHAUSTED (1U << FAILS | 1U << EXHAUSTED)
#define ANY_LOSS (LOST_OR_EXHAUSTED | 1U << AFTERWARDS)

/* TALK: a function that talks to the server, with its first argument the handle h, whose connection is m. */
#define TALK(type, name, kinds, m, failure, parameters, arguments) \
	static void *_Atomic real_##name; \
	type name parameters \
	{ \
		said_of = NULL; \
		if (!fails(DATABASE, kinds, #name)) \
			return REAL(name) arguments; \
		if (kind() == AFTERWARDS) { \
			(void)REAL(name) arguments; \
			drain(m); \
		} \
		say(h, m, number_of()); \
		return failure; \
	}
TALK(int, mysql_real_query, ANY_LOSS, h, 1, (MYSQL * h, const char *q, unsigned long l), (h, q, l))
TALK(int, mysql_send_query, LOST_OR_EXHAUSTED, h, 1, (MYSQL * h, const char *q, unsigned long l), (h, q, l))
TALK(my_bool, mysql_read_query_result, ANY_LOSS, h, 1, (MYSQL * h), (h))
TALK(int, mysql_next_result, ANY_LOSS, h, 1, (MYSQL * h), (h))
TALK(MYSQL_RES *, mysql_store_result, LOST_OR_EXHAUSTED, h, NULL, (MYSQL * h), (h))
TALK(MYSQL_RES *, mysql_use_result, LOST_OR_EXHAUSTED, h, NULL, (MYSQL * h), (h))
TALK(int, mysql_ping, LOST_OR_EXHAUSTED, h, 1, (MYSQL * h), (h))
TALK(my_bool, mysql_commit, ANY_LOSS, h, 1, (MYSQL * h), (h))
TALK(my_bool, mysql_rollback, ANY_LOSS, h, 1, (MYSQL * h), (h))
TALK(my_bool, mysql_autocommit, LOST_OR_EXHAUSTED, h, 1, (MYSQL * h, my_bool a), (h, a))
TALK(int, mysql_reset_connection, LOST_OR_EXHAUSTED, h, 1, (MYSQL * h), (h))
TALK(int, mysql_set_character_set, LOST_OR_EXHAUSTED, h, 1, (MYSQL * h, const char *n), (h, n))
TALK(int, mysql_stmt_prepare, LOST_OR_EXHAUSTED, h->mysql, 1, (MYSQL_STMT * h, const char *q, unsigned long l),
     (h, q, l))
TALK(int, mysql_stmt_execute, ANY_LOSS, h->mysql, 1, (MYSQL_STMT * h), (h))
TALK(int, mariadb_stmt_execute_direct, ANY_LOSS, h->mysql, 1, (MYSQL_STMT * h, const char *q, size_t l), (h, q, l))
TALK(int, mysql_stmt_store_result, LOST_OR_EXHAUSTED, h->mysql, 1, (MYSQL_STMT * h), (h))
TALK(int, mysql_stmt_next_result, LOST_OR_EXHAUSTED, h->mysql, 1, (MYSQL_STMT * h), (h))
TALK(int, mysql_stmt_fetch, LOST_OR_EXHAUSTED, h->mysql, 1, (MYSQL_STMT * h), (h))
TALK(my_bool, mysql_stmt_bind_param, 1U << EXHAUSTED, h->mysql, 1, (MYSQL_STMT * h, MYSQL_BIND *b), (h, b))
TALK(my_bool, mysql_stmt_bind_result, 1U << EXHAUSTED, h->mysql, 1, (MYSQL_STMT * h, MYSQL_BIND *b), (h, b))
TALK(int, mysql_options, 1U << EXHAUSTED, h, 1, (MYSQL * h, enum mysql_option o, const void *v), (h, o, v))
#undef TALK

static void *_Atomic real_mysql_init, *_Atomic real_mysql_stmt_init, *_Atomic real_mysql_real_connect;
static void *_Atomic real_mysql_fetch_row;

MYSQL *mysql_init(MYSQL *m)
{
	said_of = NULL;
	return fails(DATABASE, 1U << EXHAUSTED, "mysql_init") ? NULL : REAL(mysql_init)(m);
}

MYSQL_STMT *mysql_stmt_init(MYSQL *m)
{
	said_of = NULL;
	if (!fails(DATABASE, 1U << EXHAUSTED, "mysql_stmt_init"))
		return REAL(mysql_stmt_init)(m);
	say(m, m, CR_OUT_OF_MEMORY);
	return NULL;
}

MYSQL *mysql_real_connect(MYSQL *m, const char *host, const char *user, const char *password, const char *db,
                          unsigned port, const char *path, unsigned long flags)
{
	said_of = NULL;
	if (!fails(DATABASE, ANY_LOSS, "mysql_real_connect"))
		return REAL(mysql_real_connect)(m, host, user, password, db, port, path, flags);
	said_of = m;
	said = kind() == EXHAUSTED ? CR_OUT_OF_MEMORY : kind() == FAILS ? CR_CONNECTION_ERROR : CR_SERVER_LOST;
	return NULL;
}

/* Fails where rows come one by one from the server. */
MYSQL_ROW mysql_fetch_row(MYSQL_RES *result)
{
	MYSQL *m = result != NULL && result->data == NULL ? result->handle : NULL;

	if (m == NULL || !fails(DATABASE, LOST_OR_EXHAUSTED, "mysql_fetch_row"))
		return REAL(mysql_fetch_row)(result);
	say(m, m, number_of());
	return NULL;
}

/* ---- the system ----------------------------------------------------------------------------------- */

static bool is_peer(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS_MAX && atomic_load(&is_connection[fd]);
}

static int refuse(int error)
{
	errno = kind() == INTERRUPTED ? EINTR : error;
	return -1;
}

#define FAIL_OR_INTERRUPT (1U << FAILS | 1U << INTERRUPTED)

/* A call that fails, or is interrupted, and has no half measures. */
#define CALL(name, kinds, error, parameters, arguments) \
	static void *_Atomic real_##name; \
	int name parameters \
	{ \
		return fails(SYSTEM, kinds, #name) ? refuse(error) : REAL(name) arguments; \
	}
CALL(socket, 1U << FAILS, EMFILE, (int domain, int type, int protocol), (domain, type, protocol))
CALL(socketpair, 1U << FAILS, EMFILE, (int domain, int type, int protocol, int fds[2]), (domain, type, protocol, fds))
CALL(pipe2, 1U << FAILS, EMFILE, (int fds[2], int flags), (fds, flags))
CALL(connect, FAIL_OR_INTERRUPT, ECONNREFUSED, (int fd, const struct sockaddr *a, socklen_t l), (fd, a, l))
CALL(setsockopt, 1U << FAILS, ENOMEM, (int fd, int level, int name, const void *v, socklen_t l),
     (fd, level, name, v, l))
CALL(shutdown, 1U << FAILS, ENOTCONN, (int fd, int how), (fd, how))
CALL(ftruncate, 1U << FAILS, EIO, (int fd, off_t length), (fd, length))
CALL(memfd_create, 1U << FAILS, EMFILE, (const char *name, unsigned flags), (name, flags))
CALL(nanosleep, 1U << INTERRUPTED, EINTR, (const struct timespec *t, struct timespec *left), (t, left))
#undef CALL

/* A descriptor more is what there is no room for. */
#define OPEN(name) \
	static void *_Atomic real_##name; \
	int name(const char *path, int flags, ...) \
	{ \
		va_list rest; \
		mode_t mode = 0; \
\
		va_start(rest, flags); \
		if ((flags & (O_CREAT | O_TMPFILE)) != 0) \
			mode = va_arg(rest, mode_t); \
		va_end(rest); \
		return fails(SYSTEM, FAIL_OR_INTERRUPT, #name) ? refuse(EMFILE) : REAL(name)(path, flags, mode); \
	}
OPEN(open)
OPEN(open64)
#undef OPEN

static void *_Atomic real_fopen, *_Atomic real_getaddrinfo, *_Atomic real_pthread_create, *_Atomic real_epoll_ctl;
static void *_Atomic real_epoll_wait, *_Atomic real_accept4, *_Atomic real_close, *_Atomic real_poll;

FILE *fopen(const char *path, const char *mode)
{
	if (!fails(SYSTEM, 1U << FAILS, "fopen"))
		return REAL(fopen)(path, mode);
	errno = EMFILE;
	return NULL;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found_at)
{
	return fails(SYSTEM, 1U << FAILS, "getaddrinfo") ? EAI_AGAIN
	                                                 : REAL(getaddrinfo)(host, service, hints, found_at);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	return fails(SYSTEM, 1U << FAILS, "pthread_create") ? EAGAIN
	                                                    : REAL(pthread_create)(thread, attributes, run, argument);
}

/* To change or to remove what is there takes nothing that could be short. */
int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	if (operation == EPOLL_CTL_ADD && fails(SYSTEM, 1U << FAILS, "epoll_ctl"))
		return refuse(ENOSPC);
	return REAL(epoll_ctl)(epoll, operation, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
	int count;

	if (!serves && C != NULL)
		atomic_fetch_add(&C->servers, 1);
	serves = true;
	if (fails(SYSTEM, 1U << INTERRUPTED, "epoll_wait"))
		return refuse(EINTR);
	if (C == NULL)
		return REAL(epoll_wait)(epoll, events, max, timeout);
	atomic_fetch_add(&C->waiting, 1);
	count = REAL(epoll_wait)(epoll, events, max, timeout);
	atomic_fetch_sub(&C->waiting, 1);
	return count;
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	const bool failed = fails(SYSTEM, FAIL_OR_INTERRUPT | 1U << AFTERWARDS, "accept4");
	int taken;

	if (failed && kind() != AFTERWARDS)
		return refuse(EMFILE);
	taken = REAL(accept4)(fd, address, length, flags);
	if (taken < 0)
		return taken;
	if (C != NULL)
		atomic_fetch_add(&C->accepted, 1);
	if (taken < DESCRIPTORS_MAX)
		atomic_store(&is_connection[taken], true);
	if (!failed)
		return taken;
	(void)close(taken); /* gone before it was taken */
	errno = ECONNABORTED;
	return -1;
}

/* The descriptor is closed whatever is said. */
int close(int fd)
{
	const bool failed = fails(SYSTEM, FAIL_OR_INTERRUPT, "close");
	const bool peer = is_peer(fd);
	int result;

	if (peer)
		atomic_store(&is_connection[fd], false);
	result = REAL(close)(fd);
	if (peer && C != NULL)
		atomic_fetch_add(&C->closed, 1);
	return failed ? refuse(EIO) : result;
}

/* EXHAUSTED: nothing happened in time. */
static int polled(struct pollfd *fds, nfds_t count, int timeout)
{
	const unsigned timed = timeout > 0 ? 1U << EXHAUSTED : 0;

	if (!fails(SYSTEM, FAIL_OR_INTERRUPT | timed, "poll"))
		return REAL(poll)(fds, count, timeout);
	for (nfds_t i = 0; i < count; i++)
		fds[i].revents = 0;
	return kind() == EXHAUSTED ? 0 : refuse(ENOMEM);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	return polled(fds, count, timeout);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t length)
{
	(void)length;
	return polled(fds, count, timeout);
}

/* Reads.  From a web server there is all that has come, or nothing: so epoll's edges are told. */
static unsigned reads(int fd, size_t length)
{
	const unsigned half = length > 1 && !is_peer(fd) ? 1U << EXHAUSTED : 0;

	return FAIL_OR_INTERRUPT | 1U << AFTERWARDS | half;
}

#define READ(name, checked, error, parameters, checked_parameters, arguments, fewer) \
	static void *_Atomic real_##name; \
	ssize_t name parameters \
	{ \
		if (!fails(SYSTEM, reads(fd, length), #name)) \
			return REAL(name) arguments; \
		if (kind() == EXHAUSTED) \
			return REAL(name) fewer; \
		return kind() == AFTERWARDS ? 0 : refuse(error); \
	} \
	ssize_t checked checked_parameters; \
	ssize_t checked checked_parameters \
	{ \
		(void)room; \
		return name arguments; \
	}
READ(read, __read_chk, EIO, (int fd, void *bytes, size_t length), (int fd, void *bytes, size_t length, size_t room),
     (fd, bytes, length), (fd, bytes, 1))
READ(recv, __recv_chk, ECONNRESET, (int fd, void *bytes, size_t length, int flags),
     (int fd, void *bytes, size_t length, size_t room, int flags), (fd, bytes, length, flags), (fd, bytes, 1, flags))
#undef READ

/* Writes: half of it, or nothing. */
#define WRITE(name, kinds, error, parameters, arguments, fewer) \
	static void *_Atomic real_##name; \
	ssize_t name parameters \
	{ \
		if (!fails(SYSTEM, FAIL_OR_INTERRUPT | (length > 1 ? 1U << EXHAUSTED : 0) | (kinds), #name)) \
			return REAL(name) arguments; \
		if (kind() == EXHAUSTED) \
			return REAL(name) fewer; \
		return refuse(kind() == AFTERWARDS ? EAGAIN : error); \
	}
WRITE(write, (is_peer(fd) ? 1U << AFTERWARDS : 0), (is_peer(fd) ? EPIPE : ENOSPC),
      (int fd, const void *bytes, size_t length), (fd, bytes, length), (fd, bytes, length / 2))
WRITE(pwrite, 0, ENOSPC, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at),
      (fd, bytes, length / 2, at))
WRITE(send, 0, ECONNRESET, (int fd, const void *bytes, size_t length, int flags), (fd, bytes, length, flags),
      (fd, bytes, length / 2, flags))
#undef WRITE
