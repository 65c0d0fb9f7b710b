#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "ctl/ctl.h"
#include "ledger/audit.h"

#define FINDING_MAX 4096

struct printer {
	bool json;
	bool some;
};

/* Findings are printed as they are found: there may be as many as rows. */
static void print_finding(void *context, const struct audit_finding *f)
{
	struct printer *p = context;
	struct json_writer w;
	struct buf out;

	if (!p->json) {
		(void)printf("%s: %s %s: %s\n", f->check, f->table, f->row, f->detail);
		return;
	}
	buf_init(&out, FINDING_MAX);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	json_put_text(&w, "check", f->check);
	json_put_text(&w, "table", f->table);
	json_put_text(&w, "row", f->row);
	json_put_text(&w, "detail", f->detail);
	json_close_record(&w);
	(void)printf("%s\n%s", p->some ? "," : "", buf_text(&out));
	buf_free(&out);
	p->some = true;
}

static void put_figures(struct json_writer *w, const struct audit_report *r)
{
	json_put_int(w, "accounts", r->accounts);
	json_put_int(w, "entries", r->entries);
	json_put_int(w, "grants", r->grants);
	json_put_int(w, "holds", r->holds);
	json_put_int(w, "usages", r->usages);
	json_put_int(w, "transactions", r->transactions);
	json_put_int(w, "requests", r->requests);
	json_put_int(w, "overdueHolds", r->overdue);
	json_put_int(w, "findings", r->findings);
	json_put_int(w, "durationMs", r->duration_us / CLOCK_US_PER_MS);
}

static void print_json_end(const struct audit_report *r, const char *head)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, FINDING_MAX);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	put_figures(&w, r);
	json_put_text(&w, "head", head);
	json_close_record(&w);
	(void)printf("],\n\"report\":%s}\n", buf_text(&out));
	buf_free(&out);
}

static void print_end(const struct audit_report *r, const char *head)
{
	(void)printf("%lld accounts, %lld entries, %lld grants, %lld open holds, %lld usages, %lld "
	             "transactions, "
	             "%lld requests in %lld.%03lld s\n",
	             (long long)r->accounts, (long long)r->entries, (long long)r->grants,
	             (long long)r->holds, (long long)r->usages, (long long)r->transactions,
	             (long long)r->requests, (long long)(r->duration_us / CLOCK_US_PER_SECOND),
	             (long long)(r->duration_us % CLOCK_US_PER_SECOND / CLOCK_US_PER_MS));
	if (r->overdue > 0)
		(void)printf(
			"note: %lld open holds are past their end and will end when next touched "
			"(octroictl tick)\n",
			(long long)r->overdue);
	(void)printf("head %s\n", head);
	if (r->findings == 0)
		(void)puts("clean: nothing was found");
	else
		(void)printf("NOT CLEAN: %lld findings\n", (long long)r->findings);
}

int ctl_audit(struct ctl *c)
{
	const char *account = NULL;
	const struct ctl_option options[] = {{.name = "--account", .value = &account}, {0}};
	struct printer printer = {0};
	struct audit_report report;
	struct buf head;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	if (account != NULL && !id_account_valid(account, strlen(account)))
		return ctl_fail("an account's id is 1 to 128 of A-Z a-z 0-9 . _ : @ -");
	printer.json = c->json;
	if (c->json)
		(void)fputs("{\"findings\":[", stdout);
	if (audit_run(ctl_db_patient(c), account, print_finding, &printer, &report) != 0)
		return ctl_fail("the audit could not be finished: %s", db_error(ctl_db(c)));
	if (account != NULL && report.accounts == 0 && report.findings == 0)
		return ctl_fail("there is no account %s", account);
	buf_init(&head, 256);
	buf_add_hex(&head, report.head, sizeof(report.head));
	if (c->json)
		print_json_end(&report, buf_text(&head));
	else
		print_end(&report, buf_text(&head));
	buf_free(&head);
	return report.findings == 0 ? CTL_OK : CTL_NO;
}
