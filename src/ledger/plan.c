#include "ledger/plan.h"

bool plan_valid(const struct plan *p)
{
	return p->name[0] != '\0';
}
