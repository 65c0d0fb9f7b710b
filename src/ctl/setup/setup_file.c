#include "ctl/setup/setup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/setup/setup.h"

#define SERVICE_GROUP "octroi" /* of the package's system user */

int setup_file_read(const char *path, struct buf *text)
{
	return access(path, F_OK) != 0 && errno == ENOENT ? CTL_OK : ctl_read(path, text);
}

/* Sets mode and group of a new file or directory. */
static int hand_over(int fd, enum setup_readers readers, mode_t public, mode_t secret, mode_t alone)
{
	const struct group *group = geteuid() == 0 ? getgrnam(SERVICE_GROUP) : NULL;

	if (readers == SETUP_PUBLIC)
		return fchmod(fd, public);
	if (group == NULL)
		return fchmod(fd, alone);
	return fchown(fd, (uid_t)-1, group->gr_gid) != 0 ? -1 : fchmod(fd, secret);
}

/* As the file that is there. */
static int inherit(int fd, const struct stat *was)
{
	return fchown(fd, was->st_uid, was->st_gid) != 0 ? -1 : fchmod(fd, was->st_mode & 07777);
}

static int fill(int fd, const struct buf *text)
{
	size_t done = 0;

	while (done < text->length) {
		const ssize_t put = write(fd, text->data + done, text->length - done);

		if (put <= 0)
			return -1;
		done += (size_t)put;
	}
	return fsync(fd);
}

int setup_file_write(const char *path, const struct buf *text, enum setup_readers readers)
{
	char beside[SETUP_PATH_MAX];
	struct stat was;
	bool there, done;
	int fd;

	if (!buf_ok(text) || snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside))
		return ctl_fail("%s: the path or the file is too long", path);
	there = lstat(path, &was) == 0;
	if (there && !S_ISREG(was.st_mode))
		return ctl_fail("%s is no file: it is left alone", path);
	(void)unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ctl_fail("%s: %s", beside, strerror(errno));
	done = fill(fd, text) == 0 && (there ? inherit(fd, &was) : hand_over(fd, readers, 0644, 0640, 0600)) == 0;
	done = close(fd) == 0 && done && rename(beside, path) == 0;
	if (done)
		return CTL_OK;
	(void)ctl_fail("%s: %s", path, strerror(errno));
	(void)unlink(beside);
	return CTL_FAILED;
}

int setup_file_directory(const char *path, enum setup_readers readers)
{
	int fd;
	bool done;

	if (mkdir(path, 0700) != 0)
		return errno == EEXIST ? CTL_OK : ctl_fail("%s: %s", path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	done = fd >= 0 && hand_over(fd, readers, 0755, 0750, 0700) == 0;
	if (fd >= 0)
		(void)close(fd);
	return done ? CTL_OK : ctl_fail("%s: %s", path, strerror(errno));
}
