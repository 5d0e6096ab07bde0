#!/bin/sh
# Run at installations; changes nothing. packaging/build.sh puts in the first steps of the version of PostgreSQL.
# Debian gives "configure" and, at an upgrade, the old version; rpm gives 1 at a first one.
set -e
if [ "$1" = 1 ] || { [ "$1" = configure ] && [ -z "$2" ]; }; then
    cat <<'TEXT'
validator is installed and not yet in use. In postgresql.conf set
FIRST STEPS
The folder of this package in /usr/share/doc has the manual.
TEXT
fi
