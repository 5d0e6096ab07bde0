//! An order on all servers: what standbys wait for, and what came of it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::servers::{Done, Order, Part, Server};

/// What came of an order on a server.
#[derive(Debug)]
pub struct Outcome {
    pub server: String,
    pub done: Done,
    /// Why that is not all.
    pub failure: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, done) = (&self.server, &self.done);
        match &self.failure {
            None => write!(f, "{server}: {done}"),
            Some(why) if done.is_nothing() => write!(f, "{server}: {why}"),
            Some(why) => write!(f, "{server}: {done}, but {why}"),
        }
    }
}

impl Outcome {
    fn add(&mut self, more: Done, failure: Option<String>) {
        self.done.add(more);
        self.failure = match (self.failure.take(), failure) {
            (Some(first), Some(second)) => Some(format!("{first}; {second}")),
            (first, second) => first.or(second),
        };
    }

    /// Whether it said of each identity that its roles are disabled, as only a primary can.
    fn is_complete(&self, order: &Order) -> bool {
        (0..order.disabled.len()).all(|identity| self.done.disabled_all_of.contains(&identity))
    }
}

/// Carries an order out on all servers at the same time, and waits for all of them. Standbys come last once more: until they
/// have replayed that a role is disabled, its user can come back there.
pub async fn carry_out_everywhere(servers: &[Arc<Server>], order: Arc<Order>) -> Vec<Outcome> {
    let all = servers.iter().map(|_| Some(Part::Whole));
    let first = on_each(servers, &order, all.collect()).await;
    let mut outcomes: Vec<Outcome> = servers
        .iter()
        .zip(first)
        .map(|(server, result)| {
            let lost = || (Done::default(), Some("the attempt has failed".to_owned()));
            let (done, failure) = result.unwrap_or_else(lost);
            Outcome {
                server: server.name.clone(),
                done,
                failure,
            }
        })
        .collect();
    name_orphans(&mut outcomes, &order);
    let awaited = awaited(&outcomes, &order).into_iter();
    let standbys = awaited.map(|roles| roles.map(Part::SessionsOnceDisabled));
    let last = on_each(servers, &order, standbys.collect()).await;
    for (outcome, result) in outcomes.iter_mut().zip(last) {
        if let Some((done, failure)) = result {
            outcome.add(done, failure);
        }
    }
    outcomes
}

/// Carries out on each server the part that is due there, if one is.
async fn on_each(
    servers: &[Arc<Server>],
    order: &Arc<Order>,
    parts: Vec<Option<Part>>,
) -> Vec<Option<(Done, Option<String>)>> {
    let mut tasks = JoinSet::new();
    for (number, (server, part)) in servers.iter().zip(parts).enumerate() {
        if let Some(part) = part {
            let (server, order) = (Arc::clone(server), Arc::clone(order));
            tasks.spawn(async move { (number, server.carry_out(&order, &part).await) });
        }
    }
    let mut results: Vec<_> = servers.iter().map(|_| None).collect();
    while let Some(ended) = tasks.join_next().await {
        if let Ok((number, result)) = ended
            && let Some(place) = results.get_mut(number)
        {
            *place = Some(result);
        }
    }
    results
}

/// For each server the roles that its primary has disabled, if it is a standby. That of another cluster has roles of its own.
fn awaited(outcomes: &[Outcome], order: &Order) -> Vec<Option<Vec<String>>> {
    let disabled_in = |cluster| {
        let members = outcomes
            .iter()
            .filter(move |other| other.done.cluster == Some(cluster));
        let roles = members.flat_map(|member| member.done.disabled.iter().cloned());
        roles.collect::<BTreeSet<String>>()
    };
    let roles = |outcome: &Outcome| {
        let cluster = outcome.done.cluster?;
        let roles = disabled_in(cluster);
        let waits = !outcome.is_complete(order) && !roles.is_empty();
        waits.then(|| roles.into_iter().collect())
    };
    outcomes.iter().map(roles).collect()
}

