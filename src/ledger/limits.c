#include "ledger/limits.h"

void limits_refuse(const struct limits_verdict *v, micros needed, struct answer *a)
{
	(void)v;
	a->needed_micros = needed;
}
