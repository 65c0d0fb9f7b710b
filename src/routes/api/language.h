/*
 * language: the caller's preferred language, among the languages that octroi has.  Pure.
 */
#ifndef OCTROI_ROUTES_API_LANGUAGE_H
#define OCTROI_ROUTES_API_LANGUAGE_H

#include <stdbool.h>

/* Whether an Accept-Language header (RFC 9110 section 12.5.4) puts French before English.  NULL or
 * an unreadable header: no. */
bool language_french(const char *accept);

#endif
