//! The packages of the PAM module, which are the same for all versions of PostgreSQL.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rig::{Authority, Issuer, Login, PAM_SERVICE, Server, can_use_pam, child, scratch, skip};

use crate::{VERSION, has, major, package, pam_package, run, text, unpack};

/// A server that has nothing but this PAM module, and the server's module in this folder, lets a good token in as a password
/// and refuses a bad one.
#[track_caller]
fn assert_takes_passwords(module: &Path, libraries: &Path) {
    assert_eq!(
        fs::metadata(module).expect("the module").permissions(),
        Permissions::from_mode(0o100_644)
    );
    if !can_use_pam() {
        return;
    }
    let issuer = Issuer::builder().start();
    let module = text(module);
    let file = format!("auth required {module}\naccount required {module}\n");
    let server = Server::taking_passwords(&issuer)
        .pam_service(PAM_SERVICE, &file)
        .set("dynamic_library_path", text(libraries))
        .start();
    let login = |token: &str| Login::by_tls(&server, "alice", None).token(token);
    let good = issuer.token("alice").encode();
    server.admits_login(login(&good));
    let mut psql = server.psql_command();
    psql.env("PGPASSWORD", &good)
        .args(["-XAtwc", "SELECT current_user"]);
    psql.arg(format!(
        "host=localhost hostaddr=127.0.0.1 port={} dbname=postgres user=alice gssencmode=disable \
         sslmode=verify-full sslrootcert={}",
        server.port(),
        text(Authority::shared().file())
    ));
    assert_eq!(child::run(psql, Duration::from_secs(60)).success(), "alice");
    let other = issuer.token("alice").claim("aud", "other").encode();
    server.refuses_login(login(&other), &other, "aud_mismatch");
}

#[test]
fn debian_package_puts_the_module_where_pam_finds_it() {
    if !has(&["dpkg-deb"]) {
        return skip("dpkg-deb, which makes the Debian package, is not on this machine");
    }
    let deb = pam_package(".deb");
    let field = |of: &Path, field: &str| {
        let told = run("dpkg-deb", &["--field", text(of), field]);
        told.success().to_owned()
    };
    assert_eq!(field(&deb, "Package"), "libpam-validator");
    assert_eq!(field(&deb, "Version"), VERSION);
    assert!(field(&deb, "Depends").contains("libpam0g"));
    // Before version 18 nothing works without it.
    let server = package(".deb");
    match major().parse::<u32>().is_ok_and(|major| major < 18) {
        true => assert!(field(&server, "Depends").contains("libpam-validator")),
        false => assert_eq!(field(&server, "Recommends"), "libpam-validator"),
    }
    let root = scratch::new_folder("pam-deb");
    for one in [&deb, &server] {
        run("dpkg-deb", &["--extract", text(one), text(&root)]).success();
    }
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folder = root.join("usr/lib").join(multiarch).join("security");
    let libraries = root.join(format!("usr/lib/postgresql/{}/lib", major()));
    assert_takes_passwords(&folder.join("pam_validator.so"), &libraries);
    assert!(!root.join("etc").exists(), "it takes part in no service");
}

#[test]
fn debian_package_of_the_pam_module_is_as_debians_policy_wants_it() {
    if !has(&["dpkg-deb", "lintian"]) {
        return skip("lintian is not on this machine");
    }
    let deb = pam_package(".deb");
    let arguments = ["--allow-root", "--fail-on", "error,warning", text(&deb)];
    assert_eq!(run("lintian", &arguments).success(), "");
}

#[test]
fn rpm_puts_the_module_where_pam_finds_it() {
    if !has(&["rpm", "rpm2cpio", "cpio"]) {
        return skip("rpm, rpm2cpio or cpio is not on this machine");
    }
    let rpm = pam_package(".rpm");
    let query = |of: &Path, option: &str| {
        let told = run("rpm", &["--query", "--package", option, text(of)]);
        told.success().to_owned()
    };
    assert!(query(&rpm, "--requires").contains("libpam.so.0()(64bit)"));
    let server = package(".rpm");
    let wanted = query(&server, "--requires") + &query(&server, "--recommends");
    assert!(wanted.contains("pam-validator"), "{wanted}");
    let root = scratch::new_folder("pam-rpm");
    for one in [&rpm, &server] {
        let (root, rpm) = (text(&root), text(one));
        let unpack =
            format!("cd '{root}' && rpm2cpio '{rpm}' | cpio --quiet -idm --no-absolute-filenames");
        run("sh", &["-c", &unpack]).success();
    }
    let libraries = root.join(format!("usr/pgsql-{}/lib", major()));
    assert_takes_passwords(
        &root.join("usr/lib64/security/pam_validator.so"),
        &libraries,
    );
}

#[test]
fn tarball_has_the_pam_module_beside_the_other() {
    let tarball = package(".tar.gz");
    let name = text(&tarball).rsplit('/').next().expect("a name");
    let inside = unpack(&tarball).join(name.strip_suffix(".tar.gz").expect("its end"));
    let libraries = inside.join("lib");
    assert_takes_passwords(&libraries.join("pam_validator.so"), &libraries);
}
