//! What clients have seen of the server.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counted by the clients.
#[derive(Default)]
pub struct Seen {
    pub accepted: AtomicUsize,
    pub refused: AtomicUsize,
    /// Whose end the client cannot know: it was killed, or its connection was ended in the middle.
    pub unknown: AtomicUsize,
    pub opaque: AtomicUsize,
    pub revoked: AtomicUsize,
    pub ended: AtomicUsize,
    pub expired: AtomicUsize,
    pub killed: AtomicUsize,
    pub terminated: AtomicUsize,
    pub reloads: AtomicUsize,
    pub flushes: AtomicUsize,
    pub refreshes: AtomicUsize,
    pub rotations: AtomicUsize,
    pub outages: AtomicUsize,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("accepted", &self.accepted),
            ("refused", &self.refused),
            ("unknown", &self.unknown),
            ("of these opaque", &self.opaque),
            ("revoked", &self.revoked),
            ("sessions ended", &self.ended),
            ("sessions expired", &self.expired),
            ("clients killed", &self.killed),
            ("backends terminated", &self.terminated),
            ("reloads", &self.reloads),
            ("flushes", &self.flushes),
            ("refreshes", &self.refreshes),
            ("rotations", &self.rotations),
            ("outages", &self.outages),
        ];
        let counts = counts.map(|(name, count)| format!("{} {name}", count.load(Ordering::SeqCst)));
        f.write_str(&counts.join(", "))
    }
}

/// One more.
pub fn add(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}
