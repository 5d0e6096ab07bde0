//! A week of 10,000 logins an hour in simulated time: keys are rotated, the provider fails, clocks are set and tokens are
//! forged. The figures are those of docs/operations.md.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

mod cache;
mod figures;
mod logins;
mod one_by_one;
mod provider;
mod random;
mod scenario;
mod server;

use std::thread;

use figures::{Fetches, Figures};
use one_by_one::week_of_key_cache;
use provider::Provider;
use scenario::{HOUR, MINUTE, Micros, SCENARIOS, SECOND, Scenario, WEEK};
use server::{Mode, Server};

const PAGE: &str = include_str!("../../../../docs/operations.md");

/// What becomes of all scenarios, each on a thread of its own.
fn for_all<T: Send>(act: impl Fn(&Scenario) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let act = &act;
        let threads = SCENARIOS
            .iter()
            .map(|scenario| scope.spawn(move || act(scenario)));
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// A server's week in this mode, in which the provider is not asked more often than the manual allows.
fn week(scenario: &Scenario, mode: Mode) -> Figures {
    let provider = Provider::new(*scenario);
    let figures = Server::new(&provider, *scenario, mode, 10_000).week();
    let fetches = &figures.fetches;
    // Once in the time for which keys are fresh, of which the worker uses all but some seconds.
    let lifetime = scenario.max_age.unwrap_or(300) * SECOND;
    let mut renewals = 1 + WEEK / (lifetime - 15 * SECOND);
    // Again after the server's clock was set; for an hour after the provider's, answers seem old, and are fresh for a minute.
    renewals += 2 * scenario.server_jumps.len() as i64 + 60 * scenario.provider_jumps.len() as i64;
    if scenario.troubled {
        renewals += WEEK / (6 * HOUR) + fetches.begun / 10;
    }
    // After 0, 1, 3, 7, 15, 31 and 63 seconds, and once a minute from then on.
    let outages = scenario.outages.iter();
    let failures: i64 = outages.map(|o| 8 + (o.to - o.from) / MINUTE).sum();
    let demanded = 1 + WEEK / (10 * SECOND);
    let are_few =
        fetches.renewals <= renewals && fetches.failed <= failures && fetches.demanded <= demanded;
    assert!(are_few, "{}: {figures:?}", scenario.name);
    figures
}

/// The row of the table: of both modes the larger figure, but for requests.
fn row(scenario: &Scenario) -> String {
    let [on_demand, preloaded] = [Mode::OnDemand, Mode::Preloaded].map(|mode| week(scenario, mode));
    let seconds = |micros: Micros| format!("{} s", (micros.max(0) + SECOND - 1) / SECOND);
    format!(
        "| {} | {} | {} | {} | {} | {} | {} |",
        scenario.name,
        on_demand.requests,
        preloaded.requests,
        on_demand.refused.max(preloaded.refused),
        on_demand
            .refused_without_need
            .max(preloaded.refused_without_need),
        seconds(on_demand.longest.max(preloaded.longest)),
        seconds(on_demand.withdrawn.max(preloaded.withdrawn)),
    )
}

#[test]
fn manual_says_what_a_week_comes_to() {
    let table = for_all(row).join("\n");
    assert!(PAGE.contains(&table), "the table is now:\n{table}");
}

/// The simulated server takes the steps of the module; this is a check that they are those of the core's own cache.
#[test]
fn key_cache_of_a_process_decides_as_a_server_does_whose_logins_come_one_by_one() {
    for_all(|scenario| {
        if scenario.troubled {
            return;
        }
        let provider = Provider::new(*scenario);
        let server = Server::new(&provider, *scenario, Mode::OneByOne, 500).week();
        let of_requests = |figures: Figures| Figures {
            fetches: Fetches::default(),
            ..figures
        };
        let cache = week_of_key_cache(&provider, *scenario, 500);
        assert_eq!(of_requests(server), cache, "{}", scenario.name);
    });
}
