//! What a token says of itself, proven or not: for the explanation of a refusal only. Nothing here is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::basics::bearer::Bearer;
use crate::basics::json::{self, Object};
use crate::basics::printable::Printable;
use crate::checks::access_token::{audiences, text};
use crate::checks::claims::validate_issuer;
use crate::checks::scope::has_scope;
use crate::checks::shape::MAX_HEADER_BYTES;
use crate::diagnosis::near_miss::{NearMiss, near_miss};
use crate::failure::reject::Reject;
use crate::policy::Policy;

/// What a JWT says of itself. None of it is verified: whoever sends a token can write anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    /// `iss`, as it is, for comparisons; bounded as the token is.
    pub issuer: Option<String>,
    is_from_another: bool,
    /// What kind of token it seems to be, if not an access token.
    pub kind: Option<TokenKind>,
    /// `iat` (RFC 7519 §4.1.6), seconds since 1970.
    pub issued_at: Option<i64>,
    /// `exp` (RFC 7519 §4.1.4), seconds since 1970.
    pub expires_at: Option<i64>,
    /// `aud` (RFC 7519 §4.1.3), each value as it is.
    pub audiences: Vec<String>,
    /// `scope` or `scp` (RFC 8693 §4.2), each value as it is.
    pub scopes: Vec<String>,
    clients: Vec<String>,
}

/// A value that differs from the one that is demanded only by its spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misspelt {
    /// What the token has.
    pub named: Printable,
    /// What the policy demands.
    pub wanted: Printable,
    /// By what they differ.
    pub by: NearMiss,
}

/// A token that is not an access token for this server, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// OpenID Connect Core 1.0 §2: it tells the client who logged in.
    IdToken {
        /// The claim that shows it.
        claim: &'static str,
    },
    /// RFC 6749 §1.5: it gets new access tokens.
    RefreshToken,
    /// OpenID Connect Back-Channel Logout 1.0 §2.4.
    LogoutToken,
    /// An access token for Microsoft Graph, which only Microsoft can verify.
    MicrosoftGraph,
}

/// The identifiers of Microsoft Graph as an audience.
const GRAPH: [&str; 3] = [
    "00000003-0000-0000-c000-000000000000",
    "https://graph.microsoft.com",
    "https://graph.microsoft.com/",
];

/// What the issuers of Microsoft Entra ID begin with, in both versions of tokens.
const MICROSOFT: [&str; 2] = [
    "https://login.microsoftonline.com/",
    "https://sts.windows.net/",
];

/// Claims that only ID tokens have (OpenID Connect Core 1.0 §2, §3.1.3.6, §3.3.2.11).
const OF_ID_TOKENS: [&str; 3] = ["nonce", "at_hash", "c_hash"];

impl Sketch {
    /// What a token says of itself, which the policy has refused. `None`: it is not a JWT that can be read, or too large.
    pub fn of(token: &Bearer<'_>, policy: &Policy) -> Option<Sketch> {
        let max_size = policy.max_token_size();
        let token = token.expose();
        if token.len() > max_size {
            return None;
        }
        let mut parts = token.split('.');
        let (header, payload) = (parts.next()?, parts.next()?);
        parts.next()?;
        let header = object(header, MAX_HEADER_BYTES)?;
        let claims = object(payload, max_size)?;
        let number = |name: &str| claims.get(name).and_then(Value::as_i64);
        Some(Sketch {
            issuer: text(&claims, "iss").map(str::to_owned),
            // Where the issuer itself is refused, the token is another tenant's, or of a kind that does not name it.
            is_from_another: text(&claims, "iss") != Some(policy.issuer().identifier())
                && matches!(
                    validate_issuer(&claims, policy),
                    Err(Reject::IssMismatch { .. } | Reject::TenantMismatch)
                ),
            kind: kind(&header, &claims),
            issued_at: number("iat"),
            expires_at: number("exp"),
            audiences: audiences(&claims).map(str::to_owned).collect(),
            scopes: scopes(&claims),
            clients: clients(&claims).map(str::to_owned).collect(),
        })
    }

