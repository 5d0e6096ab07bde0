//! Which roles the bearer may take: the values of a claim, and what they allow.

use serde_json::Value;

use crate::basics::claim_path::ClaimPath;
use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::failure::Failure;
use crate::failure::reject::Reject;
use crate::policy::Policy;
use crate::policy::values::IdentityRule;

/// Values that a claim may list, and bytes that they may have together.
const MAX_VALUES: usize = 1000;
const MAX_BYTES: usize = 64 * 1024;

/// What the server knows of roles. Asked only for tokens that have passed every other check.
pub trait RoleCatalog {
    /// Whether the server's map of that name lets `value` be `role`.
    fn map_allows(&self, map: &str, value: &str, role: &str) -> Result<bool, Failure>;

    /// A power over the whole server that the role has, or can reach by its memberships, as the end of a sentence
    /// that begins with "The role"; a token alone must not give it.
    ///
    /// Errors: [`Reject::RoleUnknown`], or the server cannot tell.
    fn server_wide_power(&self, role: &str) -> Result<Option<Printable>, Failure>;
}

/// A server whose roles are names and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct NoCatalog;

impl RoleCatalog for NoCatalog {
    fn map_allows(&self, _map: &str, _value: &str, _role: &str) -> Result<bool, Failure> {
        Ok(false)
    }

    fn server_wide_power(&self, _role: &str) -> Result<Option<Printable>, Failure> {
        Ok(None)
    }
}

/// The role, by the values of the policy's claim for roles. Where those are groups that the role is made a member of, they
/// are only read here, and returned.
pub(crate) fn authorize_role(
    claims: &Object,
    identity: &str,
    policy: &Policy,
    role: &str,
    catalog: &dyn RoleCatalog,
) -> Result<Vec<String>, Failure> {
    let values = match policy.role_claim() {
        Some(claim) => Some(parse_values(claims, claim, policy.role_separator())?),
        None => None,
    };
    if policy.is_provisioned() {
        ensure_belongs(identity, policy, role, catalog)?;
        let groups = values.unwrap_or_default().into_iter();
        return Ok(groups.map(str::to_owned).collect());
    }
    judge_role(values.as_deref(), identity, policy, role, catalog)?;
    Ok(Vec::new())
}

/// Where a policy has a claim for roles, the requested role must be one that the claim allows: as a value, byte for
/// byte, or by the server's map. Where the server leaves it to this judgement, identity and role must belong together.
/// Then, what the token alone decides must not give power over the whole server.
pub(crate) fn judge_role(
    values: Option<&[&str]>,
    identity: &str,
    policy: &Policy,
    role: &str,
    catalog: &dyn RoleCatalog,
) -> Result<(), Failure> {
    if let Some(values) = values
        && !is_allowed(values, policy, role, catalog)?
    {
        return Err(Reject::RoleNotGranted {
            values: Printable::list(values.iter().copied()),
        }
        .into());
    }
    ensure_belongs(identity, policy, role, catalog)?;
    if provider_alone_decides(policy, identity, role)
        && !policy.allows_superuser()
        && let Some(power) = catalog.server_wide_power(role)?
    {
        return Err(Reject::RoleTooPowerful { power }.into());
    }
    Ok(())
}

/// Where the server leaves it to this judgement, identity and role must belong together.
fn ensure_belongs(
    identity: &str,
    policy: &Policy,
    role: &str,
    catalog: &dyn RoleCatalog,
) -> Result<(), Failure> {
    match policy.identity_rule() {
        Some(rule) => validate_identity(rule, identity, role, catalog),
        None => Ok(()),
    }
}

/// What PostgreSQL does itself after a judgement by an HBA line of its method `oauth`.
fn validate_identity(
    rule: &IdentityRule,
    identity: &str,
    role: &str,
    catalog: &dyn RoleCatalog,
) -> Result<(), Failure> {
    let name = || Printable::new(identity);
    match rule {
        IdentityRule::EqualsRole if identity == role => Ok(()),
        IdentityRule::EqualsRole => Err(Reject::IdentityNotRole { identity: name() }.into()),
        IdentityRule::ByMap(map) if catalog.map_allows(map, identity, role)? => Ok(()),
        IdentityRule::ByMap(map) => Err(Reject::IdentityNotMapped {
            identity: name(),
            map: Printable::new(map),
        }
        .into()),
    }
}

/// Whether nothing that the administrator has written stands between the token and the role: under delegation, and
/// where the identity, which people may choose at some providers, is the role's name. Another identity without a map
/// is not a role of this server, which the server itself detects.
fn provider_alone_decides(policy: &Policy, identity: &str, role: &str) -> bool {
    policy.is_delegated() || (!policy.is_mapped() && identity == role)
}

fn is_allowed(
    values: &[&str],
    policy: &Policy,
    role: &str,
    catalog: &dyn RoleCatalog,
) -> Result<bool, Failure> {
    let Some(map) = policy.role_map() else {
        return Ok(values.contains(&role));
    };
    for value in values {
        if catalog.map_allows(map, value, role)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An array of strings, or a string: one value, or with a separator several, without the spaces around them. An empty
/// string is no value.
fn parse_values<'a>(
    claims: &'a Object,
    claim: &ClaimPath,
    separator: Option<char>,
) -> Result<Vec<&'a str>, Reject> {
    let values: Vec<&str> = match claim.find(claims) {
        None if groups_are_elsewhere(claims) => return Err(Reject::RoleClaimElsewhere),
        None => return Err(Reject::RoleClaimMissing),
        Some(Value::String(text)) => match separator {
            None => Vec::from_iter((!text.is_empty()).then_some(text.as_str())),
            Some(separator) => text
                .split(separator)
                .map(|value| value.trim_matches(' '))
                .filter(|value| !value.is_empty())
                .collect(),
        },
        Some(Value::Array(values)) => {
            let strings = values.iter().map(Value::as_str).collect::<Option<_>>();
            strings.ok_or(Reject::RoleClaimMalformed)?
        }
        Some(_) => return Err(Reject::RoleClaimMalformed),
    };
    let bytes = values
        .iter()
        .fold(0usize, |sum, value| sum.saturating_add(value.len()));
    if values.len() > MAX_VALUES || bytes > MAX_BYTES {
        return Err(Reject::RoleClaimTooLarge);
    }
    if values
        .iter()
        .any(|value| value.chars().any(char::is_control))
    {
        return Err(Reject::RoleClaimMalformed);
    }
    Ok(values)
}

/// OpenID Connect Core 1.0 §5.6.2: a distributed claim. Microsoft Entra ID names one, or says `hasgroups`, where
/// a user is in more groups than a token holds.
fn groups_are_elsewhere(claims: &Object) -> bool {
    claims.contains_key("_claim_names") || claims.get("hasgroups") == Some(&Value::Bool(true))
}
