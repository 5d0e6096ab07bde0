//! The certified provider `oidc-provider` (npm) as an issuer that nobody here wrote.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::issuer::Issuer;
use crate::machine::{environment, scratch};
use crate::net::tls::{Authority, Identity};
use crate::person::browser::Browser;
use crate::person::psql::Prompt;
use crate::providers::process::ProviderProcess;
use token_minter::Alg;

const PROGRAM: &str = include_str!("../../providers/oidc-provider/server.mjs");

/// A running `oidc-provider` with the public client `psql`. It stops when this value goes.
pub struct OidcProvider(ProviderProcess);

impl OidcProvider {
    /// Starts a provider that signs access tokens for [`Issuer::AUDIENCE`] with this algorithm:
    /// `RS256`, `PS256`, `ES256` or `EdDSA` (and what else the library knows).
    #[track_caller]
    pub fn start(alg: Alg) -> OidcProvider {
        // An ES module is resolved from where it lies, so the program lies beside the packages.
        let folder = scratch::new_folder("oidc-provider");
        let packages = environment::oidc_provider_folder().join("node_modules");
        symlink(&packages, folder.join("node_modules")).expect("a link can be made");
        fs::write(folder.join("server.mjs"), PROGRAM).expect("the program can be written");
        let (certificate, key) = Authority::shared().server().files();
        let mut command = Command::new(environment::node());
        command
            .arg("server.mjs")
            .arg(alg.name())
            .arg(Issuer::AUDIENCE)
            .args([&certificate, &key])
            .arg(Authority::shared().file());
        OidcProvider(ProviderProcess::start(command, &folder))
    }

    /// The issuer's identifier.
    pub fn issuer(&self) -> &str {
        self.0.ready("issuer")
    }

    /// RFC 8705 §2, §3: the token of a program that presents this certificate, bound to it; or the provider's error.
    /// The certificate of the client `alice` has her name.
    #[track_caller]
    pub fn token_for(&self, identity: Option<&Identity>) -> Result<String, String> {
        let mut program = identity.map_or_else(Browser::new, Browser::presenting);
        let answer = program.post(
            &format!("{}/token", self.0.ready("mtls")),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", "alice"),
                ("scope", Issuer::SCOPE),
            ],
        );
        let answer = answer.json();
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        text("access_token").ok_or_else(|| text("error").unwrap_or_default())
    }

    /// Signs with a new key from now on and keeps publishing the old ones; its `kid`.
    #[track_caller]
    pub fn rotate(&self) -> String {
        self.command("rotate")
    }

    /// Stops publishing old keys; the `kid` of the one that stays.
    #[track_caller]
    pub fn retire_old_keys(&self) -> String {
        self.command("retire")
    }

    /// Walks the provider's own pages as a person would: code, confirmation, login, consent.
    #[track_caller]
    pub fn approve(&self, prompt: &Prompt, user: &str) {
        let mut browser = Browser::new();
        let mut page = browser.get(&prompt.url);
        page = browser.submit(&page, &[("user_code", &prompt.user_code)]);
        for _ in 0..6 {
            if page.text.contains("Success") {
                return;
            }
            page = match page.text.contains("name=\"login\"") {
                true => browser.submit(&page, &[("login", user), ("password", "any")]),
                false => browser.submit(&page, &[]),
            };
        }
        panic!("oidc-provider did not say that it is done: {page:?}");
    }

    #[track_caller]
    fn command(&self, command: &str) -> String {
        let answer = self.0.order(command);
        let kid = answer["kid"].as_str();
        kid.expect("the answer names a key").to_owned()
    }
}
