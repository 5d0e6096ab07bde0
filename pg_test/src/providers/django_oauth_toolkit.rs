//! `django-oauth-toolkit` (PyPI) as a provider of opaque tokens.

use std::fs;
use std::process::Command;

use crate::machine::{environment, scratch};
use crate::person::browser::Browser;
use crate::person::psql::Prompt;
use crate::providers::process::ProviderProcess;

const PROGRAM: &str = include_str!("../../providers/django-oauth-toolkit/server.py");

/// A running provider with the public client `psql`, and the client `postgresql` that may introspect.
pub struct DjangoOauthToolkit(ProviderProcess);

impl DjangoOauthToolkit {
    /// Starts a provider; `secret` is that of the client `postgresql`.
    #[track_caller]
    pub fn start(secret: &str) -> DjangoOauthToolkit {
        let folder = scratch::new_folder("django-oauth-toolkit");
        fs::write(folder.join("server.py"), PROGRAM).expect("the program can be written");
        let mut command = Command::new(environment::django_python());
        command.args(["server.py", secret]);
        DjangoOauthToolkit(ProviderProcess::start(command, &folder))
    }

    /// The issuer's identifier.
    pub fn issuer(&self) -> &str {
        self.0.ready("issuer")
    }

    /// Walks the provider's own pages as a person would: login, code, consent.
    #[track_caller]
    pub fn approve(&self, prompt: &Prompt, user: &str) {
        let mut browser = Browser::new();
        let login = browser.get(&prompt.url);
        let code = browser.submit(&login, &[("username", user), ("password", user)]);
        let consent = browser.submit(&code, &[("user_code", &prompt.user_code)]);
        let done = browser.submit(&consent, &[("action", "accept")]);
        assert_eq!(done.status, 200, "{done:?}");
    }

    /// Revokes a token that `psql` got (RFC 7009).
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        let url = format!("{}/revoke_token/", self.issuer());
        let answer = Browser::new().post(&url, &[("token", token), ("client_id", "psql")]);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}
