//! The settings as PostgreSQL sees them: tables, from which they are defined and checked.
//!
//! All are of context SIGHUP: set in postgresql.conf or by ALTER SYSTEM, and read at the next login after a
//! reload. A check hook refuses a bad value, and the old one stays. Where the module is loaded at login there
//! is no old value to keep, so logins fail closed as long as a setting's value is refused.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::str::FromStr;

use oauth_core::{
    Algorithms, ClaimPath, IdentityPrefix, Misconfigured, Printable, RequiredClaims, StringList,
    TokenTypes,
};
use parking_lot::Mutex;
use pgrx::guc::GucCheckError;
use pgrx::{pg_guard, pg_sys};

use crate::settings::{AbsolutePath, MapName, OptionalClaimPath, OptionalUrl};

/// What every setting's name starts with.
const PREFIX: &str = "validator";

/// Settings that are text: variant, name, type that checks it, default, description, details.
macro_rules! texts {
    ($($variant:ident = $name:literal: $type:ty, $default:literal, $description:literal, $details:literal;)+) => {
        #[derive(Clone, Copy)]
        pub enum Text { $($variant),+ }

        const TEXTS: &[TextSetting] = &[$(TextSetting {
            name: $name,
            description: $description,
            details: $details,
            default: $default,
            check: |text| text.parse::<$type>().map(drop).map_err(|error| error.to_string()),
            check_hook: check_text::<{ Text::$variant as usize }>,
        }),+];

        static TEXT_VALUES: [Variable<*mut c_char>; TEXTS.len()] =
            [const { Variable::new(std::ptr::null_mut()) }; TEXTS.len()];
    };
}

texts! {
    Audience = "audience": StringList, c"",
        c"Values of the claim \"aud\" of which a token must name one.",
        c"A comma-separated list. Unset, every token is refused.";
    Algorithms = "algorithms": Algorithms, c"RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
        c"Signature algorithms that are accepted.",
        c"A comma-separated list. Unsigned tokens and shared secrets (HS256 ...) can not be accepted.";
    TokenTypes = "token_types": TokenTypes, c"at+jwt",
        c"Values of the token header \"typ\" that are accepted.",
        c"A comma-separated list; \"-\" stands for a header without \"typ\". Case and the prefix \"application/\" are ignored.";
    IdentityClaim = "identity_claim": ClaimPath, c"sub",
        c"Claim that becomes the user's identity.",
        c"The name of a top-level claim, or a JSON Pointer if it starts with \"/\".";
    IdentityPrefix = "identity_prefix": IdentityPrefix, c"",
        c"Text put before the identity.",
        c"Keeps the users of two issuers apart.";
    RequiredClaims = "required_claims": RequiredClaims, c"",
        c"Claims that a token must have, with their values.",
        c"A comma-separated list of name=value; an array holds if one of its elements equals the value.";
    ClientIds = "client_ids": StringList, c"",
        c"Clients whose tokens are accepted, by \"client_id\" or \"azp\".",
        c"A comma-separated list. Unset, tokens of every client are accepted.";
    OptionalScopes = "optional_scopes": StringList, c"openid, offline_access",
        c"Scopes of the HBA line that a token need not carry.",
        c"A comma-separated list. These steer the provider and often do not appear in the token.";
    RoleClaim = "role_claim": OptionalClaimPath, c"",
        c"Claim that lists the roles that the bearer may take.",
        c"A top-level name, or a JSON Pointer if it starts with \"/\". Set, it must allow the requested role.";
    RoleMap = "role_map": MapName, c"",
        c"Map of pg_ident.conf from values of role_claim to roles.",
        c"Unset, a value is a role's name.";
    DiscoveryUrl = "discovery_url": OptionalUrl, c"",
        c"URL of the issuer's metadata, where it is not the well-known one.",
        c"Its \"issuer\" must still equal the issuer of the HBA line.";
    JwksUri = "jwks_uri": OptionalUrl, c"",
        c"URL of the issuer's keys.",
        c"Set, the issuer's metadata is not asked for.";
    JwksFile = "jwks_file": AbsolutePath, c"",
        c"File that holds the issuer's keys.",
        c"An absolute path of a JWK Set. Set, the network is not used. A changed file is noticed at the next login.";
    CaFile = "ca_file": AbsolutePath, c"",
        c"File of certificates to trust in asking the provider, besides the system's.",
        c"An absolute path of a PEM file.";
}

/// Settings that are numbers: variant, name, default, range, unit, description, details.
macro_rules! numbers {
    ($($variant:ident = $name:literal: $default:literal, $range:expr, $unit:expr, $description:literal, $details:literal;)+) => {
        #[derive(Clone, Copy)]
        pub enum Number { $($variant),+ }

        const NUMBERS: &[NumberSetting] = &[$(NumberSetting {
            name: $name,
            description: $description,
            details: $details,
            default: $default,
            range: $range,
            unit: $unit,
        }),+];

        static NUMBER_VALUES: [Variable<c_int>; NUMBERS.len()] = [$(Variable::new($default)),+];
    };
}

