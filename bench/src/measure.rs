//! The rounds: every variant in turn, so that whatever else the machine does falls on all of them alike.

use std::thread;
use std::time::{Duration, Instant};

use crate::postmaster::{Usage, wait_for_children};
use crate::variant::Variant;

/// How much is measured.
pub struct Plan {
    /// Logins of each variant, one after the other.
    pub logins: usize,
    /// Logins of a variant before it is the next one's turn.
    pub round: usize,
    /// Connections at the same time, where connections per second are counted.
    pub clients: usize,
}

/// What was measured of one variant.
pub struct Measured {
    pub logins: usize,
    pub cpu_micros: f64,
    /// CPU of each block of rounds, of which all variants have one at about the same time.
    pub cpu_of_blocks: Vec<f64>,
    pub faults: f64,
    pub p50_millis: f64,
    pub p99_millis: f64,
    pub per_second: f64,
    /// Requests to the issuer; the keys were cached before.
    pub requests: usize,
}

impl Measured {
    /// CPU as a multiple of the floor's, and the standard error of that, from how much the blocks differ.
    pub fn ratio_to(&self, floor: &Measured) -> (f64, f64) {
        let pairs = self.cpu_of_blocks.iter().zip(&floor.cpu_of_blocks);
        let ratios: Vec<f64> = pairs.map(|(own, floor)| own / floor).collect();
        let count = ratios.len() as f64;
        let mean = ratios.iter().sum::<f64>() / count;
        let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
        let error = (squares / (count - 1.0).max(1.0) / count).sqrt();
        (self.cpu_micros / floor.cpu_micros, error)
    }
}

/// Parts of a run that are compared to tell how exact it is.
const BLOCKS: usize = 10;

pub fn measure(variants: &[Variant], plan: &Plan) -> Vec<Measured> {
    let requests: Vec<usize> = variants.iter().map(Variant::requests).collect();
    let alone = measure_alone(variants, plan);
    let per_second = measure_concurrent(variants, plan);
    let results = variants.iter().zip(requests).zip(alone).zip(per_second);
    let result = |(((variant, before), alone), per_second): (((&Variant, usize), Alone), f64)| {
        let Alone { blocks, mut times } = alone;
        times.sort();
        let logins = times.len();
        let all = |value: fn(Usage) -> f64| {
            blocks.iter().map(|usage| value(*usage)).sum::<f64>() / logins as f64
        };
        let logins_of_block = logins as f64 / blocks.len() as f64;
        Measured {
            logins,
            cpu_micros: all(Usage::micros),
            cpu_of_blocks: blocks
                .iter()
                .map(|usage| usage.micros() / logins_of_block)
                .collect(),
            faults: all(|usage| usage.faults as f64),
            p50_millis: percentile(&times, 50),
            p99_millis: percentile(&times, 99),
            per_second,
            requests: variant.requests() - before,
        }
    };
    results.map(result).collect()
}

/// One login at a time.
struct Alone {
    /// What the logins of each block used.
    blocks: Vec<Usage>,
    /// How long each login took.
    times: Vec<Duration>,
}

/// The turns are short, so that what else the machine does falls on all variants alike, and the accounts are read
/// once in a block, so that their unit, a hundredth of a second, is small beside what is counted.
fn measure_alone(variants: &[Variant], plan: &Plan) -> Vec<Alone> {
    let usage = |variant: &Variant| Usage::of_dead_children(variant.postmaster);
    let nothing = |_| Alone {
        blocks: Vec::with_capacity(BLOCKS),
        times: Vec::with_capacity(plan.logins),
    };
    let mut results: Vec<Alone> = variants.iter().map(nothing).collect();
    let rounds = plan.logins.div_ceil(BLOCKS * plan.round);
    for _ in 0..BLOCKS {
        let before: Vec<Usage> = variants.iter().map(usage).collect();
        for round in 0..rounds {
            for turn in 0..variants.len() {
                // Each round starts with another variant, so that none always comes first.
                let index = (turn + round) % variants.len();
                let (variant, result) = (&variants[index], &mut results[index]);
                for _ in 0..plan.round {
                    result.times.push(log_in(variant));
                }
                wait_for_children(variant.postmaster, variant.children);
            }
        }
        for ((variant, result), before) in variants.iter().zip(&mut results).zip(before) {
            result.blocks.push(usage(variant) - before);
        }
    }
    results
}

/// Connections per second, over several rounds.
fn measure_concurrent(variants: &[Variant], plan: &Plan) -> Vec<f64> {
    const ROUNDS: usize = 4;
    let logins = plan.logins.div_ceil(4 * ROUNDS * plan.clients).max(1);
    let mut elapsed = vec![Duration::ZERO; variants.len()];
    for _ in 0..ROUNDS {
        for (variant, elapsed) in variants.iter().zip(&mut elapsed) {
            let start = Instant::now();
            thread::scope(|scope| {
                for _ in 0..plan.clients {
                    scope.spawn(|| {
                        for _ in 0..logins {
                            log_in(variant);
                        }
                    });
                }
            });
            *elapsed += start.elapsed();
            wait_for_children(variant.postmaster, variant.children);
        }
    }
    let all = (ROUNDS * logins * plan.clients) as f64;
    elapsed
        .iter()
        .map(|elapsed| all / elapsed.as_secs_f64())
        .collect()
}

fn log_in(variant: &Variant) -> Duration {
    variant
        .client
        .log_in()
        .unwrap_or_else(|error| panic!("{}: login failed: {error}", variant.name))
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted[index].as_secs_f64() * 1000.0
}
