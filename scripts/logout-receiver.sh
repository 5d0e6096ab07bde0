#!/usr/bin/env bash
# Installs what the receiver of back-channel logouts in docs/sessions.md needs, as pinned, in a virtual environment outside
# of the checkout. Prints the environment variable by which the tests find its Python.
source "$(dirname "$0")/common.sh"

pinned=$(cd "$(dirname "$0")/../pg_test/providers/logout-receiver" && pwd)/requirements.txt
folder=$VALIDATOR_CACHE/logout-receiver-$(sha256sum "$pinned" | cut -c 1-12)

main() {
    if [[ ! -e $folder/complete ]]; then
        one_at_a_time
        [[ -e $folder/complete ]] || step "logout receiver: installing" install_packages
    fi
    echo "LOGOUT_PYTHON=$folder/bin/python"
}

# A virtual environment cannot be moved, so a mark says that it is complete.
install_packages() {
    rm -rf "$folder" &&
        python3 -m venv "$folder" &&
        "$folder/bin/pip" install --disable-pip-version-check --no-input --requirement "$pinned" &&
        touch "$folder/complete"
}

main
