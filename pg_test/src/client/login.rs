//! A client that speaks PostgreSQL's protocol, and SASL OAUTHBEARER, to the letter, or against it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use rustls::ClientConfig;

use crate::client::session::Session;
use crate::client::wire::{Ending, ServerMessage, Wire, local, message};
use crate::net::tls::{self, Authority, Identity};

/// What the client sends first (RFC 7628 §3.1).
#[derive(Clone)]
pub enum FirstResponse {
    /// The initial response that carries this token.
    Token(String),
    /// The initial response without a token: the client asks where to get one.
    Discovery,
    /// These bytes as the initial response.
    Bytes(Vec<u8>),
    /// No initial response; after the server's empty challenge, these bytes.
    Late(Vec<u8>),
    /// The first half of the message that carries this token; then the client closes the connection.
    Half(String),
    /// Nothing: the client closes the connection when it is asked to authenticate.
    Close,
}

impl FirstResponse {
    /// RFC 7628 §3.1: the bytes that carry a token.
    pub fn bearer(token: &str) -> Vec<u8> {
        format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}").into_bytes()
    }
}

/// What the client answers to the server's error document (RFC 7628 §3.2.3).
#[derive(Clone)]
pub enum OnError {
    /// The single byte `\x01`, as it must.
    Acknowledge,
    /// Nothing: it waits.
    Silence,
    /// It closes the connection.
    Close,
    /// These bytes.
    Bytes(Vec<u8>),
}

enum Way {
    Socket(PathBuf),
    Tcp(SocketAddr),
    Tls(SocketAddr, Arc<ClientConfig>),
}

/// A server, as far as a client must know it.
pub trait Reachable {
    /// The TCP port on 127.0.0.1.
    fn port(&self) -> u16;

    /// The folder of the server's Unix socket.
    fn socket_folder(&self) -> &Path;
}

/// A login that is being described; [`run`](Login::run) tries it.
#[must_use]
pub struct Login {
    way: Way,
    port: u16,
    role: String,
    database: String,
    parameters: Vec<(String, String)>,
    first: FirstResponse,
    on_error: OnError,
    hesitation: Duration,
    limit: Duration,
}

impl Login {
    /// A login over TCP without TLS. Without a token, it asks for discovery.
    pub fn new(server: &impl Reachable, role: &str) -> Login {
        let port = server.port();
        Login::over(Way::Tcp(local(port)), port, role)
    }

    /// A login over the server's Unix socket.
    pub fn by_socket(server: &impl Reachable, role: &str) -> Login {
        let port = server.port();
        let path = server.socket_folder().join(format!(".s.PGSQL.{port}"));
        Login::over(Way::Socket(path), port, role)
    }

    /// A login over TLS that trusts the shared authority; with a certificate, if one is given.
    pub fn by_tls(server: &impl Reachable, role: &str, identity: Option<&Identity>) -> Login {
        let port = server.port();
        let config = tls::client_config(Authority::shared(), identity);
        Login::over(Way::Tls(local(port), config), port, role)
    }

    fn over(way: Way, port: u16, role: &str) -> Login {
        Login {
            way,
            port,
            role: role.to_owned(),
            database: "postgres".to_owned(),
            parameters: Vec::new(),
            first: FirstResponse::Discovery,
            on_error: OnError::Acknowledge,
            hesitation: Duration::ZERO,
            limit: Duration::from_secs(30),
        }
    }

    /// Connects to the server at another of its addresses than 127.0.0.1.
    pub fn at(mut self, address: IpAddr) -> Login {
        match &mut self.way {
            Way::Socket(path) => panic!("{} is not an address", path.display()),
            Way::Tcp(place) | Way::Tls(place, _) => place.set_ip(address),
        }
        self
    }

    /// Presents a token.
    pub fn token(self, token: &str) -> Login {
        self.first(FirstResponse::Token(token.to_owned()))
    }

    /// Sends something else first.
    pub fn first(mut self, first: FirstResponse) -> Login {
        self.first = first;
        self
    }

