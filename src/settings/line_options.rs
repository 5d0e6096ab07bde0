//! Settings on a line of pg_hba.conf, which PostgreSQL 19 has for validators: `validator.audience="…"`.
//!
//! They hold for logins through that line. One that is not valid refuses those logins.

use std::ffi::{CStr, CString, c_int};

use oauth_core::Misconfigured;
use pgrx::pg_sys;

#[cfg(all(oauth, not(feature = "pg19")))]
use crate::postgres::abi::ValidatorModuleState;
use crate::settings::tables::{self, Kind, Level, Number, Switch, Text};
use crate::settings::values;

/// The option that names a profile.
const PROFILE: &str = "profile";

/// What may follow `validator.` on a line: every setting that a profile can have, too.
pub fn names() -> impl Iterator<Item = &'static str> {
    tables::all()
        .filter(|setting| setting.level == Level::Both)
        .map(|setting| setting.name)
        .chain([PROFILE])
}

/// The settings of a line, checked and copied.
pub struct LineOptions {
    /// Which line it is, for the administrator.
    place: String,
    /// `validator.profile`: the profile that the line names.
    profile: Option<String>,
    texts: Vec<(usize, String)>,
    numbers: Vec<(usize, c_int)>,
    switches: Vec<(usize, bool)>,
}

impl LineOptions {
    /// A line without settings.
    pub const NONE: &LineOptions = &LineOptions::none();

    pub const fn none() -> Self {
        LineOptions::at(String::new())
    }

    /// Those of a line that names a profile and has no settings.
    pub fn naming(profile: &str, place: String) -> Self {
        LineOptions {
            profile: Some(profile.to_owned()),
            ..LineOptions::at(place)
        }
    }

    const fn at(place: String) -> Self {
        LineOptions {
            place,
            profile: None,
            texts: Vec::new(),
            numbers: Vec::new(),
            switches: Vec::new(),
        }
    }

    /// Reads all options of a line; `get` gives the value of one.
    ///
    /// Errors: a value is not valid.
    pub fn collect(
        place: String,
        get: impl Fn(&str) -> Option<CString>,
    ) -> Result<Self, Misconfigured> {
        let mut options = LineOptions::at(place);
        for setting in tables::all().filter(|setting| setting.level == Level::Both) {
            if let Some(value) = get(setting.name) {
                let added = options.add(&setting.kind, value);
                added.map_err(|why| options.invalid(setting.name, &why))?;
            }
        }
        options.profile = get(PROFILE).map(|name| name.to_string_lossy().into_owned());
        Ok(options)
    }

    /// Errors: why the value is not valid.
    fn add(&mut self, kind: &Kind, value: CString) -> Result<(), String> {
        match kind {
            Kind::Text { which, check, .. } => {
                let text = value.into_string();
                let text = text.map_err(|_| "it is not UTF-8".to_owned())?;
                check(&text)?;
                self.texts.push((*which as usize, text));
            }
            Kind::Number {
                which, unit, range, ..
            } => {
                let number = parse_number(&value, *unit, *range)?;
                self.numbers.push((*which as usize, number));
            }
            Kind::Switch { which, .. } => {
                let on = parse_switch(&value).ok_or("it is neither on nor off")?;
                self.switches.push((*which as usize, on));
            }
        }
        Ok(())
    }

    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    pub fn text(&self, which: Text) -> Option<&str> {
        find(&self.texts, which as usize).map(String::as_str)
    }

    pub fn number(&self, which: Number) -> Option<c_int> {
        find(&self.numbers, which as usize).copied()
    }

    pub fn switch(&self, which: Switch) -> Option<bool> {
        find(&self.switches, which as usize).copied()
    }

    /// The line's value of a setting (named without `validator.`) cannot be used.
    pub fn invalid(&self, name: &str, why: &str) -> Misconfigured {
        values::invalid(
            &format!("validator.{name}"),
            &format!("{}: {why}", self.place),
        )
    }
}

