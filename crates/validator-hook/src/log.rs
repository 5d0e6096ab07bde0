//! The program's log: lines on standard error, which systemd's journal or a container's log keeps.

use std::io::{self, Write as _};

use oauth_core::Printable;

/// Writes one line. What came from outside is in it only as [`fact`] writes it.
pub fn log(line: &str) {
    // If nobody reads the log, the work goes on.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// `name=value`, with whatever the value holds made harmless; nothing if there is no value.
pub fn fact(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!(" {name}=\"{}\"", Printable::new(value)),
        None => String::new(),
    }
}
