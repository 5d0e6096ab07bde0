#!/usr/bin/env bash
# Installs the PyPI package django-oauth-toolkit as pinned, in a virtual environment outside of the checkout. Prints the
# environment variable by which the tests find its Python.
source "$(dirname "$0")/common.sh"

pinned=$(cd "$(dirname "$0")/../pg_test/providers/django-oauth-toolkit" && pwd)/requirements.txt
folder=$VALIDATOR_CACHE/django-oauth-toolkit-$(sha256sum "$pinned" | cut -c 1-12)

main() {
    if [[ ! -e $folder/complete ]]; then
        one_at_a_time
        [[ -e $folder/complete ]] || step "django-oauth-toolkit: installing" install_venv "$folder" "$pinned"
    fi
    echo "DJANGO_PYTHON=$folder/bin/python"
}

main
