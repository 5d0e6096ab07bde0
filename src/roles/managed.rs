//! Which roles and groups are managed: what the catalog says, for logins and for the worker alike.

use std::collections::HashSet;

use oauth_core::{HeldMembership, MAX_GROUPS, Misconfigured, Printable, ProvisioningCause};
use pgrx::pg_sys::{FirstNormalObjectId, Oid};

use crate::postgres::role_rows::{
    Membership, RoleRow, memberships_in, memberships_of, role_oid, role_row,
};
use crate::settings::provisioning::GrantOptions;

/// The role of which all managed roles are members. It gives them nothing.
pub const MARKER: &str = "validator_managed";

/// Who manages, and by what managed roles are known.
#[derive(Clone, Copy)]
pub struct Management {
    /// The role that creates roles and grants memberships.
    pub manager: Oid,
    pub marker: Oid,
}

/// A role by the name that a login asks for.
pub enum Found {
    Absent,
    /// It was not made here, or was taken out of management.
    Unmanaged,
    Managed(RoleRow),
}

impl Management {
    /// Errors: one of the two roles does not exist, or must not be used.
    pub fn by(manager: &str) -> Result<Management, Misconfigured> {
        let unusable = |what: &str| {
            Err(failure(
                ProvisioningCause::Manager,
                &format!("role \"{}\" {what}", Printable::new(manager)),
            ))
        };
        let Some(row) = role_oid(manager).and_then(role_row) else {
            return unusable("does not exist");
        };
        if row.is_superuser {
            return unusable("is a superuser");
        }
        match role_oid(MARKER) {
            Some(marker) => Ok(Management {
                manager: row.oid,
                marker,
            }),
            None => Err(failure(
                ProvisioningCause::Manager,
                &format!("role \"{MARKER}\" does not exist"),
            )),
        }
    }

    pub fn find(self, role: &str) -> Found {
        match role_oid(role).and_then(role_row) {
            None => Found::Absent,
            Some(row) if self.is_managed(row.oid) => Found::Managed(row),
            Some(_) => Found::Unmanaged,
        }
    }

    /// Whether a role is managed: by its direct membership. Those who may grant that membership, among them the manager,
    /// are members with ADMIN, and not managed.
    pub fn is_managed(self, role: Oid) -> bool {
        role != self.manager && has_mark(role, self.marker)
    }

    /// Whether a role is a group whose members are managed: one on which the manager has ADMIN. It also has that on each
    /// role that it has created, which is a person: no token must make its bearer a member of another person. So a group
    /// cannot log in, is not managed itself, and the manager has not made itself a member of it, which is how it marks
    /// what it has created for good.
    pub fn is_group(self, role: &RoleRow) -> bool {
        let own = memberships_in(self.manager, role.oid);
        !role.may_log_in
            && role.oid != self.marker
            && role.oid.to_u32() >= FirstNormalObjectId
            && own.iter().any(|membership| membership.admin)
            && own
                .iter()
                .all(|membership| membership.grantor != self.manager)
            && memberships_in(role.oid, self.marker).is_empty()
    }

    /// All managed groups.
    pub fn groups(self) -> Vec<RoleRow> {
        let own = memberships_of(self.manager);
        // Most are persons: told apart by these rows alone.
        let created: HashSet<Oid> = own
            .iter()
            .filter(|membership| membership.grantor == self.manager)
            .map(|membership| membership.group)
            .collect();
        let groups: HashSet<Oid> = own
            .iter()
            .filter(|membership| membership.admin && !created.contains(&membership.group))
            .map(|membership| membership.group)
            .collect();
        let rows = groups.into_iter().filter_map(role_row);
        rows.filter(|role| self.is_group(role)).collect()
    }

    /// What the manager has granted to a role, other than the mark.
    pub fn held(self, role: Oid, options: GrantOptions) -> Vec<HeldMembership> {
        let as_wanted = |one: &Membership| {
            !one.admin && one.inherit == options.inherit && one.set == options.set
        };
        memberships_of(role)
            .iter()
            .filter(|one| one.grantor == self.manager && one.group != self.marker)
            .map(|one| HeldMembership {
                group: one.group.to_u32(),
                is_as_wanted: as_wanted(one),
            })
            .collect()
    }
}

/// Whether a role is a member of the marker, and nobody has given it ADMIN on that.
pub fn has_mark(role: Oid, marker: Oid) -> bool {
    let marks = memberships_in(role, marker);
    !marks.is_empty() && marks.iter().all(|membership| !membership.admin)
}

/// A role is not provisioned.
pub fn failure(cause: ProvisioningCause, what: &str) -> Misconfigured {
    let what = match what {
        "" => Printable::new(""),
        what => Printable::new(&format!(": {what}")),
    };
    Misconfigured::RoleNotProvisioned { cause, what }
}

/// Errors: one role would get too many.
pub fn ensure_few(groups: &[u32]) -> Result<(), Misconfigured> {
    if groups.len() <= MAX_GROUPS {
        return Ok(());
    }
    let what = format!("{} of at most {MAX_GROUPS}", groups.len());
    Err(failure(ProvisioningCause::TooManyGroups, &what))
}
