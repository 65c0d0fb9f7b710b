/*
 * unset: large variables that do not begin with zeros.  The flag -ftrivial-auto-var-init=zero fills each variable on
 * the stack; a buffer of many kilobytes costs more to fill than to use.
 */
#ifndef OCTROI_BASE_UNSET_H
#define OCTROI_BASE_UNSET_H

/* Before the type of a variable of which only written bytes are read. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define UNSET __attribute__((uninitialized))
#endif
#endif
#ifndef UNSET
#define UNSET
#endif

#endif
