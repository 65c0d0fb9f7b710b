#include "base/clock.h"
#include "clients/probe.h"
#include "ctl/doctor/doctor.h"
#include "db/sql.h"
#include "ledger/command.h"
#include "queries/probes.h"

#define LATE_US (3600 * CLOCK_US_PER_SECOND)

/* ---- work of the worker ---------------------------------------------------------------------- */

struct waiting {
	int64_t parked, late, failed;
};

static int take_waiting(void *context, const struct db_row *row)
{
	struct waiting *w = context;

	w->parked = db_int(row, 0);
	w->late = db_int(row, 1);
	w->failed = db_int(row, 2);
	return CTL_OK;
}

static int read_waiting(struct doctor *D, struct waiting *w)
{
	struct buf sql;
	int result;

	buf_init(&sql, 2048);
	sql_literal(&sql, "SELECT (SELECT COUNT(*) FROM outbox WHERE state=");
	sql_int(&sql, OUTBOX_PARKED);
	sql_literal(&sql, "),(SELECT COUNT(*) FROM outbox WHERE state=");
	sql_int(&sql, OUTBOX_PENDING);
	sql_literal(&sql, " AND next_at_us<=" SQL_NOW_US "-");
	sql_int(&sql, LATE_US);
	sql_literal(&sql, "),(SELECT COUNT(*) FROM statements WHERE state=");
	sql_int(&sql, STATEMENT_FAILED);
	sql_literal(&sql, ")");
	result = ctl_rows(D->ctl, &sql, take_waiting, w);
	buf_free(&sql);
	return result;
}

static void check_waiting(struct doctor *D)
{
	struct waiting w;

	if (read_waiting(D, &w) != CTL_OK) {
		doctor_say(D, "outbox", DOCTOR_SKIPPED, "", "the tables cannot be read");
		return;
	}
	if (w.parked > 0)
		doctor_say(D, "outbox", DOCTOR_WARNING,
		           "octroictl outbox list says why; mend that, then octroictl outbox retry",
		           "%lld charges or messages were given up", (long long)w.parked);
	else
		doctor_say(D, "outbox", DOCTOR_OK, "", "nothing was given up");
	if (w.late > 0)
		doctor_say(D, "worker", DOCTOR_PROBLEM, "let octroi run, or octroictl tick by cron, and see its log",
		           "%lld charges or messages have been due for more than an hour", (long long)w.late);
	else
		doctor_say(D, "worker", DOCTOR_OK, "", "nothing is late");
	if (w.failed > 0)
		doctor_say(D, "statements", DOCTOR_WARNING,
		           "look at these accounts; their customers have to change the card or pay",
		           "%lld could not be charged", (long long)w.failed);
	else
		doctor_say(D, "statements", DOCTOR_OK, "", "none is unpaid because a charge failed");
}

/* ---- endpoints of webhooks --------------------------------------------------------------------- */

static int take_off(void *context, const struct db_row *row)
{
	*(int64_t *)context = db_int(row, 0);
	return CTL_OK;
}

static void check_endpoints(struct doctor *D)
{
	int64_t off = 0;
	struct buf sql;
	int result;

	buf_init(&sql, 512);
	sql_literal(&sql, "SELECT COUNT(*) FROM endpoints WHERE state=");
	sql_int(&sql, ENDPOINT_OFF);
	result = ctl_rows(D->ctl, &sql, take_off, &off);
	buf_free(&sql);
	if (result != CTL_OK)
		doctor_say(D, "endpoints", DOCTOR_SKIPPED, "", "the tables cannot be read");
	else if (off > 0)
		doctor_say(D, "endpoints", DOCTOR_WARNING,
		           "octroictl endpoint list says why; mend that, then octroictl endpoint enable and replay",
		           "%lld were switched off", (long long)off);
	else
		doctor_say(D, "endpoints", DOCTOR_OK, "", "none was switched off");
}

/* ---- the platform's own keys ----------------------------------------------------------------- */

static void check_provider(struct doctor *D, const char *check, enum probe_provider provider, bool configured)
{
	struct probes_row row;
	const struct probe_text *text;

	if (probes_read(ctl_db(D->ctl), probe_provider_name(provider), &row) < 0) {
		doctor_say(D, check, DOCTOR_SKIPPED, "", "the tables cannot be read");
		return;
	}
	text = probe_text(probe_state_find(row.state));
	if (row.checked_at_us == 0)
		doctor_say(D, check, DOCTOR_SKIPPED, "",
		           configured ? "not probed yet (octroictl probe %s --store)" : "%s_api_key is empty",
		           probe_provider_name(provider));
	else
		doctor_say(D, check,
		           text->up     ? DOCTOR_OK
		           : text->ours ? DOCTOR_PROBLEM
		                        : DOCTOR_WARNING,
		           text->up ? "" : text->action, "%s%s%s: %s", text->name, row.detail[0] != '\0' ? ", " : "",
		           row.detail, text->message);
}

void doctor_money(struct doctor *D)
{
	const struct config *config = D->ctl->config;

	check_waiting(D);
	check_endpoints(D);
	check_provider(D, "openai key", PROBE_OPENAI, config->openai_api_key[0] != '\0');
	check_provider(D, "anthropic key", PROBE_ANTHROPIC, config->anthropic_api_key[0] != '\0');
}
