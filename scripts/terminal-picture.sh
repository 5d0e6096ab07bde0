#!/usr/bin/env bash
# Draws docs/session.svg, the picture in README.md, from what a real `make demo` prints: the login and the first refusal.
# A transcript of one can be given as the argument.
source "$(dirname "$0")/common.sh"
cd "$(dirname "$0")/.."

folder=$VALIDATOR_CACHE/terminal-picture-rich-14.2.0
transcript=${1:-target/demo.txt}

main() {
    scripts/packages.sh python
    if [[ ! -e $folder/complete ]]; then
        one_at_a_time
        step "rich (Python): installing" install_rich
    fi
    if (($# == 0)); then
        make --no-print-directory demo >"$transcript"
    fi
    excerpt <"$transcript" | "$folder/bin/python" -B scripts/terminal-picture.py docs/session.svg
    say "docs/session.svg is drawn"
}

install_rich() {
    rm -rf "$folder" &&
        python3 -m venv "$folder" &&
        "$folder/bin/pip" install --disable-pip-version-check --no-input rich==14.2.0 &&
        touch "$folder/complete"
}

# Without headings, and without what the demonstration says about itself.
excerpt() { sed -n '/^\$ psql/,/^\* a token that has expired/p' | sed '/^\* a token that has expired/d; /^== /d; /^(Alice/,+1d; /^The client is told/,+2d; s#/tmp/[^ ]*/data/##'; }

main "$@"
