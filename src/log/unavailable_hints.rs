//! Hints about a provider that cannot be asked, or answers something else.

use oauth_core::{Document, Printable, UnavailableCause, near_miss};

use crate::log::circumstances::Circumstances;

/// By the code, which also a failure has that another login has reported.
pub fn unavailable_hint(cause: &UnavailableCause, known: &Circumstances<'_>) -> String {
    if let UnavailableCause::IssuerMismatch(named) = cause
        && let Some(policy) = known.policy
        && let Some(by) = near_miss(named.as_str(), policy.issuer().identifier())
    {
        return format!(
            "The issuer {}, \"{}\", must equal \"issuer\" in the discovery document, byte for byte. They differ \
                only by {by}: use \"{named}\".",
            issuer_place(known),
            Printable::new(policy.issuer().identifier())
        );
    }
    if let UnavailableCause::Status(401 | 403) = cause {
        return "The provider, or something before it, does not serve this URL to this server. Try it from there with curl. If \
            the provider demands a bearer token, as Kubernetes does, see validator.http_bearer_file."
            .to_owned();
    }
    if let UnavailableCause::Redirect {
        to: Some(to),
        document,
        ..
    } = cause
    {
        return redirect_hint(to, *document, known);
    }
    match cause.code() {
        "timeout" | "name_resolution" | "connection" => {
            "The database server itself must be able to reach this URL. Check the name, routes and firewalls from \
                there, and validator.http_timeout. If it can only be reached through a proxy, set validator.http_proxy."
        }
        "proxy_failed" => {
            "The proxy of validator.http_proxy failed, not the provider. Check its URL, that it lets the database server \
                connect to this URL's host and port, and validator.ca_file if it speaks TLS. validator.no_proxy names hosts \
                that are reached without it."
        }
        "proxy_unauthorized" => {
            "Write user:password for the proxy of validator.http_proxy into a file, and name that in \
                validator.http_proxy_secret_file. Only Basic authentication is supported."
        }
        "no_thread" => {
            "Raise the limit on processes and threads of the server's user (ulimit -u), its service (TasksMax of \
                systemd) or its container (pids.max)."
        }
        "tls_untrusted" => {
            "If a private authority issued the provider's certificate, set validator.ca_file to a file with that \
                authority's certificate. If a public one did, the provider may not send the certificates between, or \
                something on the way presents its own."
        }
        "tls_no_authorities" => {
            "Install the package ca-certificates, or set validator.ca_file to a file with the certificate of the \
                provider's authority."
        }
        "tls_ca_certificate" => {
            "Give the provider a certificate of its own, with CA:FALSE, that this authority has issued; the authority's \
                stays in validator.ca_file. docs/operations.md has the commands."
        }
        "tls_certificate_version" => {
            "Give the provider a certificate of version 3, with the host in subjectAltName. docs/operations.md has the \
                commands."
        }
        "tls_name_missing" => {
            "Give the provider a certificate that has the host of this URL in subjectAltName; the common name does not \
                count. docs/operations.md has the commands."
        }
        "tls_name_mismatch" => {
            "Use a host that the certificate names, or give the provider a certificate that has the host of this URL in \
                subjectAltName."
        }
        "tls_expired" | "tls_not_yet_valid" => {
            "Renew the provider's certificate, or one of those between it and the authority. If they are good, set the \
                clock of this server."
        }
        "tls_incompatible" => {
            "The provider, or what stands before it, must offer TLS 1.2 with ECDHE and AEAD (such as \
                ECDHE-RSA-AES128-GCM-SHA256), or TLS 1.3. If it demands a client's certificate, see \
                validator.client_auth_method."
        }
        "tls" => "Check the provider's certificate, and what it offers of TLS, with openssl s_client.",
        "redirect" => {
            "If the document is where the redirect leads, set validator.discovery_url (metadata), validator.jwks_uri \
                (keys) or validator.introspection_endpoint to that URL."
        }
        "busy" => {
            "The provider limits requests, or is under maintenance. It is left alone for as long as it asks, but for a \
                minute at most."
        }
        "issuer_mismatch" => {
            return format!(
                "The issuer {} must equal \"issuer\" in the discovery document, byte for byte. Check for a trailing slash.",
                issuer_place(known)
            );
        }
        "bad_url" => {
            "The provider must name https URLs as \"jwks_uri\" and \"introspection_endpoint\"."
        }
        "introspection_unauthorized" => {
            "Check validator.client_id, validator.client_auth_method and the file with the secret or key. If the \
                secret has special characters, also try client_secret_basic_raw."
        }
        "introspection_forbidden" => {
            "Configure the provider to allow validator.client_id to introspect tokens."
        }
        "active_malformed" => "validator.introspection_endpoint must be an RFC 7662 endpoint.",
        "no_usable_key" => {
            "The provider's key set must have a signature key that is RSA of 2048 bits or more, \
             P-256, P-384, P-521 or Ed25519."
        }
        "content_coding" => {
            "Configure the provider, or the proxy in front of it, to send this URL uncompressed to clients that send \
                \"Accept-Encoding: identity\"."
        }
        "http_status" | "too_large" | "malformed" => {
            "Check what this URL returns: it should be a JSON document with status 200."
        }
        _ => "Check what this URL returns.",
    }
    .to_owned()
}

/// Where the issuer is set.
fn issuer_place(known: &Circumstances<'_>) -> &'static str {
    match known.is_password || cfg!(not(oauth)) {
        true => "that validator.issuer or the profile names",
        false => "in pg_hba.conf",
    }
}

fn redirect_hint(to: &Printable, document: Document, known: &Circumstances<'_>) -> String {
    match document {
        Document::Metadata => format!(
            "If that is where the provider has its metadata, set validator.discovery_url = '{to}'. The issuer {} stays as \
                \"issuer\" in that document.",
            issuer_place(known)
        ),
        Document::Keys => format!(
            "If that is where the provider has its keys, set validator.jwks_uri = '{to}', or have the provider name it \
                as \"jwks_uri\" in its metadata."
        ),
        Document::Introspection => format!(
            "Tokens are not sent elsewhere. If that is the provider's introspection endpoint, set \
                validator.introspection_endpoint = '{to}'."
        ),
    }
}
