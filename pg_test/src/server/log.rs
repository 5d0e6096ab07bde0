//! What a throw-away server logged.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The log of one server, over all its restarts.
pub struct Log {
    path: PathBuf,
}

/// A place in a log: its end at the time of [`Log::mark`].
#[derive(Clone, Copy, Debug)]
pub struct LogMark(u64);

impl Log {
    pub(crate) fn new(path: &Path) -> Log {
        File::create(path).unwrap_or_else(|e| panic!("cannot make {}: {e}", path.display()));
        Log {
            path: path.to_owned(),
        }
    }

    /// The log's end, to be given to [`since`](Log::since) later.
    pub fn mark(&self) -> LogMark {
        LogMark(fs::metadata(&self.path).map_or(0, |m| m.len()))
    }

    /// Everything that was logged after the mark.
    ///
    /// A backend logs a refusal before it tells the client, so what a client caused is here as soon
    /// as the client has its answer.
    pub fn since(&self, mark: LogMark) -> String {
        let mut bytes = Vec::new();
        let mut file = File::open(&self.path).expect("the log can be read");
        file.seek(SeekFrom::Start(mark.0))
            .expect("the log can be read from a mark");
        file.read_to_end(&mut bytes).expect("the log can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Everything that was logged.
    pub fn text(&self) -> String {
        self.since(LogMark(0))
    }

    /// Waits until `needle` is logged after the mark; returns everything since the mark.
    #[track_caller]
    pub fn wait_for(&self, mark: LogMark, needle: &str, limit: Duration) -> String {
        let start = Instant::now();
        loop {
            let text = self.since(mark);
            if text.contains(needle) {
                return text;
            }
            assert!(
                start.elapsed() < limit,
                "not logged within {limit:?}: {needle}\n{text}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn append(&self) -> File {
        OpenOptions::new()
            .append(true)
            .open(&self.path)
            .expect("the log can be written")
    }
}
