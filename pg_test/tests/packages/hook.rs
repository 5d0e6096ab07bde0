//! The packages of `validator-hook`: its files, a service that can start, and a program that runs.

use std::fs;
use std::path::Path;

use rig::{scratch, skip};

use crate::{VERSION, has, hook_package, run, text};

/// What all of them hold, below the folder into which they were unpacked.
#[track_caller]
fn assert_complete(root: &Path, units: &str) {
    let program = root.join("usr/bin/validator-hook");
    let version = run(text(&program), &["--version"]);
    assert_eq!(version.success(), format!("validator-hook {VERSION}"));
    let configuration = root.join("etc/validator-hook/validator-hook.toml");
    // The example is no configuration, and says what is missing.
    let checked = run(text(&program), &["--check", text(&configuration)]);
    assert!(!checked.status.success());
    assert!(
        checked.stderr.contains("there is no [[issuer]]"),
        "{checked:?}"
    );
    // What it suggests is one, but for the files that it names.
    let example = fs::read_to_string(&configuration).expect("the configuration");
    let lines = example.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with("[[") || rest.contains(" = \"") || rest.contains(" = [") => {
            rest
        }
        _ => line,
    });
    let names_files = |line: &&str| line.contains("_file");
    let suggested: Vec<&str> = lines.filter(|line| !names_files(line)).collect();
    let suggested = suggested.join("\n").replace("# [issuer", "[issuer");
    let file = scratch::new_folder("suggested").join("validator-hook.toml");
    fs::write(&file, suggested).expect("a file");
    let checked = run(text(&program), &["--check", text(&file)]);
    assert!(checked.stdout.contains("server \"primary\""), "{checked:?}");

    let unit = root.join(units).join("validator-hook.service");
    let unit_text = fs::read_to_string(&unit).expect("the unit");
    for line in [
        "ExecStart=/usr/bin/validator-hook /etc/validator-hook/validator-hook.toml",
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
    ] {
        assert!(unit_text.lines().any(|one| one == line), "{line}");
    }
    if has(&["systemd-analyze"]) {
        // systemd's own opinion, on a scale to 10: below 2 is what it calls safe.
        let told = run(
            "systemd-analyze",
            &[
                "security",
                "--offline=true",
                "--threshold=20",
                "--no-pager",
                text(&unit),
            ],
        );
        assert!(told.status.success(), "{}", told.stdout);
    }
    for file in [
        "usr/share/man/man8/validator-hook.8.gz",
        "usr/share/doc/validator-hook/logout.md",
        "usr/share/doc/validator-hook/copyright",
        "usr/share/doc/validator-hook/THIRD-PARTY-LICENSES.gz",
        "usr/share/doc/validator-hook/sbom.cdx.json.gz",
    ] {
        assert!(root.join(file).exists(), "{file}");
    }
    let licences = root.join("usr/share/doc/validator-hook/THIRD-PARTY-LICENSES.gz");
    let licences = run("gzip", &["-dc", text(&licences)]);
    for linked in ["tokio-postgres ", "hyper ", "rustls ", "aws-lc-sys "] {
        assert!(licences.success().contains(linked), "{linked}");
    }
    let bill = root.join("usr/share/doc/validator-hook/sbom.cdx.json.gz");
    let bill = run("gzip", &["-dc", text(&bill)]);
    for (name, is_linked) in [
        ("tokio-postgres", true),
        ("oauth-core", true),
        ("pgrx", false),
    ] {
        let found = bill.success().contains(&format!("\"{name}@"));
        assert_eq!(found, is_linked, "{name}");
    }
}

#[test]
fn debian_package_is_complete_and_as_debians_policy_wants_it() {
    if !has(&["dpkg-deb"]) {
        return skip("dpkg-deb, which makes the Debian package, is not on this machine");
    }
    let deb = hook_package(".deb");
    let field = |field: &str| {
        let told = run("dpkg-deb", &["--field", text(&deb), field]);
        told.success().to_owned()
    };
    assert_eq!(field("Package"), "validator-hook");
    assert_eq!(field("Version"), VERSION);
    let depends = field("Depends");
    assert!(
        depends.contains("libc6 (>= 2.") && depends.contains("ca-certificates"),
        "{depends}"
    );
    let root = scratch::new_folder("hook-deb");
    run("dpkg-deb", &["--raw-extract", text(&deb), text(&root)]).success();
    assert_complete(&root, "lib/systemd/system");
    let conffiles = fs::read_to_string(root.join("DEBIAN/conffiles")).expect("a list");
    assert_eq!(conffiles.trim(), "/etc/validator-hook/validator-hook.toml");
    let told = run(
        "sh",
        &[text(&root.join("DEBIAN/postinst")), "configure", ""],
    );
    assert!(told.success().contains("validator-hook --check"));
    if !has(&["lintian"]) {
        return skip("lintian is not on this machine");
    }
    let arguments = ["--allow-root", "--fail-on", "error,warning", text(&deb)];
    assert_eq!(run("lintian", &arguments).success(), "");
}

#[test]
fn rpm_is_complete() {
    if !has(&["rpm", "rpm2cpio", "cpio"]) {
        return skip("rpm, rpm2cpio or cpio is not on this machine");
    }
    let rpm = hook_package(".rpm");
    let options = [
        "--query",
        "--package",
        "--queryformat",
        "%{NAME} %{VERSION}",
    ];
    let name = run("rpm", &[&options[..], &[text(&rpm)]].concat());
    assert_eq!(name.success(), format!("validator-hook {VERSION}"));
    let configuration = run(
        "rpm",
        &["--query", "--package", "--configfiles", text(&rpm)],
    );
    assert_eq!(
        configuration.success(),
        "/etc/validator-hook/validator-hook.toml"
    );
    let root = scratch::new_folder("hook-rpm");
    let unpack = format!(
        "cd '{}' && rpm2cpio '{}' | cpio --quiet -idm --no-absolute-filenames",
        text(&root),
        text(&rpm)
    );
    run("sh", &["-c", &unpack]).success();
    assert_complete(&root, "usr/lib/systemd/system");
}

#[test]
fn arch_package_is_complete() {
    if !has(&["zstd"]) {
        return skip("zstd is not on this machine");
    }
    let package = hook_package(".pkg.tar.zst");
    let root = scratch::new_folder("hook-arch");
    let options = ["--zstd", "-xf", text(&package), "-C", text(&root)];
    run("tar", &options).success();
    let described = fs::read_to_string(root.join(".PKGINFO")).expect("its description");
    for line in [
        "pkgname = validator-hook",
        "backup = etc/validator-hook/validator-hook.toml",
    ] {
        assert!(
            described.lines().any(|one| one == line),
            "{line}: {described}"
        );
    }
    assert_complete(&root, "usr/lib/systemd/system");
}
