//! `Dex` (Go module proxy), as docs/providers/dex.md sets it up.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::machine::{environment, scratch};
use crate::net::tls::Authority;
use crate::person::browser::{Browser, Page};
use crate::person::psql::Prompt;
use crate::providers::daemon::{self, Daemon};

/// The password of its users, and its bcrypt hash.
const PASSWORD: &str = "dex-user";
const HASH: &str = "$2b$10$63i89NzWr/ZJtTXA8nFpWe97xzEQ5Wlho8xNDWTa8IHtOzc99E37K";
/// The secret of the client `web`.
const SECRET: &str = "web-secret";

/// A running Dex that speaks https as `localhost`. Its clients are `psql` (public, for the device flow), `web` (by a
/// browser, or with a user's password) and `postgres`, to which nobody logs in, and for which the other two may request
/// tokens. Its users are alice and bob, verified, and mallory, not; alice is in the group `db:carol`.
pub struct Dex {
    issuer: String,
    _server: Daemon,
}

impl Dex {
    /// Starts one that rotates its keys when they are as old as this, such as `6h`; it looks every 30 seconds.
    #[track_caller]
    pub fn start(keys_live: &str) -> Dex {
        let port = daemon::free_port();
        let issuer = format!("https://localhost:{port}/dex");
        let folder = scratch::new_folder("dex");
        let (certificate, key) = Authority::shared().server().files();
        let user = |name: &str, groups: &[&str]| {
            json!({
                "email": format!("{name}@corp.example.com"), "hash": HASH, "username": name, "userID": name,
                "emailVerified": name != "mallory", "groups": groups,
            })
        };
        let configuration = json!({
            "issuer": issuer,
            "storage": {"type": "memory"},
            "web": {"https": format!("127.0.0.1:{port}"), "tlsCert": certificate, "tlsKey": key},
            "oauth2": {"passwordConnector": "local"},
            "expiry": {"idTokens": "10m", "signingKeys": keys_live},
            "enablePasswordDB": true,
            "staticPasswords": [user("alice", &["db:carol"]), user("bob", &[]), user("mallory", &[])],
            "staticClients": [
                {"id": "postgres", "name": "PostgreSQL", "secret": "nobody's", "trustedPeers": ["psql", "web"]},
                {"id": "psql", "name": "psql", "public": true},
                {"id": "web", "name": "Web", "secret": SECRET, "redirectURIs": [callback(&issuer)]},
            ],
        });
        fs::write(folder.join("dex.json"), configuration.to_string()).expect("it can be written");
        let mut command = Command::new(environment::dex());
        command.args(["serve", "dex.json"]);
        let is_ready = || daemon::is_served(&format!("{issuer}/.well-known/openid-configuration"));
        Dex {
            _server: Daemon::start(command, &folder, is_ready, Duration::from_secs(60)),
            issuer,
        }
    }

    /// The issuer's identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `kid` of every key that it publishes.
    #[track_caller]
    pub fn kids(&self) -> Vec<String> {
        let keys = Browser::new().get(&format!("{}/keys", self.issuer)).json();
        let keys = keys["keys"].as_array().cloned().unwrap_or_default();
        let kids = keys.iter().filter_map(|key| key["kid"].as_str());
        kids.map(str::to_owned).collect()
    }

    /// Walks the provider's own pages as a person would: code, login, consent.
    #[track_caller]
    pub fn approve(&self, prompt: &Prompt, user: &str) {
        let mut browser = Browser::new();
        let code = browser.get(&prompt.url);
        let login = browser.submit(&code, &[("user_code", &prompt.user_code)]);
        let done = log_in(&mut browser, &login, user);
        assert!(done.text.contains("Login Successful"), "{done:?}");
    }

    /// The tokens that the client `web` gets by a browser (RFC 6749 §4.1), with `nonce` in the request if it is given.
    #[track_caller]
    pub fn by_browser(&self, user: &str, scope: &str, nonce: Option<&str>) -> Value {
        let callback = callback(&self.issuer);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_id", "web")
            .append_pair("redirect_uri", &callback);
        query
            .append_pair("response_type", "code")
            .append_pair("scope", scope);
        query.extend_pairs(nonce.map(|nonce| ("nonce", nonce)));
        let mut browser = Browser::new();
        let login = browser.get(&format!("{}/auth/local?{}", self.issuer, query.finish()));
        let done = log_in(&mut browser, &login, user);
        let (_, answer) = done
            .url
            .split_once('?')
            .unwrap_or_else(|| panic!("no code: {done:?}"));
        let mut answer = form_urlencoded::parse(answer.as_bytes());
        let code = answer.find(|(name, _)| name == "code");
        let code = code.unwrap_or_else(|| panic!("no code: {done:?}")).1;
        self.tokens(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &callback),
        ])
    }

    /// The tokens that the client `web` gets with a user's password.
    #[track_caller]
    pub fn by_password(&self, user: &str, scope: &str) -> Value {
        let name = format!("{user}@corp.example.com");
        self.tokens(&[
            ("grant_type", "password"),
            ("username", &name),
            ("password", PASSWORD),
            ("scope", scope),
        ])
    }

    #[track_caller]
    fn tokens(&self, fields: &[(&str, &str)]) -> Value {
        let fields = [fields, &[("client_id", "web"), ("client_secret", SECRET)]].concat();
        let page = Browser::new().post(&format!("{}/token", self.issuer), &fields);
        assert_eq!(page.status, 200, "{page:?}");
        page.json()
    }
}

/// A page that exists, so that a browser can be sent there.
fn callback(issuer: &str) -> String {
    format!("{issuer}/healthz")
}

/// From the page that asks for name and password to the last one.
#[track_caller]
fn log_in(browser: &mut Browser, login: &Page, user: &str) -> Page {
    let name = format!("{user}@corp.example.com");
    let consent = browser.submit(login, &[("login", &name), ("password", PASSWORD)]);
    browser.submit(&consent, &[])
}
