#!/bin/sh
# Started by mod_fcgid with the listening socket as standard input, also under suexec and without HOME or PATH.
# The programs and octroi.conf lie in a directory "octroi" outside of the site: beside one of the directories above.
# This file belongs to the owner of its directory, mode 0755.
case $0 in
/*) here=${0%/*} ;;
*) here=$PWD/$0 here=${here%/*} ;;
esac
while [ -n "$here" ]; do
	here=${here%/*}
	if [ -x "$here/octroi/octroi" ] && [ -r "$here/octroi/octroi.conf" ]; then
		exec "$here/octroi/octroi" -c "$here/octroi/octroi.conf"
	fi
done
echo "octroi.fcgi: none of the directories above $0 has octroi/octroi and octroi/octroi.conf" >&2
exit 1
