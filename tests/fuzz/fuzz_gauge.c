/* Providers' answers, cut at places that the input says: the same bytes go to the client and the same settlement to
 * octroi as for the whole.  Without hiding, the client gets the bytes as they came; with it, never more.  A settlement is
 * JSON. */
#include "fuzz.h"

#include "base/json.h"
#include "meter/gauge.h"

#define OUT_MAX ((size_t)1024 * 1024)

struct heard {
	struct buf out, settlement;
};

static void hear(struct heard *h, uint8_t how, const char *bytes, size_t length, size_t part)
{
	const struct tally_facts facts = {.hold = "H",
	                                  .outcome = (enum tally_outcome)((how >> 2) % 3),
	                                  .cap = (how & 32) != 0 ? 100 : -1,
	                                  .bytes_per_token = 3,
	                                  .input_tokens = 7,
	                                  .estimate = (how & 64) != 0};
	struct gauge g;

	gauge_init(&g);
	buf_init(&h->out, OUT_MAX);
	buf_init(&h->settlement, TALLY_SETTLEMENT_MAX);
	gauge_begin(&g, (how & 1) != 0, (how & 2) != 0);
	for (size_t at = 0; at < length; at += part)
		gauge_feed(&g, bytes + at, length - at < part ? length - at : part, &h->out);
	gauge_end(&g, &h->out);
	MUST(buf_ok(&h->out) && g.tally.text_bytes <= (int64_t)length && g.tally.texts <= (int64_t)length);
	tally_settlement(&g.tally, &facts, &h->settlement);
	gauge_free(&g);
}

static void done_with(struct heard *h)
{
	buf_free(&h->out);
	buf_free(&h->settlement);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct heard whole, cut;
	char error[JSON_ERROR_MAX], *text;
	struct json *document;

	if (length < 2)
		return 0;
	text = fuzz_text(bytes + 2, length - 2);
	hear(&whole, bytes[0], text, length - 2, length);
	hear(&cut, bytes[0], text, length - 2, (size_t)bytes[1] + 1);
	MUST(strcmp(buf_text(&whole.settlement), buf_text(&cut.settlement)) == 0);
	MUST(buf_ok(&whole.settlement) == buf_ok(&cut.settlement));
	MUST(whole.out.length <= length - 2 && whole.out.length == cut.out.length);
	MUST(memcmp(buf_text(&whole.out), buf_text(&cut.out), whole.out.length) == 0);
	if ((bytes[0] & 3) != 3) {
		MUST(whole.out.length == length - 2 && memcmp(buf_text(&whole.out), text, length - 2) == 0);
	}
	if (buf_ok(&whole.settlement)) {
		document = json_parse(buf_text(&whole.settlement), whole.settlement.length, false, error);
		MUST(document != NULL && json_get(document, "hold") != NULL);
		json_free(document);
	}
	done_with(&whole);
	done_with(&cut);
	free(text);
	return 0;
}
