//! Several issuers side by side.

use pg_test::{Endpoint, Fault, Issuer};

use crate::{Mode, asked, log_in_by, server_of_many, wait_for_fetcher};

/// As many issuers as are cached at a time.
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
        let login = pg_test::Login::new(&server, "r0").token(&token);
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
        let server = server_of_many(&issuers, mode, &[]);
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
        for n in 0..CACHED + 2 {
            log_in_by(&server, &issuers, n);
        }
        assert_eq!(evictions(), 1, "{mode:?}: not said once");
    }
}
