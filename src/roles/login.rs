//! What a login does about its role, once its token has passed every check and before it opens a session.
//!
//! It reads the catalog through the caches of `postgres/role_rows.rs` and nothing else, since no database is chosen yet. If
//! nothing is to be done, it asks nobody.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use oauth_core::{
    Failure, Grant, MembershipPlan, Misconfigured, Policy, Printable, ProvisioningCause, Reject,
    RoleNumber, name_fault, named_groups,
};
use pgrx::pg_sys::Oid;

use crate::log::server_log;
use crate::memory;
use crate::memory::role_requests::RoleRequest;
use crate::postgres::role_catalog::{ServerCatalog, power_by_itself, power_of};
use crate::postgres::role_rows::{RoleRow, is_in_recovery, role_oid, role_row, see_changes};
use crate::roles::managed::{Found, MARKER, Management, ensure_few, failure, has_mark};
use crate::settings::provisioning::Provisioning;

/// The managed role of this process's login; zero: it has none.
static MANAGED: AtomicU32 = AtomicU32::new(0);

/// A login whose token was accepted.
pub struct Login<'a> {
    pub grant: &'a Grant,
    pub policy: &'a Policy,
    pub identity: &'a str,
    pub role: &'a str,
    /// Whether PostgreSQL will let the identity take the role.
    pub may_take: bool,
}

/// Gives the role what the token says.
///
/// Errors: the session must not begin. What was done by then is right for the token, and stays.
pub fn provision(login: &Login<'_>, how: &Provisioning) -> Result<(), Failure> {
    MANAGED.store(0, Ordering::Relaxed);
    let role = login.role;
    if let Some(why) = name_fault(role) {
        return Err(failure(ProvisioningCause::Name, why).into());
    }
    // Before anything is made by that name.
    if !login.may_take {
        return Err(failure(ProvisioningCause::Identity, "").into());
    }
    // The checks of the token may have taken a while.
    see_changes();
    let management = Management::by(&how.manager)?;
    let found = match management.find(role) {
        Found::Unmanaged => return leave_alone(login),
        Found::Absent if !how.creates_roles => return Err(Reject::RoleUnknown.into()),
        Found::Absent => None,
        Found::Managed(row) if !row.may_log_in => {
            return Err(failure(ProvisioningCause::Disabled, "").into());
        }
        Found::Managed(row) => Some(row),
    };
    let wanted = wanted_groups(login, management)?;
    refuse_power(login.policy, found.as_ref(), &wanted)?;
    let role = provide(login, how, management, found, &wanted)?;
    if let Some(power) = power_of(role).filter(|_| !login.policy.allows_superuser()) {
        return Err(Reject::RoleTooPowerful { power }.into());
    }
    MANAGED.store(role.to_u32(), Ordering::Relaxed);
    Ok(())
}

/// On a line without provisioning: notes that the login's role is managed, if it is, for [`note_session`].
pub fn recognize(role: &str) {
    MANAGED.store(0, Ordering::Relaxed);
    if memory::last_logins().is_none() {
        return;
    }
    if let (Some(role), Some(marker)) = (role_oid(role), role_oid(MARKER))
        && has_mark(role, marker)
    {
        MANAGED.store(role.to_u32(), Ordering::Relaxed);
    }
}

/// The session of this process's login has begun.
pub fn note_session() {
    let role = MANAGED.load(Ordering::Relaxed);
    if role != 0
        && let Some(logins) = memory::last_logins()
    {
        logins.note(role);
    }
}

/// A role that is not managed is judged as without provisioning.
fn leave_alone(login: &Login<'_>) -> Result<(), Failure> {
    server_log::log(
        format!(
            "role \"{}\" is not managed, so its memberships are left as they are",
            Printable::new(login.role)
        ),
        Some(server_log::facts(&[
            ("note", Some("role_not_managed")),
            ("issuer", Some(login.policy.issuer().identifier())),
            ("identity", Some(login.identity)),
            ("role", Some(login.role)),
        ])),
        Some(format!(
            "To have the role managed, grant it {MARKER}. Otherwise it is judged as without validator.provision: \
             validator.role_claim must list the role itself."
        )),
    );
    let Login {
        grant,
        policy,
        identity,
        role,
        ..
    } = *login;
    grant.authorize_role(identity, policy, role, &ServerCatalog)
}

