//! Which roles a token grants: the values of `role_claim`, the server's map, and what no claim may give.

use std::sync::{Arc, Mutex};

use court::*;
use oauth_core::{Failure, Internal, PolicyBuilder, Printable, Reject, RoleCatalog};
use serde_json::{Value, json};

/// A server with one map, `groups`: `dba-NAME` may be `NAME`; one superuser, `root`; and no role `nobody`.
#[derive(Clone, Default)]
struct Catalog {
    asked: Arc<Mutex<Vec<String>>>,
    broken: bool,
}

impl RoleCatalog for Catalog {
    fn map_allows(&self, map: &str, value: &str, role: &str) -> Result<bool, Failure> {
        if self.broken {
            return Err(Internal(Printable::new("the catalog is broken")).into());
        }
        self.asked.lock().unwrap().push(value.to_owned());
        Ok(map == "groups" && value.strip_prefix("dba-") == Some(role))
    }

    fn server_wide_power(&self, role: &str) -> Result<Option<Printable>, Failure> {
        if self.broken {
            return Err(Internal(Printable::new("the catalog is broken")).into());
        }
        if role == "nobody" {
            return Err(Reject::RoleUnknown.into());
        }
        self.asked.lock().unwrap().push(format!("power of {role}"));
        Ok((role == "root").then(|| Printable::new("superuser")))
    }
}

fn court() -> Court {
    Court::new().policy(|policy| policy.role_claim(Some("groups".parse().unwrap())))
}

fn mapped(catalog: Catalog) -> Court {
    Court::new()
        .policy(|policy| {
            policy
                .role_claim(Some("groups".parse().unwrap()))
                .role_map(Some("groups".to_owned()))
        })
        .catalog(catalog)
}

fn with_groups(groups: Value) -> Token {
    good_token().claim("groups", groups)
}

#[test]
fn without_a_role_claim_the_server_alone_maps_identities() {
    assert_eq!(Court::new().role("anyone").verdict(&good_token()), GRANTED);
}

#[test]
fn a_value_is_a_roles_name_byte_for_byte() {
    for groups in [json!("alice"), json!(["staff", "alice"]), json!(["alice"])] {
        assert_eq!(
            court().verdict(&with_groups(groups.clone())),
            GRANTED,
            "{groups}"
        );
    }
    for groups in [
        json!("Alice"),
        json!("alice2"),
        json!("alic"),
        json!(""),
        json!("former alice"),
        json!("alice "),
        json!(" alice"),
        json!("staff,alice"),
        json!("staff;alice"),
        json!("staff\u{a0}alice"),
        json!([]),
        json!([""]),
        json!(["staff alice"]),
        json!([" alice"]),
        json!(["al\u{456}ce"]),
    ] {
        let verdict = court().verdict(&with_groups(groups.clone()));
        assert_eq!(verdict, "role_not_granted", "{groups}");
    }
}

#[test]
fn only_scope_and_scp_are_lists_separated_by_spaces() {
    let court = |claim: &str| {
        let claim = claim.parse().unwrap();
        Court::new().policy(|policy| policy.role_claim(Some(claim)))
    };
    for claim in ["scope", "scp", "/scope", "/scp"] {
        let name = claim.trim_start_matches('/');
        for scopes in [json!("postgres  alice "), json!(["postgres", "alice"])] {
            let token = good_token().claim("scope", "postgres").claim(name, scopes);
            assert_eq!(court(claim).verdict(&token), GRANTED, "{claim}");
        }
        for scopes in ["postgres,alice", "postgres alice2", "alice;postgres"] {
            let token = good_token().claim("scp", "postgres").claim(name, scopes);
            let verdict = court(claim).verdict(&token);
            assert_eq!(verdict, "role_not_granted", "{claim} {scopes}");
        }
    }
    for claim in ["scopes", "/a/scope", "SCOPE"] {
        let token = good_token()
            .claim("scopes", "postgres alice")
            .claim("SCOPE", "postgres alice")
            .claim("a", json!({"scope": "postgres alice"}));
        assert_eq!(court(claim).verdict(&token), "role_not_granted", "{claim}");
    }
}

#[test]
fn a_separator_that_is_set_splits_strings_and_no_elements() {
    let court = |separator: &str| {
        let separator = separator.parse().unwrap();
        court().policy(|policy| {
            let policy = policy.role_claim(Some("groups".parse().unwrap()));
            policy.role_separator(separator)
        })
    };
    for (separator, good, bad) in [
        (" ", "staff  alice", "staff,alice"),
        (",", "staff, alice ,", "staff alice"),
        (",", "alice", "staff;alice"),
        (";", "alice;Domain Admins", "staff,alice"),
        (";", ";;alice", "al;ice"),
    ] {
        assert_eq!(court(separator).verdict(&with_groups(json!(good))), GRANTED);
        let other = [bad, "", separator, "former alice!", "\u{a0}alice"];
        let listed = json!([format!("staff{separator}alice")]);
        for groups in other.map(|text| json!(text)).into_iter().chain([listed]) {
            let verdict = court(separator).verdict(&with_groups(groups.clone()));
            assert_eq!(verdict, "role_not_granted", "{separator:?} {groups}");
        }
        let control = with_groups(json!(format!("alice{separator}b\n")));
        assert_eq!(court(separator).verdict(&control), "role_claim_malformed");
    }
}

