//! What can go wrong with an answer of the issuer.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::net::http::{Connection, Request, Response};

/// A fault of one endpoint.
#[derive(Clone)]
pub enum Fault {
    /// The right answer, this much later.
    Delay(Duration),
    /// The request is read and never answered.
    Hang,
    /// Nothing comes after half of the headers.
    HangInHeaders,
    /// Nothing comes after half of the body.
    HangInBody,
    /// The right answer, one byte at each interval.
    Drip(Duration),
    /// This status, with the right document as body.
    Status(u16),
    /// Status 200 and a page for human beings.
    Html,
    /// A redirect of this status to a place that has the right answer.
    Redirect(u16),
    /// A JSON document of this many bytes, with the right `Content-Length`.
    Oversize(usize),
    /// A body that never ends, without a length.
    Endless,
    /// The first half of the document, with the length of that half.
    Truncated,
    /// Half of the document, with the length of the whole; then the connection closes.
    ClosedInBody,
    /// The connection closes without an answer.
    Closed,
    /// Another answer.
    Answer(Response),
    /// The right document, altered.
    Altered(Arc<dyn Fn(&mut Value) + Send + Sync>),
}

impl Fault {
    /// The right document, altered.
    pub fn altered(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Fault {
        Fault::Altered(Arc::new(change))
    }

    /// Sends what this fault makes of the right answer.
    pub(crate) fn send(
        &self,
        request: &Request,
        right: Response,
        connection: &mut dyn Connection,
        stopped: &AtomicBool,
    ) -> io::Result<()> {
        let (head, body) = (right.head(Some(right.body.len())), &right.body);
        match self {
            Fault::Delay(time) => {
                sleep(*time, stopped);
                connection.write_all(&right.bytes())
            }
            Fault::Hang => hang(connection, &[], stopped),
            Fault::HangInHeaders => hang(connection, &head[..head.len() / 2], stopped),
            Fault::HangInBody => hang(
                connection,
                &[&head, &body[..body.len() / 2]].concat(),
                stopped,
            ),
            Fault::Drip(interval) => {
                for byte in right.bytes() {
                    connection.write_all(&[byte])?;
                    connection.flush()?;
                    if sleep(*interval, stopped) {
                        break;
                    }
                }
                Ok(())
            }
            Fault::Status(status) => connection.write_all(
                &Response {
                    status: *status,
                    ..right
                }
                .bytes(),
            ),
            Fault::Html => {
                let page = "<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>";
                connection.write_all(&Response::html(200, page).bytes())
            }
            Fault::Redirect(status) => {
                let mut redirect = Response::html(*status, "moved");
                let target = format!("{}?redirected", request.path);
                redirect.headers.push(("Location".to_owned(), target));
                connection.write_all(&redirect.bytes())
            }
            Fault::Oversize(size) => {
                let filler = " ".repeat(size.saturating_sub(body.len()));
                let body = [body.as_slice(), filler.as_bytes()].concat();
                connection.write_all(&Response { body, ..right }.bytes())
            }
            Fault::Endless => {
                connection.write_all(&right.head(None))?;
                connection.write_all(b"{\"keys\":[")?;
                while !stopped.load(Ordering::SeqCst) {
                    connection.write_all(&[b' '; 8192])?;
                }
                Ok(())
            }
            Fault::Truncated => {
                let body = body[..body.len() / 2].to_vec();
                connection.write_all(&Response { body, ..right }.bytes())
            }
            Fault::ClosedInBody => connection.write_all(&[&head, &body[..body.len() / 2]].concat()),
            Fault::Closed => Ok(()),
            Fault::Answer(answer) => connection.write_all(&answer.bytes()),
            Fault::Altered(change) => {
                let mut document = serde_json::from_slice(body).unwrap_or(Value::Null);
                change(&mut document);
                let body = document.to_string().into_bytes();
                connection.write_all(&Response { body, ..right }.bytes())
            }
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Delay(time) => write!(f, "Delay({time:?})"),
            Fault::Hang => f.write_str("Hang"),
            Fault::HangInHeaders => f.write_str("HangInHeaders"),
            Fault::HangInBody => f.write_str("HangInBody"),
            Fault::Drip(interval) => write!(f, "Drip({interval:?})"),
            Fault::Status(status) => write!(f, "Status({status})"),
            Fault::Html => f.write_str("Html"),
            Fault::Redirect(status) => write!(f, "Redirect({status})"),
            Fault::Oversize(size) => write!(f, "Oversize({size})"),
            Fault::Endless => f.write_str("Endless"),
            Fault::Truncated => f.write_str("Truncated"),
            Fault::ClosedInBody => f.write_str("ClosedInBody"),
            Fault::Closed => f.write_str("Closed"),
            Fault::Answer(answer) => write!(f, "Answer({})", answer.status),
            Fault::Altered(_) => f.write_str("Altered"),
        }
    }
}

/// Sends this much, then nothing until the issuer stops.
fn hang(connection: &mut dyn Connection, first: &[u8], stopped: &AtomicBool) -> io::Result<()> {
    connection.write_all(first)?;
    connection.flush()?;
    sleep(Duration::MAX, stopped);
    Ok(())
}

/// Sleeps, but not longer than the issuer runs; whether it has stopped.
pub(crate) fn sleep(time: Duration, stopped: &AtomicBool) -> bool {
    let start = Instant::now();
    loop {
        if stopped.load(Ordering::SeqCst) {
            return true;
        }
        let left = time.saturating_sub(start.elapsed());
        if left.is_zero() {
            return false;
        }
        thread::sleep(left.min(Duration::from_millis(10)));
    }
}
