//! One request for all who want the same: of the processes that want it, one sends it, and the others wait for its outcome
//! in a cache that all share. A process must not leave its request open, not when an error unwinds, and not when it ends.

use std::time::{Duration, Instant};

use oauth_core::{Clock, Endpoint, Failure, SystemClock, Timestamp, UnavailableCause};
use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use pgrx::{pg_guard, pg_sys};

use crate::postgres::before_exit::before_exit;
use crate::postgres::containment::release_all;
use crate::provider::fetch_thread;

/// What a login needs from a shared cache, and how to get it if the cache does not have it.
pub trait Shared {
    type Value;
    /// A request that this process has begun.
    type Claim;

    /// What the cache has now.
    fn look(&mut self, now: Timestamp) -> Look<Self::Value>;

    /// Begins the request, to be given up at `until`. `None`: another process was faster.
    fn claim(&mut self, now: Timestamp, until: Timestamp) -> Result<Option<Self::Claim>, Failure>;

    /// Sends it, to be answered until `deadline`, and notes its outcome for all. `None`: the cache knows more than this
    /// request brought.
    fn ask(
        &mut self,
        claim: Self::Claim,
        deadline: Instant,
    ) -> Option<Result<Self::Value, Failure>>;

    /// Sleeps until the request of another process ends, at most for `limit`. Serves interrupts.
    fn sleep(&self, limit: Duration);

    /// Called once, before this login waits for another's request.
    fn count_wait(&self) {}

    /// What is asked, for a message.
    fn url(&self) -> &Endpoint;
}

/// What a cache has.
pub enum Look<T> {
    /// This is the answer.
    Known(Result<T, Failure>),
    /// Another process is asking.
    Wait,
    /// A login has to ask.
    Ask,
}

/// Uses what the cache has, asks, or waits for another's request, until `deadline`. A request takes at most `timeout`.
pub fn obtain<S: Shared>(
    shared: &mut S,
    deadline: Instant,
    timeout: Duration,
) -> Result<S::Value, Failure> {
    let mut has_waited = false;
    // A login asks once, and again if what it asked was overtaken, such as by a flush.
    loop {
        let now = SystemClock.now();
        let left = deadline.saturating_duration_since(Instant::now());
        match shared.look(now) {
            Look::Known(result) => return result,
            Look::Wait if left.is_zero() => return Err(timed_out(shared.url())),
            Look::Wait => {
                if !has_waited {
                    has_waited = true;
                    shared.count_wait();
                }
                shared.sleep(left);
            }
            // Without time left, a request would fail and look like an outage.
            Look::Ask if left.is_zero() => return Err(timed_out(shared.url())),
            Look::Ask => {
                let until = flight_end(now, timeout);
                if let Some(claim) = shared.claim(now, until)?
                    && let Some(result) = shared.ask(claim, deadline)
                {
                    return result;
                }
            }
        }
    }
}

/// When a request that begins now is given up: somewhat later than its sender stops waiting.
pub fn flight_end(now: Timestamp, timeout: Duration) -> Timestamp {
    now.plus(timeout).plus(fetch_thread::GRACE)
}

/// A provider did not answer in time.
pub fn timed_out(url: &Endpoint) -> Failure {
    fetch_thread::unavailable(url, UnavailableCause::Timeout)
}

type Abandon = Box<dyn FnOnce() + Send>;

/// What gives up the request that is under way in this process.
static UNDER_WAY: Mutex<Option<Abandon>> = Mutex::new(None);

/// A request under way. Dropped without [`end`](SingleFlight::end), it is given up.
pub struct SingleFlight(());

impl SingleFlight {
    /// `abandon` gives the request up, so that another process can send it.
    pub fn begin(abandon: impl FnOnce() + Send + 'static) -> Self {
        static REGISTERED: OnceCell<()> = OnceCell::new();
        REGISTERED.get_or_init(|| before_exit(abandon_at_exit));
        *UNDER_WAY.lock() = Some(Box::new(abandon));
        SingleFlight(())
    }

    /// The outcome is noted for all.
    pub fn end(self) {
        *UNDER_WAY.lock() = None;
    }
}

impl Drop for SingleFlight {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // An error of PostgreSQL that unwinds may have left its locks held; no guard of this module is alive here.
            release_all();
        }
        abandon();
    }
}

/// A process that is told to end does not unwind.
#[pg_guard]
unsafe extern "C-unwind" fn abandon_at_exit(_code: i32, _arg: pg_sys::Datum) {
    abandon();
}

fn abandon() {
    let under_way = UNDER_WAY.lock().take();
    if let Some(abandon) = under_way {
        abandon();
    }
}
