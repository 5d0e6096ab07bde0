//! HTTP/1.1 by hyper, over TLS or behind a proxy: one request a connection, bounded in size, time and number.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::answer::Answer;
use crate::log::log;
use crate::receiver::Receiver;

/// Bytes of the largest request body: a token has 16 kB at most.
const MAX_BODY_BYTES: usize = 32 * 1024;
/// Bytes of the largest request header, and its lines.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// Connections at the same time, and requests whose senders have left; others wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long the sender may take for each part of a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may last.
const CONNECTION_TIME: Duration = Duration::from_secs(120);
/// How long the end of requests is waited for at a stop.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Which endpoint was asked: they differ in how errors are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    /// OpenID Connect Back-Channel Logout 1.0.
    Logout,
    /// RFC 8935.
    Events,
}

/// Serves until the program is told to stop.
pub async fn serve(
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    receiver: Arc<Receiver>,
) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let acceptor = tls.map(TlsAcceptor::from);
    log(&format!(
        "validator-hook {} listens on {}",
        env!("CARGO_PKG_VERSION"),
        listener.local_addr()?
    ));
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let (mut terminated, mut interrupted) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    loop {
        tokio::select! {
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
            accepted = accept(&listener, &slots) => {
                let (stream, slot) = accepted;
                let (acceptor, receiver) = (acceptor.clone(), Arc::clone(&receiver));
                tokio::spawn(async move {
                    // Errors are the sender's business.
                    let _ = timeout(CONNECTION_TIME, connection(stream, acceptor, receiver, slot)).await;
                });
            }
        }
    }
    drop(listener);
    log("validator-hook stops");
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(STOP_TIME, slots.acquire_many(all)).await;
    Ok(())
}

/// One of [`CONNECTIONS`]. It is free once both the connection and what is done about its request have ended.
type Slot = Arc<Option<OwnedSemaphorePermit>>;

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, Slot) {
    // Never closed.
    let slot = Arc::new(Arc::clone(slots).acquire_owned().await.ok());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            // Such as a lack of file descriptors, which may pass.
            Err(error) => {
                log(&format!("cannot accept a connection: {error}"));
                sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    receiver: Arc<Receiver>,
    slot: Slot,
) -> io::Result<()> {
    match acceptor {
        None => serve_one(stream, receiver, slot).await,
        Some(acceptor) => {
            let stream = timeout(PATIENCE, acceptor.accept(stream)).await??;
            serve_one(stream, receiver, slot).await
        }
    }
}

async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    receiver: Arc<Receiver>,
    slot: Slot,
) -> io::Result<()> {
    let service = service_fn(|request| {
        let (receiver, slot) = (Arc::clone(&receiver), Arc::clone(&slot));
        async move { Ok::<_, Infallible>(respond(request, receiver, slot).await) }
    });
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn respond(
    request: Request<Incoming>,
    receiver: Arc<Receiver>,
    slot: Slot,
) -> Response<Full<Bytes>> {
    let endpoint = match request.uri().path() {
        "/logout" => Endpoint::Logout,
        "/events" => Endpoint::Events,
        _ => return plain(StatusCode::NOT_FOUND),
    };
    if request.method() != Method::POST {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED);
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
        return answer;
    }
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !is_media_type(content_type, endpoint.media_type()) {
        let why = format!("the content type is not {}", endpoint.media_type());
        return refusal(endpoint, "invalid_request", &why);
    }
    let body = match timeout(PATIENCE, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT),
        Ok(Err(_)) => return plain(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Ok(body)) => body.to_bytes(),
    };
    let token = match endpoint {
        Endpoint::Logout => logout_token(&body),
        Endpoint::Events => std::str::from_utf8(&body).map(str::to_owned).ok(),
    };
    let Some(token) = token else {
        let why = match endpoint {
            Endpoint::Logout => "the form does not have exactly one logout_token",
            Endpoint::Events => "the body is not a token",
        };
        return refusal(endpoint, "invalid_request", why);
    };
    let authorization = head.headers.get(AUTHORIZATION);
    let authorization = authorization.map(|value| value.as_bytes().to_vec());
    // A task of its own, which goes on if the sender does not wait for its end. It keeps the slot: senders who leave cannot
    // have more done at the same time than others.
    let work = tokio::spawn(async move {
        let _slot = slot;
        match endpoint {
            Endpoint::Logout => receiver.logout(token).await,
            Endpoint::Events => receiver.event(token, authorization).await,
        }
    });
    answer(endpoint, work.await.unwrap_or(Answer::TryAgain(1)))
}

impl Endpoint {
    fn media_type(self) -> &'static str {
        match self {
            // OpenID Connect Back-Channel Logout 1.0 §2.5.
            Endpoint::Logout => "application/x-www-form-urlencoded",
            // RFC 8935 §2.
            Endpoint::Events => "application/secevent+jwt",
        }
    }
}

