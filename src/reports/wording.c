#include "reports/wording.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "prices/price.h"

/* The symbols of currencies, and their places.  An amount is rounded down to cents, two decimals, in all of them. */
static const struct currency {
	const char *code, *symbol;
	bool before; /* the symbol comes first in English; in French it always follows, after a space */
} currencies[] = {
	{"EUR", "€", false}, {"USD", "$", true}, {"GBP", "£", true}, {"CAD", "CA$", true}, {"AUD", "A$", true},
};

void wording_money(const struct wording *w, micros amount, int decimals, char out[WORDING_MAX])
{
	struct currency currency = {.code = w->currency, .symbol = NULL};
	char number[MONEY_TEXT_MAX];
	char *point;
	bool negative;

	for (size_t i = 0; i < sizeof(currencies) / sizeof(currencies[0]); i++)
		if (strcmp(currencies[i].code, currency.code) == 0)
			currency = currencies[i];
	decimal_format(money_floor_div(amount, MONEY_MICROS_PER_MINOR), 2, decimals, number);
	point = strchr(number, '.');
	negative = number[0] == '-';
	if (w->french) {
		if (point != NULL)
			*point = ',';
		snprintf(out, WORDING_MAX, "%s %s", number, currency.symbol != NULL ? currency.symbol : currency.code);
	} else if (currency.symbol == NULL) {
		snprintf(out, WORDING_MAX, "%s %s", number, currency.code);
	} else if (currency.before) {
		snprintf(out, WORDING_MAX, "%s%s%s", negative ? "-" : "", currency.symbol, number + (negative ? 1 : 0));
	} else {
		snprintf(out, WORDING_MAX, "%s%s", number, currency.symbol);
	}
}

void wording_amount(const struct wording *w, int64_t unit, micros amount, char out[WORDING_MAX])
{
	int64_t credits = money_floor_div(amount, MONEY_MICROS_PER_UNIT);
	bool one = w->french ? credits > -2 && credits < 2 : credits == 1;

	if (unit == UNIT_MONEY)
		wording_money(w, amount, 2, out);
	else
		snprintf(out, WORDING_MAX, "%lld %s%s", (long long)credits, w->french ? "crédit" : "credit",
		         one ? "" : "s");
}

void wording_moment(bool french, int64_t time_us, char out[WORDING_MAX])
{
	char t[CLOCK_RFC3339_MAX];

	clock_format(time_us, t);
	if (french)
		snprintf(out, WORDING_MAX, "%.2s/%.2s/%.4s à %.5s UTC", t + 8, t + 5, t, t + 11);
	else
		snprintf(out, WORDING_MAX, "%.10s %.5s UTC", t, t + 11);
}
