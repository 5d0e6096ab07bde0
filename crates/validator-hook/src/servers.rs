//! The servers, and what is to be done on each of them.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use oauth_core::Printable;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use crate::config::ServerConfig;
use crate::tls::{MakeRustls, towards_servers};

/// How long is waited before a server is tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// Connections to one server at the same time.
const CONNECTIONS: usize = 4;

/// Discards what the issuer has answered about tokens, so that no cached answer opens another session.
const FLUSH: &str = "SELECT validator.flush_answers($1)";
const END: &str = "SELECT validator.end_sessions($1, identity => $2, sid => $3, sub => $4)";
/// Keeps the user from logging in, where roles come from the provider. A standby has its roles from the primary. The limit
/// is this statement's alone: a pooler may give the connection to another client. So is the durable commit: the provider is
/// told that it is done, and does not send it again after a crash of the server.
const DISABLE: &str = "
    SELECT CASE
        WHEN pg_is_in_recovery() OR set_config('lock_timeout', $3, true) IS NULL
            OR current_setting('synchronous_commit') = 'off' AND set_config('synchronous_commit', 'local', true) IS NULL
            THEN NULL
        ELSE validator.disable_role($1, $2)
    END";
/// A primary and its standbys have the same.
const CLUSTER: &str = "SELECT system_identifier FROM pg_control_system()";
/// Those of some roles that this standby does not know as disabled. One that it does not have was created or renamed on the
/// primary a moment ago: the user may still log in here by another name, or soon by this one.
const NOT_YET_DISABLED: &str = "
    SELECT name FROM unnest($1) AS name LEFT JOIN pg_roles ON rolname = name
    WHERE rolname IS NULL OR rolcanlogin ORDER BY 1";
/// How long is waited before a standby is asked for its roles again: twice as long each time, up to half a second.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_millis(500);

/// What is to be done about some sessions, on every server.
#[derive(Debug, PartialEq, Eq)]
pub struct Order {
    pub issuer: String,
    /// Each of these ends sessions.
    pub sessions: Vec<Criteria>,
    /// The identities whose roles are disabled.
    pub disabled: Vec<String>,
    /// Whether a role is to be disabled, and it is not known whose.
    pub is_of_unknown_role: bool,
}

/// Which part of an order is due.
pub enum Part {
    Whole,
    /// On a standby: the sessions, once it has replayed that the primary has disabled these roles.
    SessionsOnceDisabled(Vec<String>),
}

/// Which sessions are meant: those for which all that is given holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    pub identity: Option<String>,
    pub sid: Option<String>,
    pub sub: Option<String>,
}

/// A server.
pub struct Server {
    pub name: String,
    connection: tokio_postgres::Config,
    tls: MakeRustls,
    timeout: Duration,
    slots: Semaphore,
    /// Orders that wait for a standby to catch up do not use up the connections of other orders.
    slots_of_waiting: Semaphore,
}

/// What was done on a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// How many sessions were ended.
    pub ended: i64,
    /// How many were ended once roles were disabled: of those who came back before, or are still about to end.
    pub ended_later: i64,
    /// The roles that cannot log in any more.
    pub disabled: Vec<String>,
    /// The identities, by their numbers, that have no other role. On a standby, none.
    pub disabled_all_of: BTreeSet<usize>,
    /// The system identifier, if roles are to be disabled.
    pub cluster: Option<i64>,
}

impl Done {
    /// What another attempt has done.
    pub fn add(&mut self, more: Done) {
        self.ended += more.ended;
        self.ended_later += more.ended_later;
        for role in more.disabled {
            if !self.disabled.contains(&role) {
                self.disabled.push(role);
            }
        }
        self.disabled_all_of.extend(more.disabled_all_of);
        self.cluster = more.cluster.or(self.cluster);
    }

