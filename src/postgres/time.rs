//! Our time as PostgreSQL's.

use oauth_core::Timestamp;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

use crate::postgres::text::copied_lossy;

/// Microseconds from 1970, where our time begins, to 2000, where PostgreSQL's does.
const EPOCH: i64 = 946_684_800_000_000;

/// `None` if the token does not expire, or at a time outside PostgreSQL's calendar.
pub fn timestamptz(time: Timestamp) -> Option<TimestampWithTimeZone> {
    if time == Timestamp::FOREVER {
        return None;
    }
    time.unix_micros().checked_sub(EPOCH)?.try_into().ok()
}

/// A time as people read it, for the log.
pub fn describe(time: Timestamp) -> String {
    let Some(micros) = time.unix_micros().checked_sub(EPOCH) else {
        return "unknown time".to_owned();
    };
    // SAFETY: called in the main thread; gives a NUL-terminated string in a buffer that stays until the next call.
    unsafe { copied_lossy(pg_sys::timestamptz_to_str(micros)) }
}
