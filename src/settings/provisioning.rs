//! What the settings say about the roles of people who log in.

use std::time::Duration;

use oauth_core::Misconfigured;

use crate::settings::lookup::Settings;
use crate::settings::tables::{Number, Switch, Text};
use crate::settings::values::{PlainText, ProvisionMode};

/// How roles are provisioned at logins through one line of pg_hba.conf.
pub struct Provisioning {
    /// The role that creates roles and grants memberships.
    pub manager: String,
    /// Whether roles that do not exist are created.
    pub creates_roles: bool,
    pub timeout: Duration,
    pub options: GrantOptions,
    /// `None`: none.
    pub connection_limit: Option<u32>,
    /// How long after its creation a role's VALID UNTIL is. `None`: it has always passed.
    pub valid_for: Option<Duration>,
    /// Whether a membership that cannot be granted refuses the login.
    pub require_grants: bool,
    /// Whether a membership that a standby cannot revoke refuses the login.
    pub strict: bool,
}

/// The options of a membership; ADMIN is never granted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct GrantOptions {
    pub inherit: bool,
    pub set: bool,
}

/// `None`: roles are not provisioned.
///
/// Errors: it is not said by whom.
pub fn read_provisioning(settings: &Settings) -> Result<Option<Provisioning>, Misconfigured> {
    let mode: ProvisionMode = settings.text(Text::Provision)?;
    if mode == ProvisionMode::Off {
        return Ok(None);
    }
    if !can_provision() {
        return Err(settings.invalid(Text::Provision, "it needs PostgreSQL 17 or later"));
    }
    let manager = manager(settings)?;
    let manager = manager.ok_or_else(|| {
        settings.invalid(
            Text::ProvisionRole,
            "it is required where provision is not off",
        )
    })?;
    let (limit, valid_for) = (
        settings.number(Number::ProvisionConnectionLimit),
        settings.number(Number::ProvisionValidFor),
    );
    Ok(Some(Provisioning {
        manager,
        creates_roles: mode == ProvisionMode::Roles,
        timeout: Duration::from_millis(settings.number(Number::ProvisionTimeout)),
        options: GrantOptions {
            inherit: settings.switch(Switch::ProvisionInherit),
            set: settings.switch(Switch::ProvisionSet),
        },
        connection_limit: u32::try_from(limit).ok().filter(|limit| *limit > 0),
        valid_for: (valid_for > 0).then(|| Duration::from_secs(valid_for)),
        require_grants: settings.switch(Switch::ProvisionRequireGrants),
        strict: settings.switch(Switch::ProvisionStrict),
    }))
}

/// In 15 a role that creates roles can grant almost any, and up to 16 a worker cannot connect as a role with NOLOGIN.
const fn can_provision() -> bool {
    !cfg!(any(feature = "pg15", feature = "pg16"))
}

/// Whether the values of role_claim are groups.
pub fn is_provisioned(settings: &Settings) -> Result<bool, Misconfigured> {
    Ok(settings.text::<ProvisionMode>(Text::Provision)? != ProvisionMode::Off)
}

/// The role and the database of the worker. `None`: no role is set.
pub fn worker_connection() -> Option<(String, String)> {
    if !can_provision() {
        return None;
    }
    let settings = Settings::of_server();
    let PlainText(database) = settings.text(Text::ProvisionDatabase).ok()?;
    Some((manager(&settings).ok()??, database))
}

fn manager(settings: &Settings) -> Result<Option<String>, Misconfigured> {
    let PlainText(manager) = settings.text(Text::ProvisionRole)?;
    Ok((!manager.is_empty()).then_some(manager))
}
