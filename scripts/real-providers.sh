#!/usr/bin/env bash
# real-providers.sh NAME...: provides the named ones of keycloak, dex and hydra, and prints the environment variables
# by which the tests find them.
source "$(dirname "$0")/common.sh"

scripts=$(dirname "$0")

for provider; do
    case $provider in
    keycloak)
        "$scripts/packages.sh" keycloak python
        "$scripts/keycloak.sh"
        "$scripts/logout-receiver.sh"
        ;;
    dex | hydra)
        program=$("$scripts/go-tool.sh" "$provider")
        echo "${provider^^}=$program"
        ;;
    *) die "PROVIDER=$provider: it is keycloak, dex or hydra" ;;
    esac
done
