//! The files of a throw-away server.

use std::fs;
use std::path::{Path, PathBuf};

use crate::issuer::Issuer;
use crate::machine::{child, environment, scratch};
use crate::server::pam_files;

/// The lines that let the rig and its standbys in, over the Unix socket of the server's own folder.
pub(crate) const HBA_ADMIN_LINES: &str =
    "local all postgres trust\nlocal replication postgres trust";

/// A line of pg_hba.conf that lets all roles in over TCP with tokens of this issuer; `options` are
/// added at its end, such as `map=people`.
pub fn oauth_line(issuer: &str, options: &str) -> String {
    let scope = Issuer::SCOPE;
    format!(
        "host all all 127.0.0.1/32 oauth issuer=\"{issuer}\" scope=\"{scope}\" validator=validator {options}"
    )
}

/// postgresql.conf, pg_hba.conf and pg_ident.conf, as the rig writes them, and the server's environment.
#[derive(Clone)]
pub(crate) struct Configuration {
    settings: Vec<(String, String)>,
    pub(crate) hba: Vec<String>,
    pub(crate) ident: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Files that the server sees in /etc, by name and text.
    pub(crate) etc: Vec<(String, String)>,
    /// PAM services, by name and text of their files.
    pub(crate) pam_services: Vec<(String, String)>,
    /// The size of a /dev/shm of the server's own.
    pub(crate) dev_shm: Option<u64>,
}

impl Configuration {
    /// A small, fast and talkative server that may use the module.
    pub(crate) fn new() -> Configuration {
        let stage = environment::stage();
        let mut configuration = Configuration {
            settings: vec![],
            hba: vec![],
            ident: vec![],
            environment: vec![],
            etc: vec![],
            pam_services: vec![],
            dev_shm: None,
        };
        for (name, value) in [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_permissions", "0777"),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("synchronous_commit", "off"),
            ("autovacuum", "off"),
            ("shared_buffers", "16MB"),
            ("max_connections", "60"),
            ("log_connections", "on"),
            ("log_line_prefix", "%m [%p] "),
            ("log_min_messages", "debug1"),
            ("log_timezone", "UTC"),
            ("timezone", "UTC"),
            (
                "dynamic_library_path",
                &format!("{}/lib:$libdir", stage.display()),
            ),
        ] {
            configuration.set(name, value);
        }
        // Older servers have the extension in a folder of their own (scripts/staged-server.sh).
        if environment::postgresql_version() >= 18 {
            configuration.set("oauth_validator_libraries", "validator");
            configuration.set(
                "extension_control_path",
                &format!("{}/share:$system", stage.display()),
            );
        }
        configuration
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.retain(|(n, _)| n != name);
    }

    /// Writes the three files into the data folder.
    pub(crate) fn write(&self, data: &Path, socket_folder: &Path, port: u16) {
        let mut conf = format!(
            "port = {port}\nunix_socket_directories = {}\n",
            quoted(&socket_folder.display().to_string())
        );
        for (name, value) in &self.settings {
            conf.push_str(&format!("{name} = {}\n", quoted(value)));
        }
        write(&data.join("postgresql.conf"), &conf);
        write(
            &data.join("pg_hba.conf"),
            &format!("{HBA_ADMIN_LINES}\n{}\n", self.hba.join("\n")),
        );
        if !self.pam_services.is_empty() {
            pam_files::write_services(socket_folder, &self.pam_services);
        }
        write(
            &data.join("pg_ident.conf"),
            &format!("{}\n", self.ident.join("\n")),
        );
    }
}

/// Where a server has its own copy of the module.
pub(crate) fn own_module(folder: &Path) -> PathBuf {
    folder.join("module")
}

/// A file that PostgreSQL demands to be its own and closed to others.
pub(crate) fn write_private(path: &Path, text: &str) {
    write(path, text);
    scratch::set_mode(path, 0o600);
    child::give_to_server_user(path);
}

/// A value as postgresql.conf has it: between quotes, with quotes and backslashes doubled.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}
