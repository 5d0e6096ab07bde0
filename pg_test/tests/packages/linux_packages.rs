//! The packages of Linux distributions.

use std::fs;

use rig::{scratch, skip};

use crate::{VERSION, assert_works, has, major, package, run, text};

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
    // Older ones cannot read packed relocations, which build.rs asks for: the library would not load.
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

/// In PGDG's layout, as its servers for Red Hat Enterprise Linux and its kin look for it.
#[test]
fn rpm_works_where_it_is_installed() {
    if !has(&["rpm", "rpm2cpio", "cpio"]) {
        return skip("rpm, rpm2cpio or cpio is not on this machine");
    }
    let rpm = package(".rpm");
    let major = major();
    let name = format!("postgresql{major}-validator");
    let query = |format: &str| {
        let options = ["--query", "--package", "--queryformat", format];
        let told = run("rpm", &[&options[..], &[text(&rpm)]].concat());
        told.success().to_owned()
    };
    assert_eq!(
        query("%{NAME} %{VERSION} %{LICENSE}"),
        format!("{name} {VERSION} PostgreSQL")
    );
    let server = format!("postgresql{major}-server");
    let glibc = "libc.so.6(GLIBC_2.36)(64bit)";
    let needed = query("[%{REQUIRENAME}\n]");
    for one in [server.as_str(), glibc, "ca-certificates"] {
        assert!(needed.lines().any(|line| line == one), "{one}: {needed}");
    }
    let owners = query("[%{FILEUSERNAME}:%{FILEGROUPNAME}\n]");
    assert!(owners.lines().all(|owner| owner == "root:root"), "{owners}");
    run("rpm", &["--checksig", "--nosignature", text(&rpm)]).success();

    let root = scratch::new_folder("rpm");
    if run("id", &["-u"]).success() == "0" {
        // Into a root of its own with a database of its own, where nothing is that it depends on, nor a shell.
        let rpm_in_root = |arguments: &[&str]| {
            let options = ["--root", text(&root), "--nodeps", "--noscripts"];
            run("rpm", &[&options[..], arguments].concat())
        };
        rpm_in_root(&["--install", text(&rpm)]).success();
        assert_eq!(rpm_in_root(&["--verify", &name]).success(), "");
    } else {
        let (root, rpm) = (text(&root), text(&rpm));
        let unpack =
            format!("cd '{root}' && rpm2cpio '{rpm}' | cpio --quiet -idm --no-absolute-filenames");
        run("sh", &["-c", &unpack]).success();
    }
    let installed = root.join(format!("usr/pgsql-{major}"));
    assert_works(&installed.join("lib"), &installed.join("share"));

    let documentation = root.join("usr/share/doc").join(name);
    for file in [
        "copyright",
        "THIRD-PARTY-LICENSES.gz",
        "docs/configuration.md",
    ] {
        assert!(documentation.join(file).exists(), "{file}");
    }
    let script = scratch::new_folder("rpm-script").join("postinstall.sh");
    fs::write(&script, query("%{POSTIN}")).expect("the script");
    let told = run("sh", &[text(&script), "1"]);
    assert!(told.success().contains("oauth_validator_libraries"));
    assert_eq!(run("sh", &[text(&script), "2"]).success(), "");
}

#[test]
fn arch_package_works() {
    if !has(&["zstd"]) {
        return skip("zstd is not on this machine");
    }
    let package = package(".pkg.tar.zst");
    let root = scratch::new_folder("arch");
    let options = ["--zstd", "-xf", text(&package), "-C", text(&root)];
    run("tar", &options).success();
    let described = fs::read_to_string(root.join(".PKGINFO")).expect("its description");
    let newest = format!("depend = postgresql>={}", major());
    for line in [
        "pkgname = postgresql-validator",
        "license = PostgreSQL",
        "depend = glibc>=2.36",
        &newest,
    ] {
        assert!(
            described.lines().any(|one| one == line),
            "{line}: {described}"
        );
    }
    let (libraries, share) = ("usr/lib/postgresql", "usr/share/postgresql");
    assert_works(&root.join(libraries), &root.join(share));
}
