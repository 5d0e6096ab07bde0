//! Several issuers side by side.

use rig::{Endpoint, Fault, Issuer};

use crate::{Mode, asked, log_in_by, server_of_many, wait_for_fetcher};

/// As many issuers as are cached at least.
const CACHED: usize = 16;

fn start(count: usize) -> Vec<Issuer> {
    (0..count).map(|_| Issuer::builder().start()).collect()
}

#[test]
fn two_issuers_are_cached_side_by_side() {
    for mode in Mode::BOTH {
        let issuers = start(2);
        let server = server_of_many(&issuers, mode, &[]);
        for _ in 0..3 {
            log_in_by(&server, &issuers, 0);
            log_in_by(&server, &issuers, 1);
        }
        assert_eq!(
            (asked(&issuers[0]), asked(&issuers[1])),
            ((1, 1), (1, 1)),
            "{mode:?}"
        );
        // The keys of one verify no token of the other, cached or not.
        let token = issuers[0]
            .token("r1")
            .claim("iss", issuers[1].url())
            .encode();
        server.refuses("r1", &token, "unknown_kid");
    }
}

#[test]
fn issuer_that_hangs_holds_up_its_own_users_only() {
    for mode in Mode::BOTH {
        let issuers = start(2);
        issuers[0].fail(Endpoint::Discovery, Fault::HangInBody);
        let server = server_of_many(&issuers, mode, &[("validator.http_timeout", "60s")]);
        let token = issuers[0].token("r0").encode();
        let login = rig::Login::new(&server, "r0").token(&token);
        let waiting = std::thread::spawn(move || login.run());
        let fetcher = wait_for_fetcher(&server);
        // Cold, then warm.
        log_in_by(&server, &issuers, 1);
        log_in_by(&server, &issuers, 1);
        assert!(!waiting.is_finished());
        server.sql(&format!("SELECT pg_terminate_backend({fetcher})"));
        waiting.join().expect("no panic").refusal();
        issuers[0].heal();
        log_in_by(&server, &issuers, 0);
        assert_eq!(asked(&issuers[1]), (1, 1), "{mode:?}");
    }
}

#[test]
fn seventeenth_issuer_takes_the_place_of_the_least_recently_used_one() {
    for mode in Mode::BOTH {
        let issuers = start(CACHED + 2);
        let settings = [
            ("validator.jwks_cache_issuers", "16"),
            ("validator.jwks_refresh_cooldown", "1s"),
        ];
        let server = server_of_many(&issuers, mode, &settings);
        // Only what was not fetched a moment ago makes room.
        let cool_down = || std::thread::sleep(std::time::Duration::from_millis(1050));
        let fetches = || issuers.iter().map(|i| asked(i).1).collect::<Vec<_>>();
        let evictions = || {
            let log = server.log().text();
            log.matches("OAuth issuers are in use").count()
        };
        for n in 0..CACHED {
            log_in_by(&server, &issuers, n);
        }
        // Used once more, so that it is not the one to go.
        log_in_by(&server, &issuers, 0);
        assert_eq!(evictions(), 0);
        cool_down();
        log_in_by(&server, &issuers, CACHED);
        let one_each = |n: usize| usize::from(n <= CACHED);
        assert_eq!(fetches(), (0..CACHED + 2).map(one_each).collect::<Vec<_>>());
        // All are cached but number 1.
        for n in (2..=CACHED).chain([0]) {
            log_in_by(&server, &issuers, n);
        }
        assert_eq!(
            fetches(),
            (0..CACHED + 2).map(one_each).collect::<Vec<_>>(),
            "{mode:?}"
        );
        log_in_by(&server, &issuers, 1);
        assert_eq!(asked(&issuers[1]), (2, 2), "{mode:?}");
        cool_down();
        for n in [2, CACHED + 1] {
            log_in_by(&server, &issuers, n);
        }
        assert_eq!(evictions(), 1, "{mode:?}: not said once");
    }
}

/// What forged tokens of each issuer's line do: how often the providers were asked for keys.
fn forge_for_all(server: &rig::Server, issuers: &[Issuer]) -> usize {
    let before: usize = issuers.iter().map(|issuer| asked(issuer).1).sum();
    for (n, issuer) in issuers.iter().enumerate() {
        let role = format!("r{n}");
        let forged = issuer.token(&role).header("kid", "made-up").encode();
        let login = rig::Login::new(server, &role).token(&forged);
        assert!(!login.run().is_session(), "let in: {role}");
    }
    issuers.iter().map(|issuer| asked(issuer).1).sum::<usize>() - before
}

