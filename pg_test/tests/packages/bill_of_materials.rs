//! The bill of materials, and the licences of what it names.

use std::fs;

use serde_json::Value;

use crate::{VERSION, json, package, sha256, unpack};

#[test]
fn bill_of_materials_names_what_is_linked() {
    let bill = json(&package(".cdx.json"));
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["specVersion"], "1.5");
    // What the schema requires: of the bill its version, of a component type and name, of a dependency its ref.
    assert_eq!(bill["version"], 1);
    let serial = bill["serialNumber"].as_str().expect("a serial number");
    let groups = serial.strip_prefix("urn:uuid:").expect("a UUID").split('-');
    assert_eq!(groups.map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    let component = &bill["metadata"]["component"];
    assert_eq!(component["name"], "validator");
    assert_eq!(component["version"], VERSION);
    let inside = fs::read_dir(unpack(&package(".tar.gz")))
        .expect("a folder")
        .next();
    let inside = inside.expect("one").expect("a folder").path();
    let library = sha256(&inside.join("lib/validator.so"));
    assert_eq!(component["hashes"][0]["content"], library.as_str());
    let licences = fs::read_to_string(inside.join("THIRD-PARTY-LICENSES")).expect("the licences");

    let components = bill["components"].as_array().expect("a list");
    let lock = include_str!("../../../Cargo.lock");
    let mut names = Vec::new();
    for component in components {
        let text = |name: &str| component[name].as_str().expect(name).to_owned();
        let entry = format!(
            "name = \"{}\"\nversion = \"{}\"\n",
            text("name"),
            text("version")
        );
        assert!(lock.contains(&entry), "{entry}");
        assert_eq!(component["type"], "library");
        assert_ne!(component["licenses"][0]["expression"], Value::Null);
        // Our own crates are of no registry, and their licence is that of the package.
        if !["oauth-core", "http-cause"].contains(&text("name").as_str()) {
            let hash = component["hashes"][0]["content"].as_str().expect("a hash");
            assert!(lock.contains(hash), "{entry}");
            let purl = format!("pkg:cargo/{}@{}", text("name"), text("version"));
            assert_eq!(text("purl"), purl);
            let crate_ = format!("{} {}", text("name"), text("version"));
            let of_it = |line: &&str| line.split(", ").any(|one| one == crate_);
            assert!(
                licences.lines().any(|line| of_it(&line)),
                "{crate_} has no licence"
            );
        }
        names.push(text("bom-ref"));
    }
    for linked in [
        "pgrx",
        "jsonwebtoken",
        "ureq",
        "rustls",
        "serde",
        "once_cell",
        "parking_lot",
        "aws-lc-sys",
    ] {
        let found = names
            .iter()
            .any(|name| name.starts_with(&format!("{linked}@")));
        assert!(found, "{linked} is not in the bill");
    }
    for not_linked in ["bindgen", "serde_derive", "pg_test", "tempfile", "ring"] {
        let found = names
            .iter()
            .any(|name| name.starts_with(&format!("{not_linked}@")));
        assert!(!found, "{not_linked} is in the bill");
    }
    names.push(format!("validator@{VERSION}"));
    for dependency in bill["dependencies"].as_array().expect("a list") {
        let edges = dependency["dependsOn"].as_array().expect("a list").iter();
        for name in edges.chain([&dependency["ref"]]) {
            let name = name.as_str().expect("a name").to_owned();
            assert!(names.contains(&name), "{name} is not a component");
        }
    }
}
