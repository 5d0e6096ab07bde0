//! What can go wrong with an answer of the issuer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::net::http::{Request, Response};
use crate::net::http_server::{Raw, Reply, Then};

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
    /// What the request and the right answer make of it.
    Negotiated(Negotiation),
    /// These bytes, made of the right answer; then the connection closes.
    Bytes(Arc<dyn Fn(Response) -> Vec<u8> + Send + Sync>),
}

/// Makes an answer of a request and the right answer.
pub type Negotiation = Arc<dyn Fn(&Request, Response) -> Response + Send + Sync>;

impl Fault {
    /// The right document, altered.
    pub fn altered(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Fault {
        Fault::Altered(Arc::new(change))
    }

    /// What the request and the right answer make of it.
    pub fn negotiated(
        answer: impl Fn(&Request, Response) -> Response + Send + Sync + 'static,
    ) -> Fault {
        Fault::Negotiated(Arc::new(answer))
    }

    /// The right answer, written to the wire by the test.
    pub fn bytes(write: impl Fn(Response) -> Vec<u8> + Send + Sync + 'static) -> Fault {
        Fault::Bytes(Arc::new(write))
    }

    /// What this fault makes of the right answer.
    pub(crate) fn reply(&self, request: &Request, right: Response) -> Reply {
        let half = right.body.len() / 2;
        let with_body = |body| Response {
            body,
            ..right.clone()
        };
        let answer = match self {
            Fault::Delay(time) => return Reply::Answer(right, *time),
            Fault::Hang => return raw(Vec::new(), Then::Hang),
            Fault::HangInHeaders => {
                let head = head(&right, true);
                return raw(head[..head.len() / 2].to_vec(), Then::Hang);
            }
            Fault::HangInBody => {
                let first = [&head(&right, true), &right.body[..half]].concat();
                return raw(first, Then::Hang);
            }
            Fault::Drip(interval) => {
                return Reply::Raw(Raw {
                    first: [head(&right, true), right.body].concat(),
                    pause: Some(*interval),
                    then: Then::Close,
                });
            }
            Fault::Endless => {
                let first = [head(&right, false), b"{\"keys\":[".to_vec()].concat();
                return raw(first, Then::Repeat(vec![b' '; 8192]));
            }
            Fault::ClosedInBody => {
                let first = [&head(&right, true), &right.body[..half]].concat();
                return raw(first, Then::Close);
            }
            Fault::Closed => return raw(Vec::new(), Then::Close),
            Fault::Status(status) => Response {
                status: *status,
                ..right
            },
            Fault::Html => {
                let page = "<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>";
                Response::html(200, page)
            }
            Fault::Redirect(status) => {
                let mut redirect = Response::html(*status, "moved");
                let target = format!("{}?redirected", request.path);
                redirect.headers.push(("Location".to_owned(), target));
                redirect
            }
            Fault::Oversize(size) => {
                let filler = " ".repeat(size.saturating_sub(right.body.len()));
                with_body([&right.body, filler.as_bytes()].concat())
            }
            Fault::Truncated => with_body(right.body[..half].to_vec()),
            Fault::Answer(answer) => answer.clone(),
            Fault::Negotiated(answer) => answer(request, right),
            Fault::Bytes(write) => return raw(write(right), Then::Close),
            Fault::Altered(change) => {
                let mut document = serde_json::from_slice(&right.body).unwrap_or(Value::Null);
                change(&mut document);
                with_body(document.to_string().into_bytes())
            }
        };
        Reply::Answer(answer, Duration::ZERO)
    }
}

fn raw(first: Vec<u8>, then: Then) -> Reply {
    Reply::Raw(Raw {
        first,
        pause: None,
        then,
    })
}

/// By hand, since no server sends a part of an answer: status line and headers, with the length of the whole body or none.
fn head(answer: &Response, with_length: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Status\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if with_length {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    head.push_str("Connection: close\r\n\r\n");
    head.into_bytes()
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
            Fault::Negotiated(_) => f.write_str("Negotiated"),
            Fault::Bytes(_) => f.write_str("Bytes"),
        }
    }
}
