#define _GNU_SOURCE
#include "base/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"

int sandbox_keep_private(void)
{
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -1;
	return setrlimit(RLIMIT_CORE, &none);
}

#ifdef HAVE_SECCOMP

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A system call that is on none of the lists fails as if this kernel did not have it: a newer C library
 * is prepared for that.  The calls were measured with strace over the tests of tests/api; further calls
 * of the C library's resolver, OpenSSL and libcurl were added.  The lists hold names, because a
 * libseccomp that is older than a call does not know its macro. */
static const char *const allowed[] = {
	/* files and sockets that are open */
	"read",
	"readv",
	"pread64",
	"preadv",
	"write",
	"writev",
	"pwrite64",
	"pwritev",
	"lseek",
	"_llseek",
	"close",
	"fcntl",
	"fcntl64",
	"fstat",
	"fstat64",
	"fsync",
	"fdatasync",
	"ftruncate",
	"ftruncate64",
	"dup",
	"dup3",
	"memfd_create",
	"eventfd2",
	"pipe2",
	/* waiting */
	"poll",
	"ppoll",
	"ppoll_time64",
	"select",
	"_newselect",
	"pselect6",
	"pselect6_time64",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"nanosleep",
	"clock_nanosleep",
	"clock_nanosleep_time64",
	"restart_syscall",
	/* the network; listening is on the other list */
	"socketpair",
	"connect",
	"bind",
	"accept4",
	"shutdown",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"send",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"recv",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"recvmmsg_time64",
	/* looking at files */
	"stat",
	"stat64",
	"lstat",
	"lstat64",
	"newfstatat",
	"fstatat64",
	"statx",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents64",
	"getcwd",
	/* memory and threads; mapping is below */
	"brk",
	"munmap",
	"mremap",
	"madvise",
	"futex",
	"futex_time64",
	"futex_waitv",
	"set_robust_list",
	"rseq",
	"membarrier",
	"sched_yield",
	"sched_getaffinity",
	"get_robust_list",
	"set_tid_address",
	"arch_prctl",
	"gettid",
	"exit",
	"exit_group",
	/* signals */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigreturn",
	"rt_sigtimedwait",
	"rt_sigtimedwait_time64",
	"sigaltstack",
	/* time, random numbers, and the identity of process and machine */
	"clock_gettime",
	"clock_gettime64",
	"clock_getres",
	"gettimeofday",
	"time",
	"getrandom",
	"getpid",
	"getppid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getuid32",
	"geteuid32",
	"getgid32",
	"getegid32",
	"uname",
	"sysinfo",
	"getrusage",
	"times",
	"getrlimit",
	"ugetrlimit",
};

/* Calls that only an intruder makes.  The process ends at once, so that the intruder cannot try again.
 * The ledger survives that as it survives any kill. */
static const char *const deadly[] = {
	/* other programs and processes */
	"execve",
	"execveat",
	"fork",
	"vfork",
	"kill",
	"tkill",
	"rt_sigqueueinfo",
	"rt_tgsigqueueinfo",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"process_madvise",
	"pidfd_open",
	"pidfd_getfd",
	"pidfd_send_signal",
	"kcmp",
	"wait4",
	"waitid",
	/* listening for connections */
	"listen",
	/* more rights, another view of the system, the kernel */
	"setuid",
	"setgid",
	"setreuid",
	"setregid",
	"setresuid",
	"setresgid",
	"setfsuid",
	"setfsgid",
	"setgroups",
	"capset",
	"chroot",
	"pivot_root",
	"mount",
	"umount2",
	"move_mount",
	"open_tree",
	"fsopen",
	"unshare",
	"setns",
	"personality",
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"io_uring_setup",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"open_by_handle_at",
	"name_to_handle_at",
	"reboot",
	"swapon",
	"swapoff",
	"acct",
	"quotactl",
	"iopl",
	"ioperm",
	"modify_ldt",
	"pkey_mprotect",
	"remap_file_pages",
	/* others' files */
	"unlink",
	"unlinkat",
	"rename",
	"renameat",
	"renameat2",
	"link",
	"linkat",
	"symlink",
	"symlinkat",
	"chmod",
	"fchmodat",
	"chown",
	"lchown",
	"fchownat",
	"mknod",
	"mknodat",
	"truncate",
};

/* Rules that look at one argument: its bits of mask must equal value.  A plain comparison would not do,
 * because arguments of type int leave the upper half of the register undefined. */
struct rule {
	const char *name;
	uint64_t mask, value;
	unsigned argument;
	bool deadly;
};

