//! A request that this process sends for all: it must not leave it open, not when an error unwinds, and not when
//! the process ends.

use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use pgrx::{pg_guard, pg_sys};

use crate::postgres::before_exit::before_exit;
use crate::postgres::containment::release_all;

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
            // An error of PostgreSQL that unwinds may have left its locks held, and no guard of ours is alive here.
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
