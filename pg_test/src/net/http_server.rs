//! An HTTP/1.1 server on hyper: one request a connection, over TCP or TLS. What is answered may also be bytes that no
//! server would send.

use std::future;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::net::http::{Request, Response};

/// What happens to a connection before a request, or even a TLS handshake, can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFault {
    /// It is accepted and nothing is ever sent.
    Hang,
    /// It is closed.
    Close,
    /// The first bytes are read, these are sent, and it is closed.
    Says(&'static [u8]),
}

/// What is sent for a request.
pub(crate) enum Reply {
    /// An answer, this much later.
    Answer(Response, Duration),
    /// Bytes that need not be HTTP.
    Raw(Raw),
}

/// Bytes that are sent in place of an answer.
pub(crate) struct Raw {
    pub(crate) first: Vec<u8>,
    /// The time after each byte; none: all of them are sent at once.
    pub(crate) pause: Option<Duration>,
    pub(crate) then: Then,
}

/// What follows the bytes.
pub(crate) enum Then {
    /// The connection is closed.
    Close,
    /// Nothing, until the server stops.
    Hang,
    /// These bytes, again and again.
    Repeat(Vec<u8>),
}

/// What a server does with connections.
pub(crate) trait Service: Send + Sync + 'static {
    /// Sees a connection before anything is read from it.
    fn connection_fault(&self) -> Option<ConnectionFault>;

    /// Answers a request.
    fn reply(&self, request: Request) -> Reply;
}

/// A server on a port of 127.0.0.1; it stops when this value goes.
pub(crate) struct HttpServer {
    port: u16,
    service: Arc<dyn Service>,
    tls: Arc<Mutex<Option<Arc<ServerConfig>>>>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl HttpServer {
    /// A free port.
    pub(crate) fn bind() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        (listener, address.port())
    }

    /// Serves what comes to a port of [`bind`](HttpServer::bind)'s.
    pub(crate) fn start(
        (listener, port): (TcpListener, u16),
        service: Arc<dyn Service>,
        tls: Option<Arc<ServerConfig>>,
    ) -> HttpServer {
        let server = HttpServer {
            port,
            service,
            tls: Arc::new(Mutex::new(tls)),
            running: Mutex::new(None),
        };
        server.serve(listener);
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Presents another certificate to those that connect from now on.
    pub(crate) fn present(&self, tls: Arc<ServerConfig>) {
        *self.tls.lock().unwrap_or_else(|e| e.into_inner()) = Some(tls);
    }

    /// Closes the port: connections are refused, and those that hang end.
    pub(crate) fn stop(&self) {
        let running = &mut *self.running.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(task) = running.take() {
            task.abort();
            let _ = runtime().block_on(task);
        }
    }

    /// Opens the same port again.
    pub(crate) fn resume(&self) {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).expect("the port is still ours");
        self.serve(listener);
    }

    fn serve(&self, listener: TcpListener) {
        let (service, tls) = (self.service.clone(), self.tls.clone());
        let _runtime = runtime().enter();
        let listener = listener
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpListener::from_std(listener))
            .expect("a listener can be served");
        let task = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let tls = tls.lock().unwrap_or_else(|e| e.into_inner()).clone();
                        if let Ok((stream, _)) = accepted {
                            connections.spawn(serve_connection(service.clone(), tls, stream));
                        }
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        *self.running.lock().unwrap_or_else(|e| e.into_inner()) = Some(task);
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The threads of all servers of this process.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(4).enable_all().build();
        runtime.expect("threads can be started")
    })
}

/// Errors are the client's business: tests see what it makes of them.
async fn serve_connection(
    service: Arc<dyn Service>,
    tls: Option<Arc<ServerConfig>>,
    stream: TcpStream,
) -> io::Result<()> {
    let mut stream = stream;
    match service.connection_fault() {
        None => {}
        Some(ConnectionFault::Says(bytes)) => {
            // All of what the client says first: a reset would take the answer with it.
            let _ = stream.read(&mut [0; 16 * 1024]).await?;
            return stream.write_all(bytes).await;
        }
        Some(ConnectionFault::Close) => return Ok(()),
        Some(ConnectionFault::Hang) => future::pending().await,
    }
    stream.set_nodelay(true)?;
    match tls {
        None => serve_request(service, stream, None).await,
        Some(config) => {
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(|chain| Some(chain.first()?.to_vec()));
            serve_request(service, stream, certificate).await
        }
    }
}

async fn serve_request(
    service: Arc<dyn Service>,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    client_certificate: Option<Vec<u8>>,
) -> io::Result<()> {
    // A reply that hyper cannot send takes the connection away from it.
    let (raw, mut raw_replies) = mpsc::unbounded_channel();
    let answer = service_fn(|request| {
        let (service, raw, certificate) = (&service, &raw, client_certificate.clone());
        async move {
            match service.reply(read(request, certificate).await?) {
                Reply::Answer(response, delay) => {
                    tokio::time::sleep(delay).await;
                    Ok::<_, hyper::Error>(to_hyper(response))
                }
                Reply::Raw(reply) => {
                    let _ = raw.send(reply);
                    future::pending().await
                }
            }
        }
    });
    let mut connection = http1::Builder::new()
        .keep_alive(false)
        .title_case_headers(true)
        .auto_date_header(false)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        served = &mut connection => served.map_err(io::Error::other),
        Some(reply) = raw_replies.recv() => {
            reply.send(connection.into_parts().io.into_inner()).await
        }
    }
}

async fn read(
    request: hyper::Request<Incoming>,
    client_certificate: Option<Vec<u8>>,
) -> Result<Request, hyper::Error> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    });
    Ok(Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: body.collect().await?.to_bytes().to_vec(),
        client_certificate,
    })
}

fn to_hyper(response: Response) -> hyper::Response<Full<Bytes>> {
    let mut answer = hyper::Response::builder().status(response.status);
    for (name, value) in response.headers {
        answer = answer.header(name, value);
    }
    let answer = answer.body(Full::new(response.body.into()));
    answer.expect("status and headers are HTTP")
}

impl Raw {
    async fn send(self, mut stream: impl AsyncWrite + Unpin) -> io::Result<()> {
        match self.pause {
            None => stream.write_all(&self.first).await?,
            Some(pause) => {
                for byte in &self.first {
                    stream.write_u8(*byte).await?;
                    stream.flush().await?;
                    tokio::time::sleep(pause).await;
                }
            }
        }
        stream.flush().await?;
        match self.then {
            Then::Close => Ok(()),
            Then::Hang => future::pending().await,
            Then::Repeat(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
        }
    }
}
