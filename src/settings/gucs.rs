//! The settings as PostgreSQL sees them: defined from the tables, checked, and looked up.
//!
//! All are of context SIGHUP: set in postgresql.conf or by ALTER SYSTEM, and read at the next login after a
//! reload. A check hook refuses a bad value, and the old one stays. A module that is loaded at
//! login has no old value to keep, so logins fail closed as long as a setting's value is refused.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::atomic::{AtomicBool, Ordering};

use oauth_core::{Misconfigured, Preset};
use parking_lot::Mutex;
use pgrx::{pg_guard, pg_sys};

use crate::postgres::text::{borrowed, c_string};
use crate::postgres::versions;
use crate::settings::tables::{self, Kind, NUMBERS, SWITCHES, Setting, TEXTS};
use crate::settings::tables::{Number, Switch, Text};
use crate::settings::values::{ProfileNames, invalid};

/// What every setting's name starts with.
pub const PREFIX: &str = "validator";

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

/// The values of one set of settings: the server's, or a profile's.
pub struct Values {
    texts: [Variable<*mut c_char>; TEXTS.len()],
    numbers: [Variable<c_int>; NUMBERS.len()],
    switches: [Variable<bool>; SWITCHES.len()],
}

impl Values {
    const fn new() -> Self {
        Values {
            texts: [const { Variable::new(std::ptr::null_mut()) }; TEXTS.len()],
            numbers: [const { Variable::new(0) }; NUMBERS.len()],
            switches: [const { Variable::new(false) }; SWITCHES.len()],
        }
    }

    /// A text. `None`: it is not UTF-8.
    pub fn text(&self, which: Text) -> Option<&str> {
        // SAFETY: PostgreSQL keeps the string until the next reload, which does not happen during a login.
        unsafe { borrowed(self.texts[which as usize].get()) }
    }

    pub fn number(&self, which: Number) -> c_int {
        self.numbers[which as usize].get()
    }

    pub fn switch(&self, which: Switch) -> bool {
        self.switches[which as usize].get()
    }
}

/// The values of `validator.NAME`.
pub static SERVER: Values = Values::new();

/// A profile whose settings are defined in this process.
#[derive(Clone, Copy)]
pub struct Profile {
    name: &'static str,
    pub values: &'static Values,
}

static PROFILES: Mutex<Vec<Profile>> = Mutex::new(Vec::new());

/// Whether another copy of the module, of another file name, has defined the settings in this process.
pub fn are_defined() -> bool {
    // One with a unit, and so with flags, by which PostgreSQL tells it from one that it does not know. A value in
    // postgresql.conf that waits for its module has a flag of its own.
    const ONE: &CStr = c"validator.clock_skew";
    // SAFETY: a look at PostgreSQL's table of settings, in the main thread; an unknown name is no error.
    let flags = unsafe { pg_sys::GetConfigOptionFlags(ONE.as_ptr(), true) };
    flags != 0 && flags as u32 & pg_sys::GUC_CUSTOM_PLACEHOLDER == 0
}

/// The settings were defined in the postmaster.
static ARE_PRELOADED: AtomicBool = AtomicBool::new(false);

/// Defines all settings of the server, and those of the profiles that `validator.profiles` names by now.
pub fn define() {
    // SAFETY: a plain variable of this process.
    let is_preloading = unsafe { pg_sys::process_shared_preload_libraries_in_progress };
    ARE_PRELOADED.store(is_preloading, Ordering::Relaxed);
    define_all(PREFIX, &SERVER, true);
    // A list that does not parse has been refused before, so it names none.
    let _ = define_profiles();
}

/// The profiles that `validator.profiles` names. Those that are new are defined: a reload is enough to add one.
pub fn define_profiles() -> Result<Vec<Profile>, Misconfigured> {
    let names = SERVER
        .text(Text::Profiles)
        .ok_or("it is not UTF-8".to_owned());
    let names = names.and_then(str::parse);
    let ProfileNames(names) = names.map_err(|why: String| {
        let name = TEXTS[Text::Profiles as usize].name;
        invalid(&format!("{PREFIX}.{name}"), &why)
    })?;
    let mut defined = PROFILES.lock();
    let mut named = Vec::with_capacity(names.len());
    for name in names {
        let known = defined.iter().find(|profile| profile.name == name).copied();
        named.push(known.unwrap_or_else(|| {
            // PostgreSQL keeps pointers to the values for as long as the process lives.
            let name: &'static str = Box::leak(name.into_boxed_str());
            let profile = Profile {
                name,
                values: Box::leak(Box::new(Values::new())),
            };
            define_all(&profile.prefix(), profile.values, false);
            defined.push(profile);
            profile
        }));
    }
    Ok(named)
}

impl Profile {
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the names of its settings start with.
    pub fn prefix(&self) -> String {
        format!("{PREFIX}_{}", self.name)
    }
}

/// Defines the settings of the server, or of a profile, and reserves the prefix, so that a misspelt name is reported.
fn define_all(prefix: &str, values: &'static Values, is_server: bool) {
    for setting in tables::all().filter(|setting| is_server || setting.level.has_profiles()) {
        define_one(prefix, setting.name, |name| {
            define_variable(name, setting, values, is_server)
        });
    }
    let prefix = c_string(prefix);
    // SAFETY: a NUL-terminated string, which PostgreSQL copies.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
}

