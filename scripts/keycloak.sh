#!/usr/bin/env bash
# Gets Keycloak's distribution from Maven Central as pinned, outside of the checkout, and builds it for the tests: with an
# in-memory database. Prints the environment variable by which the tests find it.
source "$(dirname "$0")/common.sh"

version=26.7.3
checksum=27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f
folder=$VALIDATOR_CACHE/keycloak-$version

main() {
    if [[ ! -d $folder ]]; then
        one_at_a_time
        [[ -d $folder ]] || {
            step "keycloak $version: downloading" download
            step "keycloak $version: building" build
        }
    fi
    echo "KEYCLOAK_DIR=$folder"
}

# Maven's own files are of no use later. It fails on a wrong checksum of the repository; ours is the pinned one.
download() {
    rm -rf "$folder.new" &&
        mkdir "$folder.new" &&
        mvn --batch-mode --no-transfer-progress --strict-checksums -Dmaven.repo.local="$folder.new/maven" \
            org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get -Dtransitive=false \
            -Dartifact="org.keycloak:keycloak-quarkus-dist:$version:zip" &&
        mv "$folder.new/maven/org/keycloak/keycloak-quarkus-dist/$version/keycloak-quarkus-dist-$version.zip" "$folder.new/zip" &&
        sha256sum --check <<<"$checksum  $folder.new/zip"
}

build() {
    python3 -m zipfile --extract "$folder.new/zip" "$folder.new" &&
        rm -r "$folder.new/zip" "$folder.new/maven" &&
        bash "$folder.new/keycloak-$version/bin/kc.sh" build --db=dev-mem &&
        mv "$folder.new/keycloak-$version" "$folder" && # the last step: a folder that is there is complete
        rmdir "$folder.new"
}

main
