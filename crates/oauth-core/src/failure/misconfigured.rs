//! Faults of the settings, or of the server.

use crate::basics::printable::Printable;
use crate::failure::causes::causes;
use crate::failure::provisioning_cause::ProvisioningCause;

causes! {
    /// A fault of the settings, or of the server: no token can be judged until an administrator fixes it.
    pub enum Misconfigured {
        /// The kill switch is off.
        Disabled = "disabled", "validation is switched off";
        /// No audience is set: without one, a token meant for any other service would be accepted.
        AudienceUnset = "audience_unset", "no audience is configured";
        /// The HBA line names no issuer, or something that is not an issuer's URL.
        IssuerInvalid {
            /// Why.
            why: &'static str,
        } = "issuer_invalid", "issuer is not valid: {why}";
        /// A token came as a password, and no setting names its issuer.
        IssuerUnset {
            /// The PAM service of the HBA line.
            service: Printable,
        } = "issuer_unset", "no issuer is configured for the PAM service \"{service}\"";
        /// The PAM service is the one that libpam adds to others.
        PamServiceOther = "pam_service_other", "PAM service is called \"other\"";
        /// A setting has an invalid value.
        SettingInvalid {
            /// The setting's name.
            setting: Printable,
            /// What is wrong with it.
            why: Printable,
        } = "setting_invalid", "setting \"{setting}\" cannot be used: {why}";
        /// Mapping is delegated to the validator, and no claim is set that could list roles.
        RoleClaimUnset = "role_claim_unset", "no role claim is configured";
        /// The issuer serves strangers too, and no required claim says which of its tokens are meant for this server.
        RequiredClaimsUnset {
            /// The names of claims of which one must be required.
            one_of: &'static [&'static str],
        } = "required_claims_unset", "none of the claims {} is required", one_of.join(", ");
        /// The token is bound to a client certificate, but this server cannot determine the client's certificate.
        CertificatesUnsupported {
            /// Why.
            why: &'static str,
        } = "certificates_unsupported", "client certificates cannot be checked: {why}";
        /// The server has run out of something that a login needs: shared memory, memory, files.
        ServerResources {
            /// The error's text.
            what: Printable,
        } = "server_resources", "server lacks resources: {what}";
        /// More issuers are in use than the cache of keys has room for.
        KeyCacheFull {
            /// How many it has room for.
            issuers: usize,
        } = "key_cache_full", "the keys of {issuers} issuers are cached, and there is no room for more";
        /// A standby has ended the login's look at the catalog, which was in the way of recovery.
        RecoveryConflict {
            /// The error's text.
            what: Printable,
        } = "recovery_conflict", "login conflicts with recovery: {what}";
        /// The role could not be given what the token says, so that the session must not begin.
        RoleNotProvisioned {
            /// Why, in one word.
            cause: ProvisioningCause,
            /// What more is known.
            what: Printable,
        } = "role_not_provisioned", "role was not provisioned: {cause}{what}";
        /// Another copy of the module was loaded before this one, and has its settings.
        LoadedTwice = "loaded_twice", "another copy of the module is loaded";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_settings_has_its_code_in_the_list() {
        let text = || Printable::new("");
        for fault in [
            Misconfigured::Disabled,
            Misconfigured::AudienceUnset,
            Misconfigured::IssuerInvalid { why: "" },
            Misconfigured::IssuerUnset { service: text() },
            Misconfigured::PamServiceOther,
            Misconfigured::SettingInvalid {
                setting: text(),
                why: text(),
            },
            Misconfigured::RoleClaimUnset,
            Misconfigured::RequiredClaimsUnset { one_of: &[] },
            Misconfigured::CertificatesUnsupported { why: "" },
            Misconfigured::ServerResources { what: text() },
            Misconfigured::KeyCacheFull { issuers: 16 },
            Misconfigured::RecoveryConflict { what: text() },
            Misconfigured::RoleNotProvisioned {
                cause: ProvisioningCause::Busy,
                what: text(),
            },
            Misconfigured::LoadedTwice,
        ] {
            assert!(Misconfigured::CODES.contains(&fault.code()), "{fault:?}");
        }
    }

    #[test]
    fn a_text_shows_its_fields() {
        let fault = Misconfigured::RequiredClaimsUnset {
            one_of: &["sub", "iss"],
        };
        assert_eq!(fault.to_string(), "none of the claims sub, iss is required");
    }
}
