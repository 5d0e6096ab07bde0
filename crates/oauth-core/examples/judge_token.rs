//! Judges one token as a resource server would, with the issuer's keys from a file.
//!
//! ```text
//! cargo run -p oauth-core --example judge_token -- ISSUER AUDIENCE KEYS.json ROLE < TOKEN
//! ```
//!
//! Each check is one line of the output, the last one being the check that failed, if one did. The token comes from
//! standard input, because arguments of a program can be read by others.

use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::{env, fs};

use oauth_core::{
    Bearer, Issuer, JwkSet, LoginAttempt, NoCatalog, NoCertificate, NoIntrospection, Policy,
    SystemClock, explain,
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [issuer, audience, keys, role] = arguments.as_slice() else {
        return Err("usage: judge_token ISSUER AUDIENCE KEYS.json ROLE < TOKEN".into());
    };
    let mut token = String::new();
    io::stdin().read_to_string(&mut token)?;

    let keys = JwkSet::parse(&fs::read(keys)?)?;
    let policy = Policy::builder(Issuer::parse(issuer)?)
        .audience(audience.parse()?)
        .build()?;
    let attempt = LoginAttempt {
        token: Bearer::new(token.trim()),
        role,
        peer: &NoCertificate,
        catalog: &NoCatalog,
        introspector: &NoIntrospection,
    };
    let (decision, steps) = explain(&attempt, &policy, &keys, &SystemClock);

    let mut out = io::stdout().lock();
    for step in &steps {
        match &step.outcome {
            Ok(found) => writeln!(out, "{:16} passed  {found}", step.name)?,
            Err(failure) => writeln!(out, "{:16} failed  {failure}", step.name)?,
        }
    }
    Ok(match decision.outcome() {
        Ok(_) => {
            let identity = decision.authn_id().unwrap_or_default();
            writeln!(out, "accepted: the bearer is \"{identity}\"")?;
            ExitCode::SUCCESS
        }
        Err(failure) => {
            writeln!(out, "refused: {} ({failure})", failure.code())?;
            ExitCode::FAILURE
        }
    })
}
