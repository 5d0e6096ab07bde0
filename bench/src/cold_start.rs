//! The worst moment: a server has just started, and all its clients log in at once.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, KeyKind};
use serde::{Deserialize, Serialize};

use crate::rows::Mode;
use crate::variant::{bearer_client, start_cold, start_issuer, token};

#[derive(Serialize, Deserialize)]
pub struct ColdStart {
    #[serde(rename = "loaded")]
    pub mode: Mode,
    pub logins: usize,
    pub failures: usize,
    #[serde(default)]
    pub first_failure: Option<String>,
    pub seconds: f64,
    pub discovery_requests: usize,
    pub jwks_requests: usize,
    pub other_requests: usize,
}

/// A client needs little more than a buffer.
const STACK_BYTES: usize = 128 * 1024;

/// All of them on one signal, at a server that has cached nothing yet.
pub fn cold_start(mode: Mode, logins: usize) -> ColdStart {
    let issuer = start_issuer(KeyKind::Rsa);
    let server = start_cold(&issuer, mode, logins);
    let client = bearer_client(&server, &token(&issuer));
    let barrier = Barrier::new(logins + 1);
    let (mut errors, mut seconds) = (Vec::new(), Duration::ZERO);
    thread::scope(|scope| {
        let log_in = || {
            barrier.wait();
            client.log_in().err()
        };
        let start_thread = |_| {
            let builder = thread::Builder::new().stack_size(STACK_BYTES);
            builder
                .spawn_scoped(scope, log_in)
                .expect("threads can be started")
        };
        let threads: Vec<_> = (0..logins).map(start_thread).collect();
        barrier.wait();
        let start = Instant::now();
        let ended = threads.into_iter().map(|thread| thread.join());
        errors = ended
            .filter_map(|ended| ended.expect("no client panics"))
            .collect();
        seconds = start.elapsed();
    });
    let (discovery, jwks) = (
        issuer.hits(Endpoint::Discovery),
        issuer.hits(Endpoint::Jwks),
    );
    ColdStart {
        mode,
        logins,
        failures: errors.len(),
        first_failure: errors.first().map(ToString::to_string),
        seconds: seconds.as_secs_f64(),
        discovery_requests: discovery,
        jwks_requests: jwks,
        other_requests: issuer.requests().len() - discovery - jwks,
    }
}
