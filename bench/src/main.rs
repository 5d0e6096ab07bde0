//! `make bench`: what a login with `validator` costs, beside one that an accept-all validator lets in (the floor).
//! See docs/performance.md for how to read it.
//!
//! Options, by the environment: LOGINS (of each variant, one at a time), ROUND (logins before the next variant's
//! turn), CLIENTS (at the same time), COLD (logins of the cold start; 0: none), ONLY (words of the names of the
//! rows to measure, separated by commas), COMPARE (paths of other builds of the module, separated by colons).

// A benchmark reports to a person.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cold_start;
mod judgement;
mod login;
mod measure;
mod postmaster;
mod report;
mod variant;

use std::path::{Path, PathBuf};
use std::{env, fs};

use cold_start::cold_start;
use measure::{Plan, measure};
use report::Report;
use variant::{Mode, start_all};

fn main() {
    let compare: Vec<PathBuf> = list("COMPARE", ':').iter().map(PathBuf::from).collect();
    let only = list("ONLY", ',');
    let plan = Plan {
        logins: number("LOGINS", 2000),
        round: number("ROUND", 20).max(1),
        clients: number("CLIENTS", 16).max(1),
    };
    let cold = number("COLD", 1000);

    eprintln!(
        "{} logins of each kind, in rounds of {} ...",
        plan.logins, plan.round
    );
    let variants = start_all(&compare, &only);
    let measured = measure(&variants, &plan);
    let cold_starts: Vec<_> = match cold {
        0 => Vec::new(),
        _ => [Mode::OnDemand, Mode::Preloaded]
            .map(|mode| cold_start(mode, cold))
            .into(),
    };
    let judgements = judgement::count_instructions();
    let report = Report {
        variants: &variants,
        measured: &measured,
        clients: plan.clients,
        cold_starts: &cold_starts,
        judgements: judgements.as_deref(),
    };
    println!("{}\n{}", report.table(), report.more());

    let file = Path::new("target/bench.json");
    fs::write(file, format!("{:#}\n", report.json()))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    println!("also in {}", file.display());
}

fn number(name: &str, default: usize) -> usize {
    match env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number")),
        _ => default,
    }
}

fn list(name: &str, separator: char) -> Vec<String> {
    let text = env::var(name).unwrap_or_default();
    let items = text.split(separator).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}
