#!/bin/sh
# octroi, or octroictl: the program of this name in bin, with the libraries beside it, wherever this directory lies.
case $0 in
*/*) here=${0%/*} ;;
*) here=$PWD ;;
esac
OCTROI_SQL_DIR=${OCTROI_SQL_DIR:-$here/sql} OCTROI_CONF=${OCTROI_CONF:-$here/octroi.conf}
export OCTROI_SQL_DIR OCTROI_CONF
exec "$here/lib/loader" --library-path "$here/lib" "$here/bin/${0##*/}" "$@"
