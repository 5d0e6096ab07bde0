//! A provider that answers wrongly, or not, after it has answered well: the keys stay, and it is asked seldom.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Authority, Endpoint, Fault, Issuer, Response};
use serde_json::json;

use crate::{
    Mode, asked, assert_settled, at_once, failed_refreshes, join, log_in, log_in_by, server_of_many,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn answer_that_can_not_be_used_never_replaces_good_keys() {
    let faults = || {
        [
            Fault::Status(500),
            Fault::Status(404),
            Fault::Html,
            Fault::Truncated,
            Fault::Redirect(302),
            Fault::Endless,
            Fault::Oversize(10_000_000),
            Fault::Closed,
            Fault::ClosedInBody,
            Fault::Answer(Response::json(200, &json!({"keys": []}))),
            Fault::altered(|document| document["issuer"] = json!("https://evil.test")),
        ]
    };
    let cases: Vec<(Endpoint, Fault)> = [Endpoint::Discovery, Endpoint::Jwks]
        .into_iter()
        .flat_map(|endpoint| faults().map(|fault| (endpoint, fault)))
        // An "issuer" in the key set says nothing.
        .filter(|case| !matches!(case, (Endpoint::Jwks, Fault::Altered(_))))
        .collect();
    // More than are cached at a time: in two halves.
    for (half, mode) in cases.chunks(cases.len().div_ceil(2)).zip(Mode::BOTH) {
        let issuers: Vec<Issuer> = half.iter().map(|_| Issuer::builder().start()).collect();
        let settings = [
            ("validator.jwks_min_ttl", "1s"),
            ("validator.jwks_max_ttl", "1s"),
        ];
        let server = server_of_many(&issuers, mode, &settings);
        for n in 0..half.len() {
            log_in_by(&server, &issuers, n);
        }
        for (issuer, (endpoint, fault)) in issuers.iter().zip(half) {
            issuer.fail(*endpoint, fault.clone());
        }
        thread::sleep(SECOND + Duration::from_millis(50));
        let mark = server.log().mark();
        for (n, (endpoint, fault)) in half.iter().enumerate() {
            let case = format!("{mode:?}, {endpoint:?}, {fault:?}");
            for _ in 0..3 {
                log_in_by(&server, &issuers, n);
            }
            assert!(
                issuers[n].hits(Endpoint::Discovery) > 1,
                "{case}: not asked"
            );
            issuers[n].heal();
        }
        assert!(failed_refreshes(&server, mark) >= half.len(), "{mode:?}");
        assert_eq!(
            issuers
                .iter()
                .map(|i| i.hits(Endpoint::Redirected))
                .sum::<usize>(),
            0
        );
    }
}

#[test]
fn provider_that_fails_is_asked_less_and_less_often() {
    let issuer = Issuer::builder().start();
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "no-store");
    let server = Mode::OnDemand
        .server_of(&issuer)
        .set("validator.jwks_min_ttl", "1s")
        .start();
    log_in(&server, &issuer);
    issuer.fail(Endpoint::Discovery, Fault::Status(503));
    thread::sleep(SECOND);
    let (mark, start) = (server.log().mark(), Instant::now());
    let unknown = issuer.token("alice").header("kid", "made-up").encode();
    while start.elapsed() < SECOND * 5 {
        log_in(&server, &issuer);
        // Those that hope for a new key do not ask more often.
        assert!(
            !rig::Login::new(&server, "alice")
                .token(&unknown)
                .run()
                .is_session()
        );
        thread::sleep(Duration::from_millis(20));
    }
    // After 0, 1, 3 and 7 seconds, each a little later.
    let attempts = asked(&issuer).0 - 1;
    assert!(
        (2..=4).contains(&attempts),
        "{attempts} attempts in {:?}",
        start.elapsed()
    );
    let told = failed_refreshes(&server, mark);
    assert!(told <= attempts, "{told} lines for {attempts} attempts");
    issuer.heal();
    assert_settled(&server, &issuer);
}

#[test]
fn provider_that_is_down_from_the_start_is_asked_seldom_and_used_when_it_is_back() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        issuer.fail(Endpoint::Discovery, Fault::Status(503));
        let server = mode.server_of(&issuer).start();
        let token = issuer.token("alice").encode();
        let start = Instant::now();
        for _ in 0..20 {
            let verdict = server.refuses("alice", &token, "provider_unavailable");
            // Those that do not ask say why it failed for the one that did.
            assert!(
                verdict.log.contains("cause=http_status url="),
                "{}",
                verdict.log
            );
        }
        let attempts = asked(&issuer).0;
        let allowed = 1 + start.elapsed().as_secs() as usize;
        assert!(
            attempts <= allowed,
            "{mode:?}: {attempts} attempts in {:?}",
            start.elapsed()
        );
        issuer.heal();
        thread::sleep(SECOND * 5 / 4);
        crate::eventually(SECOND * 10, "the provider is used again", || {
            rig::Login::new(&server, "alice")
                .token(&token)
                .run()
                .is_session()
        });
        assert_settled(&server, &issuer);
    }
}

#[test]
fn those_that_wait_for_a_fetch_that_fails_learn_it_with_the_one_that_fetches() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode.server_of(&issuer).start();
        issuer.fail(Endpoint::Jwks, Fault::Drip(Duration::from_millis(1)));
        let cut = Fault::altered(|document| document["jwks_uri"] = json!("gopher://idp.test/"));
        issuer.fail(Endpoint::Discovery, cut);
        let mark = server.log().mark();
        for outcome in join(at_once(&server, &issuer, 20)) {
            rig::assert_silent_refusal(&outcome.refusal(), "provider_unavailable");
        }
        let log = server.log().since(mark);
        assert_eq!(
            rig::explanations(&log)
                .filter(|why| why.starts_with("provider_unavailable cause=bad_url"))
                .count(),
            20,
            "{log}"
        );
        assert_eq!(asked(&issuer), (1, 0), "{mode:?}");
        issuer.heal();
        server.forget_keys();
        assert_settled(&server, &issuer);
    }
}

#[test]
fn certificate_file_that_has_gone_locks_nobody_out_as_long_as_keys_are_at_hand() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().https().start();
        let file = rig::scratch::new_folder("ca").join("ca.pem");
        std::fs::copy(Authority::shared().file(), &file).expect("the file can be copied");
        let server = mode
            .server_of(&issuer)
            .set("validator.ca_file", &file.display().to_string())
            .set("validator.jwks_min_ttl", "1s")
            .set("validator.jwks_max_ttl", "1s")
            .start();
        log_in(&server, &issuer);
        std::fs::remove_file(&file).expect("it can be removed");
        log_in(&server, &issuer);
        thread::sleep(SECOND);
        let mark = server.log().mark();
        for _ in 0..5 {
            log_in(&server, &issuer);
        }
        let log = server.log().since(mark);
        assert!(log.contains("validator.ca_file"), "it is not said: {log}");
    }
}
