//! Why a role could not be provisioned.

use crate::failure::causes::causes;

causes! {
    /// Why a role could not be provisioned: created, or given and taken memberships as a token says.
    pub enum ProvisioningCause {
        /// There is no worker that could do it: the module is not preloaded, `validator.provision_role` was not set when the
        /// server started, or the worker cannot connect.
        NoWorker = "no_worker", "no worker is running";
        /// The worker ended before it was done.
        WorkerEnded = "worker_ended", "the worker ended";
        /// The worker was not done in time.
        Busy = "busy", "the worker was not done in time";
        /// A database of which recovery has not ended cannot be written to.
        Standby = "standby", "the server is a standby";
        /// The role that is to do it is a superuser, or may not do it.
        Manager = "manager", "the provisioning role cannot be used";
        /// No role can have this name.
        Name = "name", "the name cannot be that of a role";
        /// The identity and the requested role do not belong together.
        Identity = "identity", "the identity may not take this role";
        /// The role may not log in.
        Disabled = "role_disabled", "the role is not permitted to log in";
        /// The token names no group that is managed here, so no role is created for it.
        NoGroup = "no_group", "the token names no managed group";
        /// The token names more managed groups than one role is given.
        TooManyGroups = "too_many_groups", "the token names too many managed groups";
        /// The role was changed while it was provisioned.
        Changed = "role_changed", "the role was changed meanwhile";
        /// The role could not be created.
        Creation = "creation", "the role could not be created";
        /// A membership could not be granted.
        Grant = "grant", "a membership could not be granted";
        /// A membership could not be revoked.
        Revocation = "revocation", "a membership could not be revoked";
    }
}

impl ProvisioningCause {
    /// All causes, in the order of their codes.
    const ALL: [ProvisioningCause; ProvisioningCause::CODES.len()] = {
        use ProvisioningCause as C;
        [
            C::NoWorker,
            C::WorkerEnded,
            C::Busy,
            C::Standby,
            C::Manager,
            C::Name,
            C::Identity,
            C::Disabled,
            C::NoGroup,
            C::TooManyGroups,
            C::Changed,
            C::Creation,
            C::Grant,
            C::Revocation,
        ]
    };

    /// A number for memory that processes share, from 1 on.
    pub fn number(&self) -> u8 {
        let position = Self::ALL.iter().position(|cause| cause == self);
        position.map_or(0, |position| {
            u8::try_from(position).unwrap_or(0).saturating_add(1)
        })
    }

    /// The cause with that number.
    pub fn of_number(number: u8) -> Option<ProvisioningCause> {
        let position = usize::from(number).checked_sub(1)?;
        Self::ALL.get(position).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_number_and_is_found_by_it() {
        for (cause, code) in ProvisioningCause::ALL.iter().zip(ProvisioningCause::CODES) {
            assert_eq!(cause.code(), *code);
            let found = ProvisioningCause::of_number(cause.number());
            assert_eq!(found.as_ref(), Some(cause));
        }
        assert_eq!(ProvisioningCause::of_number(0), None);
        assert_eq!(ProvisioningCause::of_number(u8::MAX), None);
    }
}