/// RFC 9110 §8.3.1: parameters do not matter here.
fn is_media_type(sent: Option<&[u8]>, wanted: &str) -> bool {
    let sent = sent.and_then(|sent| std::str::from_utf8(sent).ok());
    let essence = sent.and_then(|sent| sent.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

/// OpenID Connect Back-Channel Logout 1.0 §2.5: the parameter of the form. Others are ignored; RFC 6749 §3.2: it must not be
/// there twice.
fn logout_token(body: &[u8]) -> Option<String> {
    let mut found = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let (_, token) = found.next()?;
    match found.next() {
        None => Some(token.into_owned()),
        Some(_) => None,
    }
}

fn answer(endpoint: Endpoint, answer: Answer) -> Response<Full<Bytes>> {
    match (endpoint, answer) {
        // OpenID Connect Back-Channel Logout 1.0 §2.8.
        (Endpoint::Logout, Answer::Done) => plain(StatusCode::OK),
        // RFC 8935 §2.2.
        (Endpoint::Events, Answer::Done) => plain(StatusCode::ACCEPTED),
        (endpoint, Answer::Refused(code, why)) => refusal(endpoint, code, &why),
        (endpoint, Answer::Unauthorized) => {
            let why = "the header Authorization is missing or wrong";
            let body = endpoint.error("authentication_failed", why);
            let mut answer = with_body(StatusCode::UNAUTHORIZED, &body);
            let challenge = HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            answer
        }
        (_, Answer::TryAgain(seconds)) => {
            let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE);
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
            answer
        }
    }
}

impl Endpoint {
    /// OpenID Connect Back-Channel Logout 1.0 §2.8 (RFC 6749 §5.2), and RFC 8935 §2.3.
    fn error(self, code: &str, why: &str) -> serde_json::Value {
        match self {
            Endpoint::Logout => json!({"error": "invalid_request", "error_description": why}),
            Endpoint::Events => json!({"err": code, "description": why}),
        }
    }
}

fn refusal(endpoint: Endpoint, code: &str, why: &str) -> Response<Full<Bytes>> {
    with_body(StatusCode::BAD_REQUEST, &endpoint.error(code, why))
}

fn with_body(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut answer = plain(status);
    let mut set = |name: HeaderName, value| {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_TYPE, "application/json");
    // RFC 8935 §2.3.
    set(CONTENT_LANGUAGE, "en");
    *answer.body_mut() = Full::new(Bytes::from(body.to_string()));
    answer
}

/// OpenID Connect Back-Channel Logout 1.0 §2.8: no answer is to be cached.
fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, no_store);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_must_have_one_logout_token() {
        let token = |body: &str| logout_token(body.as_bytes());
        assert_eq!(token("logout_token=a.b.c"), Some("a.b.c".to_owned()));
        assert_eq!(token("x=1&logout%5Ftoken=a%2Eb"), Some("a.b".to_owned()));
        for body in [
            "",
            "logout_token",
            "Logout_token=a",
            "token=a",
            "a.b.c",
            "%",
            "logout_token=a&logout_token=a",
            "\0",
        ] {
            let found = token(body);
            assert!(found.is_none_or(|token| token.is_empty()), "{body:?}");
        }
        assert!(logout_token(b"\xff\xfe=\xff").is_none());
    }

    #[test]
    fn media_type_is_compared_without_parameters_and_case() {
        let is = |sent: &str| is_media_type(Some(sent.as_bytes()), "application/secevent+jwt");
        assert!(is("application/secevent+jwt"));
        assert!(is("Application/SecEvent+JWT; charset=utf-8"));
        for other in [
            "",
            ";",
            "application/jwt",
            "application/secevent+jwtx",
            "text/plain",
        ] {
            assert!(!is(other), "{other}");
        }
        assert!(!is_media_type(None, "a") && !is_media_type(Some(b"\xff"), "a"));
    }

    #[test]
    fn answers_are_those_of_the_specifications() {
        let status = |endpoint, what| answer(endpoint, what).status().as_u16();
        assert_eq!(status(Endpoint::Logout, Answer::Done), 200);
        assert_eq!(status(Endpoint::Events, Answer::Done), 202);
        for endpoint in [Endpoint::Logout, Endpoint::Events] {
            let refused = Answer::Refused("invalid_key", "why".to_owned());
            let refused = answer(endpoint, refused);
            assert_eq!(refused.status(), 400);
            assert_eq!(refused.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(refused.headers()[CONTENT_TYPE], "application/json");
            assert_eq!(refused.headers()[CONTENT_LANGUAGE], "en");
            let later = answer(endpoint, Answer::TryAgain(7));
            assert_eq!(
                (later.status().as_u16(), &later.headers()[RETRY_AFTER]),
                (503, &"7".parse().expect("a value"))
            );
            assert_eq!(later.headers()[CACHE_CONTROL], "no-store");
        }
        assert_eq!(status(Endpoint::Events, Answer::Unauthorized), 401);
        assert_eq!(
            Endpoint::Logout.error("invalid_key", "why"),
            json!({"error": "invalid_request", "error_description": "why"})
        );
        assert_eq!(
            Endpoint::Events.error("invalid_key", "why"),
            json!({"err": "invalid_key", "description": "why"})
        );
    }
}
