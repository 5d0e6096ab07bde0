//! What faults leave in memory: nothing, neither in the backends, nor in the worker, nor in what all share.

use std::fs;
use std::time::Duration;

use rig::{Endpoint, Fault, Issuer, Session, child};

use crate::{
    Mode, asked, assert_nobody_waits, assert_settled, eventually, flood, log_in, made_up,
    private_memory, server_of_many, wait_for_worker,
};

const SECOND: Duration = Duration::from_secs(1);
/// Kilobytes by which a process may differ from another one that does the same.
const NOISE: usize = 1024;

/// Faults that end at once.
fn faults() -> [Fault; 8] {
    [
        Fault::Status(500),
        Fault::Html,
        Fault::Truncated,
        Fault::Redirect(302),
        Fault::Oversize(10_000_000),
        Fault::Endless,
        Fault::ClosedInBody,
        Fault::altered(|document| document["issuer"] = "https://evil.test".into()),
    ]
}

/// Bytes of dynamic shared memory that a process has mapped.
fn mapped_segments(pid: u32) -> usize {
    let path = format!("/proc/{pid}/maps");
    let maps = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let size = |line: &str| {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some(number(to)? - number(from)?)
    };
    let segments = maps.lines().filter(|l| l.contains("/dev/shm/PostgreSQL"));
    segments.filter_map(size).sum()
}

/// Kilobytes of a session: its own at the moment, the most that it ever had, and those of its memory contexts.
fn size_of(session: &mut Session) -> [usize; 3] {
    let path = format!("/proc/{}/status", session.pid());
    let status = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let contexts = session.value("SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts");
    [
        private_memory(session.pid()),
        peak.expect("a size in kB"),
        contexts.parse::<f64>().expect("a number") as usize,
    ]
}

#[test]
fn session_whose_login_met_a_fault_is_no_larger_than_another() {
    for mode in Mode::BOTH {
        let faults = faults();
        // One provider more, which stays well.
        let issuers: Vec<Issuer> = (0..=faults.len())
            .map(|_| Issuer::builder().start())
            .collect();
        let settings = [
            ("validator.jwks_min_ttl", "1s"),
            ("validator.jwks_max_ttl", "1s"),
        ];
        let server = server_of_many(&issuers, mode, &settings);
        for n in 0..issuers.len() {
            server.sql(&format!("GRANT pg_monitor TO r{n}"));
        }
        let log_in = |n: usize| {
            let role = format!("r{n}");
            server.admits(&role, &issuers[n].token(&role).encode())
        };
        (0..issuers.len()).for_each(|n| drop(log_in(n)));
        for (issuer, fault) in issuers.iter().zip(&faults) {
            issuer.fail(Endpoint::Discovery, fault.clone());
        }
        std::thread::sleep(SECOND + Duration::from_millis(50));
        // Its keys are stale: it asks, and goes on with what it has.
        let healthy = size_of(&mut log_in(faults.len()));
        for (n, fault) in faults.iter().enumerate() {
            let size = size_of(&mut log_in(n));
            assert!(asked(&issuers[n]).0 > 1, "{mode:?}, {fault:?}: not asked");
            let grown = size.iter().zip(&healthy).any(|(a, b)| *a > b + NOISE);
            assert!(
                !grown,
                "{mode:?}, {fault:?}: {size:?} kB, else {healthy:?} kB"
            );
        }
    }
}

