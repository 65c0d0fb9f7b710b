#include <string.h>

#include "ctl/ctl.h"
#include "ctl/listing.h"
#include "ctl/reads.h"
#include "ctl/target.h"

#define DOCUMENT_MAX ((size_t)1 << 20)

static const struct listing_column columns[] = {
	{"account", "account", LISTING_TEXT},
	{"state", "state", LISTING_TEXT},
	{"reason", "reason", LISTING_TEXT},
	{"belowMicros", "below", LISTING_AMOUNT},
	{"amount", "amount (cents)", LISTING_INT},
	{"monthlyCap", "maximum of a month", LISTING_INT},
	{"spentThisMonth", "charged this month", LISTING_INT},
	{"chargesToday", "charges today", LISTING_INT},
	{"nextAttemptAt", "next attempt", LISTING_TEXT},
	{0},
};
static const struct listing_column consent_columns[] = {
	{"version", "consent to", LISTING_TEXT},
	{"at", "consent at", LISTING_TEXT},
	{"actor", "consent by", LISTING_TEXT},
	{0},
};

static void print_recharge(const struct json *recharge)
{
	struct listing *l = listing_new("recharge");
	const struct json *consent = json_get(recharge, "consent");

	listing_pair(l, recharge, columns, consent != NULL && json_type(consent) == JSON_RECORD ? consent : NULL,
	             consent_columns);
	listing_print_single(l, false);
	listing_free(l);
}

static int show_recharge(struct ctl *c, const char *account)
{
	const struct reads r = {.path = "/api/credits/recharge", .account = account, .query = {{0}}};
	struct json *recharge = NULL;
	struct buf body;
	int result;

	buf_init(&body, DOCUMENT_MAX);
	result = reads_document(c, &r, &body, &recharge);
	if (result == CTL_OK && c->json)
		result = ctl_print(&body);
	else if (result == CTL_OK)
		print_recharge(recharge);
	json_free(recharge);
	buf_free(&body);
	return result;
}

int ctl_recharge_show(struct ctl *c)
{
	const char *account;
	int result;

	if (ctl_arguments(c, NULL, &account, 1, 1) < 0)
		return CTL_FAILED;
	result = target_exists(c, account);
	return result == CTL_OK ? show_recharge(c, account) : result;
}

int ctl_recharge_off(struct ctl *c)
{
	struct command command;
	const char *account;
	int result;

	if (ctl_arguments(c, NULL, &account, 1, 1) < 0)
		return CTL_FAILED;
	result = target_exists(c, account);
	if (result != CTL_OK)
		return result;
	command = target_command(COMMAND_RECHARGE, account);
	command.recharge.actor = "octroictl";
	command.recharge.address = "";
	result = target_submit(c, &command);
	return result == CTL_OK ? show_recharge(c, account) : result;
}