    /// Answers the server's error document in another way.
    pub fn on_error(mut self, answer: OnError) -> Login {
        self.on_error = answer;
        self
    }

    /// Logs in to another database than `postgres`.
    pub fn database(mut self, database: &str) -> Login {
        self.database = database.to_owned();
        self
    }

    /// Sends another parameter in the startup packet, such as `options` or a setting's name.
    pub fn parameter(mut self, name: &str, value: &str) -> Login {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the server wait this long for the first response.
    pub fn hesitating_for(mut self, hesitation: Duration) -> Login {
        self.hesitation = hesitation;
        self
    }

    /// Gives up after this time (otherwise 30 seconds).
    pub fn limit(mut self, limit: Duration) -> Login {
        self.limit = limit;
        self
    }

    /// Connects and authenticates, until the server lets the client in or refuses it.
    pub fn run(self) -> Outcome {
        let start = Instant::now();
        let mut refusal = Refusal::default();
        match self.connect() {
            Err(error) => refusal.connection_error = Some(error.to_string()),
            Ok(mut wire) => match self.authenticate(&mut wire, &mut refusal) {
                Ok((pid, cancel_key)) => {
                    return Outcome::Session(Session::new(wire, self.port, pid, cancel_key));
                }
                Err(ending) => {
                    refusal.ending = ending;
                    refusal.received = wire.received().to_vec();
                }
            },
        }
        refusal.elapsed = start.elapsed();
        Outcome::Refused(refusal)
    }

    fn connect(&self) -> io::Result<Wire> {
        match &self.way {
            Way::Socket(path) => Wire::by_socket(path, self.limit),
            Way::Tcp(place) => Wire::by_tcp(*place, self.limit),
            Way::Tls(place, config) => Wire::by_tls(*place, config.clone(), self.limit),
        }
    }

    /// The whole exchange up to ReadyForQuery; gives the backend's process id and cancel key.
    fn authenticate(&self, wire: &mut Wire, refusal: &mut Refusal) -> Result<(i32, i32), Ending> {
        let known = [("user", &self.role), ("database", &self.database)];
        let more = self
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        let parameters = known.into_iter().chain(more);
        let parameters = parameters.map(|(name, value)| (name, value.as_str()));
        wire.send(&message(|m| frontend::startup_message(parameters, m)))?;
        let mut backend = (0, 0);
        loop {
            match wire.receive()? {
                Message::AuthenticationSasl(_) => {
                    refusal.asked_for_token = true;
                    thread::sleep(self.hesitation);
                    self.respond(wire)?;
                }
                Message::AuthenticationCleartextPassword => {
                    refusal.asked_for_password = true;
                    wire.send(&self.as_password()?)?;
                }
                Message::AuthenticationSaslContinue(body) if body.data().is_empty() => {
                    let FirstResponse::Late(bytes) = &self.first else {
                        return Err(Ending::Reset);
                    };
                    wire.send(&message(|m| frontend::sasl_response(bytes, m)))?;
                }
                Message::AuthenticationSaslContinue(body) => {
                    refusal.document = Some(String::from_utf8_lossy(body.data()).into_owned());
                    self.respond_to_document(wire)?;
                }
                Message::ErrorResponse(body) => {
                    refusal.errors.push(ServerMessage::new(body.fields()));
                }
                Message::BackendKeyData(body) => backend = (body.process_id(), body.secret_key()),
                Message::ReadyForQuery(_) => return Ok(backend),
                _ => {}
            }
        }
    }

    /// Sends the initial response, or what this client sends in its place.
    fn respond(&self, wire: &mut Wire) -> Result<(), Ending> {
        let bearer = |token: &str| initial_response(&FirstResponse::bearer(token));
        let bytes = match &self.first {
            FirstResponse::Token(token) => bearer(token),
            FirstResponse::Discovery => initial_response(b"n,,\x01auth=\x01\x01"),
            FirstResponse::Bytes(bytes) => initial_response(bytes),
            FirstResponse::Late(_) => NO_INITIAL_RESPONSE.as_slice().into(),
            FirstResponse::Half(token) => {
                let whole = bearer(token);
                wire.send(&whole[..whole.len() / 2])?;
                return Err(Ending::ClosedByClient);
            }
            FirstResponse::Close => return Err(Ending::ClosedByClient),
        };
        wire.send(&bytes)
    }

    /// What this client sends as a password, where the server asks for one.
    fn as_password(&self) -> Result<BytesMut, Ending> {
        let password = match &self.first {
            FirstResponse::Token(token) => token.as_bytes(),
            FirstResponse::Bytes(bytes) => bytes.as_slice(),
            FirstResponse::Discovery
            | FirstResponse::Late(_)
            | FirstResponse::Half(_)
            | FirstResponse::Close => return Err(Ending::ClosedByClient),
        };
        Ok(message(|m| frontend::password_message(password, m)))
    }

    fn respond_to_document(&self, wire: &mut Wire) -> Result<(), Ending> {
        let bytes = match &self.on_error {
            OnError::Acknowledge => b"\x01",
            OnError::Bytes(bytes) => bytes.as_slice(),
            OnError::Silence => return Ok(()),
            OnError::Close => return Err(Ending::ClosedByClient),
        };
        wire.send(&message(|m| frontend::sasl_response(bytes, m)))
    }
}

const MECHANISM: &str = "OAUTHBEARER";

fn initial_response(response: &[u8]) -> BytesMut {
    message(|m| frontend::sasl_initial_response(MECHANISM, response, m))
}

/// SASLInitialResponse that names the mechanism and has a length of -1, for no response: what no library sends.
const NO_INITIAL_RESPONSE: [u8; 21] = *b"p\0\0\0\x14OAUTHBEARER\0\xff\xff\xff\xff";

/// What became of a login.
#[derive(Debug)]
pub enum Outcome {
    /// The server let the client in.
    Session(Session),
    /// It did not.
    Refused(Refusal),
}

impl Outcome {
    /// Whether the server let the client in.
    pub fn is_session(&self) -> bool {
        matches!(self, Outcome::Session(_))
    }

