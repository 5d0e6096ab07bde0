//! The tarball and the OCI image.

use std::fs;
use std::path::{Path, PathBuf};

use rig::{environment, scratch};
use serde_json::Value;

use crate::{VERSION, assert_works, json, major, package, run, sha256, text, unpack};

#[test]
fn tarball_works_and_its_sums_are_right() {
    let tarball = package(".tar.gz");
    let folder = unpack(&tarball);
    let name = text(&tarball).rsplit('/').next().expect("a name");
    let inside = folder.join(name.strip_suffix(".tar.gz").expect("its end"));
    assert!(name.starts_with(&format!("validator-{VERSION}-pg")));
    assert_works(&inside.join("lib"), &inside.join("share"));
    let licences = fs::read_to_string(inside.join("THIRD-PARTY-LICENSES")).expect("the licences");
    for word in [
        "rustls",
        "aws-lc-sys",
        "Permission is hereby granted",
        "Apache License",
        // Authors of code within aws-lc-sys: packaging/about.toml names the files that have them.
        "Eric Young",
        "fiat-crypto authors",
    ] {
        assert!(licences.contains(word), "{word}");
    }
    let check = format!(
        "cd '{}' && sha256sum --quiet --check SHA256SUMS",
        environment::packages().display()
    );
    run("sh", &["-c", &check]).success();
    // All that a release has is in the list, whose signature users verify.
    let sums = environment::packages().join("SHA256SUMS");
    let sums = fs::read_to_string(sums).expect("the checksums");
    for end in [
        ".cdx.json",
        ".deb",
        ".oci.tar",
        ".pkg.tar.zst",
        ".rpm",
        ".tar.gz",
    ] {
        assert!(
            sums.lines().any(|line| line.ends_with(end)),
            "{end}: {sums}"
        );
    }
}

/// A blob of an OCI layout by its descriptor, whose digest and size must be right.
#[track_caller]
fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().expect("a digest");
    let digest = digest.strip_prefix("sha256:").expect("SHA-256");
    let path = layout.join("blobs/sha256").join(digest);
    assert_eq!(sha256(&path), digest);
    let size = fs::metadata(&path).expect("a file").len();
    assert_eq!(descriptor["size"], size);
    path
}

#[test]
fn image_works_where_it_is_mounted() {
    let layout = unpack(&package(".oci.tar"));
    assert_eq!(
        json(&layout.join("oci-layout"))["imageLayoutVersion"],
        "1.0.0"
    );
    let index = json(&layout.join("index.json"));
    let manifest = json(&blob(&layout, &index["manifests"][0]));
    let config = json(&blob(&layout, &manifest["config"]));
    assert_eq!(config["os"], "linux");
    for labels in [&manifest["annotations"], &config["config"]["Labels"]] {
        assert_eq!(labels["org.opencontainers.image.version"], VERSION);
    }
    assert_eq!(
        index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"],
        format!("{VERSION}-pg{}", major()).as_str()
    );
    let layer = blob(&layout, &manifest["layers"][0]);

    let plain = scratch::new_folder("layer").join("layer.tar");
    let gunzip = format!("gzip -dc '{}' > '{}'", text(&layer), text(&plain));
    run("sh", &["-c", &gunzip]).success();
    assert_eq!(
        config["rootfs"]["diff_ids"][0],
        format!("sha256:{}", sha256(&plain)).as_str()
    );
    let root = unpack(&layer);
    let mut top: Vec<_> = fs::read_dir(&root)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    top.sort();
    assert_eq!(
        top,
        ["lib", "licenses", "share"],
        "as CloudNativePG lays it out"
    );
    assert_works(&root.join("lib"), &root.join("share"));
}
