//! What earlier lines of pg_hba.conf leave of later ones. Only what is certain is said: of two lines that match the same
//! addresses or databases in part, nothing is.

use pgrx::check_for_interrupts;

use crate::postgres::abi;
use crate::postgres::auth_file::{NamedRole, Word, hba_lines};
use crate::postgres::hba::FileLine;
use crate::postgres::hba_match::Network;
use crate::postgres::text::copied_lossy;

/// A line, and who can reach it.
pub struct Reach {
    pub place: FileLine,
    /// The roles that can log in and that its column of roles means.
    pub roles: Vec<String>,
    /// The roles that do not exist and that its column of roles would mean, but for those that earlier lines would take.
    pub new_roles: Vec<NewRoles>,
    /// Whether it is for first logins: its column of roles has more than groups, and earlier lines leave some of it. A role
    /// that it names may exist by now.
    pub admits_first_logins: bool,
    /// An earlier line that matches whatever it would match.
    pub covered_by: Option<FileLine>,
    /// Earlier lines that match all its connections of some roles.
    pub taken: Vec<Taken>,
}

/// What an earlier line matches of a later one.
pub struct Taken {
    pub by: FileLine,
    pub roles: Vec<String>,
    /// Those that the earlier line means only as members of a group, and the later one by name or by another group.
    pub by_membership: Vec<String>,
}

/// Roles that do not exist and that a word would mean. A group has no such members.
pub enum NewRoles {
    All,
    /// By a regular expression, with its slash.
    Matching(String),
    Named(String),
}

/// A parsed line.
struct Line {
    place: FileLine,
    line: &'static abi::HbaLine,
    databases: Vec<Word<'static>>,
    roles: Vec<Word<'static>>,
}

/// How a column of roles means a role.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meant {
    No,
    ByMembership,
    ByName,
    /// By `all`, or by a regular expression.
    WithOthers,
}

/// Each of these lines, with what the lines before it leave of it; `login_roles`: all roles that can log in.
pub fn reach_of(places: &[&FileLine], login_roles: &[String]) -> Vec<Reach> {
    let lines: Vec<Line> = hba_lines().into_iter().map(Line::read).collect();
    let is_asked_for = |line: &Line| places.contains(&&line.place);
    let Some(last) = lines.iter().rposition(is_asked_for) else {
        return Vec::new();
    };
    let lines = lines.get(..=last).unwrap_or_default();
    let mut reaches: Vec<(usize, Vec<usize>, Reach)> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is_asked_for(line))
        .map(|(at, line)| {
            let earlier = lines.iter().take(at).enumerate();
            let covering = earlier.filter(|(_, earlier)| earlier.covers_but_for_roles(line));
            let covering: Vec<usize> = covering.map(|(earlier, _)| earlier).collect();
            let reach = line.reach(covering.iter().filter_map(|at| lines.get(*at)));
            (at, covering, reach)
        })
        .collect();
    // PostgreSQL remembers the memberships of the role that it was asked about last.
    for name in login_roles {
        check_for_interrupts!();
        let role = NamedRole::look_up(name);
        let meant: Vec<Meant> = lines.iter().map(|line| line.meaning_of(&role)).collect();
        let meant = |at: usize| meant.get(at).copied().unwrap_or(Meant::No);
        for (at, covering, reach) in &mut reaches {
            if meant(*at) == Meant::No {
                continue;
            }
            reach.roles.push(name.clone());
            for (taken, earlier) in reach.taken.iter_mut().zip(covering) {
                if meant(*earlier) != Meant::No {
                    taken.roles.push(name.clone());
                }
                if meant(*earlier) == Meant::ByMembership && meant(*at) != Meant::WithOthers {
                    taken.by_membership.push(name.clone());
                }
            }
        }
    }
    let reaches = reaches.into_iter().map(|(_, _, mut reach)| {
        reach.taken.retain(|taken| !taken.roles.is_empty());
        reach
    });
    reaches.collect()
}

impl Line {
    fn read((place, line): (FileLine, &'static abi::HbaLine)) -> Line {
        // SAFETY: the lists of a line that hba_lines gave.
        let (databases, roles) = unsafe { (Word::list(line.databases), Word::list(line.roles)) };
        Line {
            place,
            line,
            databases,
            roles,
        }
    }

    fn reach<'a>(&self, covering: impl Iterator<Item = &'a Line> + Clone) -> Reach {
        let mut wholly = covering.clone();
        let covered_by = wholly.find(|earlier| earlier.covers_roles(self));
        let is_taken = |word: &Word<'_>| covering.clone().any(|earlier| earlier.takes_new(word));
        let words = self.roles.iter().filter(|word| word.group().is_none());
        let mut left = words.filter(|word| !is_taken(word)).peekable();
        Reach {
            place: self.place.clone(),
            roles: Vec::new(),
            admits_first_logins: left.peek().is_some(),
            new_roles: left.filter_map(NewRoles::meant_by).collect(),
            covered_by: covered_by.map(|earlier| earlier.place.clone()),
            taken: covering
                .map(|earlier| Taken {
                    by: earlier.place.clone(),
                    roles: Vec::new(),
                    by_membership: Vec::new(),
                })
                .collect(),
        }
    }

