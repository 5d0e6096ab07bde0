//! `make bench`: what a login with `validator` costs, beside one that an accept-all validator lets in (the floor).
//! See docs/performance.md for how to read it.
//!
//! Options, by the environment: SCALE=1 (the rows of servers where there is much of something), LOGINS (of each row, one
//! at a time), ROUND (logins before the next row's turn), CLIENTS (at the same time, besides one; separated by commas),
//! COLD (logins of the cold start; 0: none), SESSIONS (whose memory is measured; 0: none), ONLY (words of the names of the
//! rows to measure, separated by commas), COMPARE (paths of other libraries, separated by colons), BASE (the JSON file of
//! an earlier run to compare this one with).
//!
//! What can be made of the JSON files of earlier runs: `bench report FILE` prints its tables, `bench compare OLD NEW` what
//! differs, `bench chart FILE SVG` draws docs/performance.svg.

// A benchmark reports to a person.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod chart;
mod cold_start;
mod comparison;
mod judgement;
mod login;
mod markdown;
mod measure;
mod memory;
mod options;
mod postmaster;
mod report;
mod results;
mod rows;
mod scenario;
mod statistics;
mod variant;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use cold_start::cold_start;
use options::Options;
use results::Results;
use rows::{Group, Mode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => {
            measure(Options::read());
            Ok(())
        }
        ["report", file] => read(file).map(|results| println!("{}", report::report(&results))),
        ["compare", old, new] => read(old).and_then(|old| {
            let new = read(new)?;
            println!("{}", comparison::compare(&old, &new));
            Ok(())
        }),
        ["chart", file, svg] => read(file).and_then(|results| {
            let written = fs::write(svg, chart::draw(&results));
            written.map_err(|error| format!("{svg}: {error}"))
        }),
        _ => Err("report FILE, compare OLD NEW, chart FILE SVG, or nothing".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn read(file: &str) -> Result<Results, String> {
    Results::read(Path::new(file))
}

fn measure(options: Options) {
    let plan = &options.plan;
    // Before all other servers, which would share their pages.
    let memory = memory::measure_memory(options.sessions);
    let rows = options.group.rows(&options.compare, &options.only);
    eprintln!(
        "{} rows of {} logins each, in rounds of {} ...",
        rows.len(),
        plan.logins,
        plan.round
    );
    let clients = plan.clients.iter().copied().max().unwrap_or(1);
    let variants = variant::start_all(rows, clients);
    let logins = measure::measure(&variants, plan);
    drop(variants);
    let cold_starts = match options.cold {
        0 => Vec::new(),
        cold => [Mode::OnDemand, Mode::Preloaded]
            .map(|mode| cold_start(mode, cold))
            .into(),
    };
    let judgements = match options.group {
        Group::Tokens => judgement::count_instructions(),
        Group::Scale => Some(Vec::new()),
    };
    let results = Results {
        commit: results::commit(),
        logins,
        memory,
        cold_starts,
        judgements,
    };
    println!("{}", report::report(&results));
    if let Some(base) = &options.base {
        println!("{}", comparison::compare(base, &results));
    }
    let file = options.group.file();
    results.write(file);
    println!("also in {}", file.display());
}
