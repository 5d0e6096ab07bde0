//! The packages, each installed beside a real server and logged in through.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::digest;
use pg_test::{Finished, Issuer, Server, child, environment, scratch, skip};
use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The package in the folder that `make package` and `make image` fill, by the end of its name.
#[track_caller]
fn package(end: &str) -> PathBuf {
    let folder = environment::packages();
    let files = fs::read_dir(&folder).expect("the folder of the packages can be read");
    let mut found: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.display().to_string().ends_with(end))
        .collect();
    assert_eq!(found.len(), 1, "{end} in {}: {found:?}", folder.display());
    found.remove(0)
}

/// The major version of the PostgreSQL that the packages are for.
fn major() -> String {
    let name = package(".tar.gz").display().to_string();
    let (_, rest) = name.rsplit_once("-pg").expect("the name has it");
    rest.split('-').next().unwrap_or_default().to_owned()
}

fn run(program: &str, arguments: &[&str]) -> Finished {
    let mut command = Command::new(program);
    command.args(arguments);
    child::run(command, Duration::from_secs(120))
}

/// Unpacks an archive into a new folder that the server can read.
fn unpack(archive: &Path) -> PathBuf {
    let folder = scratch::new_folder("package");
    run("tar", &["-xf", text(archive), "-C", text(&folder)]).success();
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ASCII")
}

fn sha256(path: &Path) -> String {
    let content = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let digest = digest::digest(&digest::SHA256, &content);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// A server that has nothing of this module but what is in these folders lets a good token in and refuses a bad one.
#[track_caller]
fn assert_works(libraries: &Path, share: &Path) {
    for preload in [false, true] {
        let issuer = Issuer::builder().start();
        let mut builder = Server::trusting(&issuer)
            .set(
                "dynamic_library_path",
                &format!("{}:$libdir", libraries.display()),
            )
            .set(
                "extension_control_path",
                &format!("{}:$system", share.display()),
            );
        if preload {
            builder = builder.preload();
        }
        let server = builder.start();
        let mut session = server.admits("alice", &issuer.token("alice").encode());
        assert_eq!(session.value("SELECT system_user"), "oauth:alice");
        let other = issuer.token("alice").claim("aud", "other").encode();
        server.refuses("alice", &other, "aud_mismatch");
        server.sql("CREATE EXTENSION validator");
        assert_eq!(server.value("SELECT validator.version()"), VERSION);
    }
}

/// Whether these programs are here.
fn has(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let found = run("sh", &["-c", &format!("command -v {program}")]);
        found.status.success()
    })
}

/// The library in the packages was linked with this script, by build.rs.
#[test]
fn library_with_aws_lcs_jitter_entropy_cannot_be_linked() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../no_jitter_entropy.ld");
    let folder = scratch::new_folder("jitter");
    let link = |function: &str| {
        let source = folder.join(format!("{function}.c"));
        fs::write(&source, format!("int {function}(void) {{ return 1; }}\n")).expect("a file");
        let (output, script) = (
            folder.join("library.so"),
            format!("-Wl,-T,{}", text(&script)),
        );
        let options = ["-shared", "-fPIC", "-ffunction-sections", "-o"];
        run(
            "cc",
            &[&options[..], &[text(&output), text(&source), &script]].concat(),
        )
    };
    assert!(link("aws_lc_0_47_0_RSA_verify").status.success());
    for function in [
        "aws_lc_0_47_0_jent_entropy_init",
        "aws_lc_0_47_0_tree_jitter_get_seed",
    ] {
        let linked = link(function);
        assert!(!linked.status.success(), "{function}");
        assert!(
            linked.stderr.contains("AWS_LC_SYS_NO_JITTER_ENTROPY"),
            "{}",
            linked.stderr
        );
    }
}

