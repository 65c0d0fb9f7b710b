#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"
#include "audit/audit_heads.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "ctl/ctl.h"
#include "db/operator_alert.h"

#define FINDING_MAX 4096
#define PATH_BYTES_MAX 4096

struct printer {
	bool json;
	bool some;
};

/* The files of heads: --heads and --against. */
struct files {
	const char *heads, *against; /* paths; NULL: none */
	char draft[PATH_BYTES_MAX];  /* path of the heads until all are written */
	struct audit_request request;
};

/* Prints each finding at once: there may be as many findings as rows. */
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

static void put_audit_figures(struct json_writer *w, const struct audit_report *r)
{
	json_put_int(w, "accounts", r->accounts);
	json_put_int(w, "entries", r->entries);
	json_put_int(w, "grants", r->grants);
	json_put_int(w, "holds", r->holds);
	json_put_int(w, "usages", r->usages);
	json_put_int(w, "transactions", r->transactions);
	json_put_int(w, "requests", r->requests);
	json_put_int(w, "overdueHolds", r->overdue);
	json_put_int(w, "headsCompared", r->compared);
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
	put_audit_figures(&w, r);
	json_put_text(&w, "head", head);
	json_close_record(&w);
	(void)printf("],\n\"report\":%s}\n", buf_text(&out));
	buf_free(&out);
}

static void print_end(const struct audit_report *r, const char *head, const struct files *f)
{
	(void)printf("%lld accounts, %lld entries, %lld grants, %lld open holds, %lld usages, %lld "
	             "transactions, "
	             "%lld requests in %lld.%03lld s\n",
	             (long long)r->accounts, (long long)r->entries, (long long)r->grants, (long long)r->holds,
	             (long long)r->usages, (long long)r->transactions, (long long)r->requests,
	             (long long)(r->duration_us / CLOCK_US_PER_SECOND),
	             (long long)(r->duration_us % CLOCK_US_PER_SECOND / CLOCK_US_PER_MS));
	if (r->overdue > 0)
		(void)printf("note: %lld open holds are past their end and will end when next touched "
		             "(octroictl tick)\n",
		             (long long)r->overdue);
	if (f->against != NULL)
		(void)printf("%lld heads of %s were looked for\n", (long long)r->compared, f->against);
	if (f->heads != NULL)
		(void)printf("%s %s\n", f->heads, r->findings == 0 ? "has today's heads" : "was not written");
	(void)printf("head %s\n", head);
	if (r->findings == 0)
		(void)puts("clean: nothing was found");
	else
		(void)printf("NOT CLEAN: %lld findings\n", (long long)r->findings);
}

/* ---- files of heads ---------------------------------------------------------------------------- */

/* Opens the file to compare with, and a draft of the file to write.  close_files renames the draft. */
static int open_files(struct files *f)
{
	char why[AUDIT_HEADS_ERROR_MAX];
	int fd;

	if (f->against != NULL) {
		f->request.against = fopen(f->against, "re");
		if (f->request.against == NULL)
			return ctl_fail("%s: %s", f->against, strerror(errno));
		if (audit_heads_check(f->request.against, why) != 0)
			return ctl_fail("%s: %s", f->against, why);
	}
	if (f->heads == NULL)
		return CTL_OK;
	if (snprintf(f->draft, sizeof(f->draft), "%s.XXXXXX", f->heads) >= (int)sizeof(f->draft))
		return ctl_fail("the path of the heads is too long");
	fd = mkstemp(f->draft);
	f->request.heads = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f->request.heads == NULL) {
		const int error = errno;

		if (fd >= 0) {
			(void)close(fd);
			(void)unlink(f->draft);
		}
		return ctl_fail("%s: %s", f->heads, strerror(error));
	}
	return CTL_OK;
}

/* keep: writes the draft to the disk and renames it to heads; else the draft is removed. */
static int close_files(struct files *f, bool keep)
{
	bool written = true;

	if (f->request.against != NULL)
		(void)fclose(f->request.against);
	if (f->request.heads == NULL)
		return CTL_OK;
	if (keep)
		written = fflush(f->request.heads) == 0 && !ferror(f->request.heads) &&
		          fsync(fileno(f->request.heads)) == 0 && rename(f->draft, f->heads) == 0;
	if (!keep || !written) {
		const int error = errno;

		(void)unlink(f->draft);
		(void)fclose(f->request.heads);
		return written ? CTL_OK : ctl_fail("%s could not be written: %s", f->heads, strerror(error));
	}
	(void)fclose(f->request.heads);
	return CTL_OK;
}

/* ---- the command ------------------------------------------------------------------------------- */

static void print_report(const struct ctl *c, const struct files *f, const struct audit_report *r)
{
	struct buf head;

	buf_init(&head, 256);
	buf_add_hex(&head, r->head, sizeof(r->head));
	if (c->json)
		print_json_end(r, buf_text(&head));
	else
		print_end(r, buf_text(&head), f);
	buf_free(&head);
}

/* The operator is told once, until an audit of the same accounts is clean. */
static void tell_operator(struct ctl *c, const char *account, const struct audit_report *r)
{
	const char *subject = account != NULL ? account : "";
	char detail[64];
	int result;

	(void)snprintf(detail, sizeof(detail), "%lld findings", (long long)r->findings);
	if (r->findings == 0)
		result = operator_alert_end(ctl_db(c), OPERATOR_AUDIT_FAILED, subject);
	else
		result = operator_alert_add(ctl_db(c), &(struct operator_alert){.kind = OPERATOR_AUDIT_FAILED,
		                                                                .subject = subject,
		                                                                .detail = detail,
		                                                                .value = r->findings,
		                                                                .lasts = true});
	if (result < 0)
		(void)fprintf(stderr, "octroictl: the operator's alert could not be written: %s\n",
		              db_error(ctl_db(c)));
}

static int run_audit(struct ctl *c, struct files *f)
{
	const char *account = f->request.account;
	struct printer printer = {.json = c->json};
	struct audit_report report;

	if (c->json)
		(void)fputs("{\"findings\":[", stdout);
	if (audit_run(ctl_db_patient(c), &f->request, print_finding, &printer, &report) != 0) {
		(void)close_files(f, false);
		return ctl_fail("the audit could not be finished: %s", db_error(ctl_db(c)));
	}
	if (close_files(f, report.findings == 0) != CTL_OK)
		return CTL_FAILED;
	if (account != NULL && report.accounts == 0 && report.findings == 0)
		return ctl_fail("there is no account %s", account);
	print_report(c, f, &report);
	tell_operator(c, account, &report);
	return report.findings == 0 ? CTL_OK : CTL_NO;
}

int ctl_audit(struct ctl *c)
{
	struct files files = {0};
	const struct ctl_option options[] = {{.name = "--account", .value = &files.request.account},
	                                     {.name = "--heads", .value = &files.heads},
	                                     {.name = "--against", .value = &files.against},
	                                     {0}};
	const char *account;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	account = files.request.account;
	if (account != NULL && !id_account_valid(account, strlen(account)))
		return ctl_fail("an account's id is 1 to 128 of A-Z a-z 0-9 . _ : @ -");
	if (account != NULL && (files.heads != NULL || files.against != NULL))
		return ctl_fail("heads are of all accounts: --heads and --against go without --account");
	if (open_files(&files) != CTL_OK) {
		(void)close_files(&files, false);
		return CTL_FAILED;
	}
	return run_audit(c, &files);
}
