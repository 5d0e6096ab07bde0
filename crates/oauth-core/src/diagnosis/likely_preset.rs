//! Which provider an issuer looks like.

/// The preset for the provider that an issuer's URL looks like. `None`: the URL shows nothing.
///
/// ```
/// use oauth_core::likely_preset;
/// assert_eq!(likely_preset("https://idp.example.com/realms/corp"), Some("keycloak"));
/// assert_eq!(likely_preset("https://idp.example.com"), None);
/// ```
pub fn likely_preset(issuer: &str) -> Option<&'static str> {
    let (_, rest) = issuer.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.split(':').next()?.to_ascii_lowercase();
    let path = path.trim_end_matches('/');
    let is_within = |domain: &str| {
        let before = host.strip_suffix(domain);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    Some(match host.as_str() {
        "login.microsoftonline.com" | "login.microsoftonline.us" | "sts.windows.net" => "entra",
        "accounts.google.com" => "google",
        "gitlab.com" => "gitlab",
        "token.actions.githubusercontent.com" => "github-actions",
        _ if host.starts_with("kubernetes.default.svc") => "kubernetes",
        _ if host.starts_with("cognito-idp.") && is_within("amazonaws.com") => "cognito",
        _ if host.starts_with("oidc.eks.") && is_within("amazonaws.com") => "kubernetes",
        _ if is_within("okta.com") || is_within("oktapreview.com") => "okta",
        _ if is_within("auth0.com") => "auth0",
        _ if is_within("zitadel.cloud") => "zitadel",
        _ if path.contains("/realms/") => "keycloak",
        _ if path.contains("/application/o/") => "authentik",
        _ if path.ends_with("/adfs") => "adfs",
        _ if path.ends_with("/dex") => "dex",
        _ => return None,
    })
}