numbers! {
    ClockSkew = "clock_skew": 30, (0, 300), pg_sys::GUC_UNIT_S,
        c"How far the clocks of provider and server may differ.",
        c"Applies to \"exp\", \"nbf\" and \"iat\".";
    MaxTokenAge = "max_token_age": 0, (0, i32::MAX / 1000), pg_sys::GUC_UNIT_S,
        c"How long ago a token may have been issued.",
        c"Counted from \"iat\". 0 sets no limit.";
    MaxTokenSize = "max_token_size": 16384, (256, 65536), pg_sys::GUC_UNIT_BYTE,
        c"Size of the largest token that is looked at.",
        c"Larger ones are refused unseen.";
    JwksMinTtl = "jwks_min_ttl": 60, (1, 86400), pg_sys::GUC_UNIT_S,
        c"How long fetched keys are used at least before they are fetched again.",
        c"Whatever the provider's Cache-Control says.";
    JwksMaxTtl = "jwks_max_ttl": 86400, (1, 604800), pg_sys::GUC_UNIT_S,
        c"How long fetched keys are used at most before they are fetched again.",
        c"Whatever the provider's Cache-Control says. A key that the provider withdraws is accepted until then.";
    JwksStaleTtl = "jwks_stale_ttl": 86400, (0, 2592000), pg_sys::GUC_UNIT_S,
        c"How long fetched keys are used while the provider does not answer.",
        c"Counted from its last good answer.";
    JwksRefreshCooldown = "jwks_refresh_cooldown": 10, (1, 3600), pg_sys::GUC_UNIT_S,
        c"How long after a fetch of keys an unknown key causes no other one.",
        c"Protects the provider from tokens with made-up keys.";
    HttpTimeout = "http_timeout": 5000, (100, 60000), pg_sys::GUC_UNIT_MS,
        c"How long a login may wait for the provider.",
        c"Covers all requests of a login together.";
}

/// Settings that are switches: variant, name, default, description, details.
macro_rules! switches {
    ($($variant:ident = $name:literal: $default:literal, $description:literal, $details:literal;)+) => {
        #[derive(Clone, Copy)]
        pub enum Switch { $($variant),+ }

        const SWITCHES: &[SwitchSetting] = &[$(SwitchSetting {
            name: $name,
            description: $description,
            details: $details,
            default: $default,
        }),+];

        static SWITCH_VALUES: [Variable<bool>; SWITCHES.len()] = [$(Variable::new($default)),+];
    };
}

switches! {
    Enabled = "enabled": true,
        c"Accepts tokens at all.",
        c"Off, every token is refused: a kill switch.";
    AllowSuperuser = "allow_superuser": false,
        c"Allows role_claim alone to give roles with power over the whole server.",
        c"Matters under delegate_ident_mapping: superusers, replication, and members of pg_execute_server_program and its like.";
    AllowHttp = "allow_http": false,
        c"Allows plain http to a provider on a loopback address.",
        c"For demonstrations and tests only.";
}

struct TextSetting {
    name: &'static str,
    description: &'static CStr,
    details: &'static CStr,
    default: &'static CStr,
    check: fn(&str) -> Result<(), String>,
    check_hook: unsafe extern "C-unwind" fn(*mut *mut c_char, *mut *mut c_void, u32) -> bool,
}

struct NumberSetting {
    name: &'static str,
    description: &'static CStr,
    details: &'static CStr,
    default: c_int,
    range: (c_int, c_int),
    unit: u32,
}

struct SwitchSetting {
    name: &'static str,
    description: &'static CStr,
    details: &'static CStr,
    default: bool,
}

/// A variable that PostgreSQL writes at a reload, and that a login reads.
struct Variable<T>(UnsafeCell<T>);

// SAFETY: only the main thread of a process touches settings; a helper thread gets copies.
unsafe impl<T> Sync for Variable<T> {}

impl<T: Copy> Variable<T> {
    const fn new(value: T) -> Self {
        Variable(UnsafeCell::new(value))
    }

    fn get(&self) -> T {
        // SAFETY: PostgreSQL writes it in this same thread, so never during this read.
        unsafe { *self.0.get() }
    }
}

/// Settings whose value PostgreSQL dropped when the module was loaded, because it is not valid.
static REFUSED_AT_LOAD: Mutex<Vec<CString>> = Mutex::new(Vec::new());

