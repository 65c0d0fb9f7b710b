/*
 * diagnosis_json: a diagnosis as JSON, the same in the API and of octroictl.
 */
#ifndef OCTROI_REPORTS_DIAGNOSIS_JSON_H
#define OCTROI_REPORTS_DIAGNOSIS_JSON_H

#include "base/json.h"
#include "reports/diagnosis.h"

struct diagnosis_links { const char *topup_url; bool invoice; }; /* invoice: whether it may be shown */

/* The members of an open record: case, title, explanation, figures, checklist, nextAction. */
void diagnosis_json_put(struct json_writer *w, const struct diagnosis_facts *f, const struct wording *words,
                        const struct diagnosis_links *links);

#endif
