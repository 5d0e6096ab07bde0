//! What an administrator can do where a role could not be provisioned.

use oauth_core::ProvisioningCause;

pub fn provisioning_hint(cause: &ProvisioningCause) -> &'static str {
    use ProvisioningCause as C;
    match cause {
        C::NoWorker => {
            "Preload the module, set validator.provision_role, and restart the server. If that is so, the log \
            says why the worker \"validator roles\" ended: the role or the database of validator.provision_database does \
            not exist, or max_worker_processes leaves no room."
        }
        C::WorkerEnded => {
            "It starts again within seconds, and the client may try again. The log says why it ended."
        }
        C::Busy => {
            "The client may try again. If it happens often, look for sessions that hold locks on roles, or raise \
            validator.provision_timeout."
        }
        C::Standby => {
            "The person must log in to the primary first, which writes the change. See \
            validator.provision_strict."
        }
        C::Manager => {
            "Check validator.provision_role and the role validator_managed: SELECT \
            validator.provision_setup(...) shows the statements that make them."
        }
        C::Name => {
            "Use map= in pg_hba.conf to give such people another role, or another identity_claim."
        }
        C::Identity => {
            "The client must request the role that is equal to the token's identity, or that map= in \
            pg_hba.conf, or validator.password_map, gives to it."
        }
        C::Disabled => "If the person is to come back: ALTER ROLE ... LOGIN.",
        C::NoGroup => {
            "If the person is to get in, add them to a group at the provider that is managed here: a role on \
            which validator.provision_role has ADMIN, named as the value of validator.role_claim or by \
            validator.role_map."
        }
        C::TooManyGroups => {
            "Let validator.role_map map groups of the provider to fewer roles, or have the provider send fewer of them."
        }
        C::Changed => {
            "The client may try again. If it is refused each time, the role is a member of a group whose name is not UTF-8: \
            rename that group."
        }
        C::Creation | C::Grant | C::Revocation => {
            "PostgreSQL's own message says why. validator.provision_role must have \
            CREATEROLE, ADMIN on the group and on validator_managed."
        }
        _ => "See the log of the worker \"validator roles\".",
    }
}