    fn covers_but_for_roles(&self, later: &Line) -> bool {
        covers_type(self.line.conntype, later.line.conntype)
            && self.covers_databases(later)
            && covers_addresses(self.line, later.line)
    }

    /// PostgreSQL's check_db: `all` is not `replication`.
    fn covers_databases(&self, later: &Line) -> bool {
        let is_covered = |word: &Word<'_>| {
            let mut own = self.databases.iter();
            own.any(|own| {
                own.equals(word) || own.is_keyword("all") && !word.is_keyword("replication")
            })
        };
        later.databases.iter().all(is_covered)
    }

    /// Whatever roles there are, and whatever they are members of.
    fn covers_roles(&self, later: &Line) -> bool {
        let is_covered = |word: &Word<'_>| {
            let mut own = self.roles.iter();
            own.any(|own| own.equals(word) || own.is_keyword("all"))
        };
        later.roles.iter().all(is_covered)
    }

    /// Whether it would take all roles that do not exist and that a word of a later line would mean.
    fn takes_new(&self, word: &Word<'_>) -> bool {
        let is_name = word.group().is_none() && !word.is_regex() && !word.is_keyword("all");
        self.roles.iter().any(|own| {
            let is_found = || is_name && own.is_regex() && own.find_in(&word.text()).is_some();
            own.equals(word) || own.is_keyword("all") || is_found()
        })
    }

    fn meaning_of(&self, role: &NamedRole<'_>) -> Meant {
        let meaning = |word: &Word<'_>| match role.is_meant_by(word) {
            false => Meant::No,
            true if word.group().is_some() => Meant::ByMembership,
            true if word.is_keyword("all") || word.is_regex() => Meant::WithOthers,
            true => Meant::ByName,
        };
        let all: Vec<Meant> = self.roles.iter().map(meaning).collect();
        let ways = [Meant::WithOthers, Meant::ByName, Meant::ByMembership];
        let found = ways.into_iter().find(|way| all.contains(way));
        found.unwrap_or(Meant::No)
    }
}

impl NewRoles {
    /// `word` is not a group.
    fn meant_by(word: &Word<'_>) -> Option<NewRoles> {
        let text = word.text().into_owned();
        Some(if word.is_keyword("all") {
            NewRoles::All
        } else if word.is_regex() {
            NewRoles::Matching(text)
        } else if NamedRole::look_up(&text).exists() {
            return None;
        } else {
            NewRoles::Named(text)
        })
    }
}

/// A connection is by a socket, or over TCP with TLS, with GSS encryption, or with neither.
fn covers_type(earlier: abi::ConnType, later: abi::ConnType) -> bool {
    match earlier {
        abi::ConnType_ctHost => later != abi::ConnType_ctLocal,
        abi::ConnType_ctHostNoGSS => {
            [abi::ConnType_ctHostNoGSS, abi::ConnType_ctHostSSL].contains(&later)
        }
        abi::ConnType_ctHostNoSSL => {
            [abi::ConnType_ctHostNoSSL, abi::ConnType_ctHostGSS].contains(&later)
        }
        _ => earlier == later,
    }
}

fn covers_addresses(earlier: &abi::HbaLine, later: &abi::HbaLine) -> bool {
    if later.conntype == abi::ConnType_ctLocal {
        return true;
    }
    match (earlier.ip_cmp_method, later.ip_cmp_method) {
        (abi::IPCompareMethod_ipCmpAll, _) => true,
        (abi::IPCompareMethod_ipCmpMask, abi::IPCompareMethod_ipCmpMask) => {
            match (earlier.hostname.is_null(), later.hostname.is_null()) {
                // SAFETY: NUL-terminated strings of parsed lines.
                (false, false) => unsafe {
                    copied_lossy(earlier.hostname) == copied_lossy(later.hostname)
                },
                (true, true) => {
                    let networks = Network::of(earlier).zip(Network::of(later));
                    networks.is_some_and(|(earlier, later)| earlier.covers(&later))
                }
                _ => false,
            }
        }
        (abi::IPCompareMethod_ipCmpSameNet, abi::IPCompareMethod_ipCmpSameHost) => true,
        (earlier, later) => earlier == later && earlier != abi::IPCompareMethod_ipCmpMask,
    }
}