/// Notes on the standbys without a primary that not everything was disabled there: during a switchover, for example. If a server
/// has failed, that is known already, and it may be the primary.
fn name_orphans(outcomes: &mut [Outcome], order: &Order) {
    if outcomes.iter().any(|outcome| outcome.failure.is_some()) {
        return;
    }
    let complete = outcomes
        .iter()
        .filter(|outcome| outcome.is_complete(order))
        .map(|outcome| outcome.done.cluster);
    let complete: BTreeSet<Option<i64>> = complete.collect();
    for outcome in outcomes {
        if !complete.contains(&outcome.done.cluster) {
            let why = "not all roles were disabled, since the server is a standby and none of the others is its primary";
            outcome.failure = Some(why.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(identities: usize) -> Order {
        Order {
            issuer: "https://idp.example".to_owned(),
            sessions: Vec::new(),
            disabled: (0..identities).map(|number| number.to_string()).collect(),
            is_of_unknown_role: false,
        }
    }

    /// A server of this cluster that has disabled these roles; `all_of`: identities without another role.
    fn outcome(cluster: i64, roles: &[&str], all_of: &[usize]) -> Outcome {
        Outcome {
            server: "a".to_owned(),
            done: Done {
                disabled: roles.iter().map(|role| (*role).to_owned()).collect(),
                disabled_all_of: all_of.iter().copied().collect(),
                cluster: Some(cluster),
                ..Done::default()
            },
            failure: None,
        }
    }

    #[test]
    fn standby_waits_for_what_its_own_primary_has_disabled() {
        let waits = |outcomes: &[Outcome], order: &Order| awaited(outcomes, order);
        let zoe = || Some(vec!["zoe".to_owned()]);
        let (primary, standby) = (outcome(1, &["zoe"], &[0]), outcome(1, &[], &[]));
        let (other, its_standby) = (outcome(2, &[], &[0]), outcome(2, &[], &[]));
        let all = [standby, primary, other, its_standby];
        assert_eq!(waits(&all, &order(1)), [zoe(), None, None, None]);
        // A primary that has not disabled all roles: the provider sends it again, and nobody is let in until then.
        let partly = [outcome(1, &["zoe"], &[]), outcome(1, &[], &[])];
        assert_eq!(waits(&partly, &order(1)), [zoe(), zoe()]);
        // No order to disable anything.
        let none = [outcome(1, &[], &[]), outcome(1, &[], &[])];
        assert_eq!(waits(&none, &order(0)), [None, None]);
        // It could not be told which cluster it belongs to.
        let mut unknown = [outcome(1, &["zoe"], &[0]), outcome(1, &[], &[])];
        unknown[1].done.cluster = None;
        assert_eq!(waits(&unknown, &order(1)), [None, None]);
    }

    #[test]
    fn cluster_without_a_primary_has_disabled_nothing() {
        let failed = |mut outcomes: Vec<Outcome>, identities| -> Vec<bool> {
            name_orphans(&mut outcomes, &order(identities));
            let failed = outcomes.iter().map(|outcome| outcome.failure.is_some());
            failed.collect()
        };
        let standby = |cluster| outcome(cluster, &[], &[]);
        assert_eq!(failed(vec![standby(1), standby(1)], 1), [true, true]);
        assert_eq!(failed(vec![standby(1), standby(1)], 0), [false, false]);
        let primary = || outcome(1, &[], &[0]);
        assert_eq!(failed(vec![primary(), standby(1)], 1), [false, false]);
        assert_eq!(failed(vec![primary(), standby(2)], 1), [false, true]);
        // It became a standby between two identities.
        assert_eq!(failed(vec![primary(), standby(1)], 2), [true, true]);
        // Another failure is the reason.
        let mut down = outcome(0, &[], &[]);
        down.failure = Some("no answer within 5 s".to_owned());
        assert_eq!(failed(vec![down, standby(1)], 1), [true, false]);
    }
}
