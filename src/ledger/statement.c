#include "ledger/statement.h"

void statement_watch(struct decide *d, struct slot *s, micros before)
{
	(void)d;
	(void)s;
	(void)before;
}
