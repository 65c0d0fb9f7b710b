/*
 * openapi: the contract, machine-readable, as GET /api/openapi.json serves it: openapi.json of this
 * directory, embedded when octroi is built.
 */
#ifndef OCTROI_ROUTES_OPENAPI_H
#define OCTROI_ROUTES_OPENAPI_H

extern const char openapi_json[]; /* NUL-terminated */

#endif
