//! An HTTP proxy that passes on what CONNECT asks for, or fails on demand.

use std::collections::HashMap;
use std::future;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::net::http_server::{HttpServer, runtime};
use crate::net::tls::{ClientCertificates, Identity};

/// What a proxy does instead of passing on.
#[derive(Clone, Debug)]
pub enum ProxyFault {
    /// It answers these bytes, and closes the connection.
    Answer(Vec<u8>),
    /// It answers these bytes, one at each interval.
    Drip(Vec<u8>, Duration),
    /// It reads the request and never answers.
    Hang,
    /// It closes the connection without an answer.
    Cut,
    /// It says that the tunnel is open, and closes it.
    CutTunnel,
}

/// A proxy on a port of 127.0.0.1; it stops when this value goes.
pub struct Proxy {
    port: u16,
    is_tls: bool,
    shared: Arc<Mutex<Shared>>,
    running: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    credentials: Option<String>,
    names: HashMap<String, u16>,
    fault: Option<ProxyFault>,
    requests: Vec<String>,
    client_certificates: usize,
}

impl Proxy {
    /// A proxy that is reached without TLS.
    pub fn start() -> Proxy {
        Proxy::start_as(None)
    }

    /// A proxy that is reached over TLS, with this certificate. It asks clients for theirs.
    pub fn start_tls(identity: &Identity) -> Proxy {
        Proxy::start_as(Some(identity))
    }

    fn start_as(identity: Option<&Identity>) -> Proxy {
        let tls = identity.map(|identity| identity.server_config(ClientCertificates::Requested));
        let tls = tls.map(TlsAcceptor::from);
        let is_tls = tls.is_some();
        let (listener, port) = HttpServer::bind();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let _runtime = runtime().enter();
        let listener = listener
            .set_nonblocking(true)
            .and_then(|()| TcpListener::from_std(listener))
            .expect("a listener can be served");
        let state = shared.clone();
        let running = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        if let Ok((stream, _)) = accepted {
                            connections.spawn(serve(state.clone(), tls.clone(), stream));
                        }
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Proxy {
            port,
            is_tls,
            shared,
            running,
        }
    }

    /// What `validator.http_proxy` is set to.
    pub fn url(&self) -> String {
        match self.is_tls {
            false => format!("http://127.0.0.1:{}", self.port),
            true => format!("https://localhost:{}", self.port),
        }
    }

    /// From now on passes on only for those who present `user:password`.
    pub fn demand(&self, credentials: &str) {
        self.state().credentials = Some(credentials.to_owned());
    }

    /// Knows a host that no one else can resolve: it is this port of 127.0.0.1.
    pub fn knows(&self, host: &str, port: u16) {
        self.state().names.insert(host.to_owned(), port);
    }

    /// Fails from now on; `None`: passes on again.
    pub fn fail(&self, fault: Option<ProxyFault>) {
        self.state().fault = fault;
    }

    /// The headers of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// How many clients have presented a certificate.
    pub fn client_certificates(&self) -> usize {
        self.state().client_certificates
    }

    fn state(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(|e| e.into_inner())
}

async fn serve(
    shared: Arc<Mutex<Shared>>,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => pass_on(shared, stream).await,
        Some(acceptor) => {
            let stream = acceptor.accept(stream).await?;
            if stream.get_ref().1.peer_certificates().is_some() {
                lock(&shared).client_certificates += 1;
            }
            pass_on(shared, stream).await
        }
    }
}

async fn pass_on(
    shared: Arc<Mutex<Shared>>,
    mut client: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let request = read_header(&mut client).await?;
    let (fault, credentials) = {
        let mut state = lock(&shared);
        state.requests.push(request.clone());
        (state.fault.clone(), state.credentials.clone())
    };
    match fault {
        None => {}
        Some(ProxyFault::Answer(bytes)) => return client.write_all(&bytes).await,
        Some(ProxyFault::Drip(bytes, interval)) => {
            for byte in bytes {
                client.write_u8(byte).await?;
                client.flush().await?;
                tokio::time::sleep(interval).await;
            }
            return Ok(());
        }
        Some(ProxyFault::Hang) => future::pending().await,
        Some(ProxyFault::Cut) => return Ok(()),
        Some(ProxyFault::CutTunnel) => return client.write_all(OPEN).await,
    }
    if let Some(credentials) = credentials
        && !request.contains(&format!("\r\nProxy-Authorization: {credentials}\r\n"))
    {
        return client.write_all(REFUSED).await;
    }
    let target = request
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|target| target.rsplit_once(':'));
    let Some((host, port)) = target else {
        return client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    };
    let known = lock(&shared).names.get(host).copied();
    let server = match known {
        Some(port) => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await,
        None => TcpStream::connect(format!("{host}:{port}")).await,
    };
    let Ok(mut server) = server else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    };
    client.write_all(OPEN).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

const OPEN: &[u8] = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 rig\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\n\
    Proxy-Authenticate: Basic realm=\"rig\"\r\nContent-Length: 6\r\n\r\nSorry\n";

async fn read_header(client: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        header.push(client.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&header).into_owned())
}
