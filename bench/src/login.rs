//! The load: logins by PostgreSQL's protocol with as little work as possible, so that the client costs less
//! than the server that is measured.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;

/// How the server lets the client in.
pub enum Method {
    Trust,
    Bearer(String),
    /// A password, whose hash in the server has one iteration: a client's work is not what is measured.
    Scram(String),
}

/// Logs in as one role, again and again.
pub struct Client {
    port: u16,
    startup: BytesMut,
    method: Method,
}

/// A login may not take longer.
const LIMIT: Duration = Duration::from_secs(60);

impl Client {
    pub fn new(port: u16, role: &str, method: Method) -> Client {
        let mut startup = BytesMut::new();
        let parameters = [("user", role), ("database", "postgres")];
        let written = frontend::startup_message(parameters, &mut startup);
        // The server reads it after its own word, so it need not be waited for.
        let written = written.and_then(|()| match &method {
            Method::Bearer(token) => {
                let response = format!("n,,\x01auth=Bearer {token}\x01\x01");
                frontend::sasl_initial_response("OAUTHBEARER", response.as_bytes(), &mut startup)
            }
            Method::Trust | Method::Scram(_) => Ok(()),
        });
        written.expect("a startup packet can be written");
        Client {
            port,
            startup,
            method,
        }
    }

    /// One login: until the server is ready for a query, which is the time that is returned, and then until it
    /// has closed the connection.
    pub fn log_in(&self) -> io::Result<Duration> {
        let start = Instant::now();
        let session = self.open()?;
        let elapsed = start.elapsed();
        session.close()?;
        Ok(elapsed)
    }

    /// A session that is ready for a query.
    pub fn open(&self) -> io::Result<Session> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut wire = Wire {
            stream,
            unread: BytesMut::with_capacity(4096),
        };
        wire.stream.write_all(&self.startup)?;
        let mut answer = BytesMut::new();
        let mut scram = None;
        let mut pid = 0;
        loop {
            match wire.receive()? {
                Message::AuthenticationSasl(_) => {
                    if let Method::Scram(password) = &self.method {
                        let binding = ChannelBinding::unsupported();
                        let scram = scram.insert(ScramSha256::new(password.as_bytes(), binding));
                        let response = scram.message();
                        frontend::sasl_initial_response(SCRAM_SHA_256, response, &mut answer)?;
                    }
                }
                Message::AuthenticationSaslContinue(body) => {
                    if let Some(scram) = &mut scram {
                        scram.update(body.data())?;
                        frontend::sasl_response(scram.message(), &mut answer)?;
                    }
                }
                Message::AuthenticationSaslFinal(body) => {
                    if let Some(scram) = &mut scram {
                        scram.finish(body.data())?;
                    }
                }
                Message::BackendKeyData(body) => pid = body.process_id().cast_unsigned(),
                Message::ErrorResponse(body) => return Err(refused(body.fields())),
                Message::ReadyForQuery(_) => return Ok(Session { wire, pid }),
                _ => {}
            }
            wire.stream.write_all(&answer.split())?;
        }
    }
}

/// What a login has opened.
pub struct Session {
    wire: Wire,
    /// The backend's process id.
    pub pid: u32,
}

impl Session {
    /// Ends the session, and waits until the server has closed the connection.
    pub fn close(mut self) -> io::Result<()> {
        let mut farewell = BytesMut::new();
        frontend::terminate(&mut farewell);
        self.wire.stream.write_all(&farewell)?;
        while self.wire.read()? > 0 {}
        Ok(())
    }
}

/// A connection, and what came over it from the next message on.
struct Wire {
    stream: TcpStream,
    unread: BytesMut,
}

impl Wire {
    fn receive(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.unread)? {
                return Ok(message);
            }
            if self.read()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 4096];
        let count = self.stream.read(&mut chunk)?;
        self.unread.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

fn refused(fields: ErrorFields<'_>) -> io::Error {
    let texts = fields.map(|field| Ok(String::from_utf8_lossy(field.value_bytes()).into_owned()));
    match texts.collect::<Vec<_>>() {
        Ok(texts) => io::Error::other(texts.join(" ")),
        Err(error) => error,
    }
}
