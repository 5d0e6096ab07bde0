//! Issuers of workload tokens, in the shape that their documentation gives.

use crate::provider::Provider;
use court::*;
use serde_json::json;

/// Google Identity, "OpenID Connect", claims of an ID token; Google Cloud, "Get an ID token".
fn google() -> Provider {
    const ISSUER: &str = "https://accounts.google.com";
    Provider {
        preset: "google",
        issuer: ISSUER,
        scope: "openid email",
        audience: "https://pg.example/",
        required_claims: "",
        metadata: json!({"issuer": ISSUER, "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs"}),
        header: json!({"typ": "JWT"}),
        claims: json!({
            "iss": ISSUER, "aud": "https://pg.example/", "azp": "107517467455664443766", "sub": "107517467455664443766",
            "email": "etl@corp.iam.gserviceaccount.example", "email_verified": true,
        }),
    }
}

#[test]
fn google_service_accounts_have_an_audience_of_their_choice() {
    let google = google();
    google.check();
    assert_eq!(
        google.identity().as_deref(),
        Some("etl@corp.iam.gserviceaccount.example")
    );
    google.check_changes([
        (json!({"iss": "accounts.google.com"}), "iss_mismatch"),
        (json!({"aud": "https://other.example/"}), "aud_mismatch"),
        (json!({"email_verified": false}), "access_token_unproven"),
        (json!({"email_verified": "true"}), "access_token_unproven"),
        (json!({"email_verified": null}), "access_token_unproven"),
        (
            json!({"email": null, "email_verified": null}),
            "identity_missing",
        ),
        (json!({"azp": null}), "access_token_unproven"),
        (json!({"nonce": "n"}), "not_an_access_token"),
        (json!({"at_hash": "h"}), "not_an_access_token"),
    ]);
}

#[test]
fn google_id_tokens_of_people_are_refused_whatever_the_audience() {
    let google = google();
    // gcloud's own client, and a web client with an Android one beside it: an administrator might list them.
    for (aud, azp) in [
        (
            "32555940559.apps.googleusercontent.com",
            "32555940559.apps.googleusercontent.com",
        ),
        (
            "web.apps.googleusercontent.com",
            "android.apps.googleusercontent.com",
        ),
        ("own-name", "own-name"),
    ] {
        let court = google.court_of(google.policy().audience(aud.parse().unwrap()));
        let token = google.token(
            json!({"aud": aud, "azp": azp, "email": "alice@corp.example", "hd": "corp.example"}),
        );
        assert_eq!(court.verdict(&token), "not_an_access_token", "{aud}");
    }
}

/// GitLab documentation, "OpenID Connect (OIDC) Authentication Using ID Tokens", token payload.
fn gitlab() -> Provider {
    const ISSUER: &str = "https://gitlab.example.com";
    Provider {
        preset: "gitlab",
        issuer: ISSUER,
        scope: "openid",
        audience: "https://pg.example/",
        required_claims: "project_path=my-group/my-project, ref_protected=true",
        metadata: json!({"issuer": ISSUER, "jwks_uri": "https://gitlab.example.com/oauth/discovery/keys"}),
        header: json!({"typ": "JWT"}),
        claims: json!({
            "namespace_id": "72", "namespace_path": "my-group", "project_id": "20",
            "project_path": "my-group/my-project", "user_login": "sample-user", "pipeline_id": "574",
            "pipeline_source": "push", "job_id": "302", "ref": "main", "ref_type": "branch",
            "ref_path": "refs/heads/main", "ref_protected": "true", "runner_environment": "self-hosted",
            "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b", "iss": ISSUER, "nbf": NOW - 5,
            "sub": "project_path:my-group/my-project:ref_type:branch:ref:main", "aud": "https://pg.example/",
        }),
    }
}

