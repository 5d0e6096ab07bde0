//! What `make test` tells the rig about this machine.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of PostgreSQL's programs, from the pg_config named by `PG_CONFIG`.
pub fn bindir() -> &'static Path {
    static BINDIR: OnceLock<PathBuf> = OnceLock::new();
    BINDIR.get_or_init(|| PathBuf::from(pg_config("--bindir")))
}

/// PostgreSQL's major version.
pub fn postgresql_version() -> u32 {
    static VERSION: OnceLock<u32> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let text = pg_config("--version");
        let digits = text.chars().skip_while(|c| !c.is_ascii_digit());
        let major: String = digits.take_while(char::is_ascii_digit).collect();
        let version = major.parse();
        version.unwrap_or_else(|_| panic!("pg_config calls its version \"{text}\""))
    })
}

fn pg_config(option: &str) -> String {
    let pg_config = required("PG_CONFIG", "the path of PostgreSQL's pg_config");
    let output = Command::new(&pg_config)
        .arg(option)
        .output()
        .unwrap_or_else(|e| panic!("PG_CONFIG={} cannot be run: {e}", pg_config.display()));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The folder of the built module: `lib/validator.so` and `share/extension/validator.control`.
pub fn stage() -> PathBuf {
    let stage = required(
        "VALIDATOR_STAGE",
        "the folder into which `make stage` installs the module",
    );
    let library = stage.join("lib/validator.so");
    assert!(
        library.exists(),
        "{} does not exist: run `make stage`",
        library.display()
    );
    stage
}

/// The program `validator-hook`.
pub fn hook() -> PathBuf {
    let program = stage().join("bin/validator-hook");
    assert!(
        program.exists(),
        "{} does not exist: run `make stage-hook`",
        program.display()
    );
    program
}

/// The folder of the packages that `make package` and `make image` make.
pub fn packages() -> PathBuf {
    required("VALIDATOR_PACKAGES", "the folder of the packages")
}

/// An address of this machine that others could reach, by which it reaches itself as if it were another. `None`: it has
/// no network.
pub fn own_address() -> Option<IpAddr> {
    // Sends nothing: only asks which address would be the sender's.
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .into_iter()
        .filter_map(|(own, other)| {
            let socket = UdpSocket::bind(own).ok()?;
            socket.connect(other).ok()?;
            Some(socket.local_addr().ok()?.ip())
        })
        .find(|address| !address.is_loopback())
}

/// The `node` program.
pub fn node() -> PathBuf {
    required("NODE", "the path of node")
}

/// The folder in which npm installed `oidc-provider`.
pub fn oidc_provider_folder() -> PathBuf {
    required(
        "OIDC_PROVIDER_DIR",
        "the folder in which npm installed oidc-provider",
    )
}

/// The Python of the virtual environment that has `django-oauth-toolkit`.
pub fn django_python() -> PathBuf {
    required("DJANGO_PYTHON", "a Python with django-oauth-toolkit")
}

/// The folder into which `glewlwyd` was unpacked. `None`: this machine's packages have none.
pub fn glewlwyd_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("GLEWLWYD_DIR")?;
    Some(folder)
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

/// The folder of Keycloak's distribution.
pub fn keycloak_folder() -> PathBuf {
    required_of_providers("KEYCLOAK_DIR")
}

/// The program `dex`.
pub fn dex() -> PathBuf {
    required_of_providers("DEX")
}

/// The program `hydra`.
pub fn hydra() -> PathBuf {
    required_of_providers("HYDRA")
}

/// The folder of SPIRE's programs.
pub fn spire_folder() -> PathBuf {
    required_of_providers("SPIRE")
}

/// What `make test-providers` provides one of its providers by.
fn required_of_providers(name: &str) -> PathBuf {
    required(name, "a provider of `make test-providers`")
}

/// The program `tinyproxy`. `None`: this machine's packages have none.
pub fn tinyproxy() -> Option<PathBuf> {
    let program = std::env::var_os("TINYPROXY")?;
    Some(program)
        .filter(|program| !program.is_empty())
        .map(PathBuf::from)
}

/// Whether PostgreSQL is built with PAM.
pub fn has_pam() -> bool {
    pg_config("--configure").contains("--with-pam")
}

/// Says that the test which calls this cannot be done here, and why. `make test` counts it as skipped, not as passed.
#[allow(clippy::print_stderr)] // Who runs the tests by hand sees it there.
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped: {test}: {why}");
    let Some(list) = std::env::var_os("VALIDATOR_SKIPPED") else {
        return;
    };
    let open = OpenOptions::new().create(true).append(true).open(&list);
    open.and_then(|mut file| file.write_all(format!("{test}: {why}\n").as_bytes()))
        .unwrap_or_else(|e| panic!("{}: {e}", list.display()));
}

fn required(name: &str, what: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(value) if !value.is_empty() => PathBuf::from(value),
        _ => panic!("the environment variable {name} is not set: {what} (make sets it)"),
    }
}
