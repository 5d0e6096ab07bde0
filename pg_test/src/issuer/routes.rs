//! The issuer's endpoints over HTTP.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::issuer::state::{Endpoint, Shared};
use crate::net::http::{Request, Response};
use crate::net::http_server::{ConnectionFault, Reply, Service};

/// Sends requests to endpoints, and answers through their faults.
pub(crate) struct Routes {
    pub(crate) issuer: Arc<Shared>,
}

impl Service for Routes {
    fn connection_fault(&self) -> Option<ConnectionFault> {
        self.issuer.state().connection_fault
    }

    fn reply(&self, request: Request) -> Reply {
        let asked = self.issuer.endpoint(&request.path);
        let redirected = request.query == "redirected";
        let fault = {
            let mut state = self.issuer.state();
            let counted = if redirected {
                Endpoint::Redirected
            } else {
                asked
            };
            state.requests.push((counted, request.clone()));
            let of_token = match asked {
                Endpoint::Introspection => request.form("token"),
                _ => None,
            };
            let of_token = of_token.and_then(|token| state.token_faults.get(&token));
            let fault = state.faults.get(&asked).filter(|_| !redirected);
            fault.or(of_token).cloned()
        };
        let right = self.issuer.right_answer(asked, &request);
        match fault {
            None => Reply::Answer(right, Duration::ZERO),
            Some(fault) => fault.reply(&request, right),
        }
    }
}

impl Shared {
    /// Both well-known forms are served for both documents: as a suffix (OpenID Connect Discovery
    /// 1.0 §4) and between host and path (RFC 8414 §3.1), the suffix also after a doubled slash,
    /// which libpq and PostgreSQL make of an issuer that ends with one.
    fn endpoint(&self, path: &str) -> Endpoint {
        let document = |name: &str| match name {
            "openid-configuration" => Endpoint::Discovery,
            "oauth-authorization-server" => Endpoint::ServerMetadata,
            _ => Endpoint::Unknown,
        };
        if let Some(infix) = path.strip_prefix("/.well-known/") {
            let (name, rest) = infix.split_once('/').unwrap_or((infix, ""));
            if rest.trim_end_matches('/') == self.path.trim_start_matches('/') {
                return document(name);
            }
        }
        match path.strip_prefix(&self.path) {
            Some("/jwks") => Endpoint::Jwks,
            Some("/introspect") => Endpoint::Introspection,
            Some("/device_authorization") => Endpoint::DeviceAuthorization,
            Some("/token") => Endpoint::Token,
            Some("/device") => Endpoint::Verification,
            Some(rest) => rest
                .strip_prefix("//.well-known/")
                .or_else(|| rest.strip_prefix("/.well-known/"))
                .map_or(Endpoint::Unknown, document),
            None => Endpoint::Unknown,
        }
    }

    fn right_answer(&self, endpoint: Endpoint, request: &Request) -> Response {
        if matches!(
            endpoint,
            Endpoint::Discovery | Endpoint::ServerMetadata | Endpoint::Jwks
        ) && let Some(reader) = &self.state().reader
            && request.header("authorization") != Some(&format!("Bearer {reader}"))
        {
            return Response::json(401, &json!({"kind": "Status", "code": 401}));
        }
        let mut answer = match endpoint {
            Endpoint::Discovery | Endpoint::ServerMetadata => Response::json(200, &self.metadata()),
            Endpoint::Jwks => {
                let keys = self.key_set().to_string();
                Response::new(200, "application/jwk-set+json", keys)
            }
            Endpoint::Introspection => {
                let state = &mut *self.state();
                let used = &mut state.used_assertions;
                let client = state.client_check.as_ref();
                if client.is_some_and(|client| !client.accepts(request, used)) {
                    // RFC 6749 §5.2.
                    return Response::json(401, &json!({"error": "invalid_client"}));
                }
                let token = request.form("token").unwrap_or_default();
                let word = state.active.get(&token).cloned();
                Response::json(200, &word.unwrap_or_else(|| json!({"active": false})))
            }
            Endpoint::DeviceAuthorization => self.authorize_device(request),
            Endpoint::Token => self.poll_for_token(request),
            Endpoint::Verification => self.verification_page(request),
            Endpoint::Redirected | Endpoint::Unknown => Response::html(404, "<h1>Not found</h1>"),
        };
        for (of, name, value) in &self.state().headers {
            if *of == endpoint {
                answer.headers.push((name.clone(), value.clone()));
            }
        }
        answer
    }

    fn metadata(&self) -> Value {
        let base = format!("{}{}", self.origin, self.path);
        json!({
            "issuer": self.url,
            "jwks_uri": format!("{base}/jwks"),
            "device_authorization_endpoint": format!("{base}/device_authorization"),
            "introspection_endpoint": format!("{base}/introspect"),
            "token_endpoint": format!("{base}/token"),
            "authorization_endpoint": format!("{base}/authorize"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"],
            "scopes_supported": ["openid", "postgres"],
        })
    }
}
