/*
 * conf_edit: sets keys in the text of octroi.conf; comments, order and all other lines stay.
 */
#ifndef OCTROI_CTL_SETUP_CONF_EDIT_H
#define OCTROI_CTL_SETUP_CONF_EDIT_H

#include <stdbool.h>

#include "base/buf.h"

/* Whether a line of text, not a comment, sets key. */
bool conf_edit_has(const struct buf *text, const char *key);
/* Sets key in text: in its own line, else in the place of the comment "#key = …", else at the end.  Returns whether the
 * text was changed.  value has no line feed (checked). */
bool conf_edit_set(struct buf *text, const char *key, const char *value);

#endif
