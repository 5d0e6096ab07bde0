//! `Ory Hydra` (Go module proxy): clients of its own making, people by login and consent pages, which are the rig.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::issuer::Issuer;
use crate::machine::{environment, scratch};
use crate::net::tls::Authority;
use crate::person::browser::Browser;
use crate::providers::daemon::{self, Daemon};

/// The secret of its clients.
const SECRET: &str = "hydra-secret";

/// A running Hydra that speaks https as `localhost`. Its version has no device flow.
pub struct Hydra {
    issuer: String,
    admin: String,
    _server: Daemon,
}

impl Hydra {
    /// Starts one without clients.
    #[track_caller]
    pub fn start() -> Hydra {
        let (public, admin) = (daemon::free_port(), daemon::free_port());
        let origin = format!("https://localhost:{public}");
        let folder = scratch::new_folder("hydra");
        let (certificate, key) = Authority::shared().server().files();
        let tls = json!({"enabled": true, "cert": {"path": certificate}, "key": {"path": key}});
        let configuration = json!({
            "dsn": "memory",
            "secrets": {"system": ["a secret that is long enough"]},
            "serve": {
                "public": {"host": "127.0.0.1", "port": public, "tls": tls},
                "admin": {"host": "127.0.0.1", "port": admin, "tls": tls},
            },
            "urls": {
                "self": {"issuer": origin},
                "login": format!("{origin}/health/alive"), "consent": format!("{origin}/health/alive"),
            },
            "strategies": {"access_token": "jwt"},
            "oauth2": {"allowed_top_level_claims": ["groups"], "expose_internal_errors": true},
        });
        fs::write(folder.join("hydra.json"), configuration.to_string()).expect("it can be written");
        let mut command = Command::new(environment::hydra());
        command.args(["serve", "all", "--sqa-opt-out", "--config", "hydra.json"]);
        // It makes its keys when they are first needed. A login that takes longer than ten seconds because of that fails.
        let is_ready = || daemon::is_served(&format!("{origin}/.well-known/jwks.json"));
        Hydra {
            _server: Daemon::start(command, &folder, is_ready, Duration::from_secs(120)),
            issuer: origin,
            admin: format!("https://localhost:{admin}/admin"),
        }
    }

    /// The issuer's identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The endpoint for introspection, which the metadata does not name.
    pub fn introspection_endpoint(&self) -> String {
        format!("{}/oauth2/introspect", self.admin)
    }

    /// A request to the admin API; anything but success fails the test.
    #[track_caller]
    pub fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/{path}", self.admin);
        let page = Browser::new().call(method, &url, "", body);
        assert!(
            (200..300).contains(&page.status),
            "{method} {path}: {page:?}"
        );
        serde_json::from_str(&page.text).unwrap_or_default()
    }

    /// Adds a client that may get tokens for [`Issuer::AUDIENCE`], for itself and for people; its access tokens are `jwt`
    /// or `opaque`.
    #[track_caller]
    pub fn add_client(&self, client_id: &str, access_tokens: &str) {
        let client = json!({
            "client_id": client_id, "client_secret": SECRET, "scope": "openid offline postgres",
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["client_credentials", "authorization_code", "refresh_token"],
            "response_types": ["code"], "redirect_uris": [self.page()],
            "audience": [Issuer::AUDIENCE], "access_token_strategy": access_tokens,
        });
        self.admin("POST", "clients", Some(&client));
    }

    /// The access token of a client for itself, for an audience if there is one.
    #[track_caller]
    pub fn workload_token(&self, client_id: &str, audience: Option<&str>) -> String {
        let mut fields = vec![("grant_type", "client_credentials"), ("scope", "postgres")];
        fields.extend(audience.map(|audience| ("audience", audience)));
        let answer = self.post("token", client_id, &fields);
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    /// The tokens that a client gets for a person by a browser; the consent puts `groups` into the access token.
    #[track_caller]
    pub fn by_browser(&self, client_id: &str, user: &str, groups: &[&str]) -> Value {
        let page = self.page();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([
            ("client_id", client_id),
            ("redirect_uri", &page),
            ("response_type", "code"),
            ("scope", "openid offline postgres"),
            ("audience", Issuer::AUDIENCE),
            ("state", "a state that is long enough"),
            ("nonce", "n-0S6_WzA2Mj"),
        ]);
        let mut browser = Browser::new();
        let start = format!("{}/oauth2/auth?{}", self.issuer, query.finish());
        let login = parameter(&browser.get(&start).url, "login_challenge");
        let next = self.accept("login", &login, &json!({ "subject": user }));
        let consent = parameter(&browser.get(&next).url, "consent_challenge");
        let granted = json!({
            "grant_scope": ["openid", "offline", "postgres"], "grant_access_token_audience": [Issuer::AUDIENCE],
            "session": {"access_token": {"groups": groups}},
        });
        let next = self.accept("consent", &consent, &granted);
        let code = parameter(&browser.get(&next).url, "code");
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &page),
        ];
        self.post("token", client_id, &fields)
    }

    /// Revokes a token that a client got (RFC 7009).
    #[track_caller]
    pub fn revoke(&self, client_id: &str, token: &str) {
        self.post("revoke", client_id, &[("token", token)]);
    }

    /// Signs access tokens with a new key (ES256) from now on and keeps publishing the old ones; its `kid`.
    #[track_caller]
    pub fn rotate(&self) -> String {
        let order = json!({"alg": "ES256", "use": "sig", "kid": ""});
        let made = self.admin("POST", "keys/hydra.jwt.access-token", Some(&order));
        made["keys"][0]["kid"].as_str().expect("a key").to_owned()
    }

    /// Stops publishing a key of access tokens.
    #[track_caller]
    pub fn retire(&self, kid: &str) {
        self.admin(
            "DELETE",
            &format!("keys/hydra.jwt.access-token/{kid}"),
            None,
        );
    }

    /// Accepts a login or consent, as its page would; where the browser goes next.
    #[track_caller]
    fn accept(&self, what: &str, challenge: &str, answer: &Value) -> String {
        let path = format!("oauth2/auth/requests/{what}/accept?{what}_challenge={challenge}");
        let answer = self.admin("PUT", &path, Some(answer));
        answer["redirect_to"]
            .as_str()
            .expect("a redirect")
            .to_owned()
    }

    #[track_caller]
    fn post(&self, endpoint: &str, client_id: &str, fields: &[(&str, &str)]) -> Value {
        let own = [("client_id", client_id), ("client_secret", SECRET)];
        let url = format!("{}/oauth2/{endpoint}", self.issuer);
        let page = Browser::new().post(&url, &[fields, &own].concat());
        assert_eq!(page.status, 200, "{page:?}");
        serde_json::from_str(&page.text).unwrap_or_default()
    }

    /// A page that exists, in the place of those of a login, a consent and a client.
    fn page(&self) -> String {
        format!("{}/health/alive", self.issuer)
    }
}

/// A parameter of the address that a browser was sent to.
#[track_caller]
fn parameter(url: &str, name: &str) -> String {
    let (_, query) = url.split_once('?').unwrap_or_default();
    let found = form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name);
    found
        .unwrap_or_else(|| panic!("no {name}: {url}"))
        .1
        .into_owned()
}