    pub fn is_nothing(&self) -> bool {
        self.ended == 0 && self.ended_later == 0 && self.disabled.is_empty()
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ended", self.ended)?;
        if !self.disabled.is_empty() {
            let roles = Printable::list(self.disabled.iter().map(String::as_str));
            write!(f, ", role {roles} disabled")?;
        }
        match self.ended_later {
            0 => Ok(()),
            later => write!(f, ", then {later} ended"),
        }
    }
}

/// Why an order was not carried out, or not all of it.
struct Failure {
    why: String,
    /// What was done all the same.
    done: Done,
    /// Whether the next attempt may have a better end.
    may_pass: bool,
}

impl Server {
    pub fn new(config: ServerConfig) -> Result<Server, String> {
        let tls = match config.tls {
            true => towards_servers(config.ca_file.as_deref()),
            false => towards_servers(None),
        };
        Ok(Server {
            tls: tls.map_err(|error| format!("server \"{}\": {error}", config.name))?,
            name: config.name,
            connection: config.connection,
            timeout: config.timeout,
            slots: Semaphore::new(CONNECTIONS),
            slots_of_waiting: Semaphore::new(CONNECTIONS),
        })
    }

    /// Carries a part of an order out, and says what was done, and why not all of it. What may pass is tried again.
    pub async fn carry_out(&self, order: &Order, part: &Part) -> (Done, Option<String>) {
        let mut pauses = PAUSES.iter();
        let start = Instant::now();
        let mut done = Done::default();
        loop {
            let failure = match self.attempt(order, part, start).await {
                Ok(last) => {
                    done.add(last);
                    return (done, None);
                }
                Err(failure) => failure,
            };
            done.add(failure.done);
            match pauses.next() {
                Some(pause) if failure.may_pass => sleep(*pause).await,
                _ => return (done, Some(failure.why)),
            }
        }
    }

    /// `start`: when the first attempt began.
    async fn attempt(&self, order: &Order, part: &Part, start: Instant) -> Result<Done, Failure> {
        let _slot = self.slot(part, start).await?;
        let work = async {
            let client = self.connect().await.map_err(Failure::of)?;
            match part {
                Part::Whole => carry_out(&client, order, self.timeout / 4).await,
                Part::SessionsOnceDisabled(roles) => {
                    follow(&client, order, roles, self.timeout * 3 / 4).await
                }
            }
        };
        match timeout(self.timeout, work).await {
            Ok(done) => done,
            Err(_) => Err(Failure {
                why: format!("no answer within {} s", self.timeout.as_secs()),
                done: Done::default(),
                may_pass: true,
            }),
        }
    }

    /// Waits for one of the connections. The server has not been asked yet, so this is no part of the time for its answer.
    async fn slot(&self, part: &Part, start: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        let (slots, limit, server) = match part {
            // As long as the attempts may take: not every provider sends a logout again.
            Part::Whole => (&self.slots, self.timeout * 3, "server"),
            Part::SessionsOnceDisabled(_) => (&self.slots_of_waiting, self.timeout, "standby"),
        };
        match timeout_at(start + limit, slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            // They are never closed: the time is over.
            Ok(Err(_)) | Err(_) => Err(Failure {
                why: format!("too many orders wait for this {server}"),
                done: Done::default(),
                may_pass: false,
            }),
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let (client, connection) = self.connection.connect(self.tls.clone()).await?;
        // It ends with the client; an error of it is one of the client's, too.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(client)
    }

    /// Whether orders could be carried out, and if not, why.
    pub async fn check(&self, disables_roles: bool) -> Result<(), String> {
        let work = async {
            let client = self.connect().await?;
            client
                .query_typed(CHECK, &[(&disables_roles, Type::BOOL)])
                .await
        };
        let answer = timeout(self.timeout, work).await;
        let answer =
            answer.map_err(|_| format!("no answer within {} s", self.timeout.as_secs()))?;
        let rows = answer.map_err(|error| Failure::of(error).why)?;
        let missing = rows.iter().map(|row| row.get::<_, String>(0));
        let missing: Vec<String> = missing.collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(missing.join("; ")),
        }
    }
}

