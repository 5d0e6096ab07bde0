//! The short pages of docs/providers: with the settings that each has, a token of its shape is accepted, and what the page
//! warns of is refused. The shapes are documented, taken from sources, or were seen; each page says which.

use crate::page::Page;
use court::{GRANTED, NOW};
use serde_json::{Value, json};

macro_rules! page {
    ($name:literal) => {
        include_str!(concat!("../../../../docs/providers/", $name, ".md"))
    };
}

const PG: &str = "https://pg.example.com/";

fn same() -> Value {
    json!({})
}

#[test]
fn authelia() {
    let page = Page {
        text: page!("authelia"),
        keys: "jwks.json",
        header: json!({"typ": "at+jwt"}),
        claims: json!({
            "sub": "8f5d6a0e-6a53-4f9d-8a55-1c3f8e1d2b3c", "aud": [PG], "client_id": "psql", "jti": "j",
            "scp": ["openid", "profile", "groups", "postgres"], "preferred_username": "alice", "groups": ["staff"],
        }),
    };
    page.check("alice", "alice");
    page.check_refused([
        (json!({"typ": "JWT"}), same(), "typ_not_allowed"),
        (same(), json!({"aud": ["psql"]}), "aud_mismatch"),
        (same(), json!({"scp": ["openid"]}), "insufficient_scope"),
        (
            same(),
            json!({"preferred_username": null}),
            "identity_missing",
        ),
    ]);
}

#[test]
fn rauthy() {
    let page = Page {
        text: page!("rauthy"),
        keys: "oidc/certs",
        header: json!({"typ": "JWT"}),
        claims: json!({
            "sub": "f4xvJHqdZYWMoZ6VfKyQ2L8b", "aud": "psql", "typ": "Bearer", "azp": "psql", "jti": "j", "nbf": NOW,
            "scope": "openid groups", "email": "alice@example.com", "roles": ["user"], "groups": ["staff"],
        }),
    };
    page.check("alice", "f4xvJHqdZYWMoZ6VfKyQ2L8b");
    page.check_refused([
        (same(), json!({"typ": "Id"}), "not_an_access_token"),
        (same(), json!({"typ": "Refresh"}), "not_an_access_token"),
        (same(), json!({"typ": "DPoP"}), "access_token_unproven"),
        (same(), json!({"typ": null}), "access_token_unproven"),
        (same(), json!({"cnf": {"jkt": "x"}}), "cnf_unsupported"),
    ]);
    let slashless = page.issuer().trim_end_matches('/');
    page.check_refused([(same(), json!({"iss": slashless}), "iss_mismatch")]);
}

#[test]
fn kanidm() {
    let page = Page {
        text: page!("kanidm"),
        keys: "public_key.jwk",
        header: json!({"typ": "at+jwt"}),
        claims: json!({
            "sub": "cc2b3fd5-1b1a-4b7a-9f5e-d6a3b5f1f3c2", "aud": "psql", "nbf": NOW, "client_id": "psql",
            "jti": "aae1d6d3-0b1e-4ad1-8b0a-4f5a2a0b6f0d", "scope": "openid postgres", "nonce": "n",
            "session_id": "aae1d6d3-0b1e-4ad1-8b0a-4f5a2a0b6f0d",
        }),
    };
    page.check("alice", "cc2b3fd5-1b1a-4b7a-9f5e-d6a3b5f1f3c2");
    let other_client = "https://idm.example.com/oauth2/openid/grafana";
    page.check_refused([
        (json!({"typ": "JWT"}), same(), "typ_not_allowed"),
        (
            same(),
            json!({"iss": other_client, "aud": "grafana"}),
            "iss_mismatch",
        ),
        (same(), json!({"scope": "openid"}), "insufficient_scope"),
        (same(), json!({"scope": null}), "not_an_access_token"),
    ]);
}

