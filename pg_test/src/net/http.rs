//! A small HTTP/1.1 server: one request a connection, over TCP or TLS, with no defence whatsoever.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// All headers; names are lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The certificate that the client presented by TLS, as DER.
    pub client_certificate: Option<Vec<u8>>,
}

impl Request {
    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// A field of the body as a form.
    pub fn form(&self, name: &str) -> Option<String> {
        field(&self.body, name)
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        field(self.query.as_bytes(), name)
    }
}

fn field(form: &[u8], name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(form).into_owned();
    fields.find(|(n, _)| n == name).map(|(_, value)| value)
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// All headers but `Content-Length` and `Connection`, which are added.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer of one content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Response {
            status,
            headers,
            body: body.into(),
        }
    }

    /// A JSON document.
    pub fn json(status: u16, document: &serde_json::Value) -> Response {
        Response::new(status, "application/json", document.to_string())
    }

    /// An HTML page.
    pub fn html(status: u16, page: impl Into<Vec<u8>>) -> Response {
        Response::new(status, "text/html; charset=utf-8", page)
    }

    /// Status line and headers, with the length that is claimed for the body (none: until the end).
    pub(crate) fn head(&self, length: Option<usize>) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("Connection: close\r\n\r\n");
        head.into_bytes()
    }

    /// The whole answer as it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(Some(self.body.len())), self.body.clone()].concat()
    }
}

/// The client's end of a connection.
pub(crate) trait Connection: Read + Write + Send {
    /// The certificate that the client has presented, as DER.
    fn client_certificate(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Connection for TcpStream {}

impl Connection for StreamOwned<ServerConnection, TcpStream> {
    fn client_certificate(&self) -> Option<Vec<u8>> {
        Some(self.conn.peer_certificates()?.first()?.to_vec())
    }
}

/// What a server does with connections.
pub(crate) trait Service: Send + Sync + 'static {
    /// Sees a connection before anything is read from it; `false` closes it.
    fn accept(&self, stopped: &AtomicBool) -> bool;

    /// Answers a request, or does not.
    fn answer(&self, request: Request, connection: &mut dyn Connection, stopped: &AtomicBool);
}

/// A server on a port of 127.0.0.1; it stops when this value goes.
pub(crate) struct HttpServer {
    port: u16,
    service: Arc<dyn Service>,
    tls: Arc<Mutex<Option<Arc<ServerConfig>>>>,
    running: Mutex<Option<Arc<AtomicBool>>>,
}

impl HttpServer {
    /// Listens on a free port, and serves from [`resume`](HttpServer::resume) on.
    pub(crate) fn bind() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener
            .local_addr()
            .expect("a listener has an address")
            .port();
        (listener, port)
    }

    pub(crate) fn start(
        listener: TcpListener,
        service: Arc<dyn Service>,
        tls: Option<Arc<ServerConfig>>,
    ) -> HttpServer {
        let port = listener
            .local_addr()
            .expect("a listener has an address")
            .port();
        let server = HttpServer {
            port,
            service,
            tls: Arc::new(Mutex::new(tls)),
            running: Mutex::new(None),
        };
        server.serve(listener);
        server
    }

    /// Presents another certificate to those that connect from now on.
    pub(crate) fn present(&self, tls: Arc<ServerConfig>) {
        *self.tls.lock().unwrap_or_else(|e| e.into_inner()) = Some(tls);
    }

    /// Closes the port: connections are refused, and those that hang end.
    pub(crate) fn stop(&self) {
        let running = self
            .running
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .take();
        if let Some(stopped) = running {
            stopped.store(true, Ordering::SeqCst);
            // Wakes the thread that accepts. That it closed the port shows when a connection fails.
            while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Opens the same port again.
    pub(crate) fn resume(&self) {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).expect("the port is still ours");
        self.serve(listener);
    }

    fn serve(&self, listener: TcpListener) {
        let stopped = Arc::new(AtomicBool::new(false));
        *self.running.lock().unwrap_or_else(|e| e.into_inner()) = Some(stopped.clone());
        let (service, tls) = (self.service.clone(), self.tls.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let tls = tls.lock().unwrap_or_else(|e| e.into_inner()).clone();
                let (service, stopped) = (service.clone(), stopped.clone());
                if let Ok(stream) = stream {
                    thread::spawn(move || serve_one(&*service, tls, stream, &stopped));
                }
            }
        });
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One connection, one request. Errors are the client's business: tests see what it makes of them.
fn serve_one(
    service: &dyn Service,
    tls: Option<Arc<ServerConfig>>,
    stream: TcpStream,
    stopped: &AtomicBool,
) -> Option<()> {
    if !service.accept(stopped) {
        return None;
    }
    stream.set_nodelay(true).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .ok()?;
    match tls {
        None => serve_request(service, stream, stopped),
        Some(config) => {
            let connection = ServerConnection::new(config).ok()?;
            serve_request(service, StreamOwned::new(connection, stream), stopped)
        }
    }
}

fn serve_request(
    service: &dyn Service,
    mut stream: impl Connection,
    stopped: &AtomicBool,
) -> Option<()> {
    let mut request = read_request(&mut stream).ok()?;
    request.client_certificate = stream.client_certificate();
    service.answer(request, &mut stream, stopped);
    let _ = stream.flush();
    Some(())
}

fn read_request(stream: &mut dyn Connection) -> io::Result<Request> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 8192];
        let n = stream.read(&mut chunk)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&chunk[..n]);
        if let Some(request) = parse_request(&bytes)? {
            return Ok(request);
        }
    }
}

/// The request, once all of it is there.
fn parse_request(bytes: &[u8]) -> io::Result<Option<Request>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = parsed.headers.iter().map(|h| {
        (
            h.name.to_ascii_lowercase(),
            String::from_utf8_lossy(h.value).trim().to_owned(),
        )
    });
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
        client_certificate: None,
    };
    let length = request
        .header("content-length")
        .and_then(|l| l.parse().ok())
        .unwrap_or(0);
    match bytes[head..].get(..length) {
        None => Ok(None),
        Some(body) => {
            request.body = body.to_vec();
            Ok(Some(request))
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 | 302 | 303 | 307 | 308 => "Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
