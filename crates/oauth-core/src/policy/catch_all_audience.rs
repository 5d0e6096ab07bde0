//! Audiences that say nothing: tokens have them although nobody meant a token for this server.

/// Of one text each.
const KNOWN: [&str; 14] = [
    // Keycloak: its account console, in tokens of most users for whatever client.
    "account",
    // Microsoft: Graph, by application ID and URL, its predecessor, Azure's own interfaces.
    "00000003-0000-0000-c000-000000000000",
    "https://graph.microsoft.com",
    "https://graph.microsoft.com/",
    "00000002-0000-0000-c000-000000000000",
    "https://graph.windows.net",
    "https://management.azure.com/",
    "https://management.core.windows.net/",
    // AD FS: where a client asks for no resource.
    "urn:microsoft:userinfo",
    // Okta: its first authorization server, for any client that its policy lets in, which at first is all.
    "api://default",
    // Google: the client of gcloud, which everybody can log in to.
    "32555940559.apps.googleusercontent.com",
    // For the cloud that a workload logs in to.
    "sts.amazonaws.com",
    "https://kubernetes.default.svc",
    "https://kubernetes.default.svc.cluster.local",
];

/// Whether tokens name this audience that were not issued for one server, so that accepting it accepts any client.
///
/// ```
/// assert!(oauth_core::is_catch_all_audience("account"));
/// assert!(!oauth_core::is_catch_all_audience("https://pg.example/"));
/// ```
pub fn is_catch_all_audience(audience: &str) -> bool {
    // Auth0 and others: every client that asks for the scope openid gets it.
    let is_userinfo = audience.starts_with("https://") && audience.ends_with("/userinfo");
    is_userinfo || KNOWN.contains(&audience)
}