fn find<T>(values: &[(usize, T)], which: usize) -> Option<&T> {
    let found = values.iter().find(|(index, _)| *index == which);
    found.map(|(_, value)| value)
}

/// A number as in postgresql.conf: maybe with a unit, and in its range.
fn parse_number(value: &CStr, unit: u32, range: (c_int, c_int)) -> Result<c_int, String> {
    let mut number = 0;
    let unit = unit as c_int;
    // SAFETY: a NUL-terminated string, a place for the result, and no wish for a hint.
    if !unsafe { pg_sys::parse_int(value.as_ptr(), &mut number, unit, std::ptr::null_mut()) } {
        return Err("it is not a number with a valid unit".to_owned());
    }
    match range.0 <= number && number <= range.1 {
        true => Ok(number),
        false => Err(format!(
            "it is outside the valid range ({} .. {})",
            range.0, range.1
        )),
    }
}

/// A switch as in postgresql.conf.
fn parse_switch(value: &CStr) -> Option<bool> {
    let mut on = false;
    // SAFETY: a NUL-terminated string, and a place for the result.
    unsafe { pg_sys::parse_bool(value.as_ptr(), &mut on) }.then_some(on)
}

/// PostgreSQL 18 knows no options of validators.
///
/// # Safety
/// None is needed.
#[cfg(all(oauth, not(feature = "pg19")))]
pub unsafe fn read(_state: *const ValidatorModuleState) -> Result<LineOptions, Misconfigured> {
    Ok(LineOptions::none())
}

#[cfg(feature = "pg19")]
pub use postgresql_19::{read, register};

#[cfg(feature = "pg19")]
mod postgresql_19 {
    use std::ffi::{CStr, CString, c_char, c_int};

    use oauth_core::Misconfigured;
    use pgrx::pg_guard;

    use super::LineOptions;
    use crate::postgres::abi::{self, ValidatorModuleState};
    use crate::postgres::hba;
    use crate::postgres::text::copied;

    /// Tells PostgreSQL which names a line may have.
    ///
    /// # Safety
    /// Called by PostgreSQL when it has loaded the module for a login.
    #[pg_guard]
    pub unsafe extern "C-unwind" fn register(state: *mut ValidatorModuleState) {
        // PostgreSQL may keep them as long as the process lives.
        let names: &'static mut [*const c_char] = super::names()
            .map(|name| {
                CString::new(name)
                    .unwrap_or_default()
                    .into_raw()
                    .cast_const()
            })
            .collect::<Vec<_>>()
            .leak();
        let number = c_int::try_from(names.len()).unwrap_or(0);
        // SAFETY: in startup_cb, with PostgreSQL's own state and as many NUL-terminated names as are said to be there.
        unsafe {
            abi::guarded(|| abi::RegisterOAuthHBAOptions(state, number, names.as_mut_ptr()));
        }
    }

    /// The settings of the line that this connection matched.
    ///
    /// Errors: a value on it is not valid.
    ///
    /// # Safety
    /// `state` is what PostgreSQL gave to validate_cb, which this is called from.
    pub unsafe fn read(state: *const ValidatorModuleState) -> Result<LineOptions, Misconfigured> {
        // SAFETY: as for hba::matched_line.
        let line = unsafe { hba::port().and_then(|port| port.hba.as_ref()) };
        let Some(line) = line.filter(|line| !line.oauth_opt_keys.is_null()) else {
            return Ok(LineOptions::none());
        };
        // SAFETY: null, or a NUL-terminated string of pg_hba.conf's parsed lines.
        let file = unsafe { copied(line.sourcefile) }.unwrap_or_default();
        LineOptions::collect(format!("line {} of {file}", line.linenumber), |name| {
            let name = CString::new(name).unwrap_or_default();
            // SAFETY: in validate_cb, with PostgreSQL's own state and a registered name; the value lives as long as
            // the line, and is copied here.
            let value = unsafe { abi::guarded(|| abi::GetOAuthHBAOption(state, name.as_ptr())) };
            // SAFETY: not null, and a NUL-terminated string.
            (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_owned())
        })
    }
}
