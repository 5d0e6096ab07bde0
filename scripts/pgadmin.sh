#!/usr/bin/env bash
# Installs the PyPI package pgadmin4 as pinned, in a virtual environment outside of the checkout: 600 MB. Prints the
# environment variable by which the tests find its Python.
source "$(dirname "$0")/common.sh"

pinned=$(cd "$(dirname "$0")/../pg_test/tests/drivers/pgadmin" && pwd)/requirements.txt
folder=$VALIDATOR_CACHE/pgadmin-$(sha256sum "$pinned" | cut -c 1-12)

main() {
    if [[ ! -e $folder/complete ]]; then
        one_at_a_time
        [[ -e $folder/complete ]] || step "pgAdmin 4: installing" install_venv "$folder" "$pinned"
    fi
    echo "PGADMIN_PYTHON=$folder/bin/python"
}

main
