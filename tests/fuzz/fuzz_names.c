/* Short texts that callers choose: cursors, hold ids, account ids, codes, languages.  What is taken is what is made. */
#include "fuzz.h"

#include "base/id.h"
#include "ledger/code.h"
#include "routes/api/cursor.h"
#include "routes/api/language.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const struct account_key owner = id_account_key("a", 1);
	char *text = fuzz_text(bytes, length);
	struct account_key key;
	char cursor[CURSOR_MAX];
	int64_t seq = 0;

	if (cursor_parse(text, CURSOR_USAGES, &owner, &seq) == 0) {
		cursor_format(CURSOR_USAGES, &owner, seq, cursor);
		MUST(seq > 0 && strcmp(cursor, text) == 0);
	}
	if (id_public_parse(text, length, &key, &seq) == 0)
		MUST(seq > 0);
	MUST(!id_account_valid(text, length) || (length > 0 && length <= 128));
	(void)language_french(text);
	free(text);
	return 0;
}
