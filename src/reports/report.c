#include "reports/report.h"

#include "base/check.h"

#define US_PER_DAY INT64_C(86400000000)
#define PPM INT64_C(1000000)

typedef __int128 wide;

/* part * scale / whole, rounded half away from zero. */
static int64_t share(wide part, wide whole, int scale)
{
	const wide size = part < 0 ? -part : part;
	wide rounded;

	CHECK(whole > 0);
	rounded = (size * scale * 2 + whole) / (whole * 2);
	return money_clip(part < 0 ? -rounded : rounded);
}

int64_t report_tenths(wide part, wide whole)
{
	return share(part, whole, 1000);
}

/* ---- capacity ------------------------------------------------------------------------------------ */

static enum report_verdict verdict(const struct report_capacity *c)
{
#define VERDICT(NAME, name, condition, english, french) \
	if (condition) \
		return REPORT_##NAME;
#include "reports/report_verdicts.def"
#undef VERDICT
	UNREACHABLE("the last verdict always holds");
}

static const struct {
	const char *name, *english, *french;
} verdicts[] = {
#define VERDICT(NAME, name, condition, english, french) {name, english, french},
#include "reports/report_verdicts.def"
#undef VERDICT
};

const char *report_verdict_name(enum report_verdict v)
{
	return verdicts[v].name;
}

const char *report_verdict_text(enum report_verdict v, bool french)
{
	return french ? verdicts[v].french : verdicts[v].english;
}

void report_capacity(micros expected, micros allowed, struct report_capacity *out)
{
	CHECK(expected >= 0 && allowed >= 0);
	*out = (struct report_capacity){.expected = expected, .allowed = allowed, .left = allowed - expected};
	if (allowed > 0) {
		out->used_tenths = report_tenths(expected, allowed);
		out->margin_percent = share(out->left, allowed, 100);
	}
	out->verdict = verdict(out);
}

bool report_plan(const struct plan *p, enum plan_scope scope, struct report_capacity *out)
{
	const int64_t members = p->seats_to > 0 ? p->seats_to : p->seats_from;
	const wide expected =
		(wide)p->expected_manager_micros * p->managers_to + (wide)p->expected_member_micros * members;
	wide allowed;

	if (scope == p->scope)
		allowed = plan_allowance(p, p->managers_to, members);
	else if (scope == PLAN_SEAT && p->scope == PLAN_POOL)
		allowed = (wide)p->pool_micros * members;
	else
		return false;
	report_capacity(money_clip(expected), money_clip(allowed), out);
	return true;
}

micros report_project(micros used, int64_t start_us, int64_t end_us, int64_t now_us)
{
	const int64_t elapsed_us = now_us - start_us > US_PER_DAY ? now_us - start_us : US_PER_DAY;

	CHECK(used >= 0);
	if (now_us >= end_us)
		return used;
	return money_clip(used + (wide)used * (end_us - now_us) / elapsed_us);
}

/* ---- margin -------------------------------------------------------------------------------------- */

static wide value(const struct report_part *p)
{
	return (wide)p->cost * (p->unit == UNIT_CREDIT ? p->credit_value_ppm : PPM);
}

void report_add_use(struct report_margin *m, const struct report_part *p)
{
	m->requests += p->requests;
	m->used += value(p);
	if (p->kind == PRICE_MODEL && p->margin_ppm > 0)
		m->provider += (value(p) * PPM + p->margin_ppm - 1) / p->margin_ppm;
}

void report_add_given(struct report_margin *m, const struct report_part *p)
{
	m->given += value(p);
}

void report_add_fees(struct report_margin *m, int64_t minor, int decimals)
{
	wide amount = (wide)minor * PPM * PPM;

	for (int i = 0; i < decimals; i++)
		amount /= 10;
	m->fees += amount;
}

static micros down(wide amount)
{
	return money_clip((amount - (amount < 0 ? PPM - 1 : 0)) / PPM);
}

void report_close(const struct report_margin *m, struct report_result *out)
{
	const wide revenue = m->used - m->given + m->fees;

	*out = (struct report_result){
		.used = down(m->used),
		.given = down(m->given),
		.fees = down(m->fees),
		.revenue = down(revenue),
		.provider = -down(-m->provider),
		.margin = down(revenue - m->provider),
	};
	out->has_percent = revenue > 0;
	if (out->has_percent)
		out->margin_tenths = report_tenths(revenue - m->provider, revenue);
}
