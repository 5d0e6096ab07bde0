//! The tables of all settings: name, type, default, range, unit, and what pg_settings says about each.

use std::ffi::{CStr, c_int};

use oauth_core::{
    AccessTokenIssuer, Algorithms, ClientAuthMethod, IdentityCase, IdentityClaims, IdentityPrefix,
    IntrospectionMode, NoProxy, Preset, RequiredClaims, RoleSeparator, StringList, TokenTypes,
};
use pgrx::pg_sys;

use crate::settings::check::{CheckHook, check, check_text};
use crate::settings::values::{
    AbsolutePath, IssuerUrl, MapName, OptionalClaimPath, OptionalProxy, OptionalUrl, PlainText,
    ProfileNames, ProvisionMode,
};

/// Where a setting can be made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `validator.NAME`: it is the server's.
    Server,
    /// `validator_PROFILE.NAME`, too; a profile's value goes before. In PostgreSQL 19 also a line of pg_hba.conf.
    Both,
    /// As `Both`, but for lines of pg_hba.conf: those that it is for cannot have settings.
    NotOnLines,
}

impl Level {
    /// Whether a profile can have a value of its own.
    pub fn has_profiles(self) -> bool {
        self != Level::Server
    }
}

/// A row of the tables.
pub struct Setting {
    pub name: &'static str,
    pub level: Level,
    pub description: &'static CStr,
    pub details: &'static CStr,
    pub kind: Kind,
}

/// What a setting's values are.
pub enum Kind {
    Text {
        which: Text,
        default: &'static CStr,
        check: fn(&str) -> Result<(), String>,
        check_hook: CheckHook,
    },
    Number {
        which: Number,
        default: c_int,
        range: (c_int, c_int),
        unit: u32,
    },
    Switch {
        which: Switch,
        default: bool,
    },
}

/// All settings.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    TEXTS.iter().chain(NUMBERS).chain(SWITCHES)
}

/// Settings that are text: variant, name, type that checks it, default, description, details.
macro_rules! texts {
    ($($variant:ident = $name:literal: $place:ident, $type:ty, $default:literal, $description:literal, $details:literal;)+) => {
        #[derive(Clone, Copy)]
        pub enum Text { $($variant),+ }

        pub const TEXTS: &[Setting] = &[$(Setting {
            name: $name,
            level: Level::$place,
            description: $description,
            details: $details,
            kind: Kind::Text {
                which: Text::$variant,
                default: $default,
                check: check::<$type>,
                check_hook: check_text::<$type>,
            },
        }),+];
    };
}