#[test]
fn worker_that_meets_fault_after_fault_does_not_grow() {
    let faults = faults();
    let issuers: Vec<Issuer> = faults.iter().map(|_| Issuer::builder().start()).collect();
    let settings = [
        ("validator.jwks_min_ttl", "1s"),
        ("validator.jwks_max_ttl", "1s"),
    ];
    let server = server_of_many(&issuers, Mode::Preloaded, &settings);
    for n in 0..issuers.len() {
        crate::log_in_by(&server, &issuers, n);
    }
    let worker = wait_for_worker(&server);
    let round = || {
        for (issuer, fault) in issuers.iter().zip(&faults) {
            issuer.fail(Endpoint::Discovery, fault.clone());
        }
        ask_all(&issuers, worker);
        issuers.iter().for_each(Issuer::heal);
        // The shortest pause after a failure, and what is added to it at most.
        std::thread::sleep(SECOND * 5 / 4);
        ask_all(&issuers, worker);
    };
    let memory_after = |_| {
        round();
        private_memory(worker)
    };
    // It goes up and down by some hundred kB, as threads come and go. What the first rounds touch is not held against
    // the others.
    let before = (0..4).map(memory_after).max().unwrap_or(0);
    let after = (0..6).map(memory_after).skip(3).min().unwrap_or(0);
    assert!(after <= before + NOISE, "{before} kB grew to {after} kB");
    assert_eq!(wait_for_worker(&server), worker);
    assert_nobody_waits(&server);
}

/// Until the worker has asked all providers once more: a reload makes it look at all of them.
fn ask_all(issuers: &[Issuer], worker: u32) {
    let before: Vec<_> = issuers.iter().map(asked).collect();
    let mut last = 0;
    eventually(SECOND * 30, "the worker asks all providers", || {
        let total = issuers.iter().map(|issuer| asked(issuer).0).sum();
        // A signal ends the request under way: not while the worker is busy.
        if total == last {
            child::signal(worker, libc::SIGHUP);
            std::thread::sleep(Duration::from_millis(200));
        }
        last = total;
        issuers.iter().zip(&before).all(|(i, b)| asked(i).0 > b.0)
    });
}

#[test]
fn five_hundred_faulty_logins_leave_nothing_behind() {
    for mode in Mode::BOTH {
        let (issuer, elsewhere) = (Issuer::builder().start(), Issuer::builder().start());
        let server = mode.server_of(&issuer).start();
        log_in(&server, &issuer);
        let good = issuer.token("alice");
        let mut tokens = made_up(&issuer, elsewhere.url(), 125);
        tokens.extend((0..125).map(|n| format!("opaque-{n}")));
        tokens.extend((0..125).map(|n| good.clone().claim("aud", format!("aud-{n}")).encode()));
        tokens.extend((0..125).map(|n| good.clone().claim("exp", n).encode()));
        // What the first ones touch is not held against the others.
        flood(&server, &issuer, &tokens[..20]);
        let memory = || {
            let session = server.admits("alice", &good.encode());
            let main = server.value("SELECT sum(allocated_size) FROM pg_shmem_allocations");
            (main, mapped_segments(session.pid()))
        };
        let (own, shared) = (private_memory(server.postmaster_pid()), memory());
        flood(&server, &issuer, &tokens);
        let own_after = private_memory(server.postmaster_pid());
        assert!(own_after <= own + NOISE, "{own} kB grew to {own_after} kB");
        assert_eq!(memory(), shared, "{mode:?}");
        assert_settled(&server, &issuer);
    }
}

#[test]
fn memory_is_named_by_what_it_looks_like() {
    let issuer = Issuer::builder().start();
    let server = Mode::Preloaded.server_of(&issuer).start();
    let named = server.sql(
        "SELECT name, size FROM pg_shmem_allocations WHERE name LIKE 'validator %' ORDER BY name",
    );
    let named: Vec<_> = named
        .into_iter()
        .map(|row| row.into_iter().flatten())
        .collect();
    let mut digests = Vec::new();
    for (mut row, area) in named.into_iter().zip(["answers", "keys", "state"]) {
        let (name, size) = (row.next().expect("a name"), row.next().expect("a size"));
        let words: Vec<_> = name.split(' ').collect();
        // PostgreSQL cuts longer ones, and does not say so.
        assert!(name.len() < 48, "{name}");
        assert_eq!(
            (words.len(), words[1], words[3]),
            (4, area, &*size),
            "{name}"
        );
        assert!(
            words[2].len() == 16 && u64::from_str_radix(words[2], 16).is_ok(),
            "{name}"
        );
        digests.push(words[2].to_owned());
    }
    assert!(
        digests.len() == 3 && digests.iter().all(|d| *d == digests[0]),
        "{digests:?}"
    );
}