#[test]
fn hydra() {
    let page = Page {
        text: page!("hydra"),
        keys: ".well-known/jwks.json",
        header: json!({"typ": "JWT"}),
        claims: json!({
            "aud": [PG], "client_id": "etl", "ext": {}, "jti": "9f67af6b-5229-4e14-917d-e3833a841fd4", "nbf": NOW,
            "scp": ["postgres"], "sub": "etl",
        }),
    };
    page.check("etl", "etl");
    page.check_refused([
        (json!({"typ": null}), same(), "typ_not_allowed"),
        (same(), json!({"aud": []}), "aud_mismatch"),
        // An ID token, even one with this audience.
        (
            same(),
            json!({"scp": null, "at_hash": "h", "auth_time": NOW}),
            "not_an_access_token",
        ),
        (same(), json!({"scp": null}), "insufficient_scope"),
        (same(), json!({"scp": ["openid"]}), "insufficient_scope"),
    ]);
}

#[test]
fn pocket_id() {
    let client = "0b0e3f5e-8c6a-4a8e-9a3e-3f1f6f6f0c11";
    let page = Page {
        text: page!("pocket-id"),
        keys: ".well-known/jwks.json",
        header: json!({"typ": "JWT"}),
        claims: json!({
            "sub": "9d2f8a51-6c0b-4e9a-8a57-0d7f5b3b1c22", "aud": [client, "https://id.example.com"], "jti": "j",
            "scope": "openid profile", "scp": ["openid", "profile"],
        }),
    };
    page.check("alice", "9d2f8a51-6c0b-4e9a-8a57-0d7f5b3b1c22");
    page.check_refused([
        // The ID token of the same login has the same audience and type.
        (
            same(),
            json!({"scope": null, "scp": null, "aud": [client], "auth_time": NOW}),
            "insufficient_scope",
        ),
        (
            same(),
            json!({"scope": null, "scp": null, "at_hash": "h"}),
            "not_an_access_token",
        ),
        (
            same(),
            json!({"aud": ["another", "https://id.example.com"]}),
            "aud_mismatch",
        ),
    ]);
}

#[test]
fn openbao() {
    let page = Page {
        text: page!("openbao"),
        keys: ".well-known/keys",
        header: json!({}),
        claims: json!({
            "sub": "1df5e7b0-1d8b-4f9c-b1a3-0c8a7b6e2a11", "aud": "postgres", "namespace": "root", "groups": ["etl"],
        }),
    };
    page.check("etl", "1df5e7b0-1d8b-4f9c-b1a3-0c8a7b6e2a11");
    page.check_refused([
        (json!({"typ": "JWT"}), same(), "typ_not_allowed"),
        (same(), json!({"aud": "another-role"}), "aud_mismatch"),
        // The ID token of the engine's OIDC provider.
        (
            same(),
            json!({"iss": "https://bao.example.com:8200/v1/identity/oidc/provider/default"}),
            "iss_mismatch",
        ),
        (same(), json!({"at_hash": "h"}), "not_an_access_token"),
    ]);
}

#[test]
fn aws_sts() {
    const ROLE: &str = "arn:aws:iam::123456789012:role/etl";
    let of_account = |account: &str| {
        json!({"https://sts.amazonaws.com/": {
            "aws_account": account, "source_region": "us-east-1", "org_id": "o-abc1234567",
            "principal_tags": {"team": "data"}, "request_tags": {"aws_account": "123456789012"},
        }})
    };
    let mut claims = of_account("123456789012");
    let more = json!({"aud": PG, "sub": ROLE, "jti": "xyz123"});
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let page = Page {
        text: page!("aws-sts"),
        keys: ".well-known/jwks.json",
        header: json!({"typ": "JWT"}),
        claims,
    };
    page.check("etl", ROLE);
    assert_eq!(page.verdict(json!({"typ": null}), same()), GRANTED);
    page.check_refused([
        (
            same(),
            of_account("210987654321"),
            "required_claim_mismatch",
        ),
        (
            same(),
            json!({"https://sts.amazonaws.com/": null}),
            "required_claim_missing",
        ),
        (
            same(),
            json!({"https://sts.amazonaws.com/": "123456789012"}),
            "required_claim_missing",
        ),
    ]);
}