texts! {
    Profiles = "profiles": Server, ProfileNames, c"",
        c"Names of profiles: sets of settings for one issuer each.",
        c"A comma-separated list. Profile \"corp\" has the settings validator_corp.issuer, validator_corp.audience and so on.";
    Issuer = "issuer": NotOnLines, IssuerUrl, c"",
        c"Issuer of tokens that come as passwords; of a profile, the issuer that it is for.",
        c"Its identifier, or its well-known URI. A line of pg_hba.conf with the method \"oauth\" names its own.";
    PasswordScope = "password_scope": NotOnLines, PlainText, c"",
        c"Scopes that a token must carry which comes as a password.",
        c"Separated by spaces. They are to lines of pg_hba.conf with the method \"pam\" what scope is to the others.";
    PasswordMap = "password_map": NotOnLines, MapName, c"",
        c"Map of pg_ident.conf from identities to roles for tokens that come as passwords.",
        c"If unset, role_claim alone decides where it is set, and otherwise the identity must equal the role.";
    Provider = "provider": Both, Preset, c"generic",
        c"Provider whose conventions are the defaults of other settings.",
        c"One of generic, keycloak, entra, okta, auth0, cognito, google, gitlab, github-actions, kubernetes, authentik, zitadel, ping, spiffe, dex, adfs.";
    Audience = "audience": Both, StringList, c"",
        c"Accepted values of the claim \"aud\".",
        c"A comma-separated list; a token must name one. If unset, every token is refused.";
    AccessTokenIssuer = "access_token_issuer": Both, AccessTokenIssuer, c"",
        c"Value of \"iss\" in access tokens of AD FS.",
        c"If unset, http://HOST/adfs/services/trust of an issuer https://HOST/adfs. Other presets do not use it.";
    Algorithms = "algorithms": Both, Algorithms, c"RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA",
        c"Accepted signature algorithms.",
        c"A comma-separated list. Unsigned tokens and shared secrets (HS256 ...) cannot be accepted.";
    TokenTypes = "token_types": Both, TokenTypes, c"at+jwt",
        c"Accepted values of the token header \"typ\".",
        c"A comma-separated list; \"-\" stands for a header without \"typ\". Case and the prefix \"application/\" are ignored.";
    IdentityClaim = "identity_claim": Both, IdentityClaims, c"sub",
        c"Claims of which the first one that is there becomes the user's identity.",
        c"A comma-separated list of top-level names, or JSON Pointers if they start with \"/\"; name=prefix gives one a prefix of its own instead of identity_prefix.";
    IdentityPrefix = "identity_prefix": Both, IdentityPrefix, c"",
        c"Text put before the identity.",
        c"Keeps the users of two issuers apart. A claim of identity_claim may have a prefix of its own instead.";
    IdentityCase = "identity_case": Both, IdentityCase, c"as_is",
        c"How the letters of the identity are written.",
        c"One of as_is, lower (A to Z become a to z). Only for claims that the provider compares without case.";
    RequiredClaims = "required_claims": Both, RequiredClaims, c"",
        c"Conditions on claims that a token must meet.",
        c"A comma-separated list of name=value, name in (value, ...), name like pattern, name present, name absent. An array needs one element that is as required.";
    ClientIds = "client_ids": Both, StringList, c"",
        c"Accepted clients, by \"client_id\" and \"azp\".",
        c"A comma-separated list. If unset, tokens of every client are accepted.";
    OptionalScopes = "optional_scopes": Both, StringList, c"openid, offline_access",
        c"Scopes of the HBA line that a token need not carry.",
        c"A comma-separated list. Such scopes control the provider and often do not appear in the token.";
    RoleClaim = "role_claim": Both, OptionalClaimPath, c"",
        c"Claim that lists the bearer's roles.",
        c"A top-level name, or a JSON Pointer if it starts with \"/\". If set, it must allow the requested role.";
    RoleSeparator = "role_separator": Both, RoleSeparator, c"",
        c"What separates the values in a string of role_claim.",
        c"One space, \",\" or \";\". If unset, a string is one value; only \"scope\" and \"scp\" are lists, separated by spaces.";
    RoleMap = "role_map": Both, MapName, c"",
        c"Map of pg_ident.conf from values of role_claim to roles.",
        c"If unset, a value is a role's name.";
    Provision = "provision": Both, ProvisionMode, c"off",
        c"Creates roles and manages their memberships by the groups in a token.",
        c"One of off, memberships (of roles that exist), roles (which are created, too). The values of role_claim are then groups.";
    ProvisionRole = "provision_role": Server, PlainText, c"",
        c"Role that creates roles and grants memberships for provision.",
        c"It must have CREATEROLE and not be a superuser; it manages the groups on which it has ADMIN. It must be set when the server starts; a later change takes effect at a reload.";
    ProvisionDatabase = "provision_database": Server, PlainText, c"postgres",
        c"Database to which the worker for provision connects.",
        c"The worker changes nothing in it.";
    DiscoveryUrl = "discovery_url": Both, OptionalUrl, c"",
        c"URL of the issuer's metadata if it is not the well-known one.",
        c"Its \"issuer\" must still equal the issuer of the HBA line.";
    JwksUri = "jwks_uri": Both, OptionalUrl, c"",
        c"URL of the issuer's keys.",
        c"If set, the issuer's metadata is not requested.";
    JwksFile = "jwks_file": Both, AbsolutePath, c"",
        c"File with the issuer's keys.",
        c"An absolute path of a JWK Set. If set, the network is not used. The next login notices a changed file.";
    CaFile = "ca_file": Both, AbsolutePath, c"",
        c"File with certificates to trust in addition to the system's when asking the provider.",
        c"An absolute path of a PEM file.";
    Introspection = "introspection": Both, IntrospectionMode, c"off",
        c"Tokens that the provider is asked about at a login.",
        c"One of off (none), opaque (those that are not signed JWTs), always (JWTs too, after all other checks).";
    IntrospectionEndpoint = "introspection_endpoint": Both, OptionalUrl, c"",
        c"URL of the provider's introspection endpoint.",
        c"If unset, it is read from the issuer's metadata.";
    ClientId = "client_id": Both, PlainText, c"",
        c"Client identifier of this server at the provider.",
        c"Used for introspection.";
    ClientSecretFile = "client_secret_file": Both, AbsolutePath, c"",
        c"File with the secret of client_id.",
        c"An absolute path; only the server's user may have access. It is read at each request, so a new secret takes effect at once.";
    ClientAuthMethod = "client_auth_method": Both, ClientAuthMethod, c"client_secret_basic",
        c"How this server authenticates itself to the provider.",
        c"One of client_secret_basic, client_secret_basic_raw, client_secret_post, private_key_jwt, tls_client_auth, none.";
    ClientKeyFile = "client_key_file": Both, AbsolutePath, c"",
        c"File with the private key for private_key_jwt or tls_client_auth.",
        c"An absolute path of a PEM file; only the server's user may have access.";
    ClientCertFile = "client_cert_file": Both, AbsolutePath, c"",
        c"File with the certificate for tls_client_auth.",
        c"An absolute path of a PEM file, including intermediate certificates.";
    HttpProxy = "http_proxy": Both, OptionalProxy, c"",
        c"Proxy through which the provider is asked.",
        c"As http://host:port, or https://host:port if the proxy itself speaks TLS. The environment's proxies are never used.";
    HttpProxySecretFile = "http_proxy_secret_file": Both, AbsolutePath, c"",
        c"File with user:password for http_proxy.",
        c"An absolute path; only the server's user may have access. It is read at each request, so a new secret takes effect at once.";
    NoProxy = "no_proxy": Both, NoProxy, c"",
        c"Hosts that are reached without http_proxy.",
        c"A comma-separated list of hosts, suffixes such as .corp.example, IP addresses, networks such as 10.0.0.0/8, or *.";
    HttpBearerFile = "http_bearer_file": Both, AbsolutePath, c"",
        c"File with a bearer token for requests for metadata and keys.",
        c"An absolute path; only the server's user may have access. It is read at each fetch, so a new token takes effect at once.";
}

