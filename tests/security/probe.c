/*
 * probe: stands in for an intruder's code inside octroi.  Preloaded; at SIGUSR2 it makes the system call
 * that the file $PROBE names and adds "name errno" to $PROBE_SAID.  With $PROBE_NO_SECCOMP libseccomp
 * cannot load a filter, as in a container that forbids it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096

static int said = -1;

/* A child that was born all the same ends at once. */
static long born(long pid)
{
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	return pid;
}

static long starts_programs(const char *name, char *const *nothing)
{
	if (strcmp(name, "execve") == 0)
		return syscall(SYS_execve, "/nonexistent", nothing, nothing);
	if (strcmp(name, "execveat") == 0)
		return syscall(SYS_execveat, -1, "/nonexistent", nothing, nothing, 0);
	if (strcmp(name, "fork") == 0)
		return born(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	if (strcmp(name, "clone3") == 0)
		return syscall(SYS_clone3, NULL, (size_t)0);
	if (strcmp(name, "kill") == 0)
		return syscall(SYS_kill, getppid(), 0);
	if (strcmp(name, "tgkill-other") == 0)
		return syscall(SYS_tgkill, getppid(), getppid(), 0);
	if (strcmp(name, "ptrace") == 0)
		return syscall(SYS_ptrace, PTRACE_PEEKDATA, getppid(), 0, 0);
	if (strcmp(name, "process_vm_readv") == 0)
		return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
	if (strcmp(name, "io_uring_setup") == 0)
		return syscall(SYS_io_uring_setup, 0, NULL);
	if (strcmp(name, "bpf") == 0)
		return syscall(SYS_bpf, -1, NULL, 0);
	if (strcmp(name, "unshare") == 0)
		return syscall(SYS_unshare, 0);
	if (strcmp(name, "setuid") == 0)
		return syscall(SYS_setuid, getuid());
	return -2;
}

static long makes_code(const char *name)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (strcmp(name, "mmap-write-execute") == 0)
		return mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		                       MAP_FAILED
		               ? -1
		               : 0;
	if (strcmp(name, "mprotect-execute") == 0)
		return mprotect(page, PAGE, PROT_READ | PROT_EXEC);
	return -2;
}

static long touches_files(const char *name, const char *victim)
{
	if (strcmp(name, "open-read") == 0)
		return open(victim, O_RDONLY | O_CLOEXEC);
	if (strcmp(name, "open-append") == 0)
		return open(victim, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (strcmp(name, "open-write") == 0)
		return open(victim, O_WRONLY | O_CLOEXEC);
	if (strcmp(name, "open-both") == 0)
		return open(victim, O_RDWR | O_CLOEXEC);
	if (strcmp(name, "open-truncate") == 0)
		return open(victim, O_WRONLY | O_APPEND | O_TRUNC | O_CLOEXEC);
	if (strcmp(name, "open-create") == 0)
		return open("probe-made-this", O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	if (strcmp(name, "mkdir") == 0)
		return mkdir("probe-made-this", 0700);
	if (strcmp(name, "unlink") == 0)
		return unlink("/nonexistent");
	if (strcmp(name, "rename") == 0)
		return rename("/nonexistent", "/nonexistent-too");
	if (strcmp(name, "chmod") == 0)
		return chmod("/nonexistent", 0777);
	if (strcmp(name, "truncate") == 0)
		return truncate("/nonexistent", 0);
	return -2;
}

static long opens_sockets(const char *name)
{
	const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	if (strcmp(name, "listen") == 0)
		return listen(-1, 1);
	if (strcmp(name, "socket-inet") == 0)
		return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (strcmp(name, "socket-packet") == 0)
		return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (strcmp(name, "socket-alg") == 0)
		return socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (strcmp(name, "socket-vsock") == 0)
		return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (strcmp(name, "dumpable") == 0)
		return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (strcmp(name, "core-limit") == 0)
		return setrlimit(RLIMIT_CORE, &limit);
	if (strcmp(name, "terminal") == 0)
		return ioctl(STDIN_FILENO, TIOCSTI, "x");
	if (strcmp(name, "another-filter") == 0)
		return syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL);
	return -2;
}

static void probe(int number)
{
	char *const nothing[] = {NULL};
	const char *path = getenv("PROBE");
	char name[64] = "", line[96];
	int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t length = file >= 0 ? read(file, name, sizeof(name) - 1) : -1;
	long result = -2;

	(void)number;
	if (length > 0) {
		name[strcspn(name, "\n")] = '\0';
		errno = 0;
		result = starts_programs(name, nothing);
		result = result != -2 ? result : makes_code(name);
		result = result != -2 ? result : touches_files(name, path);
		result = result != -2 ? result : opens_sockets(name);
	}
	length = snprintf(line, sizeof(line), "%s %d\n", name, result == -2 ? -1 : result == -1 ? errno : 0);
	if (write(said, line, (size_t)length) < 0)
		_exit(99);
}

__attribute__((constructor)) static void begin(void)
{
	struct sigaction action = {.sa_handler = probe, .sa_flags = SA_RESTART};

	if (getenv("PROBE_SAID") == NULL)
		return;
	said = open(getenv("PROBE_SAID"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (said < 0 || sigaction(SIGUSR2, &action, NULL) != 0)
		_exit(98);
}

int seccomp_load(const void *filter)
{
	static int (*real)(const void *);
	extern void *dlsym(void *, const char *);

	if (getenv("PROBE_NO_SECCOMP") != NULL)
		return -EINVAL;
	if (real == NULL)
		real = (int (*)(const void *))(uintptr_t)dlsym((void *)-1L, "seccomp_load"); /* RTLD_NEXT */
	return real(filter);
}
