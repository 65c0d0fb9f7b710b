/*
 * system_user: takes the rights of another system user for a while, where this process is root's.  The rights are the
 * process's: all threads have them, and programs that it starts in the meantime keep them.
 */
#ifndef OCTROI_BASE_SYSTEM_USER_H
#define OCTROI_BASE_SYSTEM_USER_H

#include <stdbool.h>

/* Whether the system has a user of that name. */
bool system_user_exists(const char *name);
/* True if this process had root's rights and has the user's now: system_user_leave gives them back. */
bool system_user_enter(const char *name);
void system_user_leave(void);

#endif
