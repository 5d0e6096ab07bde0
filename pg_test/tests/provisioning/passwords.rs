//! Tokens that come as passwords: the same, and the judgement compares identity and role.

use rig::{Issuer, Login, Server};
use serde_json::json;

use crate::{assert_unharmed, forget_critical_relations, groups_of, wait_for_worker};

#[test]
fn a_token_that_comes_as_a_password_provisions_its_own_role_only() {
    if !rig::can_use_pam() {
        return;
    }
    let issuer = Issuer::builder().start();
    let server = Server::taking_passwords(&issuer)
        .set("validator.role_claim", "groups")
        .start();
    server.sql(crate::SETUP);
    server.set("validator.provision", "roles");
    server.set("validator.provision_role", "validator_manager");
    server.restart();
    wait_for_worker(&server);
    let token = |groups: &[&str]| issuer.token("zoe").claim("groups", json!(groups)).encode();
    let login = |role: &str, token: &str| {
        forget_critical_relations(&server);
        Login::by_tls(&server, role, None).token(token)
    };
    let both = token(&["analysts", "auditors"]);
    let verdict = server.refuses_login(login("yves", &both), &both, "role_not_provisioned");
    crate::assert_cause(&verdict, "identity");
    let yves = "SELECT count(*) FROM pg_roles WHERE rolname = 'yves'";
    assert_eq!(server.value(yves), "0");
    server.admits_login(login("zoe", &both));
    assert_eq!(groups_of(&server, "zoe"), "analysts,auditors");
    server.admits_login(login("zoe", &token(&["auditors"])));
    assert_eq!(groups_of(&server, "zoe"), "auditors");
    // By a map.
    server.set_ident(&["people zoe zoe_smith"]);
    server.reload_with(&[("validator.password_map", "people")]);
    server.refuses_login(login("yves", &both), &both, "identity_not_mapped");
    assert_eq!(server.value(yves), "0");
    server.admits_login(login("zoe_smith", &both));
    assert_eq!(groups_of(&server, "zoe_smith"), "analysts,auditors");
    assert_unharmed(&server);
}
