//! Servers that take tokens as passwords.

use std::path::PathBuf;

use crate::issuer::Issuer;
use crate::machine::environment;
use crate::server::Server;
use crate::server::builder::ServerBuilder;

/// The PAM service of [`Server::taking_passwords`], and of [`pam_line`].
pub const PAM_SERVICE: &str = "tokens";

/// A line of pg_hba.conf that lets all roles in over TCP with a token as their password.
pub fn pam_line() -> String {
    format!("host all all 127.0.0.1/32 pam pamservice={PAM_SERVICE}")
}

/// Where `make stage` puts the PAM module.
pub fn pam_module() -> PathBuf {
    environment::stage().join("lib/pam_validator.so")
}

/// The text of a service's file that asks for a token and nothing else; `options` of the module may be empty.
pub fn pam_file(options: &str) -> String {
    let module = pam_module().display().to_string();
    format!("auth required {module} {options}\naccount required {module} {options}\n")
}

/// Whether servers can take passwords here. If not, that is said, and the test that asks counts as skipped.
pub fn can_use_pam() -> bool {
    if !environment::has_pam() {
        environment::skip("PostgreSQL is built without PAM");
        return false;
    }
    true
}

impl Server {
    /// Describes a server that takes this issuer's tokens as passwords from all roles over TLS, by [`pam_line`] and the
    /// settings that every set-up needs. For tests that have asked [`can_use_pam`].
    pub fn taking_passwords(issuer: &Issuer) -> ServerBuilder {
        Server::trusting(issuer)
            .without_lines()
            .preload()
            .tls()
            .set("validator.issuer", issuer.url())
            .set("validator.password_scope", Issuer::SCOPE)
            .pam_service(PAM_SERVICE, &pam_file(""))
            .hba(&pam_line())
    }
}
