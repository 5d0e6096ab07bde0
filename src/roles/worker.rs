//! The worker that provisions roles: one process, connected to a database as the role that manages. It is there if the
//! module is preloaded and `validator.provision_role` is set when the server starts; on a standby, after its promotion.

use std::time::Duration;

use oauth_core::ProvisioningCause;
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::{check_for_interrupts, pg_guard, pg_sys};

use crate::log::server_log;
use crate::memory;
use crate::memory::role_requests::{RoleRequest, RoleRequests, Taken, Unfulfilled};
use crate::postgres::own_path::own_path;
use crate::postgres::signals;
use crate::postgres::text::c_string;
use crate::postgres::versions;
use crate::roles::change::{Done, fulfill, report_changes};
use crate::settings::provisioning::worker_connection;

/// What the worker is, and what `ps` calls it.
const NAME: &str = "validator roles";
/// After how long the postmaster starts it again if it ended.
const RESTART: Duration = Duration::from_secs(5);
/// A worker that nobody calls looks for requests after this time all the same.
const INTERVAL: Duration = Duration::from_secs(10);

/// Registers the worker, if there is something to do for it. Called by `_PG_init` while libraries are preloaded.
pub fn register() {
    // SAFETY: the postmaster sets it before it loads libraries, and never again.
    let is_upgrade = unsafe { pg_sys::IsBinaryUpgrade };
    // pg_upgrade drops databases and creates them again, and fails while somebody is connected.
    if is_upgrade || worker_connection().is_none() {
        return;
    }
    let path = own_path(validator_roles_main as *const ());
    BackgroundWorkerBuilder::new(NAME)
        .set_type(NAME)
        .set_library(&path.unwrap_or_else(|| "validator".to_owned()))
        .set_function("validator_roles_main")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(RESTART))
        .load();
}

/// The worker's main function, which the postmaster calls in the new process.
// SAFETY: the name is not defined anywhere else.
#[unsafe(no_mangle)]
#[pg_guard]
pub extern "C-unwind" fn validator_roles_main(_arg: pg_sys::Datum) {
    signals::of_connected_worker();
    let (manager, database) = wait_for_connection();
    let Some(requests) = memory::role_requests() else {
        return;
    };
    if let Some(logins) = memory::last_logins() {
        logins.begin();
    }
    connect(&manager, &database);
    requests.begin_work();
    let mut last = 0;
    loop {
        signals::forget_cancel();
        check_for_interrupts!();
        if signals::is_reload_requested() {
            signals::reload();
            if worker_connection() != Some((manager.clone(), database.clone())) {
                // Not 0, so that the postmaster starts it again, and it connects as it is told now.
                // SAFETY: ends this process as PostgreSQL's own workers end.
                unsafe { pg_sys::proc_exit(1) };
            }
        }
        match requests.take(last) {
            Some(taken) => {
                last = taken.place();
                serve(requests, &taken, &manager);
                report_changes(false);
            }
            None => {
                report_changes(true);
                signals::wait_for_latch(INTERVAL);
            }
        }
    }
}

/// The role and the database. While none is set any more, waits for a reload: a worker that returned would not be started
/// again before the server's next start.
fn wait_for_connection() -> (String, String) {
    loop {
        if let Some(connection) = worker_connection() {
            return connection;
        }
        signals::forget_cancel();
        check_for_interrupts!();
        if signals::is_reload_requested() {
            signals::reload();
        } else {
            signals::wait_for_latch(INTERVAL);
        }
    }
}

/// Connects this process to the database, as the manager, who need not be allowed to log in. Ends the process if that fails.
fn connect(manager: &str, database: &str) {
    let (manager, database) = (c_string(manager), c_string(database));
    // SAFETY: called once, in the main thread of a worker that may connect; NUL-terminated strings.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnection(
            database.as_ptr(),
            manager.as_ptr(),
            versions::BYPASS_ROLELOGINCHECK,
        );
    }
    // Whatever is set for the server, the database or the role. Other timeouts are those of a session's loop.
    for (name, value) in [
        (c"default_transaction_read_only", c"off"),
        (c"default_transaction_isolation", c"read committed"),
        (c"search_path", c"pg_catalog, pg_temp"),
        (c"createrole_self_grant", c""),
        (c"lock_timeout", c"0"),
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        (c"transaction_timeout", c"0"),
    ] {
        // SAFETY: NUL-terminated names and values of settings that every user may make.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
            );
        }
    }
}

/// Fulfills one request, logs what was done, and answers.
fn serve(requests: RoleRequests, taken: &Taken, manager: &str) {
    let request = &taken.request;
    let outcome = fulfill(request, manager);
    let counted = memory::statistics().row(&request.issuer);
    let outcome = match outcome {
        Ok(done) => {
            if let Some(row) = counted {
                row.roles
                    .count(done.is_created, done.gained.len(), done.lost.len());
            }
            log_done(request, &done);
            Ok(())
        }
        Err(unfulfilled) => {
            if let Some(row) = counted {
                row.roles.count_failure();
            }
            Err(unfulfilled)
        }
    };
    if !requests.answer(taken, &outcome)
        && let Err(unfulfilled) = outcome
    {
        log_unheard(request, &unfulfilled);
    }
}

/// One line for each change.
fn log_done(request: &RoleRequest, done: &Done) {
    if !done.is_created && done.gained.is_empty() && done.lost.is_empty() {
        return;
    }
    let role = oauth_core::Printable::new(&request.role);
    let what = match done.is_created {
        true => format!("role \"{role}\" was created for its OAuth login"),
        false => format!("memberships of role \"{role}\" were changed by its OAuth login"),
    };
    let list = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let (gained, lost) = (list(&done.gained), list(&done.lost));
    server_log::log(
        what,
        Some(server_log::facts(&[
            ("issuer", Some(&request.issuer)),
            ("identity", Some(&request.identity)),
            ("role", Some(&request.role)),
            ("gained", gained.as_deref()),
            ("lost", lost.as_deref()),
        ])),
        None,
    );
}

/// The login that asked has ended, and cannot log why its request failed.
fn log_unheard(request: &RoleRequest, unfulfilled: &Unfulfilled) {
    let Unfulfilled { cause, what } = unfulfilled;
    let cause: &ProvisioningCause = cause;
    server_log::log(
        format!("{cause}: {}", oauth_core::Printable::new(what)),
        Some(server_log::facts(&[
            ("cause", Some(cause.code())),
            ("issuer", Some(&request.issuer)),
            ("identity", Some(&request.identity)),
            ("role", Some(&request.role)),
        ])),
        None,
    );
}
