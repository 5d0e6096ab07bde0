#!/usr/bin/env bash
# bare-root.sh [--share-downloads] COMMAND: runs the command in a copy of this checkout on a bare Debian 12 that has git,
# make and a Rust tool chain, and nothing else: what make needs beyond that, it has to get there. Of this machine it has
# apt's sources, certificates, the resolver and the registries' settings; and where told so what was downloaded before,
# but nothing that was installed or built. Exits with 77, and a line that says why, where such a root cannot be made.
source "$(dirname "$0")/common.sh"

checkout=$(cd "$(dirname "$0")/.." && pwd)
root=$VALIDATOR_CACHE/bare-root
downloads=$VALIDATOR_CACHE/downloads
suite=bookworm
mirror=$(debian_mirror || true)

main() {
    case ${1:-} in
    --inside)
        inside "$2"
        return
        ;;
    --share-downloads) export SHARE_DOWNLOADS=1 && shift ;;
    esac
    can_be_made
    one_at_a_time
    remove_root
    trap remove_root EXIT
    trap 'exit 130' INT TERM
    # All that is mounted, by debootstrap, too, is mounted in a namespace of its own, and gone with its last process, which
    # ends with this one, however that ends.
    setpriv --pdeathsig KILL \
        unshare --mount --pid --ipc --fork --kill-child --propagation private "$0" --inside "$1" 9>&- &
    namespace=$!
    wait "$namespace"
}

inside() {
    mkdir -p "$root" "$downloads/apt/partial"
    # A mount point, so that a chroot into it can set the propagation of its root, as unshare --mount does.
    mount --bind "$root" "$root"
    step "bare Debian 12: installing it" bootstrap
    mount_devices
    step "bare Debian 12: adding git and make" furnish
    copy_checkout
    mount --bind -o ro "$(rustc --print sysroot)" "$root/opt/rust"
    [[ -z ${SHARE_DOWNLOADS:-} ]] || share_downloads
    chroot_env bash -euo pipefail -c "cd /validator && $1" </dev/null
}

unavailable() {
    say "no bare Debian 12 here: $*"
    exit 77
}

can_be_made() {
    ((EUID == 0)) || unavailable "it takes root"
    type -P apt-get dpkg-query >/dev/null || unavailable "this system is not a Debian"
    [[ -n $mirror ]] || unavailable "apt's configuration names no mirror of Debian"
    "$(dirname "$0")/packages.sh" bare-root || unavailable "debootstrap cannot be installed"
    unshare --mount --pid --ipc --fork true 2>/dev/null || unavailable "the kernel permits no namespaces"
    [[ $(rustc --print sysroot) != /usr ]] || unavailable "its Rust tool chain cannot be lent, as it lies in /usr"
}

# Nothing is mounted here outside of the namespace, and no other file system is entered.
remove_root() {
    [[ -z ${namespace:-} ]] || { kill -KILL "$namespace" && wait "$namespace"; } 2>/dev/null || true # it ignores SIGTERM
    local try
    for try in 1 2 3 4 5; do
        rm -rf --one-file-system "$root" 2>/dev/null && return
        sleep "$try" # a process that was just killed may still write
    done
    rm -rf --one-file-system "$root"
}

bootstrap() {
    debootstrap --variant=minbase --cache-dir="$downloads/apt" "$suite" "$root" "$mirror"
}

furnish() {
    # shellcheck disable=SC2016 # apt-get expands these
    apt-get indextargets --format '$(ORIGIN) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' |
        sed -n "s/^Debian \(deb .* $suite\)/\1/p" | sort -u >"$root/etc/apt/sources.list"
    [[ -s $root/etc/apt/sources.list ]] || echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
    copy_settings
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io" # as images of Debian for containers have it
    mkdir -p "$root/opt/rust" "$root/root/.cargo/registry"
    chroot_env apt-get update &&
        chroot_env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends git make
}

# How this machine reaches the registries, and whom it trusts.
copy_settings() {
    local file
    cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
    # As Debian's installer writes it; without it, whether there is a localhost is up to the resolver.
    printf '%s\n' '127.0.0.1 localhost' '::1 localhost ip6-localhost ip6-loopback' >"$root/etc/hosts"
    for file in /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/npmrc /usr/etc/npmrc /etc/pip.conf \
        "$HOME"/.{npmrc,pip,config/pip,config/go/env,m2/settings.xml} "$HOME"/.cargo/{config,credentials}.toml; do
        [[ -e $file ]] || continue
        mkdir -p "$root$(dirname "${file/#"$HOME"/\/root}")"
        cp -r --dereference "$file" "$root${file/#"$HOME"/\/root}"
    done
    grep -lsE '^ *Acquire::' /etc/apt/apt.conf /etc/apt/apt.conf.d/* |
        xargs -r cp --target-directory="$root/etc/apt/apt.conf.d" || true
    # Whoever asks before the package ca-certificates is there finds this machine's bundle; the package adds it to its own.
    mkdir -p "$root"/{usr/local/share/ca-certificates,etc/ssl/certs}
    # One file for each certificate: of a file, the package's list for Java takes the first only.
    awk -v folder="$root/usr/local/share/ca-certificates" '
        /-----BEGIN CERTIFICATE-----/ { file = sprintf("%s/machine-%03d.crt", folder, ++n) }
        file { print >file }
        /-----END CERTIFICATE-----/ { close(file); file = "" }' /etc/ssl/certs/ca-certificates.crt
    cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
}

copy_checkout() {
    git clone --quiet --no-checkout "file://$checkout" "$root/validator"
    git -C "$checkout" ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [[ ! -e $checkout/$file ]] || printf '%s\0' "$file"; done |
        tar --create --directory "$checkout" --null --no-recursion --files-from - |
        tar --extract --directory "$root/validator" --no-same-owner
    git -C "$root/validator" reset --quiet
}

# The environment of a new machine, but for how registries are reached.
chroot_env() {
    local settings
    mapfile -t settings < <(env | grep -E '^((https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY|PIP_|NPM_CONFIG_|npm_config_|CARGO_(HTTP|NET|REGISTR|SOURCE)|GOPROXY|SSL_CERT_|NODE_EXTRA_CA_CERTS|CI=|TERM=)[^=]*=' || true)
    chroot "$root" env -i "${settings[@]}" HOME=/root LANG=C.UTF-8 \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

mount_devices() {
    local device
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=755 dev "$root/dev"
    mkdir "$root"/dev/{pts,shm}
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
}

share_downloads() {
    local from to
    while read -r from to; do
        mkdir -p "$from" "$root$to"
        mount --bind "$from" "$root$to"
    done <<-FOLDERS
		$downloads/apt /var/cache/apt/archives
		${CARGO_HOME:-$HOME/.cargo}/registry/cache /root/.cargo/registry/cache
		${CARGO_HOME:-$HOME/.cargo}/registry/index /root/.cargo/registry/index
		$HOME/.npm/_cacache /root/.npm/_cacache
		$HOME/.cache/pip /root/.cache/pip
	FOLDERS
}

main "$@"
