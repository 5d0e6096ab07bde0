//! Which memberships a role is given and loses, where a token's groups decide that. What the server knows of roles is
//! passed in; nothing is changed here.

use std::collections::HashSet;

use crate::basics::printable::Printable;
use crate::checks::roles::RoleCatalog;
use crate::failure::Failure;
use crate::failure::misconfigured::Misconfigured;
use crate::failure::provisioning_cause::ProvisioningCause;
use crate::policy::Policy;

/// Values of a token times managed groups: how often the server's map is asked at most in one login. Each time, it goes
/// through all lines of the map.
const MAX_MAP_LOOKUPS: usize = 100_000;

/// Groups that one role is made a member of at most.
pub const MAX_GROUPS: usize = 128;

/// Bytes that the name of a role may have (NAMEDATALEN - 1).
const MAX_NAME: usize = 63;

/// Names that PostgreSQL allows for no role, whatever their case or quotes.
const RESERVED: [&str; 2] = ["public", "none"];

/// A role's number in the server's catalog.
pub type RoleNumber = u32;

/// A membership that a role has by the grant of those who provision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldMembership {
    /// Of which group.
    pub group: RoleNumber,
    /// Whether it has the options that it would be granted with.
    pub is_as_wanted: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembershipPlan {
    /// Groups that the role is to become a member of, or whose membership is to get other options.
    pub missing: Vec<RoleNumber>,
    /// Groups that it is to leave.
    pub surplus: Vec<RoleNumber>,
}

impl MembershipPlan {
    /// From what the role has to what it should have.
    pub fn of(wanted: &[RoleNumber], held: &[HeldMembership]) -> MembershipPlan {
        let good: HashSet<RoleNumber> = held
            .iter()
            .filter(|held| held.is_as_wanted)
            .map(|held| held.group)
            .collect();
        let mut plan = MembershipPlan::default();
        for group in wanted {
            if !good.contains(group) && !plan.missing.contains(group) {
                plan.missing.push(*group);
            }
        }
        let wanted: HashSet<&RoleNumber> = wanted.iter().collect();
        for held in held {
            if !wanted.contains(&held.group) && !plan.surplus.contains(&held.group) {
                plan.surplus.push(held.group);
            }
        }
        plan
    }

    /// Whether it takes something away: a membership, or perhaps an option of one that is held.
    pub fn takes_from(&self, held: &[HeldMembership]) -> bool {
        let is_changed = |one: &HeldMembership| self.missing.contains(&one.group);
        !self.surplus.is_empty() || held.iter().any(is_changed)
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty()
    }
}

/// Why no role can have this name; `None`: one can. A name that PostgreSQL would cut, or that it reserves, is never
/// looked up as it is written.
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > MAX_NAME {
        return Some("it has more than 63 bytes");
    }
    if name.starts_with("pg_") {
        return Some("names that begin with pg_ are reserved");
    }
    if RESERVED.contains(&name) {
        return Some("it is reserved");
    }
    if name.chars().any(char::is_control) {
        return Some("it has control characters");
    }
    None
}

/// The groups of `managed`, each with its name, that the values of the role claim name: byte for byte, or by the server's
/// map. All other values are ignored.
///
/// Errors: the server cannot apply its map, or would have to do it too often.
pub fn named_groups(
    values: &[String],
    managed: &[(RoleNumber, String)],
    policy: &Policy,
    catalog: &dyn RoleCatalog,
) -> Result<Vec<RoleNumber>, Failure> {
    let mut named = Vec::new();
    let plain: HashSet<&str> = values.iter().map(String::as_str).collect();
    let lookups = plain.len().saturating_mul(managed.len());
    if policy.role_map().is_some() && lookups > MAX_MAP_LOOKUPS {
        let (values, groups) = (plain.len(), managed.len());
        let what = format!(
            ": {values} values for {groups} managed groups, which is {lookups} questions to the map of at most {MAX_MAP_LOOKUPS}"
        );
        return Err(Misconfigured::RoleNotProvisioned {
            cause: ProvisioningCause::TooManyGroups,
            what: Printable::new(&what),
        }
        .into());
    }
    for (group, name) in managed {
        let is_named = match policy.role_map() {
            None => plain.contains(name.as_str()),
            Some(map) => is_mapped(&plain, map, name, catalog)?,
        };
        if is_named {
            named.push(*group);
        }
    }
    Ok(named)
}

fn is_mapped(
    values: &HashSet<&str>,
    map: &str,
    group: &str,
    catalog: &dyn RoleCatalog,
) -> Result<bool, Failure> {
    for value in values {
        if catalog.map_allows(map, value, group)? {
            return Ok(true);
        }
    }
    Ok(false)
}
