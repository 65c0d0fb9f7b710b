/*
 * diagnosis_json: a diagnosis as JSON, the same in the API and in octroictl.
 */
#ifndef OCTROI_REPORTS_DIAGNOSIS_JSON_H
#define OCTROI_REPORTS_DIAGNOSIS_JSON_H

#include "base/json.h"
#include "reports/diagnosis.h"

struct diagnosis_links {
	const char *topup_url;
	bool invoice;
}; /* invoice: the invoice's URL may be shown */

/* Puts the members case, title, explanation, figures, checklist and nextAction into an open record. */
void diagnosis_json_put(struct json_writer *w, const struct diagnosis_facts *f, const struct wording *words,
                        const struct diagnosis_links *links);

#endif
