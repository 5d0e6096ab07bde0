//! What the worker does for one request: ordinary statements in one transaction, as the role that manages.

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU8, Ordering};

use oauth_core::{Clock, MembershipPlan, Misconfigured, ProvisioningCause, SystemClock};
use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, Spi, pg_sys};

use crate::log::server_log;
use crate::memory::role_requests::{RoleRequest, Unfulfilled};
use crate::postgres::role_rows::{RoleRow, role_row};
use crate::postgres::subtransaction::{alone, report};
use crate::postgres::text::{literal, quoted};
use crate::postgres::time;
use crate::roles::managed::{Found, MARKER, Management};
use crate::roles::note::Note;

/// What was done.
#[derive(Default)]
pub struct Done {
    pub is_created: bool,
    pub gained: Vec<String>,
    pub lost: Vec<String>,
    /// Grants that failed, where a login may go on without them.
    pub failed: Vec<String>,
}

/// What is being done: the cause of a failure in it, as a number.
struct Step(AtomicU8);

impl Step {
    fn begin(&self, cause: ProvisioningCause) {
        self.0.store(cause.number(), Ordering::Relaxed);
    }

    fn cause(&self) -> ProvisioningCause {
        let number = self.0.load(Ordering::Relaxed);
        ProvisioningCause::of_number(number).unwrap_or(ProvisioningCause::Manager)
    }
}

/// Fulfills a request in a transaction of its own.
///
/// Errors: nothing was done.
pub fn fulfill(request: &RoleRequest, manager: &str) -> Result<Done, Unfulfilled> {
    // Another session may create the role, or change it, at the same time: the second time it is seen as it is.
    match try_to_fulfill(request, manager) {
        Err((unfulfilled, code)) if is_overtaken(&unfulfilled, code) => {
            try_to_fulfill(request, manager).map_err(|(unfulfilled, _)| unfulfilled)
        }
        outcome => outcome.map_err(|(unfulfilled, _)| unfulfilled),
    }
}

/// Whether PostgreSQL found that another session has changed the same rows: one that had committed by the time of its look, or
/// one that committed while it waited, which the index on names notices, or the row itself.
fn is_overtaken(unfulfilled: &Unfulfilled, code: PgSqlErrorCode) -> bool {
    match code {
        PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT | PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION => true,
        // These messages are never translated.
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR => {
            let overtaken = ["tuple concurrently updated", "tuple concurrently deleted"];
            overtaken.contains(&unfulfilled.what.as_str())
        }
        _ => false,
    }
}

fn try_to_fulfill(
    request: &RoleRequest,
    manager: &str,
) -> Result<Done, (Unfulfilled, PgSqlErrorCode)> {
    // Until something is done, what can fail is the look at who does it.
    let step = Step(AtomicU8::new(0));
    let refused = |misconfigured| match misconfigured {
        Misconfigured::RoleNotProvisioned { cause, what } => Unfulfilled {
            cause,
            what: what.as_str().trim_start_matches(": ").to_owned(),
        },
        other => Unfulfilled {
            cause: ProvisioningCause::Manager,
            what: other.to_string(),
        },
    };
    let attempt = || {
        begin(request);
        let done = Management::by(manager)
            .map_err(refused)
            .and_then(ensure_own)
            .and_then(|management| change(request, management, &step));
        end(done.is_ok());
        done
    };
    PgTryBuilder::new(AssertUnwindSafe(|| {
        attempt().map_err(|unfulfilled| (unfulfilled, NO_CODE))
    }))
    .catch_others(|error| {
        abandon();
        Err(explain(&error, step.cause()))
    })
    .execute()
}

/// The name that this process has connected by may be another role's since.
fn ensure_own(management: Management) -> Result<Management, Unfulfilled> {
    // SAFETY: a plain look at the user of this process.
    let own = unsafe { pg_sys::GetUserId() };
    if own == management.manager {
        return Ok(management);
    }
    Err(Unfulfilled {
        cause: ProvisioningCause::Manager,
        what: "the worker is connected as a role that was renamed: terminate it".to_owned(),
    })
}

