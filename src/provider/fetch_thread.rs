//! Waits for the network without ever being out of reach of a cancel.
//!
//! The work runs on a helper thread with all signals blocked, which calls no PostgreSQL function, while
//! the backend waits on its latch. So authentication_timeout, pg_terminate_backend and a shutdown end the
//! login at once, regardless of the provider and the resolver: the thread is then left behind, and holds
//! no resource of PostgreSQL.
//!
//! The thread does not read the environment, which a session may change in the meantime; the backend reads it before.
//! The C library's resolver reads it (RES_OPTIONS, LOCALDOMAIN …), which cannot be prevented and does no harm: a
//! backend sets only the variables LC_…, which exist since the server's start, and glibc replaces the value of an
//! existing variable without moving others.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use oauth_core::{
    Endpoint, Failure, Internal, Misconfigured, Printable, Unavailable, UnavailableCause,
};
use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use pgrx::{check_for_interrupts, pg_sys};

use crate::postgres::signals;
use crate::postgres::wait_event;

/// Added to the deadline, so that the work's own, more exact error about the timeout comes first.
pub const GRACE: Duration = Duration::from_millis(50);

/// Runs `work` on a helper thread and waits for its result, at most until `deadline`.
///
/// Errors: what `work` returns; `Unavailable`, asking for `url`, if no thread can be had, or it does not return in time;
/// `Misconfigured` if the process can open too few files.
/// Raises PostgreSQL's own error if the backend is told to stop.
pub fn run_until<T: Send + 'static>(
    deadline: Instant,
    url: &Endpoint,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    start(deadline, url, work)?.finish()
}

/// Work on a helper thread, which ends by itself if no one waits for it.
pub struct UnderWay<T> {
    result: Arc<Mutex<Option<Result<T, Failure>>>>,
    /// Readable when the thread has ended.
    done: UnixStream,
    url: Endpoint,
    deadline: Instant,
}

/// Starts `work` as [`run_until`] does, so that several requests can be made at the same time.
pub fn start<T: Send + 'static>(
    deadline: Instant,
    url: &Endpoint,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<UnderWay<T>, Failure> {
    let result = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&result);
    let (done, done_by_thread) = UnixStream::pair().map_err(lack)?;
    ensure_descriptors(&done).map_err(lack)?;
    done.set_nonblocking(true).map_err(internal)?;
    spawn_without_signals(move || {
        // Closed when the thread ends for any reason, which wakes the backend.
        let _done = done_by_thread;
        let outcome = work();
        *slot.lock() = Some(outcome);
    })
    .map_err(|error| {
        let why = Printable::new(&error.to_string());
        unavailable(url, UnavailableCause::NoThread(why))
    })?;
    Ok(UnderWay {
        result,
        done,
        url: url.clone(),
        deadline,
    })
}

impl<T> UnderWay<T> {
    /// Waits for the result, as [`run_until`] does.
    pub fn finish(mut self) -> Result<T, Failure> {
        if !self.has_ended_by(self.deadline + GRACE)? {
            return Err(unavailable(&self.url, UnavailableCause::Timeout));
        }
        let outcome = self.result.lock().take();
        outcome
            .unwrap_or_else(|| Err(Internal(Printable::new("the helper thread panicked")).into()))
    }

    /// Whether it has ended with such an outcome.
    pub fn outcome_is(&self, is_such: impl FnOnce(&Result<T, Failure>) -> bool) -> bool {
        self.result.lock().as_ref().is_some_and(is_such)
    }

    /// Waits for the thread to end, at most until `time`; whether it has.
    ///
    /// Errors: this is a background worker that has to leave.
    /// Raises PostgreSQL's own error if the backend is told to stop.
    pub fn has_ended_by(&mut self, time: Instant) -> Result<bool, Failure> {
        while !is_closed(&mut self.done)? {
            let left = time.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            if is_worker_called() {
                return Err(Internal(Printable::new("interrupted")).into());
            }
            wait(&self.done, left);
        }
        Ok(true)
    }
}

/// Descriptors that a request takes at the same time, at most: one to wait with, a connection, and what the resolver needs.
const DESCRIPTORS: usize = 4;

/// Whether there are as many descriptors as a request takes. If not, that is said before it begins: later it would look like a
/// fault of the provider, for which other logins pause.
fn ensure_descriptors(any: &UnixStream) -> io::Result<()> {
    let spare: io::Result<Vec<_>> = (0..DESCRIPTORS).map(|_| any.try_clone()).collect();
    spare.map(drop)
}

/// Starts a thread in which no signal is ever delivered: PostgreSQL's handlers must run in the
/// main thread only.
fn spawn_without_signals(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset and pthread_sigmask write the sets that they are given, and cannot fail with
    // these arguments. The new thread inherits the mask; the backend's own is restored below.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let spawned = thread::Builder::new()
        .name("validator fetch".to_owned())
        .spawn(work);
    // SAFETY: `before` was written by the call above.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
    }
    spawned.map(drop)
}

/// Whether the other end is closed, that is, whether the thread has ended.
fn is_closed(done: &mut UnixStream) -> Result<bool, Failure> {
    match done.read(&mut [0]) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(internal(error)),
    }
}

/// Sleeps until the thread ends, the backend's latch is set, or time is up; then serves interrupts.
fn wait(done: &UnixStream, left: Duration) {
    let events = pg_sys::WL_LATCH_SET
        | pg_sys::WL_SOCKET_READABLE
        | pg_sys::WL_TIMEOUT
        | pg_sys::WL_EXIT_ON_PM_DEATH;
    let millis = left
        .as_millis()
        .saturating_add(1)
        .try_into()
        .unwrap_or(std::ffi::c_long::MAX);
    // SAFETY: called in the backend's main thread; MyLatch is its own latch, and the socket is open.
    let happened = unsafe {
        pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as i32,
            done.as_raw_fd(),
            millis,
            fetch_event(),
        )
    };
    if happened as u32 & pg_sys::WL_LATCH_SET != 0 {
        // SAFETY: MyLatch is this backend's own.
        unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
    }
    check_for_interrupts!();
}

/// Set where a reload ends the wait for the network.
static GIVES_WAY: AtomicBool = AtomicBool::new(false);

/// From now on this process leaves the network for changed settings, too.
pub fn give_way_to_reloads() {
    GIVES_WAY.store(true, Ordering::Relaxed);
}

/// Whether this is a background worker that has to leave the network for something else: to end, or, if it is our own,
/// to read changed settings. Any other process goes on, also a worker of another module in which SQL calls ours; what
/// it has to obey at once is an interrupt.
pub fn is_worker_called() -> bool {
    let gives_way = GIVES_WAY.load(Ordering::Relaxed);
    signals::is_shutdown_requested() || gives_way && signals::is_reload_requested()
}

/// What pg_stat_activity shows while a process waits for the provider.
fn fetch_event() -> u32 {
    static EVENT: OnceCell<u32> = OnceCell::new();
    wait_event::named(&EVENT, c"ValidatorFetch")
}

/// Asking for `url` has failed.
pub fn unavailable(url: &Endpoint, cause: UnavailableCause) -> Failure {
    let url = Printable::new(url.as_str());
    Unavailable { url, cause }.into()
}

/// There are no descriptors, or there is no memory for them.
fn lack(error: io::Error) -> Failure {
    let what = Printable::new(&error.to_string());
    Misconfigured::ServerResources { what }.into()
}

fn internal(error: io::Error) -> Failure {
    Internal(Printable::new(&error.to_string())).into()
}