#[test]
fn hcp_terraform() {
    const SUBJECT: &str = "organization:corp:project:Default Project:workspace:db:run_phase:apply";
    let page = Page {
        text: page!("hcp-terraform"),
        keys: ".well-known/jwks",
        header: json!({"typ": "JWT"}),
        claims: json!({
            "jti": "1192426d", "aud": PG, "nbf": NOW, "sub": SUBJECT, "terraform_run_phase": "apply",
            "terraform_workspace_id": "ws-mbsd5E3Ktt5Rg2Xm", "terraform_workspace_name": "db",
            "terraform_organization_id": "org-GRNbCjYNpBB6NEH9", "terraform_organization_name": "corp",
            "terraform_project_id": "prj-vegSA59s1XPwMr2t", "terraform_project_name": "Default Project",
            "terraform_full_workspace": "organization:corp:project:Default Project:workspace:db",
            "terraform_run_id": "run-X3n1AUXNGWbfECsJ",
        }),
    };
    page.check("deploy", SUBJECT);
    page.check_refused([
        (
            same(),
            json!({"terraform_run_phase": "plan"}),
            "required_claim_mismatch",
        ),
        // A stranger's organization, with the same names and audience.
        (
            same(),
            json!({"terraform_organization_id": "org-Stranger"}),
            "required_claim_mismatch",
        ),
        (
            same(),
            json!({"terraform_workspace_id": "ws-Another"}),
            "required_claim_mismatch",
        ),
        (
            same(),
            json!({"aud": "aws.workload.identity"}),
            "aud_mismatch",
        ),
    ]);
}

#[test]
fn buildkite() {
    let page = Page {
        text: page!("buildkite"),
        keys: ".well-known/jwks",
        header: json!({"typ": "JWT"}),
        claims: json!({
            "sub": "organization:acme-inc:pipeline:super-duper-app:ref:refs/heads/main:commit:9f3182061f1e:step:build",
            "aud": PG, "nbf": NOW, "organization_slug": "acme-inc", "pipeline_slug": "super-duper-app",
            "build_number": 1, "build_branch": "main", "build_commit": "9f3182061f1e", "step_key": "build",
            "job_id": "0184990a", "agent_id": "0184990b", "build_source": "ui", "runner_environment": "self-hosted",
        }),
    };
    page.check("deploy", "super-duper-app");
    assert_eq!(page.verdict(json!({"typ": null}), same()), GRANTED);
    page.check_refused([
        (
            same(),
            json!({"organization_slug": "stranger"}),
            "required_claim_mismatch",
        ),
        (
            same(),
            json!({"build_branch": "feature"}),
            "required_claim_mismatch",
        ),
        (
            same(),
            json!({"aud": "https://buildkite.com/acme-inc"}),
            "aud_mismatch",
        ),
    ]);
}

#[test]
fn circleci() {
    const PROJECT: &str = "76543210-ba98-4edc-8210-edcba0987654";
    let page = Page {
        text: page!("circleci"),
        keys: ".well-known/jwks-pub.json",
        header: json!({"typ": "JWT"}),
        claims: json!({
            "sub": format!("org/1a2b3c4d-0000-4000-8000-5e6f7a8b9c0d/project/{PROJECT}/user/aaaa1111"), "aud": [PG],
            "oidc.circleci.com/project-id": PROJECT, "oidc.circleci.com/context-ids": ["c"],
            "oidc.circleci.com/vcs-origin": "github.com/corp/db", "oidc.circleci.com/vcs-ref": "refs/heads/main",
            "oidc.circleci.com/ssh-rerun": false,
        }),
    };
    page.check("deploy", PROJECT);
    assert_eq!(page.verdict(json!({"typ": null}), same()), GRANTED);
    let organization = "1a2b3c4d-0000-4000-8000-5e6f7a8b9c0d";
    page.check_refused([
        // The token that every job has.
        (same(), json!({"aud": organization}), "aud_mismatch"),
        (
            same(),
            json!({"oidc.circleci.com/ssh-rerun": true}),
            "required_claim_mismatch",
        ),
        (
            same(),
            json!({"oidc.circleci.com/vcs-ref": "refs/heads/feature"}),
            "required_claim_mismatch",
        ),
        (
            same(),
            json!({"oidc.circleci.com/project-id": null}),
            "identity_missing",
        ),
        (
            same(),
            json!({"iss": "https://oidc.circleci.com/org/another"}),
            "iss_mismatch",
        ),
    ]);
}