/// Defines all settings and reserves the prefix, so that a misspelt name is reported.
pub fn define() {
    for (setting, value) in TEXTS.iter().zip(&TEXT_VALUES) {
        define_one(setting.name, |name| {
            // SAFETY: descriptions and value are static; PostgreSQL copies name and default.
            unsafe {
                pg_sys::DefineCustomStringVariable(
                    name.as_ptr(),
                    setting.description.as_ptr(),
                    setting.details.as_ptr(),
                    value.0.get(),
                    setting.default.as_ptr(),
                    pg_sys::GucContext::PGC_SIGHUP,
                    0,
                    Some(setting.check_hook),
                    None,
                    None,
                );
            }
        });
    }
    for (setting, value) in NUMBERS.iter().zip(&NUMBER_VALUES) {
        define_one(setting.name, |name| {
            // SAFETY: descriptions and value are static; PostgreSQL copies the name.
            unsafe {
                pg_sys::DefineCustomIntVariable(
                    name.as_ptr(),
                    setting.description.as_ptr(),
                    setting.details.as_ptr(),
                    value.0.get(),
                    setting.default,
                    setting.range.0,
                    setting.range.1,
                    pg_sys::GucContext::PGC_SIGHUP,
                    setting.unit as c_int,
                    None,
                    None,
                    None,
                );
            }
        });
    }
    for (setting, value) in SWITCHES.iter().zip(&SWITCH_VALUES) {
        define_one(setting.name, |name| {
            // SAFETY: descriptions and value are static; PostgreSQL copies the name.
            unsafe {
                pg_sys::DefineCustomBoolVariable(
                    name.as_ptr(),
                    setting.description.as_ptr(),
                    setting.details.as_ptr(),
                    value.0.get(),
                    setting.default,
                    pg_sys::GucContext::PGC_SIGHUP,
                    0,
                    None,
                    None,
                    None,
                );
            }
        });
    }
    let prefix = c_string(PREFIX);
    // SAFETY: a NUL-terminated string, which PostgreSQL copies.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
}

/// Defines one setting, and notes it if the value that it was given before is not valid: PostgreSQL then
/// warns and takes the default, which may allow more than the administrator meant.
fn define_one(name: &str, define: impl FnOnce(&CStr)) {
    let name = c_string(&format!("{PREFIX}.{name}"));
    let was_set = !is_default(&name);
    define(&name);
    if was_set && is_default(&name) {
        REFUSED_AT_LOAD.lock().push(name);
    }
}

/// Whether a setting is unknown to PostgreSQL, or has its default value because nothing else was set.
fn is_default(name: &CStr) -> bool {
    // SAFETY: find_option only reads the table of settings, and returns null or one of its records.
    let record = unsafe {
        pg_sys::find_option(name.as_ptr(), false, true, pg_sys::DEBUG5 as c_int).as_ref()
    };
    record.is_none_or(|record| record.source == pg_sys::GucSource::PGC_S_DEFAULT)
}

/// Called by PostgreSQL before a text setting takes a value: refuses one that does not parse.
#[pg_guard]
unsafe extern "C-unwind" fn check_text<const INDEX: usize>(
    new_value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: u32,
) -> bool {
    // SAFETY: a check hook is given a pointer to the new value, a NUL-terminated string or null.
    let text = unsafe { new_value.as_ref().and_then(|value| text_at(*value)) };
    let checked = match (text, TEXTS.get(INDEX)) {
        (Some(text), Some(setting)) => (setting.check)(text),
        _ => Err("it is not UTF-8".to_owned()),
    };
    match checked {
        Ok(()) => true,
        Err(why) => {
            let detail = format!("{}.", capitalized(&why));
            // SAFETY: called from within a check hook.
            unsafe { GucCheckError::default().with_detail(detail).apply() };
            false
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_uppercase(), chars.as_str())
    })
}

/// # Safety
/// `text` is null or a NUL-terminated string that lives as long as the result is used.
unsafe fn text_at<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return Some("");
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

fn c_string(text: &str) -> CString {
    // Names are constants without NUL; an empty name would be refused by PostgreSQL.
    CString::new(text).unwrap_or_default()
}

/// A setting whose value was refused at load has its default, until a reload gives it a valid one.
pub fn ensure_none_was_refused() -> Result<(), Misconfigured> {
    let refused = REFUSED_AT_LOAD.lock();
    match refused.iter().find(|name| is_default(name)) {
        None => Ok(()),
        Some(name) => Err(Misconfigured::SettingInvalid {
            setting: Printable::new(&name.to_string_lossy()),
            why: Printable::new("its value was refused when the module was loaded"),
        }),
    }
}

/// The value of a text setting, parsed.
pub fn text<T: FromStr<Err: ToString>>(which: Text) -> Result<T, Misconfigured> {
    // SAFETY: PostgreSQL keeps the string until the next reload, which does not happen during a login.
    let value = unsafe { text_at(TEXT_VALUES[which as usize].get()) };
    let value = value.ok_or_else(|| invalid(which, "it is not UTF-8"))?;
    value
        .parse()
        .map_err(|error: T::Err| invalid(which, &error.to_string()))
}

/// A text setting can not be used as it is.
pub fn invalid(which: Text, why: &str) -> Misconfigured {
    Misconfigured::SettingInvalid {
        setting: Printable::new(&format!("{PREFIX}.{}", TEXTS[which as usize].name)),
        why: Printable::new(why),
    }
}

/// The value of a number setting, in its unit. Its range keeps it from being negative.
pub fn number(which: Number) -> u64 {
    u64::try_from(NUMBER_VALUES[which as usize].get()).unwrap_or(0)
}

/// The value of a switch.
pub fn switch(which: Switch) -> bool {
    SWITCH_VALUES[which as usize].get()
}
