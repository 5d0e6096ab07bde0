//! Where `validator.session_expiry` is on: the session ends when its token does.
//!
//! A timer of the operating system sends this process a SIGTERM, which is what pg_terminate_backend sends: PostgreSQL
//! obeys it in a query, in a transaction, in replication and while it waits for the client. (Its own timeouts do not
//! do: each error of the session drops them.) The timer is set to a time of the wall clock and follows that clock when
//! it is set.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;

use oauth_core::{Internal, Printable, Timestamp};
use parking_lot::Mutex;
use pgrx::{pg_guard, pg_sys};

use crate::log::server_log;
use crate::postgres::before_exit::before_exit;

/// The end that is scheduled for this process's session.
static SCHEDULED: Mutex<Option<Scheduled>> = Mutex::new(None);

struct Scheduled {
    timer: libc::timer_t,
    message: String,
    detail: String,
    hint: String,
}

// SAFETY: `timer` is a name that the kernel gave, and valid in all threads.
unsafe impl Send for Scheduled {}

/// Ends this process's session at that time. The log then has `message`, `detail` and `hint`.
///
/// Errors: no timer is available, so the session must not begin.
pub fn schedule(
    end: Timestamp,
    message: String,
    detail: String,
    hint: String,
) -> Result<(), Internal> {
    let timer = start_timer(end).map_err(|error| {
        Internal(Printable::new(&format!(
            "could not schedule the end of the session: {error}"
        )))
    })?;
    *SCHEDULED.lock() = Some(Scheduled {
        timer,
        message,
        detail,
        hint,
    });
    before_exit(log_at_exit);
    Ok(())
}

fn start_timer(end: Timestamp) -> io::Result<libc::timer_t> {
    let mut timer = MaybeUninit::<libc::timer_t>::uninit();
    // SAFETY: all bytes zero is a valid sigevent.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGTERM;
    // SAFETY: `event` is valid, and `timer` is written if the call succeeds.
    let made = unsafe { libc::timer_create(libc::CLOCK_REALTIME, &mut event, timer.as_mut_ptr()) };
    ok(made)?;
    // SAFETY: written by the call above.
    let timer = unsafe { timer.assume_init() };

    // SAFETY: all bytes zero is a valid itimerspec: one that fires once, if at all.
    let mut time: libc::itimerspec = unsafe { std::mem::zeroed() };
    // Zero would stop the timer.
    time.it_value.tv_sec = end.unix_seconds().max(1);
    time.it_value.tv_nsec = end.unix_micros().rem_euclid(1_000_000) * 1000;
    // SAFETY: `timer` was made above, and `time` is valid; the old time is not asked for.
    let set =
        unsafe { libc::timer_settime(timer, libc::TIMER_ABSTIME, &time, std::ptr::null_mut()) };
    ok(set)?;
    Ok(timer)
}

fn ok(returned: c_int) -> io::Result<()> {
    match returned {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// PostgreSQL tells client and log only that the session was terminated: this says why.
#[pg_guard]
unsafe extern "C-unwind" fn log_at_exit(code: c_int, _arg: pg_sys::Datum) {
    let scheduled = SCHEDULED.lock().take();
    // A client that goes by itself ends its process with code 0.
    if let Some(scheduled) = scheduled.filter(|scheduled| code != 0 && scheduled.has_fired()) {
        let (detail, hint) = (scheduled.detail, scheduled.hint);
        server_log::log(scheduled.message, Some(detail), Some(hint));
    }
}

impl Scheduled {
    fn has_fired(&self) -> bool {
        // SAFETY: all bytes zero is a valid itimerspec.
        let mut left: libc::itimerspec = unsafe { std::mem::zeroed() };
        // SAFETY: the timer exists until the process ends, and `left` can be written.
        let asked = unsafe { libc::timer_gettime(self.timer, &mut left) };
        asked == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0
    }
}
