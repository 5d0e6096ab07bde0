//! What pg_ident.conf makes of the identities of a line: no map, one that nobody can match, or one that everybody does.

use oauth_core::{IdentityCase, Printable, near_miss};

use crate::doctor::configuration::{Configuration, IdentLine};
use crate::doctor::finding::{self, Finding};
use crate::doctor::line::LineSettings;
use crate::postgres::hba_cover::{NewRoles, Reach};
use crate::settings::tables::Text;
use crate::settings::values::MapName;

/// Findings about the line's `map=`, or that it has none; `all`: every line of this module's, for maps that they share;
/// `reach`: who can reach the line.
pub fn examine(
    line: &LineSettings<'_>,
    all: &[LineSettings<'_>],
    reach: Option<&Reach>,
    configuration: &Configuration,
) -> Vec<Finding> {
    let Some(map) = line.map() else {
        let found = reach.and_then(|reach| examine_without_map(line, reach));
        return found.into_iter().collect();
    };
    if !configuration.has_map(map) {
        let of = match line.takes_passwords() {
            true => "validator.password_map is ",
            false => "The line has map=",
        };
        let named = format!("{of}{}", Printable::new(map));
        return vec![missing(&named, map, configuration)];
    }
    let catch_all = examine_catch_all(configuration, map);
    let unreachable = examine_reach(line, all, map, configuration);
    catch_all.into_iter().chain(unreachable).collect()
}

/// Whether no identity can be the name of a role, which it must be where neither a map nor the token decides.
fn examine_without_map(line: &LineSettings<'_>, reach: &Reach) -> Option<Finding> {
    let identities = Identities::of(line)?;
    let roles = &reach.roles;
    // Those that logins create.
    let new: &[NewRoles] = match line.creates_roles() {
        true => &reach.new_roles,
        false => &[],
    };
    let mut of_these = roles.iter().map(|role| identities.is_one(role));
    let mut of_new = new.iter().map(|new| identities.may_be_among(new));
    let is_possible = of_these.any(|is_one| is_one) || of_new.any(|may_be| may_be);
    if line.is_delegated() || roles.is_empty() && new.is_empty() || is_possible {
        return None;
    }
    let [prefixes, letters] = identities.described();
    let map = match line.takes_passwords() {
        true => "validator.password_map",
        false => "map=",
    };
    Some(finding::IDENTITY_NO_ROLE.with(format!(
        "Identities {prefixes}{letters}, and without {map} they must be the role's name, but no role that the line admits is named so."
    )))
}

/// Findings about `validator.role_map`, whose names are values of a claim.
pub fn examine_role_map(line: &LineSettings<'_>, configuration: &Configuration) -> Option<Finding> {
    let Ok(MapName(Some(map))) = line.settings.text(Text::RoleMap) else {
        return None;
    };
    if configuration.has_map(&map) {
        return examine_catch_all(configuration, &map);
    }
    let named = format!("validator.role_map is \"{}\"", Printable::new(&map));
    Some(missing(&named, &map, configuration))
}

/// A map that pg_ident.conf does not have, with those that it has.
fn missing(named: &str, map: &str, configuration: &Configuration) -> Finding {
    let known = configuration.maps();
    let others = match known.as_slice() {
        [] => "no map".to_owned(),
        _ => format!("only: {}", Printable::list(known.iter().copied())),
    };
    let near = known
        .iter()
        .find_map(|other| Some((Printable::new(other), near_miss(other, map)?)));
    let near = near.map_or_else(String::new, |(other, by)| {
        format!(" \"{other}\" differs only by {by}.")
    });
    finding::MAP_MISSING.with(format!(
        "{named}, but pg_ident.conf has no line for this map; it has {others}.{near}"
    ))
}

/// Whether everybody whom the provider gives a token may take a role by this map.
fn examine_catch_all(configuration: &Configuration, map: &str) -> Option<Finding> {
    let (expression, role) = configuration.catch_all_of(map)?;
    Some(finding::MAP_CATCH_ALL.with(format!(
        "Map \"{}\" of pg_ident.conf has \"{}\", which matches everything, and gives it the role \"{}\".",
        Printable::new(map),
        Printable::new(expression),
        Printable::new(role)
    )))
}

/// Lines of the map that no identity can match: all of them, or some that no other line of pg_hba.conf uses either.
fn examine_reach(
    line: &LineSettings<'_>,
    all: &[LineSettings<'_>],
    map: &str,
    configuration: &Configuration,
) -> Option<Finding> {
    let own = Identities::of(line)?;
    let of_map = || configuration.ident.iter().filter(|ident| ident.map == map);
    let [prefixes, letters] = own.described();
    if !of_map().any(|ident| own.may_match(&ident.system_user)) {
        let first = of_map().next()?;
        return Some(finding::MAP_UNREACHABLE.with(format!(
            "Identities {prefixes}{letters}, and no line of map \"{}\" is for such a one: {} has \"{}\".",
            Printable::new(map),
            first.told_place(),
            Printable::new(&first.system_user)
        )));
    }
    let uses_map = |line: &&LineSettings<'_>| line.rule().option("map") == Some(map);
    let users: Vec<&LineSettings<'_>> = all.iter().filter(uses_map).collect();
    let is_first = users.first().is_some_and(|first| first.is(line));
    if !is_first || users.len() != configuration.users_of(map) {
        return None;
    }
    let identities: Vec<Identities> = users
        .iter()
        .map(|line| Identities::of(line))
        .collect::<Option<_>>()?;
    let mut unreachable = of_map().filter(|ident| {
        let mut all = identities.iter();
        !all.any(|identities| identities.may_match(&ident.system_user))
    });
    let first = unreachable.next()?;
    let more = match unreachable.count() {
        0 => String::new(),
        more => format!("; {more} more cannot, either"),
    };
    let found = finding::MAP_UNREACHABLE.with(format!(
        "Identities {prefixes}{letters}, so {} cannot match, which has \"{}\"{more}.",
        first.told_place(),
        Printable::new(&first.system_user)
    ));
    Some(found.into_warning())
}

/// What is certain of the identities that a line's tokens give.
struct Identities {
    prefixes: Vec<String>,
    case: IdentityCase,
}

impl Identities {
    /// `None`: a setting is invalid.
    fn of(line: &LineSettings<'_>) -> Option<Self> {
        Some(Identities {
            prefixes: line.identity_prefixes().ok()?,
            case: line.settings.text(Text::IdentityCase).ok()?,
        })
    }

    /// Whether one of them may match the user of a line of pg_ident.conf. A regular expression is believed to match
    /// whatever its literal beginning does not exclude.
    fn may_match(&self, system_user: &str) -> bool {
        match system_user.strip_prefix('/') {
            None => self.is_one(system_user),
            Some(expression) => self.may_begin(&Beginning::of(expression)),
        }
    }

    /// Whether this may be one of them.
    fn is_one(&self, name: &str) -> bool {
        self.may_begin(&Beginning {
            text: name.to_owned(),
            is_all: true,
        })
    }

    /// Whether one of them may be among these.
    fn may_be_among(&self, new: &NewRoles) -> bool {
        match new {
            NewRoles::All => true,
            NewRoles::Matching(expression) => self.may_match(expression),
            NewRoles::Named(name) => self.is_one(name),
        }
    }

    fn may_begin(&self, Beginning { text, is_all }: &Beginning) -> bool {
        let fits = |rest: &str| {
            self.case == IdentityCase::AsIs || !rest.contains(|c: char| c.is_ascii_uppercase())
        };
        self.prefixes.iter().any(|prefix| {
            match text.strip_prefix(prefix.as_str()) {
                // An identity is never empty behind its prefix.
                Some("") if *is_all => false,
                Some(rest) => fits(rest),
                None => !is_all && prefix.starts_with(text),
            }
        })
    }

    /// What they are like, as the end of a sentence, in two parts.
    fn described(&self) -> [String; 2] {
        let quoted: Vec<String> = self
            .prefixes
            .iter()
            .map(|prefix| format!("\"{}\"", Printable::new(prefix)))
            .collect();
        let prefixes = match self.prefixes.iter().all(String::is_empty) {
            true => "have no prefix".to_owned(),
            false => format!("begin with {}", quoted.join(" or ")),
        };
        let letters = match self.case {
            IdentityCase::AsIs => "",
            _ => " and have small letters only (validator.identity_case)",
        };
        [prefixes, letters.to_owned()]
    }
}

/// What a text must begin with to match.
struct Beginning {
    text: String,
    /// It must be this, and nothing more.
    is_all: bool,
}

impl Beginning {
    /// Of a regular expression of PostgreSQL's, behind the slash. Empty where nothing is certain.
    fn of(expression: &str) -> Self {
        let mut text = String::new();
        let mut is_all = false;
        // With an alternative, the beginning of the first one is not that of all.
        if let Some(rest) = expression
            .strip_prefix('^')
            .filter(|_| !expression.contains('|'))
        {
            let mut chars = rest.chars();
            while let Some(c) = chars.next() {
                match c {
                    // What may follow is a class, a reference or a character by its number.
                    '\\' => match chars.next() {
                        Some(escaped) if !escaped.is_alphanumeric() => text.push(escaped),
                        _ => break,
                    },
                    // The character before may be left out.
                    '*' | '?' | '{' => {
                        text.pop();
                        break;
                    }
                    '$' => {
                        is_all = chars.next().is_none();
                        break;
                    }
                    '.' | '[' | ']' | '(' | ')' | '+' | '}' | '^' => break,
                    _ => text.push(c),
                }
            }
        }
        Beginning { text, is_all }
    }
}

impl IdentLine {
    fn told_place(&self) -> String {
        format!("line {} of {}", self.place.line, self.place.file)
    }
}
