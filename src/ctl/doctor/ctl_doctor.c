#include <stdlib.h>

#include "ctl/doctor/doctor.h"

int ctl_doctor(struct ctl *c)
{
	struct doctor D = {.ctl = c, .key = getenv("OCTROI_DOCTOR_KEY")};
	const struct ctl_option options[] = {
		{.name = "--url", .value = &D.url},
		{.name = "--internal-url", .value = &D.internal_url},
		{.name = "--key", .value = &D.key},
		{0},
	};

	if (ctl_arguments(c, options, NULL, 0, 0) < 0)
		return CTL_FAILED;
	D.list = listing_new("checks");
	doctor_files(&D);
	doctor_servers(&D);
	doctor_database(&D);
	doctor_http(&D);
	doctor_stripe(&D);
	doctor_people(&D);
	doctor_print(&D);
	listing_free(D.list);
	if (D.count[DOCTOR_PROBLEM] > 0)
		return CTL_FAILED;
	return D.count[DOCTOR_WARNING] > 0 ? CTL_NO : CTL_OK;
}
