//! Where the module is preloaded: a background worker fetches the cached issuers' keys again before their
//! freshness ends, so that no login waits for a provider.
//!
//! It has no database connection. Whatever a provider does, it obeys a reload and a shutdown at once, since it
//! asks through the same helper thread as logins do.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use oauth_core::{Clock, Misconfigured, SystemClock};
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::{check_for_interrupts, pg_guard, pg_sys};

use crate::log::refusal_log::log_failed_refresh;
use crate::memory;
use crate::memory::key_cache::DueIssuer;
use crate::memory::key_cache_layout::IssuerKey;
use crate::postgres::own_path::own_path;
use crate::postgres::signals;
use crate::provider::fetch_thread;
use crate::settings;
use crate::settings::Settings;
use crate::settings::gucs;
use crate::settings::provider::ProviderKeys;
use crate::settings::tables::Number;

/// How often the worker looks whether something is due.
const INTERVAL: Duration = Duration::from_secs(5);
/// An issuer that no login has used for this long is left alone.
const FORGET: Duration = Duration::from_secs(86_400);
/// After how long the postmaster starts it again if it died.
const RESTART: Duration = Duration::from_secs(5);

/// What the worker is, and what `ps` calls it.
const NAME: &str = "validator refresh";
/// How long [`is_running`] waits for a worker that is being started, and how long one must live to count.
const START: Duration = Duration::from_secs(1);
const ALIVE: Duration = Duration::from_millis(100);

/// Registers the worker. Called by `_PG_init` while libraries are preloaded.
pub fn register() {
    BackgroundWorkerBuilder::new(NAME)
        .set_type(NAME)
        .set_library(
            &own_path(validator_refresh_main as *const ())
                .unwrap_or_else(|| "validator".to_owned()),
        )
        .set_function("validator_refresh_main")
        .enable_shmem_access(None)
        .set_start_time(BgWorkerStartTime::ConsistentState)
        .set_restart_time(Some(RESTART))
        .load();
}

/// Whether the worker runs. One that is being started is waited for, and one that ends at once does not count.
pub fn is_running() -> bool {
    let start = Instant::now();
    while start.elapsed() < START {
        let seen = pid();
        sleep(ALIVE);
        if seen.is_some() && pid() == seen {
            return true;
        }
    }
    false
}

/// The process id of the worker. It has no database connection, so that no view shows it.
fn pid() -> Option<i32> {
    // SAFETY: the server's processes lie in an array of fixed size in shared memory, mapped as long as this process
    // lives; a process id is read in one piece, and one of a process that has ended since is not that of a worker.
    let mut pids = unsafe {
        let all = &*pg_sys::ProcGlobal;
        (0..all.allProcCount as usize)
            .map(|n| (&raw const (*all.allProcs.add(n)).pid).read_volatile())
    };
    pids.find(|pid| {
        if *pid == 0 {
            return false;
        }
        // SAFETY: null, or a NUL-terminated text that stays until the next call.
        unsafe {
            let kind = pg_sys::GetBackgroundWorkerTypeByPid(*pid);
            !kind.is_null() && CStr::from_ptr(kind).to_bytes() == NAME.as_bytes()
        }
    })
}

/// The worker's main function, which the postmaster calls in the new process.
// SAFETY: the name is not defined anywhere else.
#[unsafe(no_mangle)]
#[pg_guard]
pub extern "C-unwind" fn validator_refresh_main(_arg: pg_sys::Datum) {
    fetch_thread::give_way_to_reloads();
    signals::of_worker();
    let mut looked_at = LookedAt::default();
    while !signals::is_shutdown_requested() {
        if reload_if_asked() {
            looked_at = LookedAt::default();
        }
        match next_due(&mut looked_at) {
            Some(issuer) => refresh(&issuer),
            // The wait for the network may have used up the latch.
            None if !fetch_thread::is_worker_called() => sleep(INTERVAL),
            None => {}
        }
    }
    // Not 0, which would keep the postmaster from starting the worker again after a pg_terminate_backend.
    // SAFETY: ends this process as PostgreSQL's own workers end.
    unsafe { pg_sys::proc_exit(1) };
}

/// The issuers that were checked a moment ago, and when.
type LookedAt = Vec<(IssuerKey, Instant)>;

/// The issuer to refresh next, of those that are due and were not checked a moment ago. One whose provider answers
/// comes before one whose provider does not: so those that hang hold it up for one timeout at most, however many they
/// are, and `ahead` allows for that.
fn next_due(looked_at: &mut LookedAt) -> Option<DueIssuer> {
    looked_at.retain(|(_, at)| at.elapsed() < INTERVAL);
    let now = SystemClock.now();
    let ahead = http_timeout() + INTERVAL;
    let due = memory::cache().due(now, ahead, now.minus(FORGET));
    let next = due
        .into_iter()
        .filter(|issuer| looked_at.iter().all(|(key, _)| *key != issuer.key))
        .min_by_key(|issuer| issuer.is_failing)?;
    looked_at.push((next.key, Instant::now()));
    Some(next)
}

/// One refresh. A failure is noted in the cache, and logged once per pause between attempts.
fn refresh(issuer: &DueIssuer) {
    let refreshed = match provider_keys(&issuer.url, &issuer.key) {
        // Under changed settings the keys are read from elsewhere: the next login will do so.
        Ok(None) => Ok(()),
        Ok(Some(provider)) => provider.refresh(),
        Err(misconfigured) => Err(misconfigured.into()),
    };
    if let Err(failure) = refreshed
        && !fetch_thread::is_worker_called()
    {
        log_failed_refresh(&issuer.url, &failure);
    }
}

/// Where the keys come from that are cached by this key for the issuer that pg_hba.conf names by `url`. `None`: no
/// settings say so, but for those of lines of pg_hba.conf, which are known at a login only.
fn provider_keys(url: &str, key: &IssuerKey) -> Result<Option<ProviderKeys>, Misconfigured> {
    let profiles = gucs::define_profiles()?;
    let profiles = profiles.into_iter().map(Settings::of_profile);
    let mut failure = None;
    for settings in profiles.chain([Settings::of_server()]) {
        match settings::read_keys(&settings, url) {
            Ok(keys) if keys.cache_key() == *key => return Ok(Some(keys)),
            Ok(_) => {}
            Err(misconfigured) => failure = Some(misconfigured),
        }
    }
    failure.map_or(Ok(None), Err)
}

/// How long a request may take at most for any issuer, by the server's own setting.
fn http_timeout() -> Duration {
    Duration::from_millis(Settings::of_server().number(Number::HttpTimeout))
}

/// Reads the settings if they may have changed; whether it did.
fn reload_if_asked() -> bool {
    let asked = signals::is_reload_requested();
    if asked {
        signals::reload();
    }
    asked
}

/// Until the time is over, a signal comes, or the postmaster ends.
fn sleep(limit: Duration) {
    signals::wait_for_latch(limit);
    check_for_interrupts!();
}
