//! Which provider an issuer looks like.

use oauth_core::{Preset, likely_preset};

#[test]
fn providers_are_recognized_by_host_or_path() {
    for (issuer, preset) in [
        ("https://idp.example.com/realms/corp", "keycloak"),
        ("https://idp.example.com:8443/auth/realms/corp/", "keycloak"),
        ("https://login.microsoftonline.com/t/v2.0", "entra"),
        ("https://sts.windows.net/t/", "entra"),
        ("https://Corp.Okta.com/oauth2/default", "okta"),
        ("https://corp.eu.auth0.com/", "auth0"),
        (
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x",
            "cognito",
        ),
        (
            "https://oidc.eks.eu-west-1.amazonaws.com/id/X",
            "kubernetes",
        ),
        ("https://kubernetes.default.svc.cluster.local", "kubernetes"),
        ("https://accounts.google.com", "google"),
        ("https://gitlab.com", "gitlab"),
        (
            "https://token.actions.githubusercontent.com",
            "github-actions",
        ),
        ("https://corp-x.zitadel.cloud", "zitadel"),
        ("https://idp.example.com/application/o/pg/", "authentik"),
        ("https://fs.example.com/adfs", "adfs"),
        ("https://idp.example.com/dex", "dex"),
    ] {
        assert_eq!(likely_preset(issuer), Some(preset), "{issuer}");
        assert!(preset.parse::<Preset>().is_ok(), "{preset}");
    }
}

#[test]
fn what_only_resembles_a_provider_is_not_taken_for_it() {
    for issuer in [
        "",
        "okta.com",
        "https://",
        "https://idp.example.com",
        "https://okta.com.evil.example/",
        "https://notokta.com/",
        "https://gitlab.com.example/",
        "https://s3.amazonaws.com/",
        "https://cognito-idp.eu-west-1.example/",
        "https://oidc.eks.eu-west-1.example/id/X",
        "https://idp.example.com/adfs/more",
        "https://realms.example.com/",
        "https://evil.example/login.microsoftonline.com/",
    ] {
        assert_eq!(likely_preset(issuer), None, "{issuer}");
    }
}
