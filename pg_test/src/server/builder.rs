//! Describing a throw-away server, and making it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::issuer::Issuer;
use crate::machine::{child, environment, scratch};
use crate::net::tls::{Authority, Identity};
use crate::server::Server;
use crate::server::files::{Configuration, oauth_line, own_module, write_private};

/// A server that is being described; [`start`](ServerBuilder::start) makes it run.
#[must_use]
pub struct ServerBuilder {
    configuration: Configuration,
    certificate: Option<Identity>,
    own_module: bool,
    own_identifier: bool,
    second_module: Option<String>,
}

impl Server {
    /// Describes a server with the rig's own defaults: the module may be used by `oauth` lines, and
    /// the roles `alice`, `bob` and `carol` exist.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Describes a server that takes this issuer's tokens from all roles over TCP without TLS, by
    /// [`oauth_line`](crate::oauth_line) and the settings that every set-up needs.
    pub fn trusting(issuer: &Issuer) -> ServerBuilder {
        ServerBuilder::trusting(issuer)
    }
}

impl ServerBuilder {
    /// The rig's own defaults.
    fn new() -> ServerBuilder {
        ServerBuilder {
            configuration: Configuration::new(),
            certificate: None,
            own_module: false,
            own_identifier: false,
            second_module: None,
        }
    }

    /// The rig's own defaults, and what every set-up with this issuer needs.
    fn trusting(issuer: &Issuer) -> ServerBuilder {
        let builder = ServerBuilder::new()
            .set("validator.audience", Issuer::AUDIENCE)
            .hba(&oauth_line(issuer.url(), ""));
        match issuer.url().starts_with("https:") {
            true => {
                let authority = Authority::shared().file().display().to_string();
                builder.set("validator.ca_file", &authority)
            }
            false => builder.set("validator.allow_http", "on"),
        }
    }

    /// Sets a parameter of postgresql.conf; the value is quoted as it needs.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.configuration.set(name, value);
        self
    }

    /// Adds a line to pg_hba.conf, below the one that lets the rig in.
    pub fn hba(mut self, line: &str) -> Self {
        self.configuration.hba.push(line.to_owned());
        self
    }

    /// Adds a line to pg_ident.conf.
    pub fn ident(mut self, line: &str) -> Self {
        self.configuration.ident.push(line.to_owned());
        self
    }

    /// Takes back the lines that were added to pg_hba.conf.
    pub(crate) fn without_lines(mut self) -> Self {
        self.configuration.hba.clear();
        self
    }

    /// Adds a PAM service by the text of its file. Needs what [`can_use_pam`](crate::can_use_pam) tells.
    pub fn pam_service(mut self, name: &str, text: &str) -> Self {
        let service = (name.to_owned(), text.to_owned());
        self.configuration.pam_services.retain(|(n, _)| n != name);
        self.configuration.pam_services.push(service);
        self
    }

    /// Sets a variable in the server's environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        let variable = (name.to_owned(), value.to_owned());
        self.configuration.environment.push(variable);
        self
    }

    /// Shows the server this text as the file /etc/`name`, in a mount namespace of its own. Needs what
    /// [`can_mount`](crate::can_mount) tells.
    pub fn etc_file(mut self, name: &str, text: &str) -> Self {
        let file = (name.to_owned(), text.to_owned());
        self.configuration.etc.push(file);
        self
    }

    /// Gives the server a /dev/shm of its own, of this size. Needs what [`can_mount`](crate::can_mount) tells.
    pub fn dev_shm(mut self, bytes: u64) -> Self {
        self.configuration.dev_shm = Some(bytes);
        self
    }

    /// Gives the server a copy of the module, which [`Server::replace_module`] replaces.
    pub fn own_module(mut self) -> Self {
        self.own_module = true;
        self
    }

    /// Gives the server a system identifier of its own; others share one, as clones do.
    pub fn own_identifier(mut self) -> Self {
        self.own_identifier = true;
        self
    }

    /// Has the provider asked about opaque tokens, by a client without a secret.
    pub fn asks_about_opaque_tokens(self) -> Self {
        self.set("validator.introspection", "opaque")
            .set("validator.client_id", "pg")
            .set("validator.client_auth_method", "none")
    }

    /// Gives the server two copies of the module, the second under this name.
    pub fn second_module(mut self, name: &str) -> Self {
        self.second_module = Some(name.to_owned());
        self.own_module()
    }

    /// Loads the module at server start instead of at each login.
    pub fn preload(self) -> Self {
        self.set("shared_preload_libraries", "validator")
    }

    /// Logs everything, as a test needs that looks for a token in the log.
    pub fn log_everything(self) -> Self {
        self.set("log_min_messages", "debug5")
    }

    /// Switches TLS on, with a certificate of the shared authority.
    pub fn tls(mut self) -> Self {
        self.certificate = Some(Authority::shared().server());
        self.set("ssl", "on")
    }

    /// Switches TLS on and verifies clients' certificates, where they present one.
    pub fn client_certificates(self) -> Self {
        let authority = Authority::shared().file().display().to_string();
        self.tls().set("ssl_ca_file", &authority)
    }

    /// Starts the server and waits until it lets the rig in; a server that fails to start is a
    /// failed test.
    #[track_caller]
    pub fn start(self) -> Server {
        self.try_start()
            .unwrap_or_else(|log| panic!("PostgreSQL does not start:\n{log}"))
    }

    /// Starts the server; one that fails to start is described by its log.
    pub fn try_start(mut self) -> Result<Server, String> {
        let folder = scratch::new_folder("s");
        child::give_to_server_user(&folder);
        if self.own_module {
            let module = own_module(&folder);
            copy(&environment::stage(), &module);
            if let Some(name) = &self.second_module {
                let libraries = module.join("lib");
                copy(
                    &libraries.join("validator.so"),
                    &libraries.join(format!("{name}.so")),
                );
            }
            let path = format!("{}/lib:$libdir", module.display());
            self.configuration.set("dynamic_library_path", &path);
        }
        let data = folder.join("data");
        match self.own_identifier {
            true => initialize(&data, &folder),
            false => copy_template(&data),
        }
        if let Some(identity) = &self.certificate {
            write_private(&data.join("server.crt"), identity.certificate_pem());
            write_private(&data.join("server.key"), &identity.key_pem());
        }
        let server = Server::new(folder, self.configuration);
        server.start_on_free_port()?;
        // Flushed, so that the roles outlive also an immediate shutdown.
        server.sql("SET synchronous_commit = on; CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN");
        Ok(server)
    }
}

/// initdb takes a second: one template for all servers of this process.
pub(crate) fn copy_template(data: &Path) {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        let folder = scratch::new_folder("template");
        child::give_to_server_user(&folder);
        let data = folder.join("data");
        initialize(&data, &folder);
        data
    });
    copy(template, data);
}

fn initialize(data: &Path, folder: &Path) {
    let mut command = Command::new(environment::bindir().join("initdb"));
    command.arg("-D").arg(data).current_dir(folder);
    command.args(["--auth=trust", "--username=postgres", "--encoding=UTF8"]);
    command.args(["--no-locale", "--no-sync", "--wal-segsize=1"]);
    command.env("LC_ALL", "C");
    child::as_server_user(&mut command);
    child::run(command, Duration::from_secs(120)).success();
}

fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]).arg(from).arg(to);
    child::run(command, Duration::from_secs(60)).success();
}