    /// `iss`, if it is neither what the policy demands nor the issuer itself.
    pub fn other_issuer(&self) -> Option<&str> {
        self.issuer.as_deref().filter(|_| self.is_from_another)
    }

    /// What of the token would have passed the check that refused it, if it were spelt as the policy has it.
    pub fn misspelt(&self, reject: &Reject, policy: &Policy) -> Option<Misspelt> {
        let (named, wanted): (&[String], Vec<&str>) = match reject {
            Reject::AudMismatch { .. } => (&self.audiences, policy.audience().iter().collect()),
            Reject::InsufficientScope { .. } => (&self.scopes, policy.demanded_scopes().collect()),
            Reject::ClientNotAllowed { .. } => {
                (&self.clients, policy.client_ids().iter().collect())
            }
            _ => return None,
        };
        let mut pairs = named
            .iter()
            .flat_map(|named| wanted.iter().map(move |wanted| (named, wanted)));
        pairs.find_map(|(named, wanted)| {
            Some(Misspelt {
                by: near_miss(named, wanted)?,
                named: Printable::new(named),
                wanted: Printable::new(wanted),
            })
        })
    }
}

/// RFC 6749 §3.3: words in a string; or an array of strings.
fn scopes(claims: &Object) -> Vec<String> {
    let lists = ["scope", "scp"].iter().filter_map(|name| claims.get(*name));
    lists
        .flat_map(|list| match list {
            Value::String(words) => words.split_ascii_whitespace().map(str::to_owned).collect(),
            Value::Array(words) => words
                .iter()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        })
        .collect()
}

/// The clients that claims name, as most providers do.
fn clients(claims: &Object) -> impl Iterator<Item = &str> {
    let names = ["azp", "client_id", "appid", "cid"].iter();
    names.filter_map(|name| text(claims, name))
}

fn object(part: &str, max_size: usize) -> Option<Object> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    (bytes.len() <= max_size).then(|| json::parse_object(&bytes).ok())?
}

/// By what providers write, the plainest first.
fn kind(header: &Object, claims: &Object) -> Option<TokenKind> {
    let says = |object: &Object, name: &str, value: &str| {
        text(object, name).is_some_and(|text| text.eq_ignore_ascii_case(value))
    };
    let is = |value: &str| {
        says(claims, "typ", value) || says(claims, "token_use", value) || says(header, "typ", value)
    };
    if claims.contains_key("events") || is("logout") || is("logout+jwt") {
        return Some(TokenKind::LogoutToken);
    }
    if is("refresh") || is("offline") || is("rt+jwt") {
        return Some(TokenKind::RefreshToken);
    }
    // Microsoft signs such a token over a hash of the nonce, which only its own services know to compute.
    let is_microsofts = text(claims, "iss")
        .is_some_and(|iss| MICROSOFT.iter().any(|beginning| iss.starts_with(beginning)));
    let is_for_microsoft = is_microsofts && header.contains_key("nonce");
    if is_for_microsoft || audiences(claims).any(|aud| GRAPH.contains(&aud)) {
        return Some(TokenKind::MicrosoftGraph);
    }
    if is("id") || is("id_token") {
        return Some(TokenKind::IdToken { claim: "typ" });
    }
    if is("at+jwt") || is("application/at+jwt") || has_scope(claims) {
        return None;
    }
    let of_id_tokens = OF_ID_TOKENS
        .into_iter()
        .find(|name| claims.contains_key(*name));
    if let Some(claim) = of_id_tokens {
        return Some(TokenKind::IdToken { claim });
    }
    // A token for its own client tells that client something.
    let client = clients(claims).next();
    let is_for_client = client.is_some_and(|client| {
        let mut all = audiences(claims);
        all.next() == Some(client) && all.next().is_none()
    });
    is_for_client.then_some(TokenKind::IdToken { claim: "aud" })
}
