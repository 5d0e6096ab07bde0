//! Whether a secret by which this server shows one provider who it is also goes to another one.

use std::path::Path;

use oauth_core::{ClientAuthMethod, Endpoint, Printable};

use crate::doctor::finding::{self, Finding};
use crate::doctor::line::LineSettings;

/// A secret that a login through a line sends.
struct Sent<'a> {
    setting: &'static str,
    file: &'a Path,
    /// Of the server that gets it.
    url: &'a Endpoint,
}

/// What is found at `line`, compared with all others.
pub fn examine(line: &LineSettings<'_>, all: &[LineSettings<'_>]) -> Vec<Finding> {
    let shared = secrets(line).filter_map(|own| {
        let mut others = all.iter().flat_map(secrets);
        let other =
            others.find(|other| other.file == own.file && !other.url.has_origin_of(own.url))?;
        Some(finding::SECRET_SHARED.with(format!(
            "What is in {:?} (validator.{}) is sent to {} and to {}: each of them can use it at the other.",
            own.file,
            own.setting,
            Printable::new(own.url.as_str()),
            Printable::new(other.url.as_str()),
        )))
    });
    shared.collect()
}

fn secrets<'a>(line: &'a LineSettings<'_>) -> impl Iterator<Item = Sent<'a>> {
    let introspection = line.introspection.as_ref().ok().and_then(Option::as_ref);
    let client = introspection.and_then(|introspection| {
        let client = &introspection.client;
        let is_sent = matches!(
            client.method,
            ClientAuthMethod::ClientSecretBasic
                | ClientAuthMethod::ClientSecretBasicRaw
                | ClientAuthMethod::ClientSecretPost
        );
        Some(Sent {
            setting: "client_secret_file",
            file: client.secret_file.as_deref().filter(|_| is_sent)?,
            url: introspection
                .endpoint
                .as_ref()
                .unwrap_or(introspection.issuer.discovery()),
        })
    });
    let keys = line.keys.as_ref().ok();
    let bearer = keys.and_then(|keys| {
        let bearer = keys.http.bearer.as_ref()?;
        Some(Sent {
            setting: "http_bearer_file",
            file: &bearer.file,
            url: bearer.for_servers_of.first()?,
        })
    });
    client.into_iter().chain(bearer)
}
