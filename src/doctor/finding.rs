//! What the doctor can find: the table of codes, each with its severity and what to do about it.

use oauth_core::Failure;

use crate::log::circumstances::Circumstances;
use crate::log::hints::{self, RAISE_CACHED_ISSUERS};
use crate::postgres::hba::FileLine;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Some or all logins fail, or logins succeed that should not.
    Error,
    /// It works, and is probably not what was meant.
    Warning,
    /// Worth knowing.
    Notice,
    /// Nothing was found.
    Ok,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Ok => "ok",
        }
    }
}

/// A row of the table.
pub struct Kind {
    code: &'static str,
    severity: Severity,
    advice: &'static str,
}

/// One finding.
pub struct Finding {
    pub severity: Severity,
    pub code: &'static str,
    pub detail: String,
    pub advice: Option<String>,
    /// The line of pg_hba.conf; none if it is about the server.
    pub place: Option<FileLine>,
}

impl Kind {
    /// A finding of this kind; `detail` describes it in a sentence.
    pub fn with(&self, detail: impl Into<String>) -> Finding {
        Finding {
            severity: self.severity,
            code: self.code,
            detail: detail.into(),
            advice: (!self.advice.is_empty()).then(|| self.advice.to_owned()),
            place: None,
        }
    }
}

impl Finding {
    /// What logins would be refused with, under the same code and with the same advice as in the log. Of a provider
    /// that does not answer, the causes that this server's own set-up is to blame for have codes of their own.
    pub fn of_failure(failure: &Failure) -> Self {
        let (code, detail) = match failure {
            Failure::Unavailable(unavailable) => {
                let code = match unavailable.cause.code() {
                    own @ ("issuer_mismatch"
                    | "no_usable_key"
                    | "tls_no_authorities"
                    | "introspection_unauthorized"
                    | "introspection_forbidden"
                    | "active_malformed") => own,
                    _ => failure.code(),
                };
                let (url, cause) = (&unavailable.url, &unavailable.cause);
                (code, format!("{url}: {cause}."))
            }
            _ => (failure.code(), format!("{failure}.")),
        };
        Finding {
            severity: Severity::Error,
            code,
            detail: capitalized(&detail),
            advice: hints::hint(failure, &Circumstances::default()),
            place: None,
        }
    }

    pub fn at(self, place: &FileLine) -> Self {
        Finding {
            place: Some(place.clone()),
            ..self
        }
    }

    pub fn into_notice(self) -> Self {
        Finding {
            severity: Severity::Notice,
            ..self
        }
    }

    pub fn into_warning(self) -> Self {
        Finding {
            severity: Severity::Warning,
            ..self
        }
    }
}

/// A message of the log, as a sentence. A URL at its start stays as it is.
fn capitalized(text: &str) -> String {
    match text.chars().next() {
        Some(first) if !text.starts_with("http") => {
            let rest = text.get(first.len_utf8()..).unwrap_or_default();
            format!("{}{rest}", first.to_uppercase())
        }
        _ => text.to_owned(),
    }
}

macro_rules! kinds {
    ($($name:ident = $code:literal, $severity:ident, $advice:expr;)+) => {
        $(pub const $name: Kind = Kind { code: $code, severity: Severity::$severity, advice: $advice };)+
    };
}

