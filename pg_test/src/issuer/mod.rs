//! A scriptable OpenID provider: right by default, wrong where a test says so.

pub(crate) mod client_check;
mod device_grant;
pub(crate) mod fault;
mod routes;
pub(crate) mod state;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::issuer::client_check::ClientCheck;
use crate::issuer::fault::Fault;
use crate::issuer::routes::Routes;
use crate::issuer::state::{Endpoint, Published, Shared, State};
use crate::net::http::Request;
use crate::net::http_server::{ConnectionFault, HttpServer};
use crate::net::tls::{Authority, ClientCertificates, Identity};
use token_minter::Token;
use token_minter::{Key, KeyKind};

/// An issuer that is being described; [`start`](IssuerBuilder::start) makes it run.
#[must_use]
pub struct IssuerBuilder {
    host: Option<String>,
    path: String,
    identity: Option<Identity>,
    client_certificates: ClientCertificates,
    key: Option<Key>,
    audience: String,
    interval: u64,
}

impl IssuerBuilder {
    /// The path of the issuer's identifier, such as `/realms/corp` or `/realms/corp/`.
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// Speaks https as `localhost`, with a certificate of the shared authority.
    pub fn https(self) -> Self {
        self.https_as(Authority::shared().server())
    }

    /// Speaks https as `localhost`, with this certificate.
    pub fn https_as(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Calls itself by this host, at the default port, in its certificate and all its URLs; who asks it must know how it is
    /// reached. Speaks https.
    pub fn named(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self.https_as(Authority::shared().server_for(&[host]))
    }

    /// Asks clients for certificates of the shared authority, or demands them.
    pub fn client_certificates(mut self, wanted: ClientCertificates) -> Self {
        self.client_certificates = wanted;
        self
    }

    /// Starts with this key instead of an RSA key.
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// The `aud` of its tokens (otherwise [`Issuer::AUDIENCE`]).
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = audience.to_owned();
        self
    }

    /// RFC 8628 §3.2: how many seconds a device waits between polls (otherwise 1).
    pub fn interval(mut self, seconds: u64) -> Self {
        self.interval = seconds;
        self
    }

    /// Starts the issuer.
    pub fn start(self) -> Issuer {
        let (listener, port) = HttpServer::bind();
        let tls = self
            .identity
            .as_ref()
            .map(|identity| identity.server_config(self.client_certificates));
        let origin = match (&tls, &self.host) {
            (_, Some(host)) => format!("https://{host}"),
            (None, None) => format!("http://127.0.0.1:{port}"),
            (Some(_), None) => format!("https://localhost:{port}"),
        };
        let key = self.key.unwrap_or_else(|| Key::new(KeyKind::Rsa));
        let state = State {
            published: vec![Published::of(&key)],
            signing: key,
            document: None,
            faults: HashMap::new(),
            token_faults: HashMap::new(),
            headers: Vec::new(),
            connection_fault: None,
            requests: Vec::new(),
            grants: Vec::new(),
            token_errors: VecDeque::new(),
            alteration: None,
            active: HashMap::new(),
            client_check: None,
            used_assertions: Vec::new(),
            reader: None,
        };
        let shared = Arc::new(Shared {
            url: format!("{origin}{}", self.path),
            origin,
            path: self.path.trim_end_matches('/').to_owned(),
            audience: self.audience,
            interval: self.interval,
            state: Mutex::new(state),
        });
        let server = HttpServer::start(
            (listener, port),
            Arc::new(Routes {
                issuer: shared.clone(),
            }),
            tls,
        );
        Issuer {
            shared,
            server,
            client_certificates: self.client_certificates,
        }
    }
}

/// A running issuer on this machine. It stops when this value goes.
pub struct Issuer {
    shared: Arc<Shared>,
    server: HttpServer,
    client_certificates: ClientCertificates,
}

impl Issuer {
    /// The `aud` of an issuer's tokens, unless the builder is told another one.
    pub const AUDIENCE: &'static str = "https://pg.example.test/";

    /// The scope of [`Issuer::token`]'s tokens.
    pub const SCOPE: &'static str = "openid postgres";

    /// Describes an issuer `http://127.0.0.1:PORT/realms/corp` with one RSA key.
    pub fn builder() -> IssuerBuilder {
        IssuerBuilder {
            host: None,
            path: "/realms/corp".to_owned(),
            identity: None,
            client_certificates: ClientCertificates::Ignored,
            key: None,
            audience: Issuer::AUDIENCE.to_owned(),
            interval: 1,
        }
    }

    /// The issuer's identifier: what `iss` and the HBA line name.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Its TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The origin of all its endpoints, without a path: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// A good access token of this issuer for the client `psql`, ready to be spoiled.
    pub fn token(&self, user: &str) -> Token {
        self.shared.token(user, "psql", Issuer::SCOPE)
    }

    /// Alters every token that the device flow gives out.
    pub fn alter_tokens(&self, change: impl Fn(Token) -> Token + Send + Sync + 'static) {
        self.shared.state().alteration = Some(Arc::new(change));
    }

    // --- introspection ------------------------------------------------------------------------

    /// A new opaque token of this user's, of which the issuer says what [`Issuer::word_on`] has.
    pub fn opaque_token(&self, user: &str) -> String {
        let token = format!("opaque-{}", token_minter::random_text());
        self.say(&token, self.word_on(user));
        token
    }

