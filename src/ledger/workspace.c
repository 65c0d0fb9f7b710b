#include "ledger/workspace.h"

#include "ledger/effects.h"

int64_t workspace_due_us(const struct workspaces_row *w)
{
	(void)w;
	return EFFECTS_NEVER_DUE;
}
