//! The packages, each installed beside a real server and logged in through.

mod archives;
mod bill_of_materials;
mod hook;
mod linux_packages;
mod pam_packages;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::digest;
use rig::{Finished, Issuer, Server, child, environment, scratch};
use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The module's package for this PostgreSQL in the folder that `make package` and `make image` fill, by the end of its name.
#[track_caller]
fn package(end: &str) -> PathBuf {
    let major = major();
    find_package(end, |name| {
        name.contains(&format!("-pg{major}-"))
            || name.starts_with(&format!("postgresql-{major}-"))
            || name.starts_with(&format!("postgresql{major}-"))
            || name.starts_with("postgresql-validator-")
    })
}

/// That of the PAM module.
#[track_caller]
fn pam_package(end: &str) -> PathBuf {
    find_package(end, |name| name.contains("pam-validator"))
}

/// That of `validator-hook`.
#[track_caller]
fn hook_package(end: &str) -> PathBuf {
    find_package(end, |name| name.starts_with("validator-hook"))
}

#[track_caller]
fn find_package(end: &str, is_meant: impl Fn(&str) -> bool) -> PathBuf {
    let folder = environment::packages();
    let files = fs::read_dir(&folder).expect("the folder of the packages can be read");
    let mut found: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .filter(|path| name_of(path).ends_with(end) && is_meant(name_of(path)))
        .collect();
    assert_eq!(found.len(), 1, "{end} in {}: {found:?}", folder.display());
    found.remove(0)
}

fn name_of(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("a name")
}

/// The major version of the PostgreSQL that the packages are for.
fn major() -> String {
    environment::postgresql_version().to_string()
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

#[track_caller]
fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
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
fn packages_are_the_same_when_they_are_made_again_and_those_for_other_versions_stay() {
    let (folder, first) = (scratch::new_folder("again"), environment::packages());
    let [other, earlier] = ["99", &major()]
        .map(|major| folder.join(format!("postgresql-{major}-validator_0.0.1_amd64.deb")));
    for package in [&other, &earlier] {
        fs::write(package, "an earlier release").expect("a file");
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let build = source.join("packaging/build.sh");
    let library = source.join("target/release/libvalidator.so");
    let hook = source.join("target/release/validator-hook");
    for what in ["package", "image"] {
        let arguments = [what, text(&library), &major(), text(&folder), text(&hook)];
        run(text(&build), &arguments).success();
    }
    assert!(other.exists() && !earlier.exists());
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).expect("the checksums");
    let mut files = Vec::new();
    for file in fs::read_dir(&folder).expect("a folder") {
        let file = file.expect("a file").path();
        if file.ends_with("SHA256SUMS") {
            continue;
        }
        let line = format!("{}  {}", sha256(&file), name_of(&file));
        assert!(sums.lines().any(|one| one == line), "{line}: {sums}");
        if file != other {
            let first = first.join(name_of(&file));
            assert_eq!(sha256(&file), sha256(&first), "{first:?}");
        }
        files.push(file);
    }
    assert_eq!(sums.lines().count(), files.len(), "{sums}");
    // Bill, tarball, three packages, three of the PAM module, three of validator-hook, image; and the one for another version.
    assert_eq!(files.len(), 13, "{files:?}");
}