    /// What an issuer says of a good access token (RFC 7662 §2.2).
    pub fn word_on(&self, user: &str) -> Value {
        let now = token_minter::now();
        serde_json::json!({
            "active": true, "iss": self.url(), "sub": user, "username": format!("user {user}"),
            "aud": self.shared.audience, "client_id": "psql", "scope": Issuer::SCOPE,
            "token_type": "Bearer", "iat": now, "exp": now + 600,
        })
    }

    /// From now on lets only this client introspect.
    pub fn introspection_only_for(&self, client: ClientCheck) {
        self.shared.state().client_check = Some(client);
    }

    /// From now on says this of a token.
    pub fn say(&self, token: &str, word: Value) {
        self.shared.state().active.insert(token.to_owned(), word);
    }

    /// From now on says of a token that it is not active.
    pub fn revoke(&self, token: &str) {
        self.shared.state().active.remove(token);
    }

    // --- keys ---------------------------------------------------------------------------------

    /// The key that new tokens are signed with.
    pub fn signing_key(&self) -> Key {
        self.shared.state().signing.clone()
    }

    /// Signs new tokens with this key, published or not.
    pub fn sign_with(&self, key: &Key) {
        self.shared.state().signing = key.clone();
    }

    /// Publishes a key.
    pub fn publish(&self, key: &Key) {
        self.shared.state().published.push(Published::of(key));
    }

    /// Publishes this JWK as it is.
    pub fn publish_jwk(&self, jwk: Value) {
        let kid = jwk["kid"].as_str().map(str::to_owned);
        self.shared.state().published.push(Published { kid, jwk });
    }

    /// Publishes nothing but these JWKs.
    pub fn publish_only(&self, jwks: &[Value]) {
        self.shared.state().published.clear();
        jwks.iter().for_each(|jwk| self.publish_jwk(jwk.clone()));
    }

    /// Publishes this document as the key set, whatever it is; `None`: the keys again.
    pub fn publish_document(&self, document: Option<Value>) {
        self.shared.state().document = document;
    }

    /// Takes a key out of the key set.
    pub fn withdraw(&self, kid: &str) {
        self.shared
            .state()
            .published
            .retain(|p| p.kid.as_deref() != Some(kid));
    }

    /// Publishes a new P-256 key and signs with it; the old keys stay published.
    pub fn rotate(&self) -> Key {
        let key = Key::new(KeyKind::P256);
        self.publish(&key);
        self.sign_with(&key);
        key
    }

    /// Shows metadata and keys only to those who present this token from now on, as Kubernetes does.
    pub fn show_only_to(&self, token: &str) {
        self.shared.state().reader = Some(token.to_owned());
    }

    // --- faults and what was asked ----------------------------------------------------------------

    /// Makes an endpoint fail from now on.
    pub fn fail(&self, endpoint: Endpoint, fault: Fault) {
        self.shared.state().faults.insert(endpoint, fault);
    }

    /// Makes the introspection endpoint fail from now on when it is asked about this token.
    pub fn fail_about(&self, token: &str, fault: Fault) {
        let token = token.to_owned();
        self.shared.state().token_faults.insert(token, fault);
    }

    /// Makes every connection fail before a request is read.
    pub fn fail_connections(&self, fault: ConnectionFault) {
        self.shared.state().connection_fault = Some(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        let mut state = self.shared.state();
        state.faults.clear();
        state.token_faults.clear();
        state.connection_fault = None;
    }

    /// Adds a header to every right answer of an endpoint, such as `Cache-Control`.
    pub fn add_header(&self, endpoint: Endpoint, name: &str, value: &str) {
        self.shared
            .state()
            .headers
            .push((endpoint, name.to_owned(), value.to_owned()));
    }

    /// Presents another certificate from now on; for an issuer that speaks https.
    pub fn present(&self, identity: &Identity) {
        self.server
            .present(identity.server_config(self.client_certificates));
    }

    /// Takes back what [`add_header`](Issuer::add_header) added to an endpoint.
    pub fn remove_headers(&self, endpoint: Endpoint) {
        self.shared
            .state()
            .headers
            .retain(|(of, ..)| *of != endpoint);
    }

    /// Closes the port: connections are refused.
    pub fn go_down(&self) {
        self.server.stop();
    }

    /// Opens the port again.
    pub fn come_up(&self) {
        self.server.resume();
    }

    /// How many requests an endpoint has had.
    pub fn hits(&self, endpoint: Endpoint) -> usize {
        self.shared
            .state()
            .requests
            .iter()
            .filter(|(e, _)| *e == endpoint)
            .count()
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<(Endpoint, Request)> {
        self.shared.state().requests.clone()
    }

    // --- device flow --------------------------------------------------------------------------

    /// The person `user` enters this code and agrees. An unknown code fails the test.
    #[track_caller]
    pub fn approve(&self, user_code: &str, user: &str) {
        assert!(
            self.shared.approve(user_code, user),
            "no device waits with the code {user_code}"
        );
    }

    /// A person enters this code and refuses.
    #[track_caller]
    pub fn deny(&self, user_code: &str) {
        assert!(
            self.shared.deny(user_code),
            "no device waits with the code {user_code}"
        );
    }

    /// Answers the next polls with these errors (`authorization_pending`, `slow_down` …).
    pub fn answer_polls_with(&self, errors: &[&str]) {
        self.shared
            .state()
            .token_errors
            .extend(errors.iter().map(|e| e.to_string()));
    }
}