/// Settings that are numbers: variant, name, default, range, unit, description, details.
macro_rules! numbers {
    ($($variant:ident = $name:literal: $place:ident, $default:literal, $range:expr, $unit:expr, $description:literal, $details:literal;)+) => {
        #[derive(Clone, Copy)]
        pub enum Number { $($variant),+ }

        pub const NUMBERS: &[Setting] = &[$(Setting {
            name: $name,
            level: Level::$place,
            description: $description,
            details: $details,
            kind: Kind::Number {
                which: Number::$variant,
                default: $default,
                range: $range,
                unit: $unit,
            },
        }),+];
    };
}

numbers! {
    ClockSkew = "clock_skew": Both, 30, (0, 300), pg_sys::GUC_UNIT_S,
        c"How far the clocks of provider and server may differ.",
        c"Applies to \"exp\", \"nbf\" and \"iat\".";
    MaxTokenAge = "max_token_age": Both, 0, (0, i32::MAX / 1000), pg_sys::GUC_UNIT_S,
        c"How long ago a token may have been issued.",
        c"Measured from \"iat\". 0 sets no limit.";
    MaxTokenSize = "max_token_size": Server, 16384, (256, 65536), pg_sys::GUC_UNIT_BYTE,
        c"Maximum size of a token.",
        c"Larger tokens are rejected without being parsed.";
    JwksMinTtl = "jwks_min_ttl": Server, 60, (1, 86400), pg_sys::GUC_UNIT_S,
        c"Minimum time that keys are fresh after a fetch.",
        c"Overrides the provider's Cache-Control.";
    JwksMaxTtl = "jwks_max_ttl": Server, 86400, (1, 604800), pg_sys::GUC_UNIT_S,
        c"Maximum time that keys are fresh after a fetch.",
        c"Overrides the provider's Cache-Control. A key that the provider withdraws is accepted until then.";
    JwksStaleTtl = "jwks_stale_ttl": Server, 86400, (0, 2592000), pg_sys::GUC_UNIT_S,
        c"How long cached keys are used while the provider does not answer.",
        c"Measured from its last good answer.";
    JwksRefreshCooldown = "jwks_refresh_cooldown": Server, 10, (1, 3600), pg_sys::GUC_UNIT_S,
        c"How long after a fetch that an unknown key or a bad signature triggered none triggers another.",
        c"Protects the provider from tokens with made-up keys.";
    JwksCacheIssuers = "jwks_cache_issuers": Server, 32, (16, 1024), 0,
        c"Number of issuers whose keys are cached.",
        c"Rounded up to a multiple of 16; each 16 take some 2.6 MB. A new value takes effect after a restart.";
    HttpTimeout = "http_timeout": Both, 5000, (100, 60000), pg_sys::GUC_UNIT_MS,
        c"How long a login may wait for the provider.",
        c"Covers all requests of a login together.";
    ProvisionTimeout = "provision_timeout": Both, 2000, (10, 60000), pg_sys::GUC_UNIT_MS,
        c"How long a login may wait until its role is provisioned.",
        c"If it takes longer, the login is refused.";
    ProvisionConnectionLimit = "provision_connection_limit": Both, 0, (0, 262143), 0,
        c"Connection limit of roles that are created.",
        c"0 sets no limit.";
    ProvisionValidFor = "provision_valid_for": Both, 0, (0, i32::MAX), pg_sys::GUC_UNIT_S,
        c"How long after its creation a role's VALID UNTIL is.",
        c"PostgreSQL checks VALID UNTIL for passwords only. 0 sets -infinity: no password works.";
    IntrospectionCacheTtl = "introspection_cache_ttl": Both, 30, (0, 3600), pg_sys::GUC_UNIT_S,
        c"How long an introspection response is used before the provider is asked again.",
        c"Never past the token's expiration, and at most 10 seconds if the token is not active. 0 asks at every login.";
    IntrospectionCacheEntries = "introspection_cache_entries": Server, 1024, (16, 16384), 0,
        c"Number of tokens whose introspection response is cached.",
        c"Some 4 kB each; the least recently used one makes room. A new value takes effect after a restart.";
}

