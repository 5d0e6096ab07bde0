//! `validator-hook` receives logouts (OpenID Connect Back-Channel Logout 1.0) and other security events (RFC 8935) from
//! OpenID providers, and ends the sessions of PostgreSQL that they name, on every server. docs/logout.md describes it.

mod answer;
mod clusters;
mod config;
mod http_server;
mod keys;
mod log;
mod receiver;
mod replays;
mod secret;
mod servers;
mod tls;

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::config::Config;
use crate::log::log;
use crate::receiver::Receiver;

const USAGE: &str = "\
validator-hook receives logouts and security events from OpenID providers, and ends the sessions of PostgreSQL
that they name.

Usage: validator-hook [--check] [CONFIGURATION FILE]

  --check     check the configuration, the providers and the servers, and end
  --version   show the version
  --help      show this

The configuration file is /etc/validator-hook/validator-hook.toml if none is named.
";
const CONFIGURATION: &str = "/etc/validator-hook/validator-hook.toml";

/// Threads that verify tokens and fetch keys.
const THREADS: usize = 32;

fn main() -> ExitCode {
    let mut is_check = false;
    let mut file = None;
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--check") => is_check = true,
            Some("--version") => {
                return print(concat!("validator-hook ", env!("CARGO_PKG_VERSION"), "\n"));
            }
            Some("--help" | "-h") => return print(USAGE),
            Some(option) if option.starts_with('-') => {
                return fail(&format!("unknown option {option}"));
            }
            _ if file.is_some() => return fail("more than one configuration file is named"),
            _ => file = Some(argument),
        }
    }
    let file = file.unwrap_or_else(|| CONFIGURATION.into());
    match run(Path::new(&file), is_check) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn run(file: &Path, is_check: bool) -> Result<ExitCode, String> {
    let config = Config::read(file)?;
    let mut doubts = config.doubts();
    doubts.extend(is_root().then(|| ROOT.map(str::to_owned).into()));
    let listen = config.listen;
    let tls = config.tls.as_ref().map(tls::own).transpose()?;
    let receiver = Arc::new(Receiver::new(config)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let code = match is_check {
        true => tell(runtime.block_on(receiver.check()), doubts),
        false => {
            let served = runtime.block_on(http_server::serve(listen, tls, receiver));
            served.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
            ExitCode::SUCCESS
        }
    };
    // What is still being fetched is not waited for.
    runtime.shutdown_background();
    Ok(code)
}

/// What is in doubt where root runs the check, and why.
const ROOT: [&str; 2] = [
    "this check",
    "root runs it, who may read files that the service cannot read, and who is another user for servers that are reached \
     through a socket: validator-hook(8) says how to run it as the service's user",
];

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Prints what was checked, and what is in doubt; a failure if anything is not good.
fn tell(checked: Vec<(String, Result<(), String>)>, doubts: Vec<(String, String)>) -> ExitCode {
    let is_good = checked.iter().all(|(_, outcome)| outcome.is_ok());
    let lines = checked.into_iter().map(|(what, outcome)| match outcome {
        Ok(()) => format!("good: {what}\n"),
        Err(why) => format!("BAD:  {what}: {why}\n"),
    });
    let doubts = doubts
        .into_iter()
        .map(|(what, why)| format!("warn: {what}: {why}\n"));
    print(&lines.chain(doubts).collect::<String>());
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(why: &str) -> ExitCode {
    log(&format!("validator-hook: {why}"));
    ExitCode::FAILURE
}
