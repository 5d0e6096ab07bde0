//! The issuer's side of the device flow (RFC 8628).

use aws_lc_rs::rand;
use serde_json::json;

use crate::issuer::client_check::basic;
use crate::issuer::state::{DeviceGrant, Grant, Shared};
use crate::net::http::{Request, Response};
use token_minter::random_text;

impl Shared {
    /// RFC 8628 §3.2.
    pub(crate) fn authorize_device(&self, request: &Request) -> Response {
        let Some(client_id) = client_id(request) else {
            return oauth_error(400, "invalid_request");
        };
        let grant = DeviceGrant {
            device_code: random_text(),
            user_code: random_user_code(),
            client_id,
            scope: request.form("scope").unwrap_or_default(),
            answer: Grant::Pending,
        };
        let answer = json!({
            "device_code": grant.device_code,
            "user_code": grant.user_code,
            "verification_uri": format!("{}{}/device", self.origin, self.path),
            "expires_in": 600,
            "interval": self.interval,
        });
        self.state().grants.push(grant);
        Response::json(200, &answer)
    }

    /// RFC 8628 §3.4 and §3.5.
    pub(crate) fn poll_for_token(&self, request: &Request) -> Response {
        if let Some(error) = self.state().token_errors.pop_front() {
            return oauth_error(400, &error);
        }
        let grant_type = request.form("grant_type");
        if grant_type.as_deref() != Some("urn:ietf:params:oauth:grant-type:device_code") {
            return oauth_error(400, "unsupported_grant_type");
        }
        let device_code = request.form("device_code");
        let (user, client_id, scope, alteration) = {
            let mut state = self.state();
            let found = state
                .grants
                .iter()
                .position(|g| Some(&g.device_code) == device_code.as_ref());
            let Some(index) = found else {
                return oauth_error(400, "invalid_grant");
            };
            if client_id(request).as_ref() != Some(&state.grants[index].client_id) {
                return oauth_error(401, "invalid_client");
            }
            match &state.grants[index].answer {
                Grant::Pending => return oauth_error(400, "authorization_pending"),
                Grant::Denied => return oauth_error(400, "access_denied"),
                Grant::Approved { user } => {
                    let user = user.clone();
                    let grant = state.grants.swap_remove(index);
                    (user, grant.client_id, grant.scope, state.alteration.clone())
                }
            }
        };
        let mut token = self.token(&user, &client_id, &scope);
        if let Some(change) = alteration {
            token = change(token);
        }
        let answer = json!({
            "access_token": token.encode(),
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": scope,
        });
        Response::json(200, &answer)
    }

    /// RFC 8628 §3.3: a page for a person's browser. Whoever enters a name is that person.
    pub(crate) fn verification_page(&self, request: &Request) -> Response {
        if request.method != "POST" {
            return Response::html(
                200,
                form(&request.parameter("user_code").unwrap_or_default(), ""),
            );
        }
        let user_code = request.form("user_code").unwrap_or_default();
        let user = request.form("user").unwrap_or_default();
        if request.form("decision").as_deref() == Some("deny") && self.deny(&user_code) {
            return Response::html(200, page("<h1>Refused</h1><p>Nothing was granted.</p>"));
        }
        if !user.trim().is_empty() && self.approve(&user_code, user.trim()) {
            return Response::html(200, page("<h1>Done</h1><p>You can close this page.</p>"));
        }
        Response::html(
            400,
            form(&user_code, "<p>No device waits with this code.</p>"),
        )
    }

    pub(crate) fn approve(&self, user_code: &str, user: &str) -> bool {
        self.decide(
            user_code,
            Grant::Approved {
                user: user.to_owned(),
            },
        )
    }

    pub(crate) fn deny(&self, user_code: &str) -> bool {
        self.decide(user_code, Grant::Denied)
    }

    fn decide(&self, user_code: &str, answer: Grant) -> bool {
        // RFC 8628 §6.1: people type codes in lower case, and with other separators.
        let plain = |code: &str| {
            code.chars()
                .filter(char::is_ascii_alphanumeric)
                .collect::<String>()
                .to_ascii_uppercase()
        };
        let mut state = self.state();
        let waiting = state
            .grants
            .iter_mut()
            .find(|g| plain(&g.user_code) == plain(user_code));
        match waiting {
            Some(grant) => {
                grant.answer = answer;
                true
            }
            None => false,
        }
    }
}

/// RFC 6749 §2.3.1: a client names itself in the body, or by Basic authentication.
fn client_id(request: &Request) -> Option<String> {
    let name = basic(request).and_then(|b| b.split_once(':').map(|(id, _)| id.to_owned()));
    name.or_else(|| request.form("client_id"))
}

fn oauth_error(status: u16, error: &str) -> Response {
    Response::json(status, &json!({ "error": error }))
}

/// RFC 8628 §6.1: letters that are not mistaken for each other.
fn random_user_code() -> String {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).expect("random bytes");
    let letters = b"BCDFGHJKLMNPQRSTVWXZ";
    let code: String = bytes
        .iter()
        .map(|b| char::from(letters[usize::from(*b) % letters.len()]))
        .collect();
    format!("{}-{}", &code[..4], &code[4..])
}

fn form(user_code: &str, message: &str) -> String {
    page(&format!(
        "<h1>Connect a device</h1>{message}\
         <form method=\"post\">\
         <p><label>Code shown by psql <input name=\"user_code\" value=\"{}\" required autofocus></label></p>\
         <p><label>Your name <input name=\"user\" value=\"alice\" required></label></p>\
         <p><button name=\"decision\" value=\"approve\">Allow</button> \
         <button name=\"decision\" value=\"deny\">Refuse</button></p></form>",
        escaped(user_code)
    ))
}

fn page(content: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Test issuer</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{font:1.1em sans-serif;max-width:30em;margin:3em auto}}</style>{content}</html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
