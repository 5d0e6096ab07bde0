#!/usr/bin/env bash
# real-providers.sh NAME...: provides the named ones of keycloak, dex, hydra and spire, and prints the environment variables
# by which the tests find them.
source "$(dirname "$0")/common.sh"

scripts=$(dirname "$0")

for provider; do
    case $provider in
    keycloak)
        "$scripts/packages.sh" java python
        "$scripts/keycloak.sh"
        ;;
    dex | hydra)
        program=$("$scripts/go-tool.sh" "$provider")
        echo "${provider^^}=$program"
        ;;
    spire)
        program=$("$scripts/go-tool.sh" spire-server)
        echo "SPIRE=${program%/*}"
        ;;
    *) die "PROVIDER=$provider: it is keycloak, dex, hydra or spire" ;;
    esac
done
