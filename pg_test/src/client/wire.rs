//! The messages of PostgreSQL's protocol, over a Unix socket, TCP or TLS.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server closed it in order.
    Closed,
    /// It broke.
    Reset,
    /// The server said nothing more before the time limit.
    TimedOut,
    /// The client closed it.
    ClosedByClient,
}

/// An ErrorResponse or NoticeResponse: its fields by their one-letter codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMessage {
    /// All fields in the order in which they came, such as `('C', "28000")`.
    pub fields: Vec<(char, String)>,
}

impl ServerMessage {
    pub(crate) fn new(fields: ErrorFields<'_>) -> ServerMessage {
        let fields = fields.map(|field| {
            let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
            Ok((char::from(field.type_()), text))
        });
        ServerMessage {
            fields: fields.collect().expect("all fields can be read"),
        }
    }

    /// One field, such as `'D'` for the detail.
    pub fn field(&self, code: char) -> Option<&str> {
        self.fields
            .iter()
            .find(|(c, _)| *c == code)
            .map(|(_, text)| text.as_str())
    }

    /// `FATAL`, `ERROR` and so on, never translated.
    pub fn severity(&self) -> &str {
        self.field('V').unwrap_or_default()
    }

    /// The SQLSTATE.
    pub fn code(&self) -> &str {
        self.field('C').unwrap_or_default()
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        self.field('M').unwrap_or_default()
    }
}

impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity(), self.code(), self.message())?;
        match self.field('D') {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

trait Stream: Read + Write + Send {
    fn limit_reads(&self, limit: Duration) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn limit_reads(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }
}

impl Stream for TcpStream {
    fn limit_reads(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn limit_reads(&self, limit: Duration) -> io::Result<()> {
        self.get_ref().set_read_timeout(Some(limit))
    }
}

/// A connection that remembers every byte the server sent.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
    /// The end of what was received, from the next message on.
    unread: BytesMut,
    deadline: Instant,
}

impl Wire {
    pub(crate) fn by_socket(path: &Path, limit: Duration) -> io::Result<Wire> {
        Ok(Wire::new(Box::new(UnixStream::connect(path)?), limit))
    }

    pub(crate) fn by_tcp(place: SocketAddr, limit: Duration) -> io::Result<Wire> {
        Ok(Wire::new(Box::new(connect(place)?), limit))
    }

    /// TLS after an SSLRequest, verified by `config` as `localhost`.
    pub(crate) fn by_tls(
        place: SocketAddr,
        config: Arc<ClientConfig>,
        limit: Duration,
    ) -> io::Result<Wire> {
        let mut tcp = connect(place)?;
        tcp.set_read_timeout(Some(limit))?;
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        tcp.write_all(&request)?;
        let mut answer = [0];
        tcp.read_exact(&mut answer)?;
        if answer != *b"S" {
            return Err(io::Error::other("the server refuses TLS"));
        }
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Wire::new(Box::new(StreamOwned::new(tls, tcp)), limit))
    }

    fn new(stream: Box<dyn Stream>, limit: Duration) -> Wire {
        Wire {
            stream,
            received: Vec::new(),
            unread: BytesMut::new(),
            deadline: Instant::now() + limit,
        }
    }

    /// Gives reads another time limit, from now on.
    pub(crate) fn limit(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
    }

    /// Sends these bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        let sent = self.stream.write_all(bytes);
        let sent = sent.and_then(|()| self.stream.flush());
        sent.map_err(|_| Ending::Reset)
    }

    /// The server's next message.
    pub(crate) fn receive(&mut self) -> Result<Message, Ending> {
        loop {
            self.skip_start_of_replication();
            let message = Message::parse(&mut self.unread);
            if let Some(message) = message.expect("the server sends messages of PostgreSQL") {
                return Ok(message);
            }
            self.read()?;
        }
    }

    /// CopyBothResponse, which postgres-protocol does not know, and of which no test wants anything.
    fn skip_start_of_replication(&mut self) {
        if let [b'W', a, b, c, d, ..] = self.unread[..] {
            let whole = 1 + u32::from_be_bytes([a, b, c, d]) as usize;
            if self.unread.len() >= whole {
                let _ = self.unread.split_to(whole);
            }
        }
    }

    /// Everything that the server sent so far.
    pub(crate) fn received(&self) -> &[u8] {
        &self.received
    }

    fn read(&mut self) -> Result<(), Ending> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Ending::TimedOut);
        }
        self.stream.limit_reads(left).map_err(|_| Ending::Reset)?;
        let mut chunk = [0; 8192];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(Ending::Closed),
            Ok(n) => {
                self.received.extend_from_slice(&chunk[..n]);
                self.unread.extend_from_slice(&chunk[..n]);
                Ok(())
            }
            Err(e) => match e.kind() {
                io::ErrorKind::Interrupted => Ok(()),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(Ending::TimedOut),
                // What rustls calls a connection that ends without close_notify.
                io::ErrorKind::UnexpectedEof => Err(Ending::Closed),
                _ => Err(Ending::Reset),
            },
        }
    }
}

/// A message of a client's, as a function of [`frontend`] writes it.
pub(crate) fn message(write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> BytesMut {
    let mut bytes = BytesMut::new();
    write(&mut bytes).expect("a message is small, and its texts have no zero bytes");
    bytes
}

/// Where a server listens unless told otherwise.
pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn connect(place: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(place)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