/// Settings that are switches: variant, name, default, description, details.
macro_rules! switches {
    ($($variant:ident = $name:literal: $place:ident, $default:literal, $description:literal, $details:literal;)+) => {
        #[derive(Clone, Copy)]
        pub enum Switch { $($variant),+ }

        pub const SWITCHES: &[Setting] = &[$(Setting {
            name: $name,
            level: Level::$place,
            description: $description,
            details: $details,
            kind: Kind::Switch { which: Switch::$variant, default: $default },
        }),+];
    };
}

switches! {
    Enabled = "enabled": Server, true,
        c"Accepts OAuth tokens.",
        c"If off, every token is refused: a kill switch.";
    AllowSuperuser = "allow_superuser": Both, false,
        c"Allows a token alone to give roles with power over the whole server.",
        c"Applies with delegate_ident_mapping, and to lines without map: superusers, replication, members of pg_execute_server_program and others.";
    ProvisionInherit = "provision_inherit": Both, true,
        c"Grants memberships WITH INHERIT TRUE.",
        c"If off, a session has a group's rights only after SET ROLE.";
    ProvisionSet = "provision_set": Both, true,
        c"Grants memberships WITH SET TRUE.",
        c"If off, a session cannot become the group by SET ROLE.";
    ProvisionRequireGrants = "provision_require_grants": Both, true,
        c"Refuses a login if one of its groups cannot be granted.",
        c"If off, the login goes on with the other groups, and the log has the failure.";
    ProvisionStrict = "provision_strict": Both, true,
        c"Refuses a login on a standby whose role has a group that the token does not give.",
        c"A standby cannot revoke it.";
    AllowHttp = "allow_http": Both, false,
        c"Allows plain http to a provider on a loopback address.",
        c"For demonstrations and tests only.";
    CaFileOnly = "ca_file_only": Both, false,
        c"Trusts only the certificates of ca_file when asking the provider.",
        c"The system's certificate authorities are then not trusted.";
    RequireTls = "require_tls": Both, true,
        c"Refuses tokens that come over unencrypted TCP from another host.",
        c"Unix sockets and loopback addresses need no encryption. If off, the lines of pg_hba.conf alone decide.";
    PasswordRequiresTls = "password_requires_tls": NotOnLines, true,
        c"Refuses to ask for a token as a password over an unencrypted connection.",
        c"Unix sockets need no encryption, loopback addresses do. If off, require_tls still applies.";
    IntrospectionAudienceRequired = "introspection_audience_required": Both, true,
        c"Requires \"aud\" in the introspection response for an opaque token.",
        c"If off, it may be missing; if present, it must still be accepted.";
    IntrospectionExpRequired = "introspection_exp_required": Both, true,
        c"Requires \"exp\" in the introspection response for an opaque token.",
        c"If off, it may be missing; if present, it must still be in the future.";
    RequireBoundToken = "require_bound_token": Both, false,
        c"Refuses tokens that are not bound to the client's certificate.",
        c"Bound tokens need their certificate in any case.";
    SessionExpiry = "session_expiry": Both, false,
        c"Ends a session when the token that opened it expires.",
        c"At \"exp\" plus clock_skew, whatever the session does.";
    LogAccepted = "log_accepted": Both, false,
        c"Logs each token that opens a session.",
        c"One line with issuer, identity, client, token identifier and role; never the token.";
}