#define INT UINT64_C(0xffffffff)
#define WRITE_AND_EXECUTE ((uint64_t)(PROT_WRITE | PROT_EXEC))
#define HOW_OPENED ((uint64_t)(O_ACCMODE | O_APPEND | O_CREAT | O_TRUNC))
#define ON_APPENDING ((uint64_t)(O_ACCMODE | O_APPEND | O_TRUNC))
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* newer C libraries name their memory */
#endif

static const struct rule rules[] = {
	{"socket", INT, AF_UNIX, 0, false},
	{"socket", INT, AF_INET, 0, false},
	{"socket", INT, AF_INET6, 0, false},
	{"socket", INT, AF_NETLINK, 0, false}, /* the resolver asks for this machine's addresses */
	/* Threads.  clone3 keeps its flags in memory, where no filter sees them.  So clone3 fails as
	 * unknown, and the C library uses clone instead. */
	{"clone", CLONE_THREAD, CLONE_THREAD, 0, false},
	{"clone", CLONE_THREAD, 0, 0, true},
	/* Code is mapped from files: the libraries that resolve names and authenticate the database's users
	 * are loaded when they are first needed. */
	{"mmap", PROT_EXEC, 0, 2, false},
	{"mmap", WRITE_AND_EXECUTE, PROT_EXEC, 2, false},
	{"mmap", WRITE_AND_EXECUTE, WRITE_AND_EXECUTE, 2, true},
	{"mmap2", PROT_EXEC, 0, 2, false},
	{"mmap2", WRITE_AND_EXECUTE, PROT_EXEC, 2, false},
	{"mmap2", WRITE_AND_EXECUTE, WRITE_AND_EXECUTE, 2, true},
	{"mprotect", PROT_EXEC, 0, 2, false},
	{"mprotect", PROT_EXEC, PROT_EXEC, 2, true},
	/* Read, or add to the end (the log). */
	{"open", HOW_OPENED, O_RDONLY, 1, false},
	{"openat", HOW_OPENED, O_RDONLY, 2, false},
	{"open", ON_APPENDING, O_WRONLY | O_APPEND, 1, false},
	{"openat", ON_APPENDING, O_WRONLY | O_APPEND, 2, false},
	{"ioctl", INT, FIONREAD, 1, false},
	{"ioctl", INT, FIONBIO, 1, false},
	{"prctl", INT, PR_SET_NAME, 0, false},
	{"prctl", INT, PR_SET_VMA, 0, false},
	{"prlimit64", INT, RLIMIT_NOFILE, 1, false},
};

static int add_rule(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned count,
                    struct scmp_arg_cmp compare)
{
	const int number = seccomp_syscall_resolve_name(name);

	if (number == __NR_SCMP_ERROR)
		return 0; /* the call is newer than libseccomp: then nothing here uses it */
	return seccomp_rule_add_array(filter, action, number, count, &compare);
}

static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && error == 0; i++)
		error = add_rule(filter, action, names[i], 0, (struct scmp_arg_cmp){0});
	return error;
}

static int add_rules(scmp_filter_ctx filter)
{
	int error = 0;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && error == 0; i++)
		error = add_rule(filter, rules[i].deadly ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ALLOW, rules[i].name, 1,
		                 SCMP_CMP64(rules[i].argument, SCMP_CMP_MASKED_EQ, rules[i].mask, rules[i].value));
	if (error != 0)
		return error;
	/* abort signals its own process, so tgkill is allowed for this one. */
	return add_rule(filter, SCMP_ACT_ALLOW, "tgkill", 1,
	                SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, INT, (uint64_t)(uint32_t)getpid()));
}

static int fill_filter(scmp_filter_ctx filter)
{
	int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: every call passes */
	if (error == 0)
		error = add_names(filter, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(allowed[0]));
	if (error == 0)
		error = add_names(filter, SCMP_ACT_KILL_PROCESS, deadly, sizeof(deadly) / sizeof(deadly[0]));
	return error == 0 ? add_rules(filter) : error;
}

bool sandbox_built(void)
{
	return true;
}

int sandbox_enter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int error = -ENOMEM;

	if (filter != NULL)
		error = fill_filter(filter);
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	if (error == 0)
		return 0;
	errno = -error;
	return -1;
}

#else

bool sandbox_built(void)
{
	return false;
}

int sandbox_enter(void)
{
	errno = ENOSYS;
	return -1;
}

#endif

const char *sandbox_confine(const char *wanted, const char **name)
{
	const bool demanded = strcmp(wanted, "on") == 0;
	const char *why;

	*name = wanted;
	if (strcmp(wanted, "off") == 0)
		return NULL;
	*name = "seccomp";
	if (sandbox_keep_private() == 0 && sandbox_enter() == 0)
		return NULL;
	*name = "none";
	why = sandbox_built() ? strerror(errno) : "built without libseccomp";
	log_event(demanded ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "sandbox_failed", LOG_TEXT("error", why));
	return why;
}
