//! The rounds: every variant in turn, so that whatever else the machine does falls on all of them alike.

use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::postmaster::{Usage, wait_for_children};
use crate::results::Measured;
use crate::rows::FLOOR;
use crate::statistics::{percentile, ratio};
use crate::variant::Variant;

/// How much is measured.
pub struct Plan {
    /// Logins of each variant, one after the other.
    pub logins: usize,
    /// Logins of a variant before it is the next one's turn.
    pub round: usize,
    /// Numbers of clients at the same time, besides one alone.
    pub clients: Vec<usize>,
}

/// How long logins took with so many clients that each log in again as soon as their session has ended.
#[derive(Clone, Serialize, Deserialize)]
pub struct Load {
    pub clients: usize,
    pub logins: usize,
    /// Until the server is ready for a query.
    pub p50_millis: f64,
    pub p99_millis: f64,
    /// Connections, each from its beginning to its end.
    pub per_second: f64,
}

/// Parts of a run that are compared to tell how exact it is.
const BLOCKS: usize = 10;

pub fn measure(variants: &[Variant], plan: &Plan) -> Vec<Measured> {
    let before: Vec<usize> = variants.iter().map(Variant::requests).collect();
    let alone = measure_alone(variants, plan);
    let at_once = plan
        .clients
        .iter()
        .map(|clients| measure_at_once(variants, *clients, plan.logins));
    let at_once: Vec<Vec<Load>> = at_once.collect();
    let result = |index: usize| {
        let (variant, own) = (&variants[index], &alone[index]);
        let floor = variants.iter().position(|other| {
            other.row.name == FLOOR && other.row.mode == variant.row.mode.of_floor()
        });
        let floor = &alone[floor.expect("floors are always measured")];
        let cpu = ratio(&own.micros(), &floor.micros());
        let load = own.times.load(1);
        let loads = at_once.iter().map(|of_all| of_all[index].clone());
        Measured {
            name: variant.row.name.clone(),
            loaded: variant.row.mode,
            logins: load.logins,
            cpu_micros: own.mean(Usage::micros),
            cpu_ratio_to_floor: cpu.map(|(ratio, _)| ratio),
            cpu_ratio_standard_error: cpu.map(|(_, error)| error),
            minor_faults: own.mean(|usage| usage.faults as f64),
            p50_millis: load.p50_millis,
            p99_millis: load.p99_millis,
            requests: variant.requests() - before[index],
            loads: [load].into_iter().chain(loads).collect(),
        }
    };
    (0..variants.len()).map(result).collect()
}

/// One login at a time.
struct Alone {
    /// What the logins of each block used, of which all variants have one at about the same time.
    blocks: Vec<Usage>,
    times: Times,
}

impl Alone {
    /// Of one login.
    fn mean(&self, value: fn(Usage) -> f64) -> f64 {
        let all: f64 = self.blocks.iter().map(|usage| value(*usage)).sum();
        all / self.times.of_logins.len() as f64
    }

    /// CPU of each block.
    fn micros(&self) -> Vec<f64> {
        self.blocks.iter().map(|usage| usage.micros()).collect()
    }
}

/// How long logins took, one by one, and all connections together.
#[derive(Default)]
struct Times {
    of_logins: Vec<Duration>,
    elapsed: Duration,
}

impl Times {
    fn load(&self, clients: usize) -> Load {
        let mut sorted = self.of_logins.clone();
        sorted.sort();
        Load {
            clients,
            logins: sorted.len(),
            p50_millis: percentile(&sorted, 50),
            p99_millis: percentile(&sorted, 99),
            per_second: sorted.len() as f64 / self.elapsed.as_secs_f64(),
        }
    }

    /// Adds so many logins by each of so many clients.
    fn add(&mut self, variant: &Variant, clients: usize, logins: usize) {
        let log_in = || (0..logins).map(|_| log_in(variant)).collect::<Vec<_>>();
        let start = Instant::now();
        match clients {
            1 => self.of_logins.extend(log_in()),
            _ => thread::scope(|scope| {
                let clients: Vec<_> = (0..clients).map(|_| scope.spawn(log_in)).collect();
                for client in clients {
                    let times = client.join().expect("no client panics");
                    self.of_logins.extend(times);
                }
            }),
        }
        self.elapsed += start.elapsed();
        wait_for_children(variant.postmaster, variant.children);
    }
}

/// The turns are short, so that what else the machine does falls on all variants alike, and the accounts are read
/// once in a block, so that their unit, a hundredth of a second, is small beside what is counted.
fn measure_alone(variants: &[Variant], plan: &Plan) -> Vec<Alone> {
    let usage = |variant: &Variant| Usage::of_dead_children(variant.postmaster);
    let nothing = |_| Alone {
        blocks: Vec::with_capacity(BLOCKS),
        times: Times::default(),
    };
    let mut results: Vec<Alone> = variants.iter().map(nothing).collect();
    let rounds = plan.logins.div_ceil(BLOCKS * plan.round);
    for _ in 0..BLOCKS {
        let before: Vec<Usage> = variants.iter().map(usage).collect();
        for round in 0..rounds {
            for turn in 0..variants.len() {
                // Each round starts with another variant, so that none always comes first.
                let index = (turn + round) % variants.len();
                results[index].times.add(&variants[index], 1, plan.round);
            }
        }
        for ((variant, result), before) in variants.iter().zip(&mut results).zip(before) {
            result.blocks.push(usage(variant) - before);
        }
    }
    results
}

/// Several clients at the same time, over several rounds: at least half of the logins that are measured alone.
fn measure_at_once(variants: &[Variant], clients: usize, logins: usize) -> Vec<Load> {
    const ROUNDS: usize = 4;
    let logins = logins.div_ceil(2 * ROUNDS * clients);
    let mut results: Vec<Times> = variants.iter().map(|_| Times::default()).collect();
    for _ in 0..ROUNDS {
        for (variant, result) in variants.iter().zip(&mut results) {
            result.add(variant, clients, logins);
        }
    }
    results.iter().map(|times| times.load(clients)).collect()
}

fn log_in(variant: &Variant) -> Duration {
    variant
        .client
        .log_in()
        .unwrap_or_else(|error| panic!("{}: login failed: {error}", variant.row.name))
}