/// What is missing on a server.
const CHECK: &str = "
    SELECT DISTINCT CASE
        WHEN NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'validator') THEN
            'the database has no extension \"validator\": CREATE EXTENSION validator'
        WHEN NOT has_schema_privilege('validator', 'USAGE') THEN
            format('role \"%s\" has no right to use the schema \"validator\"', current_user)
        WHEN to_regprocedure(needed) IS NULL THEN format('the function %s does not exist', needed)
        ELSE format('role \"%s\" has no right to execute %s', current_user, needed)
    END
    FROM unnest(ARRAY['validator.flush_answers(text)', 'validator.end_sessions(text,text,text,text,text)']
        || CASE WHEN $1 THEN ARRAY['validator.disable_role(text,text)', 'pg_control_system()'] ELSE '{}' END) AS needed
    WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'validator')
        OR NOT has_schema_privilege('validator', 'USAGE')
        OR to_regprocedure(needed) IS NULL
        OR NOT has_function_privilege(to_regprocedure(needed), 'EXECUTE')";

/// Whatever fails, the rest is done all the same. `lock_timeout`: how long roles that others have locked are waited for.
async fn carry_out(
    client: &Client,
    order: &Order,
    lock_timeout: Duration,
) -> Result<Done, Failure> {
    let mut done = Done::default();
    // People can lock their own role, by a new password in an open transaction: so a role is waited for only so long.
    let count = u32::try_from(order.disabled.len()).unwrap_or(u32::MAX);
    let limit = (lock_timeout / count.max(1)).as_millis().max(1).to_string();
    // First, so that nobody comes back.
    let all = (0..order.disabled.len()).collect();
    let not_disabled = disable(client, order, all, &limit, &mut done).await;
    let mut failures = end_sessions(client, order, &mut done.ended).await;
    // The locks of those whose sessions were ended go now, or in a moment. They are waited for at once: a user who comes back
    // and locks the role again has to wait behind this request.
    let (again, for_good): (Vec<_>, Vec<_>) = not_disabled
        .into_iter()
        .partition(|(_, failure)| failure.may_pass);
    let again = again.into_iter().map(|(identity, _)| identity).collect();
    let before = done.disabled.len();
    let still = disable(client, order, again, &limit, &mut done).await;
    if done.disabled.len() > before {
        // Whoever came back before the role was disabled.
        failures.extend(end_sessions(client, order, &mut done.ended_later).await);
    }
    if !order.disabled.is_empty() {
        match client.query_typed_one(CLUSTER, &[]).await {
            Ok(row) => done.cluster = Some(row.get(0)),
            Err(error) => failures.push(Failure::of(error)),
        }
    }
    let of_roles = for_good.into_iter().chain(still);
    let of_roles = of_roles.map(|(_, failure)| failure);
    conclude(done, of_roles.chain(failures))
}

/// On a standby: waits until it has replayed that these roles are disabled, and ends the sessions that have begun before.
async fn follow(
    client: &Client,
    order: &Order,
    roles: &[String],
    patience: Duration,
) -> Result<Done, Failure> {
    let (start, mut pause) = (Instant::now(), FIRST_LOOK);
    loop {
        let roles: [(&(dyn ToSql + Sync), Type); 1] = [(&roles, Type::TEXT_ARRAY)];
        let rows = client.query_typed(NOT_YET_DISABLED, &roles).await;
        let rows = rows.map_err(Failure::of)?;
        let still: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        if still.is_empty() {
            break;
        }
        if start.elapsed() > patience {
            let still = Printable::list(still);
            return Err(Failure {
                why: format!("the standby has not replayed yet that role {still} cannot log in"),
                done: Done::default(),
                may_pass: false,
            });
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_LOOK);
    }
    let mut done = Done::default();
    let failures = end_sessions(client, order, &mut done.ended_later).await;
    conclude(done, failures.into_iter())
}

