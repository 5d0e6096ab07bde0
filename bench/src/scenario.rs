//! Servers where there is much of something, each with a client that logs in as at all others.

use rig::{Issuer, Key, KeyKind, Server, ServerBuilder, Token, oauth_line};
use serde_json::Value;

use crate::login::{Client, Method};
use crate::variant::{ROLE, start_issuer, token};

/// What there is much of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    Plain,
    /// Nothing, but the client's line has a map, which says by name who may be whom: the check for powerful roles is not needed.
    Map,
    /// Lines of pg_hba.conf, each with an issuer of its own whose keys are cached; the last one is the client's.
    Issuers(usize),
    /// Keys in the issuer's set, of which the last one signs.
    Keys(usize),
    /// Kilobytes of claims in the token.
    Claims(usize),
    /// Profiles, of which the last one is for the client's issuer.
    Profiles(usize),
    /// A timer for each session, which ends it with its token.
    SessionExpiry,
}

impl Scenario {
    pub fn name(self) -> String {
        match self {
            Scenario::Plain => "plain".to_owned(),
            Scenario::Map => "RS256 with map=".to_owned(),
            Scenario::Issuers(count) => format!("{count} issuers"),
            Scenario::Keys(count) => format!("{count} keys"),
            Scenario::Claims(kilobytes) => format!("{kilobytes} kB of claims"),
            Scenario::Profiles(count) => format!("{count} profiles"),
            Scenario::SessionExpiry => "session_expiry".to_owned(),
        }
    }

    /// The issuer whose token the client has, and then those that are only there.
    pub fn issuers(self, key: KeyKind) -> Vec<Issuer> {
        let own = start_issuer(key);
        if let Scenario::Keys(count) = self {
            // They differ in their `kid` alone: RSA keys take long to make.
            let others = (1..count).map(|_| Key::new(key));
            let keys = others.chain([own.signing_key()]);
            let jwks: Vec<Value> = keys.map(|key| key.jwk()).collect();
            own.publish_only(&jwks);
        }
        let others = match self {
            Scenario::Issuers(count) => count - 1,
            _ => 0,
        };
        let others = (0..others).map(|_| start_issuer(KeyKind::Rsa));
        [own].into_iter().chain(others).collect()
    }

    pub fn server(self, issuers: &[Issuer]) -> ServerBuilder {
        let (own, others) = issuers.split_first().expect("there is an issuer");
        if others.is_empty() && self != Scenario::Map {
            return self.set_up(Server::trusting(own), own);
        }
        // The first line that matches is used, so that of the client, for all roles, comes last.
        let mut builder = Server::builder()
            .set("validator.audience", Issuer::AUDIENCE)
            .set("validator.allow_http", "on");
        for (number, issuer) in others.iter().enumerate() {
            let line = oauth_line(issuer.url(), "");
            builder = builder.hba(&line.replacen("all all", &format!("all {}", role(number)), 1));
        }
        let options = match self {
            Scenario::Map => "map=people",
            _ => "",
        };
        self.set_up(builder.hba(&oauth_line(own.url(), options)), own)
    }

    fn set_up(self, builder: ServerBuilder, own: &Issuer) -> ServerBuilder {
        match self {
            Scenario::Plain | Scenario::Keys(_) => builder,
            Scenario::Map => builder.ident(&format!("people {ROLE} {ROLE}")),
            Scenario::Issuers(count) => {
                builder.set("validator.jwks_cache_issuers", &count.max(32).to_string())
            }
            // More than the default, which is 16 kB of the encoded token.
            Scenario::Claims(_) => builder.set("validator.max_token_size", "32kB"),
            Scenario::Profiles(count) => with_profiles(builder, count, own),
            Scenario::SessionExpiry => builder.set("validator.session_expiry", "on"),
        }
    }

    /// Has every issuer's keys cached: logs in once with a token of each that is not the client's.
    pub fn introduce(self, server: &Server, issuers: &[Issuer]) {
        for (number, issuer) in issuers.iter().skip(1).enumerate() {
            let role = role(number);
            server.sql(&format!("CREATE ROLE {role} LOGIN"));
            let token = issuer.token(&role).encode();
            let client = Client::new(server.port(), &role, Method::Bearer(token));
            client
                .log_in()
                .unwrap_or_else(|error| panic!("{role}: {error}\n{}", server.log().text()));
        }
    }

    pub fn token(self, issuer: &Issuer) -> String {
        match self {
            Scenario::Claims(kilobytes) => padded(token(issuer), kilobytes * 1024).encode(),
            _ => token(issuer).encode(),
        }
    }
}

fn role(number: usize) -> String {
    format!("of_issuer_{number}")
}

/// As an administrator would have them: each sets what differs between issuers.
fn with_profiles(builder: ServerBuilder, count: usize, own: &Issuer) -> ServerBuilder {
    let names: Vec<String> = (1..=count).map(|number| format!("corp{number}")).collect();
    let mut builder = builder.set("validator.profiles", &names.join(", "));
    for (number, name) in names.iter().enumerate() {
        let other = format!("https://idp.example.com/realms/{name}");
        let issuer = match number + 1 == count {
            true => own.url(),
            false => &other,
        };
        builder = builder
            .set(&format!("validator_{name}.issuer"), issuer)
            .set(&format!("validator_{name}.audience"), Issuer::AUDIENCE)
            .set(&format!("validator_{name}.clock_skew"), "10s");
    }
    builder
}

/// With claims of so many bytes of JSON, most of them groups of the bearer.
fn padded(token: Token, bytes: usize) -> Token {
    let mut groups: Vec<String> = Vec::new();
    loop {
        let padded = token.clone().claim("groups", groups.clone());
        let group = match bytes.saturating_sub(padded.claims_json().len()) {
            0 => return padded,
            // The last one takes up what is left, with its quotes and the comma before it.
            missing @ 1..64 => "x".repeat(missing.saturating_sub(3)),
            _ => format!("/corp/department-{}/readers", groups.len()),
        };
        groups.push(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_have_the_size_that_the_row_is_named_after() {
        let key = Key::new(KeyKind::P256);
        for kilobytes in [1, 12] {
            let token = Token::new(
                &key,
                "https://issuer.test/realms/corp",
                "alice",
                Issuer::AUDIENCE,
                "psql",
                Issuer::SCOPE,
            );
            let claims = padded(token, kilobytes * 1024).claims_json();
            assert_eq!(claims.len(), kilobytes * 1024);
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            assert!(claims["groups"].as_array().unwrap().len() > 10 * kilobytes);
        }
    }
}
