//! The frames of PostgreSQL's protocol, over a Unix socket, TCP or TLS.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// One message of the server.
pub(crate) struct Message {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

/// An ErrorResponse or NoticeResponse: its fields by their one-letter codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMessage {
    /// All fields in the order in which they came, such as `('C', "28000")`.
    pub fields: Vec<(char, String)>,
}

impl ServerMessage {
    pub(crate) fn parse(body: &[u8]) -> ServerMessage {
        let texts = body.split(|b| *b == 0).filter(|field| !field.is_empty());
        let fields = texts.map(|field| {
            (
                char::from(field[0]),
                String::from_utf8_lossy(&field[1..]).into_owned(),
            )
        });
        ServerMessage {
            fields: fields.collect(),
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
    deadline: Instant,
}

impl Wire {
    pub(crate) fn by_socket(path: &Path, limit: Duration) -> io::Result<Wire> {
        Ok(Wire::new(Box::new(UnixStream::connect(path)?), limit))
    }

    pub(crate) fn by_tcp(port: u16, limit: Duration) -> io::Result<Wire> {
        Ok(Wire::new(Box::new(connect(port)?), limit))
    }

    /// TLS after an SSLRequest, verified by `config` as `localhost`.
    pub(crate) fn by_tls(
        port: u16,
        config: Arc<ClientConfig>,
        limit: Duration,
    ) -> io::Result<Wire> {
        let mut tcp = connect(port)?;
        tcp.set_read_timeout(Some(limit))?;
        tcp.write_all(&frame(None, &80_877_103_i32.to_be_bytes()))?;
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
            deadline: Instant::now() + limit,
        }
    }

    /// Gives reads another time limit, from now on.
    pub(crate) fn limit(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
    }

    /// Sends a message; one without a tag is a startup packet.
    pub(crate) fn send(&mut self, tag: Option<u8>, body: &[u8]) -> Result<(), Ending> {
        let sent = self
            .stream
            .write_all(&frame(tag, body))
            .and_then(|()| self.stream.flush());
        sent.map_err(|_| Ending::Reset)
    }

    /// Sends the first half of a message, and not the rest.
    pub(crate) fn send_half(&mut self, tag: Option<u8>, body: &[u8]) -> Result<(), Ending> {
        let frame = frame(tag, body);
        let sent = self
            .stream
            .write_all(&frame[..frame.len() / 2])
            .and_then(|()| self.stream.flush());
        sent.map_err(|_| Ending::Reset)
    }

    pub(crate) fn receive(&mut self) -> Result<Message, Ending> {
        let mut head = [0; 5];
        self.fill(&mut head)?;
        let [tag, length @ ..] = head;
        let length = u32::from_be_bytes(length).saturating_sub(4) as usize;
        assert!(
            length < 64 << 20,
            "the server announces a message of {length} bytes"
        );
        let mut body = vec![0; length];
        self.fill(&mut body)?;
        Ok(Message { tag, body })
    }

    /// Everything that the server sent so far.
    pub(crate) fn received(&self) -> &[u8] {
        &self.received
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Ending> {
        let mut filled = 0;
        while filled < buffer.len() {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Ending::TimedOut);
            }
            self.stream.limit_reads(left).map_err(|_| Ending::Reset)?;
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(Ending::Closed),
                Ok(n) => {
                    self.received.extend_from_slice(&buffer[filled..filled + n]);
                    filled += n;
                }
                Err(e) => match e.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        return Err(Ending::TimedOut);
                    }
                    // What rustls calls a connection that ends without close_notify.
                    io::ErrorKind::UnexpectedEof => return Err(Ending::Closed),
                    _ => return Err(Ending::Reset),
                },
            }
        }
        Ok(())
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn frame(tag: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a message is small");
    let mut frame: Vec<u8> = tag.into_iter().collect();
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    frame
}
