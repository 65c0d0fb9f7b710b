#!/bin/sh
# Started by mod_fcgid with the listening socket as standard input.  The file belongs to the owner of
# its directory, mode 0755.  The configuration holds secrets: keep it outside of the served directory,
# readable by you alone.
exec "$HOME/octroi/octroi" -c "$HOME/octroi/octroi.conf"
