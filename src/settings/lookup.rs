//! Which value of a setting holds: that of the HBA line, of a profile, or of the server.

use std::ffi::c_int;
use std::str::FromStr;

use oauth_core::Misconfigured;

use crate::settings::gucs::{PREFIX, Profile, SERVER, is_set};
use crate::settings::line_options::LineOptions;
use crate::settings::tables::{Level, NUMBERS, Number, SWITCHES, Switch, TEXTS, Text};
use crate::settings::values;

/// The settings in force for a login, or for no login in particular.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    line: &'a LineOptions,
    profile: Option<Profile>,
}

/// Where the value of a setting is found.
enum Found<T> {
    OnLine(T),
    InProfile(Profile),
    OfServer,
}

impl<'a> Settings<'a> {
    /// The server's own.
    pub fn of_server() -> Self {
        Settings::of_login(LineOptions::NONE, None)
    }

    /// A profile's, over the server's.
    pub fn of_profile(profile: Profile) -> Self {
        Settings::of_login(LineOptions::NONE, Some(profile))
    }

    /// Those of a line, over a profile's, over the server's.
    pub fn of_login(line: &'a LineOptions, profile: Option<Profile>) -> Self {
        Settings { line, profile }
    }

    /// The name of the profile that applies.
    pub fn profile(&self) -> Option<&'static str> {
        self.profile.map(|profile| profile.name())
    }

    /// The one place that knows which value goes before which.
    fn find<T>(&self, on_line: Option<T>, name: &str, level: Level) -> Found<T> {
        match (on_line, self.profile) {
            (Some(value), _) => Found::OnLine(value),
            (None, Some(profile)) if level.has_profiles() && is_set(&profile.prefix(), name) => {
                Found::InProfile(profile)
            }
            _ => Found::OfServer,
        }
    }

    /// The value of a text setting, parsed.
    pub fn text<T: FromStr<Err: ToString>>(&self, which: Text) -> Result<T, Misconfigured> {
        let value = match self.find_text(which) {
            Found::OnLine(value) => Some(value),
            Found::InProfile(profile) => profile.values.text(which),
            Found::OfServer => SERVER.text(which),
        };
        let value = value.ok_or_else(|| self.invalid(which, "it is not UTF-8"))?;
        value
            .parse()
            .map_err(|error: T::Err| self.invalid(which, &error.to_string()))
    }

    /// The same, if it was set anywhere. Otherwise the provider's default applies.
    pub fn explicit_text<T: FromStr<Err: ToString>>(
        &self,
        which: Text,
    ) -> Result<Option<T>, Misconfigured> {
        match self.find_text(which) {
            Found::OfServer if !is_set(PREFIX, TEXTS[which as usize].name) => Ok(None),
            _ => self.text(which).map(Some),
        }
    }

    /// The value of a number setting, in its unit. Its range keeps it from being negative.
    pub fn number(&self, which: Number) -> u64 {
        let setting = &NUMBERS[which as usize];
        let value: c_int = match self.find(self.line.number(which), setting.name, setting.level) {
            Found::OnLine(value) => value,
            Found::InProfile(profile) => profile.values.number(which),
            Found::OfServer => SERVER.number(which),
        };
        u64::try_from(value).unwrap_or(0)
    }

    /// The value of a switch.
    pub fn switch(&self, which: Switch) -> bool {
        let setting = &SWITCHES[which as usize];
        match self.find(self.line.switch(which), setting.name, setting.level) {
            Found::OnLine(value) => value,
            Found::InProfile(profile) => profile.values.switch(which),
            Found::OfServer => SERVER.switch(which),
        }
    }

    /// A text setting has an invalid value.
    pub fn invalid(&self, which: Text, why: &str) -> Misconfigured {
        let name = TEXTS[which as usize].name;
        let prefix = match self.find_text(which) {
            Found::OnLine(_) => return self.line.invalid(name, why),
            Found::InProfile(profile) => profile.prefix(),
            Found::OfServer => PREFIX.to_owned(),
        };
        values::invalid(&format!("{prefix}.{name}"), why)
    }

    fn find_text(&self, which: Text) -> Found<&'a str> {
        let setting = &TEXTS[which as usize];
        self.find(self.line.text(which), setting.name, setting.level)
    }
}