#[test]
fn gitlab_jobs_are_told_by_project_and_ref() {
    let gitlab = gitlab();
    gitlab.check();
    let subject = "project_path:my-group/my-project:ref_type:branch:ref:main";
    assert_eq!(gitlab.identity().as_deref(), Some(subject));
    gitlab.check_changes([
        (json!({"aud": "https://vault.example"}), "aud_mismatch"),
        (json!({"aud": "https://gitlab.example.com"}), "aud_mismatch"),
        (
            json!({"project_path": "evil/my-project"}),
            "required_claim_mismatch",
        ),
        (
            json!({"project_path": "my-group/my-project/fork"}),
            "required_claim_mismatch",
        ),
        (json!({"ref_protected": "false"}), "required_claim_mismatch"),
        (json!({"ref_protected": null}), "required_claim_missing"),
        (json!({"job_id": null}), "access_token_unproven"),
        (json!({"project_path": null}), "access_token_unproven"),
    ]);
    // The ID token of a person who signs in to an application with GitLab.
    let id_token = json!({
        "iss": gitlab.issuer, "sub": "1", "aud": gitlab.audience, "auth_time": NOW, "nonce": "n",
        "preferred_username": "sample-user", "groups_direct": ["my-group"],
    });
    assert_eq!(gitlab.verdict_on(id_token), "access_token_unproven");
}

/// GitHub Docs, "OpenID Connect reference": claims, and example subject claims.
fn github_actions() -> Provider {
    const ISSUER: &str = "https://token.actions.githubusercontent.com";
    Provider {
        preset: "github-actions",
        issuer: ISSUER,
        scope: "openid",
        audience: "https://pg.example/",
        required_claims: "repository=octo-org/octo-repo, ref=refs/heads/main",
        metadata: json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/.well-known/jwks")}),
        header: json!({"typ": "JWT", "x5t": "example-thumbprint"}),
        claims: json!({
            "jti": "example-id", "sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "aud": "https://pg.example/",
            "ref": "refs/heads/main", "sha": "example-sha", "repository": "octo-org/octo-repo",
            "repository_owner": "octo-org", "repository_owner_id": "65", "repository_id": "74", "actor": "octocat",
            "workflow": "example-workflow", "event_name": "push", "ref_type": "branch", "run_id": "example-run-id",
            "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
            "runner_environment": "github-hosted", "iss": ISSUER, "nbf": NOW - 600,
        }),
    }
}

#[test]
fn github_workflows_are_told_by_repository_and_ref() {
    let github = github_actions();
    github.check();
    assert_eq!(
        github.identity().as_deref(),
        Some("repo:octo-org/octo-repo:ref:refs/heads/main")
    );
    github.check_changes([
        (
            json!({"aud": "https://github.com/octo-org"}),
            "aud_mismatch",
        ),
        (json!({"aud": "sts.amazonaws.com"}), "aud_mismatch"),
        (
            json!({"repository": "evil/octo-repo", "repository_owner": "evil"}),
            "required_claim_mismatch",
        ),
        (
            json!({"repository": "octo-org/octo-repo-2"}),
            "required_claim_mismatch",
        ),
        (
            json!({"ref": "refs/pull/1/merge"}),
            "required_claim_mismatch",
        ),
        (json!({"repository": null}), "access_token_unproven"),
        (json!({"run_id": null}), "access_token_unproven"),
        // The subject since July 2026, with the identifiers of owner and repository.
        (
            json!({"sub": "repo:octo-org@65/octo-repo@74:ref:refs/heads/main"}),
            GRANTED,
        ),
    ]);
}

/// Kubernetes documentation, "Managing Service Accounts", bound service account tokens; "Configure Service Accounts
/// for Pods", "Service account issuer discovery".
fn kubernetes() -> Provider {
    const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
    Provider {
        preset: "kubernetes",
        issuer: ISSUER,
        scope: "openid",
        audience: "https://pg.example/",
        required_claims: "",
        metadata: json!({
            "issuer": ISSUER, "jwks_uri": "https://172.18.0.2:6443/openid/v1/jwks",
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }),
        header: json!({}),
        claims: json!({
            "aud": ["https://pg.example/"], "iss": ISSUER, "jti": "aed34954-b33a-4142-b1ec-389d6bbb4936", "nbf": NOW,
            "sub": "system:serviceaccount:shop:web",
            "kubernetes.io": {
                "namespace": "shop", "node": {"name": "n1", "uid": "u0"}, "pod": {"name": "web-1", "uid": "u1"},
                "serviceaccount": {"name": "web", "uid": "u2"},
            },
        }),
    }
}