/// What was done, and what failed.
fn conclude(done: Done, failures: impl Iterator<Item = Failure>) -> Result<Done, Failure> {
    match failures.reduce(Failure::and) {
        None => Ok(done),
        Some(failure) => Err(Failure { done, ..failure }),
    }
}

/// Discards the answers before the sessions end: a login that begins afterwards finds no older one. `ended`: how many end is
/// added to it. What failed.
async fn end_sessions(client: &Client, order: &Order, ended: &mut i64) -> Vec<Failure> {
    let issuer: [(&(dyn ToSql + Sync), Type); 1] = [(&order.issuer, Type::TEXT)];
    let mut errors = Vec::new();
    errors.extend(client.query_typed(FLUSH, &issuer).await.err());
    for criteria in &order.sessions {
        let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
            (&order.issuer, Type::TEXT),
            (&criteria.identity, Type::TEXT),
            (&criteria.sid, Type::TEXT),
            (&criteria.sub, Type::TEXT),
        ];
        match client.query_typed_one(END, &parameters).await {
            Ok(row) => *ended += i64::from(row.get::<_, i32>(0)),
            Err(error) => errors.push(error),
        }
    }
    errors.into_iter().map(Failure::of).collect()
}

/// Disables the roles of these identities, by their numbers, whichever fails. `limit`: lock_timeout for each. Those that
/// failed.
async fn disable(
    client: &Client,
    order: &Order,
    identities: Vec<usize>,
    limit: &str,
    done: &mut Done,
) -> Vec<(usize, Failure)> {
    let mut failed = Vec::new();
    for number in identities {
        let Some(identity) = order.disabled.get(number) else {
            continue;
        };
        let parameters: [(&(dyn ToSql + Sync), Type); 3] = [
            (&order.issuer, Type::TEXT),
            (identity, Type::TEXT),
            (&limit, Type::TEXT),
        ];
        let row = match client.query_typed_one(DISABLE, &parameters).await {
            Ok(row) => row,
            Err(error) => {
                failed.push((number, Failure::of(error)));
                continue;
            }
        };
        let Some(roles) = row.get::<_, Option<Vec<Option<String>>>>(0) else {
            // A standby.
            continue;
        };
        let all = roles.len();
        let disabled: Vec<String> = roles.into_iter().flatten().collect();
        let missing = all.saturating_sub(disabled.len());
        done.add(Done {
            disabled,
            disabled_all_of: (missing == 0).then_some(number).into_iter().collect(),
            ..Done::default()
        });
        if missing > 0 {
            let failure = Failure {
                why: format!(
                    "{missing} of {all} roles could not be disabled: the server's log says why"
                ),
                done: Done::default(),
                may_pass: true,
            };
            failed.push((number, failure));
        }
    }
    failed
}

/// Whether the next attempt may have a better end after an error of the server's with this code.
fn may_pass(code: &str) -> bool {
    // 08, 53, 57P: connections, resources, shutdown; 40: a deadlock, or others were first; 55: the database is not ready, or
    // a lock was not to be had; 57014: it took too long; XX000: a role was changed at the same time. Anything else stays as
    // it is.
    ["08", "40", "53", "55", "57014", "57P", "XX000"]
        .iter()
        .any(|class| code.starts_with(class))
}

impl Failure {
    fn of(error: Error) -> Failure {
        let (why, may_pass) = match error.as_db_error() {
            Some(database) => {
                let code = database.code().code();
                let why = format!("{} ({code})", Printable::new(database.message()));
                (why, may_pass(code))
            }
            None => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let text = match cause {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                };
                (Printable::new(&text).to_string(), true)
            }
        };
        Failure {
            why,
            done: Done::default(),
            may_pass,
        }
    }

    /// This one and another. What may pass is worth another attempt, whatever does not.
    fn and(self, other: Failure) -> Failure {
        Failure {
            why: match self.why.contains(&other.why) {
                true => self.why,
                false => format!("{}; {}", self.why, other.why),
            },
            done: self.done,
            may_pass: self.may_pass || other.may_pass,
        }
    }
}

#[cfg(test)]
mod tests;
