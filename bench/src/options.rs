//! What is wanted, by the environment: `make bench` passes on what its command line says.

use std::env;
use std::path::PathBuf;

use crate::measure::Plan;
use crate::results::Results;
use crate::rows::Group;

pub struct Options {
    pub group: Group,
    pub compare: Vec<PathBuf>,
    pub only: Vec<String>,
    pub plan: Plan,
    /// Logins of the cold start; 0: none.
    pub cold: usize,
    /// Idle sessions whose memory is measured; 0: none.
    pub sessions: usize,
    /// An earlier run.
    pub base: Option<Results>,
}

impl Options {
    pub fn read() -> Options {
        let scale = number("SCALE", 0) != 0;
        let numbers = list("CLIENTS", ',');
        let clients: Vec<usize> = match numbers.is_empty() {
            true => vec![16, 64],
            false => numbers.iter().map(|text| parse("CLIENTS", text)).collect(),
        };
        Options {
            group: if scale { Group::Scale } else { Group::Tokens },
            compare: list("COMPARE", ':').iter().map(PathBuf::from).collect(),
            only: list("ONLY", ','),
            plan: Plan {
                logins: number("LOGINS", 2000).max(1),
                round: number("ROUND", 20).max(1),
                // One alone is measured in any case.
                clients: clients.into_iter().filter(|clients| *clients > 1).collect(),
            },
            cold: number("COLD", if scale { 0 } else { 1000 }),
            sessions: number("SESSIONS", if scale { 0 } else { 16 }),
            base: env::var_os("BASE")
                .filter(|file| !file.is_empty())
                .map(|file| Results::read(&PathBuf::from(file)).unwrap_or_else(|e| panic!("{e}"))),
        }
    }
}

fn number(name: &str, default: usize) -> usize {
    match env::var(name) {
        Ok(text) if !text.is_empty() => parse(name, &text),
        _ => default,
    }
}

fn parse(name: &str, text: &str) -> usize {
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{name}: {text} is not a number"))
}

fn list(name: &str, separator: char) -> Vec<String> {
    let text = env::var(name).unwrap_or_default();
    let items = text.split(separator).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}