#[test]
fn debian_package_works_and_tells_what_to_set() {
    if !has(&["dpkg-deb"]) {
        return skip("dpkg-deb, which makes the Debian package, is not on this machine");
    }
    let deb = package(".deb");
    let arch = run("dpkg", &["--print-architecture"]);
    let major = major();
    let package = format!("postgresql-{major}-validator");
    let name = format!("{package}_{VERSION}_{}.deb", arch.success());
    assert_eq!(deb.file_name().expect("a name"), name.as_str());
    let field = |field: &str| {
        let told = run("dpkg-deb", &["--field", text(&deb), field]);
        told.success().to_owned()
    };
    assert_eq!(field("Version"), VERSION);
    let depends = field("Depends");
    let server = format!("postgresql-{major},");
    for needed in [server.as_str(), "ca-certificates"] {
        assert!(depends.contains(needed), "{depends}");
    }
    // Older ones can not read packed relocations, which build.rs asks for: the library would not load.
    let (_, glibc) = depends.split_once("libc6 (>= 2.").expect("a version");
    let minor = glibc.split([')', '.']).next().map(str::parse::<u32>);
    assert!(matches!(minor, Some(Ok(minor)) if minor >= 36), "{depends}");

    let root = scratch::new_folder("deb");
    run("dpkg-deb", &["--raw-extract", text(&deb), text(&root)]).success();
    let share = root.join(format!("usr/share/postgresql/{major}"));
    let libraries = format!("usr/lib/postgresql/{major}/lib");
    assert_works(&root.join(&libraries), &share);

    let script = root.join("DEBIAN/postinst");
    let told = run("sh", &[text(&script), "configure", ""]);
    assert!(told.success().contains("oauth_validator_libraries"));
    let upgrade = run("sh", &[text(&script), "configure", "0.0.1"]);
    assert_eq!(upgrade.success(), "");
    let documentation = root.join("usr/share/doc").join(package);
    for file in [
        "copyright",
        "changelog.gz",
        "THIRD-PARTY-LICENSES.gz",
        "README.md",
        "docs/configuration.md",
    ] {
        assert!(documentation.join(file).exists(), "{file}");
    }
    // Debian's own check of the files.
    let sums = fs::read_to_string(root.join("DEBIAN/md5sums")).expect("the sums");
    assert!(sums.contains(&format!("{libraries}/validator.so")));
    let check = format!(
        "cd '{}' && md5sum --quiet --check DEBIAN/md5sums",
        text(&root)
    );
    run("sh", &["-c", &check]).success();
}

#[test]
fn debian_package_is_as_debians_policy_wants_it() {
    if !has(&["dpkg-deb", "lintian"]) {
        return skip("lintian is not on this machine");
    }
    let arguments = ["--allow-root", "--fail-on", "error,warning"];
    let told = run(
        "lintian",
        &[&arguments[..], &[text(&package(".deb"))]].concat(),
    );
    assert_eq!(told.success(), "");
}

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
    ] {
        assert!(licences.contains(word), "{word}");
    }
    let check = format!(
        "cd '{}' && sha256sum --quiet --check SHA256SUMS",
        environment::packages().display()
    );
    run("sh", &["-c", &check]).success();
}