// docs/troubleshooting.md lists these codes, and those of `Misconfigured`.
kinds! {
    // --- the server ------------------------------------------------------------------------------
    LIBRARY_NOT_LISTED = "library_not_listed", Error,
        "Add validator to oauth_validator_libraries and reload.";
    NO_HBA_LINE = "no_hba_line", Warning,
        if cfg!(oauth) {
            "Add a line with the method oauth, or pam for tokens as passwords, to pg_hba.conf, and reload."
        } else {
            "Add a line with the method pam to pg_hba.conf (docs/passwords.md has it), and reload."
        };
    HBA_INVALID = "hba_invalid", Error,
        "Correct the line and reload. Until then PostgreSQL keeps using the lines that it read before.";
    NOT_PRELOADED = "not_preloaded", Notice,
        if cfg!(oauth) {
            "Set shared_preload_libraries = 'validator' and restart: logins then cost less, and none waits for the provider."
        } else {
            "Set shared_preload_libraries = 'validator' and restart: no token is accepted before."
        };
    WORKER_MISSING = "worker_missing", Warning,
        "Check the server's log. Raise max_worker_processes, or fix the error that ends the worker, and restart.";
    SCHEMA_OF_ANOTHER = "schema_of_another", Warning,
        "ALTER SCHEMA validator OWNER TO a superuser, REVOKE CREATE on it from others, and drop every object in it that does not belong to the extension (\\dx+ validator lists those that do).";
    TOO_MANY_ISSUERS = "too_many_issuers", Warning,
        RAISE_CACHED_ISSUERS;
    PROVISION_ROLE_MISSING = "provision_role_missing", Error,
        "Create the role, or correct the setting and restart: validator.provision_setup() shows the statements.";
    PROVISION_ROLE_SUPERUSER = "provision_role_superuser", Error,
        "ALTER ROLE ... NOSUPERUSER CREATEROLE, or name another role: one that can grant the managed groups and nothing else.";
    PROVISION_ROLE_WEAK = "provision_role_without_createrole", Error,
        "ALTER ROLE ... CREATEROLE; or set validator.provision = 'memberships', if roles are created by other means.";
    PROVISION_MARKER_MISSING = "provision_marker_missing", Error,
        "Run the statements for validator_managed that validator.provision_setup() shows.";
    PROVISION_NO_GROUPS = "provision_without_groups", Error,
        "GRANT the groups TO the role of validator.provision_role WITH ADMIN TRUE, INHERIT FALSE, SET FALSE; a group must be NOLOGIN.";
    PROVISION_NO_NEW_ROLES = "provision_without_new_roles", Warning,
        "Use all or a regular expression for the roles of the line, below the lines for other roles; or set validator.provision = 'memberships', if roles are created by other means.";
    PROVISION_GROUP_TOO_POWERFUL = "provision_group_too_powerful", Warning,
        "Revoke what gives the groups that power, or take them out of management.";
    PROVISION_WORKER_MISSING = "provision_worker_missing", Error,
        "Set shared_preload_libraries = 'validator' and validator.provision_role, and restart. If that is so, the server's log says why the worker ended; or raise max_worker_processes.";
    PROVISION_DATABASE = "provision_database_unusable", Error,
        "Name a database that exists and allows connections, and GRANT CONNECT ON it TO the role of validator.provision_role. The worker is started again every 5 s.";
    PROVISION_STANDBY = "provision_standby", Notice,
        "Have people log in to the primary first, or set validator.provision_strict = off on the standby to let them keep a group there.";
    RESTART_PENDING = "restart_pending", Notice,
        "Restart the server for the new value to take effect.";
    SETTING_UNKNOWN = "setting_unknown", Error,
        "Correct the name, or remove the setting, which has no effect.";
    SETTING_REFUSED = "setting_invalid", Error,
        "Correct the value and reload.";
    PROFILE_UNKNOWN = "profile_unknown", Error,
        "Add the profile to validator.profiles. Until then its settings have no effect.";
    PROFILE_UNUSED = "profile_unused", Notice,
        if cfg!(oauth) {
            "Set validator_PROFILE.issuer to the issuer of a line in pg_hba.conf, or remove the profile. For tokens as passwords, pamservice=PROFILE names it."
        } else {
            "Name the profile as pamservice=PROFILE on a line with the method pam, or remove it."
        };
    PROFILE_NEAR_MISS = "profile_near_miss", Error,
        "Write the issuer identically in pg_hba.conf and in the profile, exactly as \"issuer\" in the provider's discovery document.";

    // --- a line of pg_hba.conf -------------------------------------------------------------------
    TLS_NOT_REQUIRED = "tls_not_required", Warning,
        "Use hostssl: anyone who reads the token in transit can use it.";
    PAM_FILE_MISSING = "pam_file_missing", Error,
        "Write the PAM file (docs/passwords.md has it), readable by the server's user, or correct pamservice.";
    PAM_FILE_WITHOUT_MODULE = "pam_file_without_module", Warning,
        "Have the PAM file name pam_validator.so for auth and account, or give the profile another name. A file that it includes may name it, which is not looked at.";
    PAM_NOT_PRELOADED = "pam_not_preloaded", Error,
        "Set shared_preload_libraries = 'validator' and restart.";
    TLS_OFF = "tls_off", Error,
        "Set ssl = on, with a server certificate.";
    CERTIFICATES_NOT_ASKED_FOR = "certificates_not_asked_for", Error,
        "Set ssl = on and ssl_ca_file to the certificate of the authority that issues client certificates; or, if no tokens are to be bound, leave validator.require_bound_token off.";
    ISSUER_HTTP = "issuer_http", Error,
        "Use an https issuer: anyone between this server and the provider could replace its keys.";
    MAP_MISSING = "map_missing", Error,
        "Add lines for the map to pg_ident.conf, or correct its name.";
    MAP_UNREACHABLE = "map_unreachable", Error,
        "Write the names in pg_ident.conf as identities are (\"identity\" of validator.check_token()), or change validator.identity_prefix or validator.identity_case.";
    IDENTITY_NO_ROLE = "identity_no_role", Error,
        "Set map= on the line (validator.password_map for tokens as passwords) to a map of pg_ident.conf that leaves out what identities begin with, such as: corp /^corp:(.*)$ \\1";
    SHADOWED = "shadowed", Error,
        "Put the line above the other one, or let them differ in types, databases, roles or addresses.";
    SHADOWED_BY_MEMBERSHIP = "shadowed_by_membership", Warning,
        "Unless these roles are meant to log in by the earlier line, take them out of its group, or put this line above it.";
    NO_ROLE = "no_role", Warning,
        "Correct the roles of the line, or create them; for a group, GRANT it to the roles that are to log in.";
    SUPERUSER_ALLOWED = "superuser_allowed", Warning,
        "Unless the provider's administrators may be superusers here, set validator.allow_superuser = off, or name a group of roles without superusers on the line.";
    SUPERUSER_MAPPED = "superuser_mapped", Warning,
        "Unless the provider's administrators may be superusers here, name a group of roles without superusers on the line, or correct the lines of the map.";
    AUDIENCE_CATCH_ALL = "audience_catch_all", Warning,
        "Configure the provider to put an audience for this server into its access tokens, and set validator.audience to that alone.";
    AUDIENCE_IS_CLIENT = "audience_is_client", Warning,
        "Configure the provider to put an audience for this server into its access tokens, and set validator.audience to that alone.";
    AUDIENCE_NEAR_MISS = "audience_near_miss", Warning,
        "Set validator.audience exactly as \"aud\" of the provider's access tokens has it; better is an audience for this server, which is not the issuer.";
    MAP_CATCH_ALL = "map_catch_all", Warning,
        "Have the line of pg_ident.conf name whose identities may take the role, or use \\1 to give each identity a role of its own.";
    SCOPE_EMPTY = "scope_empty", Warning,
        "Add a scope to the line that only clients of this database get and that tokens carry.";
    SCOPE_WITH_COMMA = "scope_with_comma", Warning,
        "Separate the scopes of the line by spaces, as in scope=\"openid postgres\".";
    CONTRADICTS_PRESET = "contradicts_preset", Error,
        "Remove the setting, so that the provider's default applies, or correct validator.provider.";
    ID_TOKEN_MAY_PASS = "id_token_may_pass", Warning,
        "Set validator.provider to the provider's preset, if there is one, or configure the provider to issue access tokens with typ at+jwt.";
    IDENTITY_SHARED = "identity_shared", Warning,
        "Give each issuer a profile with its own identity_prefix.";
    SECRET_SHARED = "secret_shared", Warning,
        "Give each issuer a profile with a secret of its own, and have the server's settings name none.";
    IDENTITY_AMBIGUOUS = "identity_ambiguous", Warning,
        "Give each claim of validator.identity_claim a prefix (claim=prefix), none of which begins with another.";

    // --- its provider ----------------------------------------------------------------------------
    KEY_SET_TOO_LARGE = "key_set_too_large", Warning,
        "Configure the provider to publish fewer keys, or have validator.jwks_file or validator.jwks_uri name a set of those that sign tokens for this server.";
    KEYS_UNUSABLE = "keys_unusable", Notice,
        "Tokens that these keys have signed are refused. Configure the provider to publish keys that can be used, if it signs tokens for this server with them.";
    KEYS_DO_NOT_FIT = "no_usable_key", Error,
        "Add an algorithm to validator.algorithms for which the provider has a key.";
    ACCESS_TOKEN_ISSUER = "access_token_issuer_differs", Error,
        "Set validator.access_token_issuer to \"access_token_issuer\" of the provider's discovery document, or correct validator.provider.";
    CLOCK_DIFFERS = "clock_differs", Error,
        "Synchronize the clock that is wrong by NTP. A larger validator.clock_skew would let expired tokens pass for as long.";

    INTROSPECTION_SAYS_YES = "introspection_says_yes", Error,
        "Correct validator.introspection_endpoint, or fix this at the provider: any text would be accepted as an opaque token.";

    INTROSPECTION_ELSEWHERE = "introspection_elsewhere", Warning,
        "Unless both lead to the same service, remove validator.introspection_endpoint, so that the metadata's is asked: whatever is asked decides which tokens are accepted.";

    HEALTHY = "ok", Ok, "";
}
