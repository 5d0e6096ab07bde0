#!/bin/sh
# Starts nothing: the configuration is an example. At an upgrade, a running service is started again.
# Debian gives "configure" and, at an upgrade, the old version; rpm gives 1 at a first one, 2 at an upgrade.
set -e
if [ -d /run/systemd/system ]; then
    manager=systemctl
    "$manager" daemon-reload || true
    if [ "$1" = 2 ] || { [ "$1" = configure ] && [ -n "$2" ]; }; then
        "$manager" try-restart validator-hook.service || true
    fi
fi
if [ "$1" = 1 ] || { [ "$1" = configure ] && [ -z "$2" ]; }; then
    cat <<'TEXT'
validator-hook is installed and does not run yet. Enter issuers and servers in
    /etc/validator-hook/validator-hook.toml
then check that as the service's user:
    systemd-run --quiet --pipe --wait --collect -p DynamicUser=yes -p User=validator-hook validator-hook --check
If all is good, `systemctl enable --now validator-hook` starts it.
/usr/share/doc/validator-hook/logout.md describes what the servers need.
TEXT
fi
