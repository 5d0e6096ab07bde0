//! `glewlwyd` (Debian) as a provider of JWTs that it can introspect and revoke.

use std::fs;
use std::process::Command;

use crate::machine::{environment, scratch};
use crate::person::psql::Prompt;
use crate::providers::process::ProviderProcess;

const PROGRAM: &str = include_str!("../../providers/glewlwyd/server.py");

/// A running provider with the public client `psql`, and the client `postgresql` that may introspect.
pub struct Glewlwyd(ProviderProcess);

impl Glewlwyd {
    /// Starts a provider; `secret` is that of the client `postgresql`. `None`: this machine's packages have none.
    #[track_caller]
    pub fn start(secret: &str) -> Option<Glewlwyd> {
        let packages = environment::glewlwyd_folder()?;
        let folder = scratch::new_folder("glewlwyd");
        fs::write(folder.join("server.py"), PROGRAM).expect("the program can be written");
        let mut command = Command::new(environment::django_python());
        command.arg("server.py").arg(packages).arg(secret);
        Some(Glewlwyd(ProviderProcess::start(command, &folder)))
    }

    /// The issuer's identifier.
    pub fn issuer(&self) -> &str {
        self.0.ready("issuer")
    }

    /// Does what the person's browser does on the provider's pages, which a script makes.
    #[track_caller]
    pub fn approve(&self, prompt: &Prompt, user: &str) {
        let order = format!("approve {user} {} {}", prompt.url, prompt.user_code);
        self.0.order(&order);
    }

    /// Revokes a token (RFC 7009).
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        let answer = self.0.order(&format!("revoke {token}"));
        assert_eq!(answer["status"], 200, "{answer}");
    }
}
