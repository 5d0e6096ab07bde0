//! What an issuer knows, and what its endpoints are.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use token_minter::{Key, Token};

use crate::issuer::client_check::ClientCheck;
use crate::issuer::fault::Fault;
use crate::net::http::Request;
use crate::net::http_server::ConnectionFault;

/// What an issuer answers requests for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// OpenID Connect Discovery 1.0 §4: `/.well-known/openid-configuration`.
    Discovery,
    /// RFC 8414 §3: `/.well-known/oauth-authorization-server`.
    ServerMetadata,
    /// RFC 7517 §5: the key set.
    Jwks,
    /// RFC 7662 §2: what the issuer says of a token.
    Introspection,
    /// RFC 8628 §3.1: a client asks for a code.
    DeviceAuthorization,
    /// RFC 6749 §3.2: a client polls for its token.
    Token,
    /// RFC 8628 §3.3: a person enters the code.
    Verification,
    /// Where [`Fault::Redirect`] points to: whoever comes here followed a redirect.
    Redirected,
    /// Nothing.
    Unknown,
}

/// What the issuer's threads share.
pub(crate) struct Shared {
    pub(crate) url: String,
    pub(crate) origin: String,
    /// The path without a slash at its end.
    pub(crate) path: String,
    pub(crate) audience: String,
    pub(crate) interval: u64,
    pub(crate) state: Mutex<State>,
}

pub(crate) type Alteration = Arc<dyn Fn(Token) -> Token + Send + Sync>;

pub(crate) struct State {
    pub(crate) published: Vec<Published>,
    pub(crate) signing: Key,
    pub(crate) document: Option<Value>,
    pub(crate) faults: HashMap<Endpoint, Fault>,
    /// What goes wrong when it is asked about one of these tokens.
    pub(crate) token_faults: HashMap<String, Fault>,
    pub(crate) headers: Vec<(Endpoint, String, String)>,
    pub(crate) connection_fault: Option<ConnectionFault>,
    pub(crate) requests: Vec<(Endpoint, Request)>,
    pub(crate) grants: Vec<DeviceGrant>,
    pub(crate) token_errors: VecDeque<String>,
    pub(crate) alteration: Option<Alteration>,
    /// What is said of tokens; of all others, that they are not active.
    pub(crate) active: HashMap<String, Value>,
    /// Who may ask about tokens; `None`: everybody.
    pub(crate) client_check: Option<ClientCheck>,
    pub(crate) used_assertions: Vec<String>,
    /// The token without which metadata and keys are not shown; `None`: everybody sees them.
    pub(crate) reader: Option<String>,
}

/// A key of the key set.
pub(crate) struct Published {
    pub(crate) kid: Option<String>,
    pub(crate) jwk: Value,
}

impl Published {
    /// A key as most issuers publish it, with `alg`.
    pub(crate) fn of(key: &Key) -> Published {
        let alg = Value::from(key.default_alg().name());
        Published {
            kid: key.kid().map(str::to_owned),
            jwk: key.jwk_with(serde_json::json!({"alg": alg})),
        }
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(crate) fn token(&self, user: &str, client_id: &str, scope: &str) -> Token {
        let key = self.state().signing.clone();
        Token::new(&key, &self.url, user, &self.audience, client_id, scope)
    }

    /// The key set as it is published.
    pub(crate) fn key_set(&self) -> Value {
        let state = self.state();
        state.document.clone().unwrap_or_else(|| {
            let keys: Vec<&Value> = state.published.iter().map(|p| &p.jwk).collect();
            serde_json::json!({ "keys": keys })
        })
    }
}

/// A device that asked for a code.
pub(crate) struct DeviceGrant {
    pub(crate) device_code: String,
    pub(crate) user_code: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) answer: Grant,
}

/// What a person has said of it.
pub(crate) enum Grant {
    Pending,
    Approved { user: String },
    Denied,
}
