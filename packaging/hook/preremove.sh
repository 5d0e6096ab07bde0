#!/bin/sh
# Stops the service at a removal, not at an upgrade. Debian gives "remove", rpm 0.
set -e
if [ -d /run/systemd/system ] && { [ "$1" = remove ] || [ "$1" = 0 ]; }; then
    manager=systemctl
    "$manager" disable --now validator-hook.service || true
fi
