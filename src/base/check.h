/*
 * check: assertions that stay on in production.  A failed CHECK is a bug, never an outcome and
 * never a fault.  A failed CHECK prints its place and aborts, because a ledger in an unknown state
 * must not write.
 */
#ifndef OCTROI_BASE_CHECK_H
#define OCTROI_BASE_CHECK_H

#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__, __func__))

/* A branch that cannot be reached; why is the reason. */
#define UNREACHABLE(why) check_failed("unreachable: " why, __FILE__, __LINE__, __func__)

/* Prints the condition and its place to stderr and aborts.  Any thread, any lock held. */
_Noreturn void check_failed(const char *condition, const char *file, int line, const char *function);

#endif
