#include "base/system_user.h"

#include <pwd.h>
#include <unistd.h>

#include "base/check.h"

#define USER_BYTES_MAX 16384 /* of a line in the list of users */

static bool find_user(const char *name, uid_t *uid)
{
	char space[USER_BYTES_MAX];
	struct passwd entry, *found = NULL;

	if (getpwnam_r(name, &entry, space, sizeof(space), &found) != 0 || found == NULL)
		return false;
	*uid = found->pw_uid;
	return true;
}

bool system_user_exists(const char *name)
{
	uid_t uid;

	return find_user(name, &uid);
}

bool system_user_enter(const char *name)
{
	uid_t uid;

	return geteuid() == 0 && find_user(name, &uid) && uid != 0 && seteuid(uid) == 0;
}

void system_user_leave(void)
{
	CHECK(seteuid(0) == 0);
}
