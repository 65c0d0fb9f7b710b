#include "ctl/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"

#define FOUND_MAX 512
#define OUTPUT_MAX ((size_t)1 << 20)

static const char *const state_names[DOCTOR_STATE_COUNT] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_SKIPPED] = "skipped",
	[DOCTOR_WARNING] = "warning",
	[DOCTOR_PROBLEM] = "problem",
};

/* Found words may be another server's: they must not control a terminal. */
static void make_plain(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == '\x7F')
			*text = '?';
}

void doctor_say(struct doctor *D, const char *check, enum doctor_state state, const char *advice, const char *format,
                ...)
{
	char found[FOUND_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(found, sizeof(found), format, arguments);
	va_end(arguments);
	make_plain(found);
	D->count[state]++;
	if (!D->ctl->json) {
		(void)printf("%-8s %s: %s\n", state_names[state], check, found);
		if (*advice != '\0')
			(void)printf("         -> %s\n", advice);
		(void)fflush(stdout); /* the next check may take long */
		return;
	}
	listing_row(D->list);
	listing_text(D->list, "check", "check", check);
	listing_text(D->list, "state", "state", state_names[state]);
	listing_text(D->list, "found", "found", found);
	listing_text(D->list, "advice", "advice", advice);
}

void doctor_print(const struct doctor *D)
{
	struct json_writer w;
	struct buf out;

	if (!D->ctl->json) {
		(void)printf("%d ok, %d skipped, %d warnings, %d problems\n", D->count[DOCTOR_OK],
		             D->count[DOCTOR_SKIPPED], D->count[DOCTOR_WARNING], D->count[DOCTOR_PROBLEM]);
		return;
	}
	buf_init(&out, OUTPUT_MAX);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	listing_json(D->list, &w);
	for (int state = 0; state < DOCTOR_STATE_COUNT; state++)
		json_put_int(&w, state_names[state], D->count[state]);
	json_close_record(&w);
	(void)ctl_print(&out);
	buf_free(&out);
}
