//! What must hold of the role, and of groups where roles are provisioned.

use oauth_core::{Grant, named_groups};
use serde_json::Value;

use crate::case::{Case, managed_groups, maps_to};
use crate::claims::{find, words};
use crate::text::Object;

pub fn assert_role(case: &Case, authn_id: &str, claims: &Object) {
    assert_belongs(case, authn_id);
    let values = role_values(case, claims);
    let delegated = case.settings.is_on("delegated");
    if values.is_none() {
        assert!(!delegated && case.settings.text("role_claim").is_none());
    }
    // The values are groups then, and the role is decided about later.
    if !case.settings.is_on("provisioned") {
        assert_role_granted(case, authn_id, values.as_deref());
    }
}

/// The administrator's rule about identities and roles.
fn assert_belongs(case: &Case, authn_id: &str) {
    match case.settings.text("identity_rule") {
        None => {}
        Some("") => assert_eq!(authn_id, case.role()),
        Some(_) => assert!(maps_to(authn_id, case.role())),
    }
}

fn assert_role_granted(case: &Case, authn_id: &str, values: Option<&[String]>) {
    let delegated = case.settings.is_on("delegated");
    let is_mapped = case.settings.is_on("mapped")
        || case
            .settings
            .text("identity_rule")
            .is_some_and(|map| !map.is_empty());
    // The administrator has said nothing of who may be this role: the token alone does, and gives it no power.
    let is_unmapped = !is_mapped && authn_id == case.role();
    let power = case.settings.text("power");
    let may_be_given = power.is_none() || case.settings.is_on("allow_superuser");
    assert!(may_be_given || !(delegated || is_unmapped), "{power:?}");
    if let Some(values) = values {
        let allows = |value: &String| means(case, value, case.role());
        assert!(
            values.iter().any(allows),
            "{values:?} do not allow {}",
            case.role()
        );
    }
}

/// Whether a value of the claim for roles stands for a role.
fn means(case: &Case, value: &str, role: &str) -> bool {
    match case.settings.text("role_map") {
        Some(_) => maps_to(value, role),
        None => value == role,
    }
}

/// The values of the claim for roles; `None`: there is no such claim.
fn role_values(case: &Case, claims: &Object) -> Option<Vec<String>> {
    let claim = case.policy.role_claim()?;
    let is_scope = ["scope", "scp", "/scope", "/scp"].contains(&claim.as_str());
    let separator = match case.settings.text("role_separator").unwrap_or_default() {
        "" if is_scope => " ",
        set => set,
    };
    let values: Vec<&str> = match find(claims, claim.as_str()) {
        Some(Value::String(text)) if separator.is_empty() => vec![text],
        Some(Value::String(text)) => text
            .split(separator)
            .map(|one| one.trim_matches(' '))
            .collect(),
        Some(list) => return Some(words(list).into_iter().map(str::to_owned).collect()),
        None => Vec::new(),
    };
    let values = values.into_iter().filter(|value| !value.is_empty());
    Some(values.map(str::to_owned).collect())
}

/// Where roles are provisioned: the groups are those of the claim, the managed ones among them are what a role is given, and
/// a role that is left alone is judged as elsewhere.
pub fn assert_groups(case: &Case, grant: &Grant, authn_id: &str, claims: &Object) {
    let values = role_values(case, claims);
    if !case.settings.is_on("provisioned") {
        assert!(grant.groups().is_empty());
        return;
    }
    assert_eq!(Some(grant.groups()), values.as_deref());
    let (values, managed) = (grant.groups(), managed_groups());
    if let Ok(named) = named_groups(values, &managed, &case.policy, case) {
        for (number, name) in managed {
            let is_named = values.iter().any(|value| means(case, value, &name));
            assert_eq!(named.contains(&number), is_named, "{name}: {values:?}");
        }
    }
    let left_alone = grant.authorize_role(authn_id, &case.policy, case.role(), case);
    if left_alone.is_ok() {
        assert_role_granted(case, authn_id, Some(values));
    }
}