#[test]
fn a_map_is_given_a_group_with_spaces_as_one_value() {
    for groups in [json!("Domain dba-alice"), json!("x dba-alice y")] {
        let catalog = Catalog::default();
        let verdict = mapped(catalog.clone()).verdict(&with_groups(groups.clone()));
        assert_eq!(verdict, "role_not_granted");
        assert_eq!(*catalog.asked.lock().unwrap(), [groups.as_str().unwrap()]);
    }
    let spaced = |groups| {
        mapped(Catalog::default())
            .role("a b")
            .verdict(&with_groups(groups))
    };
    assert_eq!(spaced(json!("dba-a b")), GRANTED);
    assert_eq!(spaced(json!(["dba-a b"])), GRANTED);
}

#[test]
fn a_role_claim_of_another_type_refuses() {
    for groups in [
        json!(null),
        json!(true),
        json!(7),
        json!({ "alice": true }),
        json!(["alice", 7]),
        json!(["alice", null]),
        json!([["alice"]]),
        json!("alice\nroot"),
        json!(["alice", "a\0b"]),
    ] {
        let verdict = court().verdict(&with_groups(groups.clone()));
        assert_eq!(verdict, "role_claim_malformed", "{groups}");
    }
    assert_eq!(court().verdict(&good_token()), "role_claim_missing");
}

#[test]
fn a_role_claim_may_be_nested() {
    let court = Court::new()
        .policy(|policy| policy.role_claim(Some("/realm_access/roles".parse().unwrap())));
    let token = |access: Value| good_token().claim("realm_access", access);
    assert_eq!(
        court.verdict(&token(json!({ "roles": ["alice"] }))),
        GRANTED
    );
    assert_eq!(
        court.verdict(&token(json!({ "roles": ["bob"] }))),
        "role_not_granted"
    );
    assert_eq!(court.verdict(&token(json!({}))), "role_claim_missing");
}

#[test]
fn groups_that_the_provider_keeps_elsewhere_are_told_from_no_groups() {
    let elsewhere = json!({ "groups": "src1" });
    let token = good_token().claim("_claim_names", elsewhere);
    assert_eq!(court().verdict(&token), "role_claim_elsewhere");
    let token = good_token().claim("hasgroups", true);
    assert_eq!(court().verdict(&token), "role_claim_elsewhere");
    let token = good_token().claim("hasgroups", false);
    assert_eq!(court().verdict(&token), "role_claim_missing");
    let token = with_groups(json!(["alice"])).claim("hasgroups", true);
    assert_eq!(court().verdict(&token), GRANTED);
}

#[test]
fn a_role_claim_is_bounded() {
    let many = |count: usize| Value::from(vec!["alice"; count]);
    let bounded = |policy: PolicyBuilder| {
        policy
            .role_claim(Some("groups".parse().unwrap()))
            .max_token_size(1 << 20)
    };
    let court = || court().policy(bounded);
    assert_eq!(court().verdict(&with_groups(many(1000))), GRANTED);
    assert_eq!(
        court().verdict(&with_groups(many(1001))),
        "role_claim_too_large"
    );
    let text = |count: usize| json!(vec!["alice"; count].join(" "));
    let split = || court().policy(|policy| bounded(policy).role_separator(" ".parse().unwrap()));
    assert_eq!(split().verdict(&with_groups(text(1000))), GRANTED);
    assert_eq!(
        split().verdict(&with_groups(text(1001))),
        "role_claim_too_large"
    );
    let one = |bytes: usize| json!("x".repeat(bytes));
    assert_eq!(
        court().verdict(&with_groups(one(65_536))),
        "role_not_granted"
    );
    assert_eq!(
        court().verdict(&with_groups(one(65_537))),
        "role_claim_too_large"
    );
    let long = |bytes: usize| json!(["alice", "x".repeat(bytes - 5)]);
    assert_eq!(court().verdict(&with_groups(long(65_536))), GRANTED);
    assert_eq!(
        court().verdict(&with_groups(long(65_537))),
        "role_claim_too_large"
    );
}

#[test]
fn with_a_map_the_server_decides_about_each_value() {
    let groups = json!(["staff", "dba-alice", "never-asked"]);
    let catalog = Catalog::default();
    assert_eq!(
        mapped(catalog.clone()).verdict(&with_groups(groups)),
        GRANTED
    );
    assert_eq!(
        *catalog.asked.lock().unwrap(),
        ["staff", "dba-alice", "power of alice"]
    );
    for groups in [json!(["dba-bob"]), json!(["staff"]), json!([])] {
        let verdict = mapped(Catalog::default()).verdict(&with_groups(groups.clone()));
        assert_eq!(verdict, "role_not_granted", "{groups}");
    }
}

#[test]
fn with_a_map_a_group_that_equals_the_roles_name_grants_nothing() {
    let verdict = mapped(Catalog::default()).verdict(&with_groups(json!(["alice"])));
    assert_eq!(verdict, "role_not_granted");
}

