//! The conventions of Microsoft Entra ID: tenants, two versions of tokens, and scopes named without their resource.

use crate::basics::json::Object;
use crate::failure::reject::Reject;

/// The tenant, a GUID, of an issuer `https://login.microsoftonline.com/TENANT/v2.0`.
fn tenant_of(issuer: &str) -> Option<&str> {
    let tenant = issuer
        .strip_prefix("https://login.microsoftonline.com/")?
        .strip_suffix("/v2.0")?;
    // "common", "organizations" and "consumers" stand for any tenant; a domain name does not identify one.
    let groups: Vec<usize> = tenant.split('-').map(str::len).collect();
    let is_hex = |byte: u8| byte == b'-' || byte.is_ascii_hexdigit();
    (groups == [8, 4, 4, 4, 12] && tenant.bytes().all(is_hex)).then_some(tenant)
}

/// Access tokens, "Validate the issuer": a tenant that the token names must be the issuer's.
pub(crate) fn validate_tenant(claims: &Object, issuer: &str) -> Result<(), Reject> {
    match (claims.get("tid"), tenant_of(issuer)) {
        (Some(tid), Some(tenant)) if tid != tenant => Err(Reject::TenantMismatch),
        _ => Ok(()),
    }
}

/// Access tokens, "Token formats": a token of version 1.0 names its tenant in another form, even where a client
/// and the metadata use version 2.0. Accepted for the issuer's own tenant, which `tid` must confirm.
pub(crate) fn is_version_1_of(claims: &Object, iss: &str, issuer: &str) -> bool {
    tenant_of(issuer).is_some_and(|tenant| {
        iss == format!("https://sts.windows.net/{tenant}/")
            && claims.get("tid").is_some_and(|tid| tid == tenant)
            && claims.get("ver").is_some_and(|version| version == "1.0")
    })
}

/// `postgres` of `api://app/postgres` or `https://pg.example/postgres`: clients ask for a scope by its full name,
/// and the token, whose audience is the resource, has the name without it.
pub(crate) fn scope_without_resource(scope: &str) -> Option<&str> {
    let (resource, name) = scope.rsplit_once('/')?;
    let is_resource = ["api://", "https://"]
        .iter()
        .any(|scheme| resource.len() > scheme.len() && resource.starts_with(scheme));
    (is_resource && !name.is_empty()).then_some(name)
}