#[test]
fn bill_of_materials_names_what_is_linked() {
    let file = package(".cdx.json");
    let bill: Value = serde_json::from_slice(&fs::read(&file).expect("the bill")).expect("JSON");
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["specVersion"], "1.6");
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
    let lock = include_str!("../../Cargo.lock");
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
        if text("name") != "oauth-core" {
            let hash = component["hashes"][0]["content"].as_str().expect("a hash");
            assert!(lock.contains(hash), "{entry}");
            let purl = format!("pkg:cargo/{}@{}", text("name"), text("version"));
            assert_eq!(text("purl"), purl);
        }
        if text("name") != "oauth-core" {
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
    for not_linked in ["bindgen", "serde_derive", "pg_test", "tempfile"] {
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

#[track_caller]
fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
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

#[test]
fn packages_are_the_same_when_they_are_made_again() {
    let (folder, first) = (scratch::new_folder("again"), environment::packages());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let build = source.join("packaging/build.py");
    let library = source.join("target/release/libvalidator.so");
    for what in ["package", "image"] {
        let arguments = [
            "-B",
            text(&build),
            what,
            text(&library),
            &major(),
            text(&folder),
        ];
        run("python3", &arguments).success();
    }
    let again = fs::read_dir(&folder).expect("a folder");
    let mut count = 0;
    for file in again {
        let file = file.expect("a file");
        let other = first.join(file.file_name());
        assert_eq!(sha256(&file.path()), sha256(&other), "{other:?}");
        count += 1;
    }
    assert!(count >= 4);
}

/// Each `MAJOR.MINOR.PATCH` that stands behind one of these words.
fn versions_after(text: &str, words: &[&str]) -> Vec<String> {
    let after = words.iter().flat_map(|word| text.split(word).skip(1));
    let version = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        rest[..end.unwrap_or(rest.len())]
            .trim_end_matches('.')
            .to_owned()
    };
    after
        .map(version)
        .filter(|version| version.split('.').filter(|part| !part.is_empty()).count() == 3)
        .collect()
}

#[test]
fn one_version_is_named_everywhere() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| fs::read_to_string(source.join(name)).expect(name);
    let workspace = read("Cargo.toml");
    assert!(workspace.contains(&format!("[workspace.package]\nversion = \"{VERSION}\"")));
    let (_, members) = workspace.split_once("members = [").expect("members");
    let (members, _) = members.split_once(']').expect("their end");
    for member in members.split(", ").map(|member| member.trim_matches('"')) {
        let manifest = read(&format!("{member}/Cargo.toml"));
        assert!(
            manifest.contains("\nversion.workspace = true\n"),
            "{member}"
        );
    }

    let control = read("validator.control");
    assert!(control.contains(&format!("default_version = '{VERSION}'")));
    // The extension can be created at this version, or reach it from an older one.
    let scripts = fs::read_dir(source.join("sql")).expect("a folder");
    let scripts: Vec<_> = scripts
        .map(|script| {
            script
                .expect("a file")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    let whole = format!("validator--{VERSION}.sql");
    assert!(scripts.contains(&whole), "{scripts:?}");
    assert!(read(&format!("sql/{whole}")).starts_with(&format!("-- validator {VERSION}:")));

    let changes = read("CHANGELOG.md");
    let newest = changes
        .lines()
        .filter_map(|line| line.strip_prefix("## ["))
        .find(|line| !line.starts_with("Unreleased]"));
    assert!(
        newest.is_some_and(|line| line.starts_with(&format!("{VERSION}]"))),
        "{newest:?}"
    );

    let mut named = 0;
    for page in ["README.md", "docs/install.md"] {
        let text = read(page);
        let words = ["validator_", "validator-", "validator:", "validator--"];
        for version in versions_after(&text, &words) {
            assert_eq!(version, VERSION, "{page}");
            named += 1;
        }
    }
    assert!(named >= 3, "{named}");
}

/// `cargo pgrx package` makes the extension's script from the code. One of its own would grant every function to everyone.
#[test]
fn cargo_pgrx_takes_the_script_with_the_grants() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut files = vec![source.clone()];
    let mut functions = 0;
    while let Some(file) = files.pop() {
        if file.is_dir() {
            let inside = fs::read_dir(file).expect("a folder");
            files.extend(inside.map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let text = fs::read_to_string(&file).expect("a file");
        for attribute in text.split("#[pg_extern").skip(1) {
            assert!(attribute.starts_with("(sql = false"), "{}", file.display());
            functions += 1;
        }
    }
    assert!(functions > 10, "{functions}");
    let library = fs::read_to_string(source.join("lib.rs")).expect("lib.rs");
    let script = format!("extension_sql_file!(\"../sql/validator--{VERSION}.sql\"");
    assert!(library.contains(&script));
}
