/* A decimal: what was read exactly is written and read again as the same. */
#include "fuzz.h"

#include "base/clock.h"
#include "base/money.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const int scale = length > 0 ? bytes[0] % 19 : 6;
	char *text = fuzz_text(bytes, length);
	char out[MONEY_TEXT_MAX];
	int64_t value = 0, again = 0, time_us = 0;
	size_t written;

	if (length > 0 && decimal_parse(text + 1, length - 1, scale, length % 2 == 0, &value) == 0 &&
	    value > INT64_MIN) {
		written = decimal_format(value, scale, 0, out);
		MUST(written < sizeof(out));
		MUST(decimal_parse(out, written, scale, false, &again) == 0 && again == value);
	}
	if (clock_parse(text, length, &time_us) == 0) {
		char shown[CLOCK_RFC3339_MAX];

		MUST(clock_parse(shown, clock_format(time_us, shown), &again) == 0);
		MUST(again <= time_us && time_us - again < CLOCK_US_PER_MS);
	}
	free(text);
	return 0;
}