#[test]
fn kubernetes_service_accounts_are_bound_to_their_audience() {
    let kubernetes = kubernetes();
    kubernetes.check();
    assert_eq!(
        kubernetes.identity().as_deref(),
        Some("system:serviceaccount:shop:web")
    );
    let account = |namespace: &str, name: &str| json!({"kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name}}});
    kubernetes.check_changes([
        // The token that every pod has, for the API server.
        (
            json!({"aud": ["https://kubernetes.default.svc.cluster.local"]}),
            "aud_mismatch",
        ),
        (json!({"aud": ["vault"]}), "aud_mismatch"),
        (json!({"aud": []}), "aud_mismatch"),
        (account("kube-system", "web"), "access_token_unproven"),
        (account("shop", "admin"), "access_token_unproven"),
        (account("shop:web", ""), "access_token_unproven"),
        (json!({"kubernetes.io": "shop"}), "access_token_unproven"),
        (json!({"kubernetes.io": null}), "access_token_unproven"),
        (json!({"sub": "alice"}), "access_token_unproven"),
        (json!({"sub": null}), "access_token_unproven"),
    ]);
    // A token of the old kind, from a Secret: other issuer, no audience, no end.
    let legacy = json!({
        "iss": "kubernetes/serviceaccount", "kubernetes.io/serviceaccount/namespace": "shop",
        "kubernetes.io/serviceaccount/service-account.name": "web", "sub": "system:serviceaccount:shop:web",
    });
    assert_eq!(kubernetes.verdict_on(legacy), "iss_mismatch");
    let signed_elsewhere = kubernetes.token(json!({})).header("typ", "JWT");
    assert_eq!(kubernetes.court().verdict(&signed_elsewhere), GRANTED);
}

/// SPIFFE, "JWT-SVID" §2 and §3; `iss` as SPIRE adds it (`jwt_issuer`).
fn spiffe() -> Provider {
    const ISSUER: &str = "https://oidc.spire.example";
    Provider {
        preset: "spiffe",
        issuer: ISSUER,
        scope: "openid",
        audience: "spiffe://corp.example/postgres",
        required_claims: "",
        metadata: json!({"issuer": ISSUER, "jwks_uri": "https://oidc.spire.example/keys"}),
        header: json!({"typ": "JWT"}),
        claims: json!({
            "iss": ISSUER, "sub": "spiffe://corp.example/shop/web", "aud": ["spiffe://corp.example/postgres"],
        }),
    }
}

#[test]
fn spiffe_workloads_have_a_spiffe_id() {
    let spiffe = spiffe();
    spiffe.check();
    assert_eq!(
        spiffe.identity().as_deref(),
        Some("spiffe://corp.example/shop/web")
    );
    spiffe.check_changes([
        (
            json!({"aud": ["spiffe://corp.example/reports"]}),
            "aud_mismatch",
        ),
        (json!({"aud": null}), "aud_missing"),
        (
            json!({"sub": "https://corp.example/shop/web"}),
            "access_token_unproven",
        ),
        (json!({"sub": "alice"}), "access_token_unproven"),
        (json!({"sub": null}), "access_token_unproven"),
        (json!({"nonce": "n"}), "not_an_access_token"),
    ]);
    for (typ, expected) in [
        ("JOSE", GRANTED),
        ("at+jwt", "typ_not_allowed"),
        ("JWE", "typ_not_allowed"),
    ] {
        let token = spiffe.token(json!({})).header("typ", typ);
        assert_eq!(spiffe.court().verdict(&token), expected, "{typ}");
    }
    let untyped = spiffe.token(json!({})).without_header("typ");
    assert_eq!(spiffe.court().verdict(&untyped), GRANTED);
    // JWT-SVID §2.1 does not list EdDSA.
    let edwards = Key::new(KeyKind::Ed25519).with_kid("ed");
    let token = spiffe.token(json!({})).signed_by(&edwards, Alg::EdDSA);
    assert_eq!(
        spiffe.court().keys(&[edwards.jwk()]).verdict(&token),
        "alg_not_allowed"
    );
}