/// Has PostgreSQL keep the setting's value among `values`.
fn define_variable(name: &CStr, setting: &Setting, values: &'static Values, is_server: bool) {
    let (name, description) = (name.as_ptr(), setting.description.as_ptr());
    let (details, context) = (setting.details.as_ptr(), pg_sys::GucContext::PGC_SIGHUP);
    // SAFETY: descriptions and value are static; PostgreSQL copies name and default.
    unsafe {
        match setting.kind {
            Kind::Text {
                which,
                default,
                check_hook,
                ..
            } => pg_sys::DefineCustomStringVariable(
                name,
                description,
                details,
                values.texts[which as usize].0.get(),
                default.as_ptr(),
                context,
                0,
                Some(check_hook),
                None,
                show_hook(which).filter(|_| is_server),
            ),
            Kind::Number {
                which,
                default,
                range,
                unit,
            } => pg_sys::DefineCustomIntVariable(
                name,
                description,
                details,
                values.numbers[which as usize].0.get(),
                default,
                range.0,
                range.1,
                context,
                unit as c_int,
                None,
                None,
                None,
            ),
            Kind::Switch { which, default } => pg_sys::DefineCustomBoolVariable(
                name,
                description,
                details,
                values.switches[which as usize].0.get(),
                default,
                context,
                0,
                None,
                None,
                None,
            ),
        }
    }
}

/// Defines one setting, and notes it if the value that it was given before is not valid: PostgreSQL then
/// warns and takes the default, which may allow more than the administrator meant.
fn define_one(prefix: &str, name: &str, define: impl FnOnce(&CStr)) {
    let name = c_string(&format!("{prefix}.{name}"));
    let was_set = !is_default(&name);
    define(&name);
    if was_set && is_default(&name) {
        REFUSED_AT_LOAD.lock().push(name);
    }
}

/// Whether `PREFIX.NAME` was set to something.
pub fn is_set(prefix: &str, name: &str) -> bool {
    !is_default(&c_string(&format!("{prefix}.{name}")))
}

/// Whether a setting is unknown to PostgreSQL, or has its default value because nothing else was set.
fn is_default(name: &CStr) -> bool {
    // SAFETY: null, or a record of the table of settings.
    let record = unsafe { versions::find_setting(name).as_ref() };
    record.is_none_or(|record| record.source == pg_sys::GucSource::PGC_S_DEFAULT)
}

/// What PostgreSQL calls to show a setting.
type ShowHook = unsafe extern "C-unwind" fn() -> *const c_char;

/// How a server setting is shown whose default depends on the provider.
fn show_hook(which: Text) -> Option<ShowHook> {
    macro_rules! shown {
        ($($variant:ident),+) => {
            match which {
                $(Text::$variant => Some(show_text::<{ Text::$variant as usize }>),)+
                _ => None,
            }
        };
    }
    shown!(
        Algorithms,
        TokenTypes,
        IdentityClaim,
        OptionalScopes,
        RoleClaim
    )
}

/// Called by PostgreSQL to show such a setting: where it is not set, the provider's default.
#[pg_guard]
unsafe extern "C-unwind" fn show_text<const INDEX: usize>() -> *const c_char {
    let (setting, value) = (&TEXTS[INDEX], SERVER.texts[INDEX].get());
    let preset = SERVER.text(Text::Provider).map(str::parse::<Preset>);
    let in_force = match preset {
        Some(Ok(preset)) if !is_set(PREFIX, setting.name) => preset.default_of(setting.name),
        _ => None,
    };
    match in_force.map(|text| c_string(&text)) {
        // SAFETY: a NUL-terminated string, copied into the caller's memory context.
        Some(text) => unsafe { pg_sys::pstrdup(text.as_ptr()) },
        None if value.is_null() => c"".as_ptr(),
        None => value,
    }
}

/// What is wrong with a text setting's value, by the setting's full name. `None`: nothing, or it is not a text setting.
pub fn why_refused(name: &str, value: &str) -> Option<String> {
    let (_, name) = name.split_once('.')?;
    let setting = TEXTS.iter().find(|setting| setting.name == name)?;
    match setting.kind {
        Kind::Text { check, .. } => check(value).err(),
        Kind::Number { .. } | Kind::Switch { .. } => None,
    }
}

/// The numbers that a setting permits, by its full name. `None`: it is not a number.
pub fn range_of(name: &str) -> Option<String> {
    let (_, name) = name.split_once('.')?;
    let setting = NUMBERS.iter().find(|setting| setting.name == name)?;
    let Kind::Number { range, unit, .. } = setting.kind else {
        return None;
    };
    let unit = match unit {
        pg_sys::GUC_UNIT_S => " s",
        pg_sys::GUC_UNIT_MS => " ms",
        pg_sys::GUC_UNIT_BYTE => " bytes",
        _ => "",
    };
    Some(format!("{} to {}{unit}", range.0, range.1))
}

/// Whether the module was loaded at server start.
pub fn are_preloaded() -> bool {
    ARE_PRELOADED.load(Ordering::Relaxed)
}

/// Settings whose value was refused when the module was loaded, and that have none since.
pub fn refused_at_load() -> Vec<String> {
    let refused = REFUSED_AT_LOAD.lock();
    let still = refused.iter().filter(|name| is_default(name));
    still
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// A setting whose value was refused at load has its default, until a reload gives it a valid one.
pub fn ensure_none_was_refused() -> Result<(), Misconfigured> {
    match refused_at_load().first() {
        None => Ok(()),
        Some(name) => {
            let why = "its value was rejected when the module was loaded";
            Err(invalid(name, why))
        }
    }
}