/// Stands for "not an error of PostgreSQL's".
const NO_CODE: PgSqlErrorCode = PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION;

fn explain(error: &CaughtError, of_step: ProvisioningCause) -> (Unfulfilled, PgSqlErrorCode) {
    let report = report(error);
    let code = report.sql_error_code();
    let cause = match code {
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED | PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE => {
            ProvisioningCause::Busy
        }
        _ => of_step,
    };
    let what = report.message().to_owned();
    (Unfulfilled { cause, what }, code)
}

/// Looks, and changes what differs from the request.
fn change(request: &RoleRequest, management: Management, step: &Step) -> Result<Done, Unfulfilled> {
    let unfulfilled = |cause, what: &str| {
        let what = what.to_owned();
        Err(Unfulfilled { cause, what })
    };
    let name = quoted(&request.role);
    let mut done = Done::default();
    let role = match management.find(&request.role) {
        Found::Unmanaged => return unfulfilled(ProvisioningCause::Changed, ""),
        Found::Managed(row) => row.oid,
        Found::Absent if !request.creates_role => {
            return unfulfilled(ProvisioningCause::Changed, "");
        }
        Found::Absent => {
            step.begin(ProvisioningCause::Creation);
            create(request, management, &name);
            done.is_created = true;
            step.begin(ProvisioningCause::Manager);
            match management.find(&request.role) {
                Found::Managed(row) => row.oid,
                _ => return unfulfilled(ProvisioningCause::Creation, "it is not there"),
            }
        }
    };
    let held = management.held(role, request.options);
    let plan = MembershipPlan::of(&request.groups, &held);
    // First: where a group can be lost, but another one cannot be had, the person is without both.
    step.begin(ProvisioningCause::Revocation);
    // What is only added need not be on disk before the login goes on: what the session then does comes after it. What is
    // taken away must be, here; a standby that is gone must not keep it from being done.
    run(match plan.takes_from(&held) {
        true => "SET LOCAL synchronous_commit TO local",
        false => "SET LOCAL synchronous_commit TO off",
    });
    for group in &plan.surplus {
        if let Some(group) = role_row(Oid::from(*group)) {
            let group_name = quoted(&group.name);
            run(&format!("REVOKE {group_name} FROM {name} CASCADE"));
            done.lost.push(group.name);
        }
    }
    step.begin(ProvisioningCause::Grant);
    for group in &plan.missing {
        match role_row(Oid::from(*group)).filter(|group| management.is_group(group)) {
            Some(group) => grant(request, &name, group, &mut done),
            None => {
                return unfulfilled(
                    ProvisioningCause::Grant,
                    "the group is not managed any more",
                );
            }
        }
    }
    step.begin(ProvisioningCause::Manager);
    // The statements name the role and its groups, and names can be given to others: PostgreSQL only warns of a REVOKE that
    // finds nothing.
    match management.find(&request.role) {
        Found::Managed(row) if row.oid == role => (),
        _ => return unfulfilled(ProvisioningCause::Changed, ""),
    }
    let left = MembershipPlan::of(&request.groups, &management.held(role, request.options));
    if !left.surplus.is_empty() || (request.require_grants && !left.missing.is_empty()) {
        return unfulfilled(
            ProvisioningCause::Changed,
            "its memberships are not as the token says after the change",
        );
    }
    Ok(done)
}

