/*
 * language: which of the languages that octroi speaks a caller prefers.  Pure.
 */
#ifndef OCTROI_ROUTES_API_LANGUAGE_H
#define OCTROI_ROUTES_API_LANGUAGE_H

#include <stdbool.h>

/* Whether an Accept-Language header (RFC 9110 section 12.5.4) puts French before English.  NULL or
 * anything that cannot be read: no. */
bool language_french(const char *accept);

#endif
