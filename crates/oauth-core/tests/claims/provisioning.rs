//! Where the values of the role claim are groups: which of them count, what a role is given and loses, and that the
//! judgement itself grants no role by them.

use court::*;
use oauth_core::{
    Failure, HeldMembership, MembershipPlan, Misconfigured, NoCatalog, Printable, Reject,
    RoleCatalog, name_fault, named_groups,
};
use serde_json::json;

fn provisioned() -> Court {
    Court::new().policy(|policy| {
        policy
            .role_claim(Some("groups".parse().unwrap()))
            .provisioned(true)
    })
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn values_are_groups_and_the_role_is_left_open() {
    let token = good_token().claim("groups", json!(["analysts", "x"]));
    let decision = provisioned().role("anyone").judge(&token.encode());
    let grant = decision.outcome().unwrap();
    assert_eq!(grant.groups(), strings(&["analysts", "x"]));
    // What an unprovisioned policy has: none.
    let plain = Court::new().judge(&token.encode());
    assert!(plain.outcome().unwrap().groups().is_empty());
}

#[test]
fn a_claim_that_is_missing_or_malformed_is_refused_as_ever() {
    let court = provisioned();
    assert_eq!(court.verdict(&good_token()), "role_claim_missing");
    for groups in [json!({}), json!([1]), json!(["a\u{7}"]), json!(null)] {
        let token = good_token().claim("groups", groups);
        assert_eq!(court.verdict(&token), "role_claim_malformed");
    }
    let many: Vec<String> = (0..1001).map(|n| format!("g{n}")).collect();
    let token = good_token().claim("groups", json!(many));
    assert_eq!(court.verdict(&token), "role_claim_too_large");
    let token = good_token().claim("groups", json!(many[..1000]));
    assert_eq!(court.verdict(&token), GRANTED);
}

#[test]
fn without_a_role_claim_there_is_no_policy() {
    let refused = policy().provisioned(true).build().unwrap_err();
    assert_eq!(refused, Misconfigured::RoleClaimUnset);
}

struct Root;

impl RoleCatalog for Root {
    fn map_allows(&self, map: &str, value: &str, role: &str) -> Result<bool, Failure> {
        Ok(map == "m" && value.strip_prefix("db-") == Some(role))
    }

    fn server_wide_power(&self, role: &str) -> Result<Option<Printable>, Failure> {
        match role {
            "root" => Ok(Some(Printable::new("is a superuser"))),
            "nobody" => Err(Reject::RoleUnknown.into()),
            _ => Ok(None),
        }
    }
}

#[test]
fn a_role_that_is_left_alone_is_judged_as_without_provisioning() {
    let policy = policy()
        .role_claim(Some("groups".parse().unwrap()))
        .provisioned(true)
        .build()
        .unwrap();
    let token = good_token().claim("groups", json!(["alice", "root"]));
    let decision = provisioned().judge(&token.encode());
    let grant = decision.outcome().unwrap();
    assert_eq!(
        grant.authorize_role("alice", &policy, "alice", &Root),
        Ok(())
    );
    let code = |identity, role| {
        let refused = grant.authorize_role(identity, &policy, role, &Root);
        refused.unwrap_err().code()
    };
    assert_eq!(code("bob", "bob"), "role_not_granted");
    assert_eq!(code("root", "root"), "role_too_powerful");
}

#[test]
fn only_managed_groups_count_and_names_are_compared_byte_for_byte() {
    let managed = [(1, "analysts".to_owned()), (2, "auditors".to_owned())];
    let policy = policy().build().unwrap();
    let named =
        |values: &[&str]| named_groups(&strings(values), &managed, &policy, &NoCatalog).unwrap();
    assert_eq!(named(&["auditors", "other", "auditors"]), [2]);
    assert_eq!(named(&["analysts", "auditors"]), [1, 2]);
    for none in [
        "Analysts",
        "analysts ",
        "\"analysts\"",
        "\u{430}nalysts",
        "",
        "pg_read_all_data",
    ] {
        assert!(named(&[none]).is_empty(), "{none}");
    }
}

#[test]
fn a_map_says_which_values_are_which_groups() {
    let managed = [(1, "analysts".to_owned()), (2, "auditors".to_owned())];
    let policy = policy().role_map(Some("m".to_owned())).build();
    let policy = policy.unwrap();
    let named = |values: &[&str]| named_groups(&strings(values), &managed, &policy, &Root).unwrap();
    assert_eq!(named(&["db-auditors", "analysts"]), [2]);
    assert!(named(&[]).is_empty());
}

#[test]
fn a_map_is_not_asked_too_often() {
    let mapped = policy().role_map(Some("m".to_owned())).build().unwrap();
    let plain = policy().build().unwrap();
    let values = |count: usize| -> Vec<String> { (0..count).map(|n| format!("v{n}")).collect() };
    let groups: Vec<(u32, String)> = (0..200).map(|n| (n, format!("g{n}"))).collect();
    assert_eq!(
        named_groups(&values(500), &groups, &mapped, &Root),
        Ok(vec![])
    );
    let refused = named_groups(&values(501), &groups, &mapped, &Root).unwrap_err();
    assert_eq!(refused.code(), "role_not_provisioned");
    assert!(
        refused
            .to_string()
            .contains("501 values for 200 managed groups"),
        "{refused}"
    );
    // Repeated values count once, and without a map none does.
    let repeated = [values(500), values(500)].concat();
    assert!(named_groups(&repeated, &groups, &mapped, &Root).is_ok());
    assert!(named_groups(&values(1000), &groups, &plain, &NoCatalog).is_ok());
}

#[test]
fn a_plan_takes_away_what_is_held_with_other_options_too() {
    let held = |group, is_as_wanted| HeldMembership {
        group,
        is_as_wanted,
    };
    let takes =
        |wanted: &[u32], held: &[HeldMembership]| MembershipPlan::of(wanted, held).takes_from(held);
    assert!(!takes(&[1, 2], &[held(1, true)]));
    assert!(!takes(&[1], &[]));
    assert!(takes(&[1], &[held(2, true)]));
    assert!(takes(&[1, 2], &[held(1, false)]));
}

#[test]
fn a_plan_is_the_difference_and_nothing_else() {
    let held = |group, is_as_wanted| HeldMembership {
        group,
        is_as_wanted,
    };
    let plan = |wanted: &[u32], held: &[HeldMembership]| MembershipPlan::of(wanted, held);
    assert!(plan(&[], &[]).is_empty());
    assert!(plan(&[1, 2], &[held(2, true), held(1, true)]).is_empty());
    assert!(!plan(&[1], &[]).is_empty(), "something to grant");
    assert!(
        !plan(&[], &[held(1, true)]).is_empty(),
        "something to revoke"
    );
    let both = plan(&[1, 3, 3], &[held(1, true), held(2, true), held(2, false)]);
    assert_eq!((both.missing, both.surplus), (vec![3], vec![2]));
    // Other options are granted again, and not revoked.
    let options = plan(&[1], &[held(1, false)]);
    assert_eq!((options.missing, options.surplus), (vec![1], vec![]));
    // One with other options is surplus all the same.
    assert_eq!(plan(&[], &[held(1, false)]).surplus, [1]);
}

#[test]
fn names_that_postgresql_would_cut_or_reserves_are_no_roles() {
    let longest = "x".repeat(63);
    for good in [
        "alice",
        "a",
        &longest,
        "we\"ird; drop--",
        "Ann.O'Neil@ex\u{e4}mple.org",
        "Public",
        "p_g",
    ] {
        assert_eq!(name_fault(good), None, "{good}");
    }
    let long = "x".repeat(64);
    // 63 characters, and more bytes.
    let wide = "\u{e4}".repeat(32);
    for bad in [
        "",
        &long,
        &wide,
        "pg_x",
        "pg_read_all_data",
        "public",
        "none",
        "a\u{7}",
        "a\nb",
    ] {
        assert!(name_fault(bad).is_some(), "{bad}");
    }
}
