//! What a map of pg_ident.conf decides: PostgreSQL's own rules (check_usermap of hba.c), for the file as it is now. A
//! session cannot ask the server itself: it has forgotten the maps once a login is over.

use std::collections::BTreeSet;

use crate::postgres::abi;
use crate::postgres::auth_file::{NamedRole, ident_lines, ident_words};
use crate::postgres::text::copied_lossy;

/// What pg_ident.conf says.
pub enum Mapping {
    /// This line of the file gives the role.
    Allowed { line: i32 },
    /// None of the map's lines gives the role to the name. Some are for the name, with what they give instead; others can
    /// give the role, each with its number and for whom it is.
    Denied {
        instead: Vec<String>,
        others: Vec<(i32, String)>,
    },
    /// There is no such map; these there are.
    NoSuchMap { known: Vec<String> },
    /// A line cannot be applied, and ends the search.
    Broken { line: i32 },
}

/// Whether a map gives a role to a name.
pub fn apply_map(map: &str, name: &str, role: &str) -> Mapping {
    let role = NamedRole::look_up(role);
    let mut other_maps = BTreeSet::new();
    let (mut instead, mut others) = (Vec::new(), Vec::new());
    let mut is_known = false;
    for (place, line) in ident_lines() {
        // SAFETY: a NUL-terminated string of a parsed line.
        let own = unsafe { copied_lossy(line.usermap) };
        if own != map {
            other_maps.insert(own);
            continue;
        }
        is_known = true;
        match apply_line(line, name, &role) {
            Applied::Gives => return Mapping::Allowed { line: place.line },
            Applied::Broken => return Mapping::Broken { line: place.line },
            Applied::GivesOther(other) => instead.push(other),
            Applied::GivesToOthers(name) => others.push((place.line, name)),
            Applied::ForOthers => {}
        }
    }
    match is_known {
        true => Mapping::Denied { instead, others },
        false => Mapping::NoSuchMap {
            known: other_maps.into_iter().collect(),
        },
    }
}

enum Applied {
    Gives,
    /// The line is for the name, and gives it another role.
    GivesOther(String),
    /// The line is for other names.
    ForOthers,
    /// The line is for these names, and can give them the role.
    GivesToOthers(String),
    Broken,
}

/// PostgreSQL's check_ident_usermap.
fn apply_line(line: &abi::IdentLine, name: &str, role: &NamedRole<'_>) -> Applied {
    // SAFETY: a line that ident_lines gave.
    let Some((system_user, pg_user)) = (unsafe { ident_words(line) }) else {
        return Applied::Broken;
    };
    let for_others = || match pg_user.has_reference() || role.is_meant_by(&pg_user) {
        true => Applied::GivesToOthers(system_user.text().into_owned()),
        false => Applied::ForOthers,
    };
    let given = match system_user.is_regex() {
        false if system_user.is(name) => None,
        false => return for_others(),
        true => match system_user.find_in(name) {
            None => return for_others(),
            Some(found) if pg_user.has_reference() => match found.first_group {
                None => return Applied::Broken,
                Some(group) => Some(pg_user.text().replacen(
                    "\\1",
                    &String::from_utf8_lossy(&group),
                    1,
                )),
            },
            Some(_) => None,
        },
    };
    let (gives, given) = match given {
        // What \1 was replaced in is a name, whatever it looks like.
        Some(given) => (given == role.name(), given),
        None => (role.is_meant_by(&pg_user), pg_user.text().into_owned()),
    };
    match gives {
        true => Applied::Gives,
        false => Applied::GivesOther(given),
    }
}
