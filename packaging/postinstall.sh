#!/bin/sh
# Run at installations; changes nothing. Debian gives "configure" and, at an upgrade, the old version; rpm gives 1 at a first one.
set -e
if [ "$1" = 1 ] || { [ "$1" = configure ] && [ -z "$2" ]; }; then
    cat <<'TEXT'
validator is installed and not yet in use. In postgresql.conf set
    oauth_validator_libraries = 'validator'
    validator.audience = '...'
and name it in a line of pg_hba.conf:
    hostssl all +oauth_users all oauth issuer="https://..." scope="openid ..." validator=validator
Then reload. The folder of this package in /usr/share/doc has the manual.
TEXT
fi
