//! How many instructions one judgement of the core takes, by callgrind, in a process that does nothing else.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use rig::{Alg, Issuer, Key, KeyKind, Token, child, now, scratch};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
pub struct Judgement {
    pub alg: String,
    /// The first of a process, which finds everything unprepared: what a login that loads the module pays.
    #[serde(rename = "instructions_of_first")]
    pub first: u64,
    /// Every further one.
    #[serde(rename = "instructions")]
    pub further: u64,
}

const LIMIT: Duration = Duration::from_secs(120);
const FURTHER: u64 = 100;

/// `None`: valgrind is not installed.
pub fn count_instructions() -> Option<Vec<Judgement>> {
    Command::new("valgrind").arg("--version").output().ok()?;
    let kinds = [KeyKind::Rsa, KeyKind::P256, KeyKind::P521, KeyKind::Ed25519];
    Some(kinds.into_iter().map(count).collect())
}

fn count(kind: KeyKind) -> Judgement {
    let key = Key::new(kind);
    let alg: Alg = key.default_alg();
    let folder = scratch::new_folder("judgement");
    let case = folder.join("case.json");
    let issuer = "https://issuer.test/realms/corp";
    let token = Token::new(
        &key,
        issuer,
        "alice",
        Issuer::AUDIENCE,
        "psql",
        Issuer::SCOPE,
    );
    let content = json!({
        "issuer": issuer,
        "audience": Issuer::AUDIENCE,
        "scope": Issuer::SCOPE,
        "now": now(),
        "token": token.encode(),
        "jwks": json!({"keys": [key.jwk()]}).to_string(),
    });
    fs::write(&case, content.to_string()).expect("a file can be written");
    let [none, one, many] = [0, 1, 1 + FURTHER].map(|count| instructions(&case, count));
    Judgement {
        alg: alg.name().to_owned(),
        first: one - none,
        further: (many - one) / FURTHER,
    }
}

/// Of a process that judges the token so many times.
fn instructions(case: &Path, count: u64) -> u64 {
    let judge = env::current_exe()
        .expect("this program has a path")
        .with_file_name("judge");
    let output = case.with_file_name("callgrind.out");
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", output.display()));
    command.arg(judge).arg(case).arg(count.to_string());
    child::run(command, LIMIT).success();
    let profile = fs::read_to_string(&output).expect("callgrind writes its file");
    let totals = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    totals
        .and_then(|number| number.trim().parse().ok())
        .expect("callgrind writes the total")
}