#[test]
fn forged_tokens_for_more_issuers_than_are_cached_cause_no_more_requests_than_for_one() {
    for mode in Mode::BOTH {
        let issuers = start(CACHED + 1);
        let settings = [
            ("validator.jwks_cache_issuers", "16"),
            ("validator.jwks_refresh_cooldown", "1h"),
        ];
        let server = server_of_many(&issuers, mode, &settings);
        assert_eq!(forge_for_all(&server, &issuers), CACHED, "{mode:?}");
        for _ in 0..3 {
            assert_eq!(forge_for_all(&server, &issuers), 0, "{mode:?}");
        }
        // The first ones have their places; the last one has none, and the log says what to do.
        log_in_by(&server, &issuers, 0);
        let last = issuers[CACHED].token(&format!("r{CACHED}")).encode();
        let verdict = server.refuses(&format!("r{CACHED}"), &last, "key_cache_full");
        let hint = "Set validator.jwks_cache_issuers to at least the number of issuers in pg_hba.conf and, for tokens as \
            passwords, of validator.issuer and the profiles";
        assert!(verdict.log.contains(hint), "{verdict:?}");
        assert_eq!(asked(&issuers[CACHED]), (0, 0), "{mode:?}");
        // A flush frees the places.
        server.forget_keys();
        log_in_by(&server, &issuers, CACHED);
    }
}

#[test]
fn provider_that_fails_is_not_asked_more_often_because_there_are_many_issuers() {
    for mode in Mode::BOTH {
        let issuers = start(CACHED + 1);
        let settings = [("validator.jwks_cache_issuers", "16")];
        let server = server_of_many(&issuers, mode, &settings);
        for issuer in &issuers {
            issuer.fail(Endpoint::Discovery, Fault::Status(500));
        }
        forge_for_all(&server, &issuers);
        let asked_now = || issuers.iter().map(|i| asked(i).0).sum::<usize>();
        let before = asked_now();
        assert_eq!(before, CACHED, "{mode:?}");
        forge_for_all(&server, &issuers);
        // Each failure is followed by a pause of a second at least; some may be over by now.
        assert!(asked_now() - before <= CACHED, "{mode:?}");
    }
}

#[test]
fn as_many_issuers_as_are_set_are_cached_side_by_side() {
    for mode in Mode::BOTH {
        let issuers = start(35);
        // Rounded up to 48.
        let settings = [("validator.jwks_cache_issuers", "33")];
        let server = server_of_many(&issuers, mode, &settings);
        for _ in 0..2 {
            for n in 0..issuers.len() {
                log_in_by(&server, &issuers, n);
            }
        }
        for issuer in &issuers {
            assert_eq!(asked(issuer), (1, 1), "{mode:?}");
        }
        server.sql("CREATE EXTENSION validator");
        assert_eq!(server.value("SELECT count(*) FROM validator.issuers"), "35");
    }
}

#[test]
fn memory_keeps_the_size_that_it_was_made_with() {
    let issuer = Issuer::builder().start();
    let server = Mode::OnDemand
        .server_of(&issuer)
        .asks_about_opaque_tokens()
        .set("validator.introspection_cache_entries", "16")
        .start();
    let log_in = || {
        server.admits("alice", &issuer.token("alice").encode());
        server.admits("alice", &issuer.opaque_token("alice"));
    };
    log_in();
    let asked_before = asked(&issuer);
    let segments = || {
        let session = server.admits("alice", &issuer.opaque_token("alice"));
        let maps = format!("/proc/{}/maps", session.pid());
        let maps = std::fs::read_to_string(maps).expect("a session has maps");
        let mut segments: Vec<_> = maps
            .lines()
            .filter_map(|line| {
                line.split_once("/dev/shm/")
                    .map(|(_, name)| name.to_owned())
            })
            .collect();
        segments.sort();
        segments
    };
    let before = segments();
    for (entries, issuers) in [("1024", "64"), ("16384", "1024"), ("32", "16")] {
        server.reload_with(&[
            ("validator.introspection_cache_entries", entries),
            ("validator.jwks_cache_issuers", issuers),
        ]);
        log_in();
        assert_eq!(segments(), before, "{entries}, {issuers}");
    }
    // The same keys, too.
    assert_eq!(asked(&issuer).1, asked_before.1);
}
