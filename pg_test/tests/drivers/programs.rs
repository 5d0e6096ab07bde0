//! The programs in the folders `python`, `node`, `java` and `rust`: how each is started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rig::{Authority, child, scratch, skip};

/// The folder of this file.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drivers");

/// Where a program connects to.
pub struct Place {
    pub port: u16,
    pub role: &'static str,
    pub encrypted: bool,
}

impl Place {
    fn ssl_mode(&self, encrypted: &'static str) -> &'static str {
        if self.encrypted { encrypted } else { "disable" }
    }

    /// What a program reads from its environment, next to `URL` and `TOKEN_COMMAND`.
    pub fn environment(&self) -> [(&'static str, String); 6] {
        let authority = Authority::shared().file().display().to_string();
        [
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.role.to_owned()),
            ("PGDATABASE", "postgres".to_owned()),
            ("PGSSLMODE", self.ssl_mode("verify-full").to_owned()),
            ("PGSSLROOTCERT", authority),
        ]
    }

    fn libpq_url(&self) -> String {
        let mode = self.ssl_mode("verify-full");
        self.url(&format!("sslmode={mode}&sslrootcert={}", authority()))
    }

    /// tokio-postgres knows no other modes; its TLS library verifies the server's name.
    fn tokio_url(&self) -> String {
        self.url(&format!("sslmode={}", self.ssl_mode("require")))
    }

    fn jdbc_url(&self) -> String {
        let (port, mode) = (self.port, self.ssl_mode("verify-full"));
        let rest = format!("sslmode={mode}&sslrootcert={}", authority());
        format!("jdbc:postgresql://127.0.0.1:{port}/postgres?{rest}")
    }

    fn url(&self, parameters: &str) -> String {
        let Place { role, port, .. } = self;
        format!("postgresql://{role}@127.0.0.1:{port}/postgres?{parameters}")
    }
}

fn authority() -> String {
    Authority::shared().file().display().to_string()
}

/// What is provided by `make`. Without it the driver cannot be had here, which is said.
fn provided(variable: &str, what: &str) -> Option<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty());
    if value.is_none() {
        skip(&format!(
            "{what} cannot be had here ({variable} is not set)"
        ));
    }
    value.map(PathBuf::from)
}

/// A program of the folder `python`.
pub fn python(file: &str, place: &Place) -> Option<Command> {
    let python = provided("DRIVERS_PYTHON", "a Python with drivers")?;
    let mut command = Command::new(python);
    command
        .arg("-B")
        .arg(Path::new(FOLDER).join("python").join(file));
    command.env("URL", place.libpq_url());
    Some(command)
}

/// A program of the folder `node`.
pub fn node(file: &str, place: &Place) -> Option<Command> {
    let node = provided("DRIVERS_NODE", "node")?;
    let packages = provided("DRIVERS_NODE_MODULES", "pg of npm")?;
    // An ES module is resolved from where it lies, so the program lies beside the packages.
    let folder = scratch::new_folder("node");
    std::os::unix::fs::symlink(packages, folder.join("node_modules")).expect("a link can be made");
    let program = Path::new(FOLDER).join("node").join(file);
    fs::copy(program, folder.join(file)).expect("the program can be copied");
    let mut command = Command::new(node);
    command.arg(folder.join(file)).env("URL", place.libpq_url());
    Some(command)
}

/// A program of the folder `java`.
pub fn java(class: &str, place: &Place) -> Option<Command> {
    let jars = provided("DRIVERS_JAVA", "pgjdbc")?;
    let mut command = Command::new("java");
    let classes = java_classes(&jars);
    let path = format!("{}:{}/*", classes.display(), jars.display());
    command.args(["-cp", &path, class]);
    command.env("URL", place.jdbc_url());
    Some(command)
}

/// Where all programs of that folder lie compiled.
fn java_classes(jars: &Path) -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let folder = scratch::new_folder("java");
        let mut compiler = Command::new("java");
        compiler.arg("-cp").arg(format!("{}/*", jars.display()));
        compiler.arg("org.eclipse.jdt.internal.compiler.batch.Main");
        compiler.args(["-17", "-nowarn", "-cp"]);
        let libraries = fs::read_dir(jars).expect("a folder");
        let libraries = libraries.map(|jar| jar.expect("a jar").path().display().to_string());
        compiler.arg(libraries.collect::<Vec<_>>().join(":"));
        compiler.arg("-d").arg(&folder);
        compiler.arg(Path::new(FOLDER).join("java"));
        child::run(compiler, Duration::from_secs(120)).success();
        folder
    })
}

/// The program of the folder `rust`, with a driver.
pub fn rust(driver: &str, place: &Place) -> Option<Command> {
    let mut command = Command::new(provided("DRIVERS_RUST", "tokio-postgres and sqlx")?);
    let url = match driver {
        "sqlx" => place.libpq_url(),
        _ => place.tokio_url(),
    };
    command.arg(driver).env("URL", url);
    Some(command)
}