fn create(request: &RoleRequest, management: Management, name: &str) {
    let mut create = format!("CREATE ROLE {name} LOGIN");
    // Writing to a String does not fail.
    if let Some(limit) = request.connection_limit {
        let _ = write!(create, " CONNECTION LIMIT {limit}");
    }
    // PostgreSQL looks at it for passwords only. A role may give itself a password, with which it would still get in once
    // the provider gives it no token.
    let end = match request.valid_for {
        Some(time) => time::describe(SystemClock.now().plus(time)),
        None => "-infinity".to_owned(),
    };
    let _ = write!(create, " VALID UNTIL {}", literal(&end));
    run(&create);
    let none = "WITH ADMIN FALSE, INHERIT FALSE, SET FALSE";
    run(&format!("GRANT {} TO {name} {none}", quoted(MARKER)));
    // Marks what the manager has created for good: see Management::is_group.
    if let Some(manager) = role_row(management.manager) {
        run(&format!("GRANT {name} TO {} {none}", quoted(&manager.name)));
    }
    let note = Note {
        issuer: request.issuer.clone(),
        identity: request.identity.clone(),
        created_at: SystemClock.now(),
    };
    run(&format!(
        "COMMENT ON ROLE {name} IS {}",
        literal(&note.write())
    ));
}

fn grant(request: &RoleRequest, name: &str, group: RoleRow, done: &mut Done) {
    let is_on = |on| if on { "TRUE" } else { "FALSE" };
    let statement = format!(
        "GRANT {} TO {name} WITH ADMIN FALSE, INHERIT {}, SET {}",
        quoted(&group.name),
        is_on(request.options.inherit),
        is_on(request.options.set),
    );
    if request.require_grants {
        run(&statement);
        done.gained.push(group.name);
        return;
    }
    match alone(|| run(&statement)) {
        Ok(()) => done.gained.push(group.name),
        Err(error) => {
            log_failed_grant(request, &group.name, &error.message);
            done.failed.push(group.name);
        }
    }
}

fn log_failed_grant(request: &RoleRequest, group: &str, why: &str) {
    server_log::log(
        format!(
            "a membership could not be granted: {}",
            oauth_core::Printable::new(why)
        ),
        Some(server_log::facts(&[
            ("issuer", Some(&request.issuer)),
            ("identity", Some(&request.identity)),
            ("role", Some(&request.role)),
            ("group", Some(group)),
        ])),
        None,
    );
}

/// Runs a statement, as a client's would be: with other modules' hooks for statements.
fn run(statement: &str) {
    use pgrx::pg_sys::panic::ErrorReportable;
    Spi::run(statement).unwrap_or_report();
}

// As utils/timeout.h declares them; pgrx does not bind them.
const STATEMENT_TIMEOUT: u32 = 3;
unsafe extern "C-unwind" {
    fn enable_timeout_after(id: u32, delay_ms: i32);
    fn disable_timeout(id: u32, keep_indicator: bool);
    fn disable_all_timeouts(keep_indicators: bool);
}

/// Begins the transaction, which may take as long as the request says.
fn begin(request: &RoleRequest) {
    let millis = i32::try_from(request.timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: called in the main thread of a worker with a database, between transactions.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        pg_sys::pgstat_report_activity(
            pg_sys::BackendState::STATE_RUNNING,
            c"provisioning a role".as_ptr(),
        );
        enable_timeout_after(STATEMENT_TIMEOUT, millis.max(1));
    }
}

fn end(is_done: bool) {
    // SAFETY: ends what `begin` began.
    unsafe {
        disable_timeout(STATEMENT_TIMEOUT, false);
        if is_done {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        } else {
            pg_sys::AbortCurrentTransaction();
        }
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
}

/// Has PostgreSQL count what was changed, as its own loop of a session does: autovacuum goes by that. Between transactions.
/// `is_idle`: nothing else is to be done, so that what was counted less than a second after the last time does not wait.
pub fn report_changes(is_idle: bool) {
    // SAFETY: called in the main thread, between transactions.
    unsafe { pg_sys::pgstat_report_stat(is_idle) };
}

/// After an error, what PostgreSQL's own loop of a session does.
fn abandon() {
    // SAFETY: called in the main thread; the error has been copied.
    unsafe {
        disable_all_timeouts(false);
        pg_sys::QueryCancelPending = 0;
        pg_sys::AbortCurrentTransaction();
        pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
}