    /// The session; a refusal fails the test.
    #[track_caller]
    pub fn session(self) -> Session {
        match self {
            Outcome::Session(session) => session,
            Outcome::Refused(refusal) => panic!("login refused: {refusal:?}"),
        }
    }

    /// The refusal; a session fails the test.
    #[track_caller]
    pub fn refusal(self) -> Refusal {
        match self {
            Outcome::Session(_) => panic!("the server let the client in"),
            Outcome::Refused(refusal) => refusal,
        }
    }
}

/// All that a client learned from a login that failed.
pub struct Refusal {
    /// Why there was no connection at all.
    pub connection_error: Option<String>,
    /// Whether the server asked for OAUTHBEARER.
    pub asked_for_token: bool,
    /// Whether the server asked for a password in clear text.
    pub asked_for_password: bool,
    /// The server's error document (RFC 7628 §3.2.2), as it came.
    pub document: Option<String>,
    /// Every ErrorResponse.
    pub errors: Vec<ServerMessage>,
    /// Every byte that the server sent.
    pub received: Vec<u8>,
    /// How the connection ended.
    pub ending: Ending,
    /// How long all that took.
    pub elapsed: Duration,
}

impl Default for Refusal {
    fn default() -> Self {
        Refusal {
            connection_error: None,
            asked_for_token: false,
            asked_for_password: false,
            document: None,
            errors: Vec::new(),
            received: Vec::new(),
            ending: Ending::Reset,
            elapsed: Duration::ZERO,
        }
    }
}

/// Like a derived one, but with what was received as text.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("connection_error", &self.connection_error)
            .field("errors", &self.errors)
            .field("received", &self.received_text())
            .field("ending", &self.ending)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

impl Refusal {
    /// The only error that the server sent; none or several fail the test.
    #[track_caller]
    pub fn error(&self) -> &ServerMessage {
        match self.errors.as_slice() {
            [error] => error,
            _ => panic!("not one error: {self:?}"),
        }
    }

    /// Every byte that the server sent, as text.
    pub fn received_text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}