/// The managed groups that the token names.
fn wanted_groups(login: &Login<'_>, management: Management) -> Result<Vec<RoleNumber>, Failure> {
    let values = login.grant.groups();
    let groups: Vec<RoleRow> = match login.policy.role_map() {
        // Which values are groups only the map can tell, so all groups are looked at.
        Some(_) => management.groups(),
        None => {
            let names: HashSet<&String> = values.iter().collect();
            let names = names.into_iter().filter(|name| name_fault(name).is_none());
            names
                .filter_map(|name| role_oid(name).and_then(role_row))
                .filter(|role| management.is_group(role))
                .collect()
        }
    };
    let groups: Vec<(RoleNumber, String)> = groups
        .into_iter()
        .map(|group| (group.oid.to_u32(), group.name))
        .collect();
    let mut wanted = named_groups(values, &groups, login.policy, &ServerCatalog)?;
    wanted.sort_unstable();
    ensure_few(&wanted)?;
    Ok(wanted)
}

/// Before anything is granted: what the token alone gives must not have power over the whole server. What the role has to
/// lose is not looked at yet.
fn refuse_power(
    policy: &Policy,
    found: Option<&RoleRow>,
    wanted: &[RoleNumber],
) -> Result<(), Reject> {
    if policy.allows_superuser() {
        return Ok(());
    }
    if let Some(power) = found.and_then(|row| power_by_itself(row.oid)) {
        return Err(Reject::RoleTooPowerful { power });
    }
    for group in wanted {
        let group = Oid::from(*group);
        if let Some(power) = power_of(group) {
            let name = role_row(group).map(|row| row.name).unwrap_or_default();
            let power = Printable::new(&format!("would be a member of {name}, which {power}"));
            return Err(Reject::RoleTooPowerful { power });
        }
    }
    Ok(())
}

/// Has the worker do what is to be done, if anything is. The role's number.
fn provide(
    login: &Login<'_>,
    how: &Provisioning,
    management: Management,
    found: Option<RoleRow>,
    wanted: &[RoleNumber],
) -> Result<Oid, Failure> {
    if let Some(row) = &found {
        let plan = MembershipPlan::of(wanted, &management.held(row.oid, how.options));
        if plan.is_empty() || (is_in_recovery() && may_go_on(login, how, &plan)?) {
            return Ok(row.oid);
        }
    } else if is_in_recovery() {
        return Err(failure(ProvisioningCause::Standby, "").into());
    } else if wanted.is_empty() {
        return Err(failure(ProvisioningCause::NoGroup, "").into());
    }
    ask(login, how, wanted)?;
    see_changes();
    match management.find(login.role) {
        Found::Managed(row) => Ok(row.oid),
        Found::Absent | Found::Unmanaged => Err(failure(ProvisioningCause::Changed, "").into()),
    }
}

/// On a standby nothing can be changed: whether the login goes on all the same.
fn may_go_on(
    login: &Login<'_>,
    how: &Provisioning,
    plan: &MembershipPlan,
) -> Result<bool, Misconfigured> {
    let names = |groups: &[RoleNumber]| {
        let rows = groups
            .iter()
            .filter_map(|group| role_row(Oid::from(*group)));
        let names: Vec<String> = rows.map(|row| row.name).collect();
        Printable::list(names.iter().map(String::as_str))
    };
    if how.strict && !plan.surplus.is_empty() {
        let what = format!("it cannot revoke {}", names(&plan.surplus));
        return Err(failure(ProvisioningCause::Standby, &what));
    }
    server_log::log(
        format!(
            "memberships of role \"{}\" are not as its token says, which a standby cannot change",
            Printable::new(login.role)
        ),
        Some(server_log::facts(&[
            ("issuer", Some(login.policy.issuer().identifier())),
            ("identity", Some(login.identity)),
            ("missing", Some(names(&plan.missing).as_str())),
            ("surplus", Some(names(&plan.surplus).as_str())),
        ])),
        None,
    );
    Ok(true)
}

/// Asks the worker. One that was not done in time may still do it, or be doing it.
fn ask(login: &Login<'_>, how: &Provisioning, wanted: &[RoleNumber]) -> Result<(), Misconfigured> {
    let issuer = login.policy.issuer().identifier();
    let request = RoleRequest::new(login.role, issuer, login.identity, wanted.to_vec(), how);
    let Some(requests) = memory::role_requests() else {
        return Err(failure(ProvisioningCause::NoWorker, ""));
    };
    requests
        .ask(&request)
        .map_err(|unfulfilled| failure(unfulfilled.cause, &unfulfilled.what))
}
