//! Which roles with power over the whole server a line lets a token have.

use oauth_core::Printable;

use crate::doctor::configuration::Configuration;
use crate::doctor::finding::{self, Finding};
use crate::doctor::line::LineSettings;
use crate::settings::tables::Switch;

/// By a map, or, where `validator.allow_superuser` permits that, by the token alone.
pub fn examine(line: &LineSettings<'_>, configuration: &Configuration) -> Option<Finding> {
    let rule = line.rule();
    let named = |names: &[&str]| Printable::list(names.iter().copied());
    let mut let_in = rule.superusers.iter().map(String::as_str);
    if let Some(map) = line.map() {
        let given: Vec<&str> = let_in
            .filter(|superuser| configuration.map_gives(map, superuser))
            .collect();
        return (!given.is_empty()).then(|| {
            finding::SUPERUSER_MAPPED.with(format!(
                "The line admits roles with power over the whole server that map={} can give to token bearers: {}.",
                Printable::new(map),
                named(&given)
            ))
        });
    }
    if !line.settings.switch(Switch::AllowSuperuser) {
        return None;
    }
    Some(match let_in.next() {
        Some(first) => {
            let all: Vec<&str> = std::iter::once(first).chain(let_in).collect();
            finding::SUPERUSER_ALLOWED.with(format!(
                "The line admits roles with power over the whole server, and with validator.allow_superuser a token alone can give them: {}.",
                named(&all)
            ))
        }
        None => finding::SUPERUSER_ALLOWED
            .with("With validator.allow_superuser a token alone may give roles with power over the whole server; the line admits none.")
            .into_notice(),
    })
}