#[test]
fn a_server_without_maps_grants_nothing_by_one() {
    let court = Court::new().policy(|policy| {
        policy
            .role_claim(Some("groups".parse().unwrap()))
            .role_map(Some("groups".to_owned()))
    });
    let verdict = court.verdict(&with_groups(json!(["alice", "dba-alice"])));
    assert_eq!(verdict, "role_not_granted");
}

#[test]
fn a_server_that_can_not_answer_grants_nothing() {
    let catalog = Catalog {
        broken: true,
        ..Catalog::default()
    };
    assert_eq!(
        mapped(catalog).verdict(&with_groups(json!(["dba-alice"]))),
        "internal_error"
    );
}

#[test]
fn under_delegation_a_claim_gives_no_power_over_the_whole_server() {
    let court = |delegated: bool, allow: bool| {
        Court::new()
            .policy(|policy| {
                policy
                    .role_claim(Some("groups".parse().unwrap()))
                    .delegated(delegated)
                    .allow_superuser(allow)
            })
            .catalog(Catalog::default())
            .role("root")
    };
    let token = with_groups(json!(["root"]));
    assert_eq!(court(true, false).verdict(&token), "role_too_powerful");
    assert_eq!(court(true, true).verdict(&token), GRANTED);
    // Without delegation the server compares the identity, which is another one here, after this.
    assert_eq!(court(false, false).verdict(&token), GRANTED);
    // What is not granted anyway is told as such.
    assert_eq!(
        court(true, false).verdict(&with_groups(json!(["dba"]))),
        "role_not_granted"
    );
}

#[test]
fn without_a_map_an_identity_that_is_a_roles_name_gives_no_power_over_the_whole_server() {
    let court = |role: &'static str, mapped: bool, allow: bool| {
        Court::new()
            .policy(|policy| policy.mapped(mapped).allow_superuser(allow))
            .catalog(Catalog::default())
            .role(role)
    };
    let root = good_token().claim("sub", "root");
    assert_eq!(
        court("root", false, false).verdict(&root),
        "role_too_powerful"
    );
    assert_eq!(court("root", false, true).verdict(&root), GRANTED);
    // With a map the administrator has spoken.
    assert_eq!(court("root", true, false).verdict(&root), GRANTED);
    let verdict = court("alice", false, false).verdict(&good_token());
    assert_eq!(verdict, GRANTED);
    let nobody = good_token().claim("sub", "nobody");
    let verdict = court("nobody", false, false).verdict(&nobody);
    assert_eq!(verdict, "role_unknown");
    // The prefix is part of the identity.
    let prefixed = Court::new()
        .policy(|policy| policy.identity_prefix("ro".parse().unwrap()))
        .catalog(Catalog::default())
        .role("root");
    let verdict = prefixed.verdict(&good_token().claim("sub", "ot"));
    assert_eq!(verdict, "role_too_powerful");
    // A claim that lists roles changes nothing about it.
    let claimed = Court::new()
        .policy(|policy| policy.role_claim(Some("groups".parse().unwrap())))
        .catalog(Catalog::default())
        .role("root");
    let token = root.claim("groups", json!(["root"]));
    assert_eq!(claimed.verdict(&token), "role_too_powerful");
}

#[test]
fn the_server_is_asked_about_a_role_only_where_the_provider_alone_decides() {
    for (mapped, allow, subject, asked) in [
        (false, false, "alice", true),
        (false, true, "alice", false),
        (true, false, "alice", false),
        (false, false, "bob", false),
    ] {
        let catalog = Catalog::default();
        let court = Court::new()
            .policy(|policy| policy.mapped(mapped).allow_superuser(allow))
            .catalog(catalog.clone());
        assert_eq!(court.verdict(&good_token().claim("sub", subject)), GRANTED);
        assert_eq!(!catalog.asked.lock().unwrap().is_empty(), asked);
    }
    // Who cannot answer lets nobody in.
    let broken = Catalog {
        broken: true,
        ..Catalog::default()
    };
    let verdict = Court::new().catalog(broken).verdict(&good_token());
    assert_eq!(verdict, "internal_error");
}

#[test]
fn nothing_is_asked_of_the_server_for_a_token_that_fails_before() {
    let catalog = Catalog::default();
    let expired = with_groups(json!(["dba-alice"])).claim("exp", NOW - 600);
    assert_eq!(mapped(catalog.clone()).verdict(&expired), "expired");
    assert!(catalog.asked.lock().unwrap().is_empty());
}

#[test]
fn an_identity_that_is_a_powerful_role_only_in_lower_case_is_refused_too() {
    let court = |case: &str| {
        let case = case.parse().unwrap();
        Court::new()
            .policy(|policy| policy.identity_case(case))
            .catalog(Catalog::default())
            .role("root")
    };
    let token = good_token().claim("sub", "Root");
    assert_eq!(court("lower").verdict(&token), "role_too_powerful");
    // PostgreSQL compares the identity with the role, and refuses it.
    assert_eq!(court("as_is").verdict(&token), GRANTED);
}
