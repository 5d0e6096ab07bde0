# Sourced by the other scripts, which make starts: the cache folder, progress, failures.
# shellcheck shell=bash
set -euo pipefail
umask 022 # the tests' server runs as another user, who must be able to read what is put here

: "${VALIDATOR_CACHE:?is set by the Makefile: start this by make}"
unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES DESTDIR # what make was told is not for PostgreSQL's own make
mkdir -p "$VALIDATOR_CACHE/log"
log=$VALIDATOR_CACHE/log/$(basename "$0" .sh).log

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$@"
    exit 1
}

# step LABEL COMMAND...: shows one line with the time it took; the output goes to $log, and is shown on a failure.
step() {
    local label=$1 start=$SECONDS
    shift
    printf '%s ... ' "$label" >&2
    printf '\n== %s: %s\n' "$label" "$*" >>"$log"
    if ! "$@" </dev/null >>"$log" 2>&1 9>&-; then # 9: a service that a package starts must not keep our lock
        say "failed after $((SECONDS - start)) s; the end of the log:"
        tail -n 20 "$log" | sed 's/^/    /' >&2
        die "$label: failed. The whole output is in $log"
    fi
    say "$((SECONDS - start)) s"
}

# one_at_a_time: waits while another checkout does the same, then starts a new log. The lock ends with this process.
one_at_a_time() {
    exec 9>"$VALIDATOR_CACHE/$(basename "$0").lock"
    flock --nonblock 9 || {
        say "waiting for another make, which runs $0 too ..."
        flock 9
    }
    : >"$log"
}

# Where this machine gets Debian's packages from, by its own configuration.
debian_mirror() {
    # shellcheck disable=SC2016 # apt-get expands these
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null | sed -n 's/^Debian //p' | sort -u | head -n 1
}

# candidate PACKAGE: the version that apt would install; nothing where it offers none.
candidate() {
    apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9].*\)/\1/p'
}

# unpack_packages FOLDER PACKAGE...: what Debian's packages hold, without installing them. A folder that is there is complete.
unpack_packages() {
    local folder=$1
    shift
    rm -rf "$folder.new" &&
        mkdir -p "$folder.new/debs" &&
        (cd "$folder.new/debs" && apt-get download "$@") &&
        find "$folder.new/debs" -name '*.deb' -exec dpkg-deb --extract {} "$folder.new" \; &&
        rm -rf "$folder.new/debs" &&
        mv "$folder.new" "$folder"
}

# install_venv FOLDER REQUIREMENTS: packages from PyPI, as pinned. A virtual environment cannot be moved, so the file
# `complete` says that it is.
install_venv() {
    rm -rf "$1" &&
        python3 -m venv "$1" &&
        "$1/bin/pip" install --disable-pip-version-check --no-input --requirement "$2" &&
        touch "$1/complete"
}
