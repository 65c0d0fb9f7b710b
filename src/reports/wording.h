/*
 * wording: amounts and moments as people read them, in the two languages that octroi speaks.  Pure.
 */
#ifndef OCTROI_REPORTS_WORDING_H
#define OCTROI_REPORTS_WORDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/money.h"

#define WORDING_MAX 48

struct wording {
	const char *currency; /* "EUR" */
	bool french;
};

/* An amount of an account of that unit: "9.87€", "9,87 €", "12 credits", "12 crédits", rounded down. */
void wording_amount(const struct wording *w, int64_t unit, micros amount, char out[WORDING_MAX]);
/* An amount of money, with at least so many decimals; with 0: "5€", "5,5 €". */
void wording_money(const struct wording *w, micros amount, int decimals, char out[WORDING_MAX]);
/* "30/11/2026 à 23:00 UTC", "2026-11-30 23:00 UTC" */
void wording_moment(bool french, int64_t time_us, char out[WORDING_MAX]);

#endif
