//! The load: logins by PostgreSQL's protocol with as little work as possible, so that the client costs less
//! than the server that is measured.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How the server lets the client in.
pub enum Method {
    Trust,
    Bearer(String),
    Scram(Scram),
}

/// Logs in as one role, again and again.
pub struct Client {
    port: u16,
    startup: Vec<u8>,
    method: Method,
}

/// A login may not take longer.
const LIMIT: Duration = Duration::from_secs(60);

impl Client {
    pub fn new(port: u16, role: &str, method: Method) -> Client {
        let mut startup = message(
            None,
            &[
                &PROTOCOL_3_0,
                format!("user\0{role}\0database\0postgres\0\0").as_bytes(),
            ],
        );
        // The server reads it after its own word, so it need not be waited for.
        if let Method::Bearer(token) = &method {
            let response = format!("n,,\x01auth=Bearer {token}\x01\x01");
            startup.extend(initial_response("OAUTHBEARER", &response));
        }
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
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut wire = Wire {
            stream,
            buffer: vec![0; 4096],
            start: 0,
            end: 0,
        };
        wire.stream.write_all(&self.startup)?;
        loop {
            match wire.receive()? {
                (b'R', body) => {
                    if let (Method::Scram(scram), Some((code, data))) =
                        (&self.method, body.split_first_chunk::<4>())
                        && let Some(answer) = scram.answer(u32::from_be_bytes(*code), data)
                    {
                        wire.stream.write_all(&answer)?;
                    }
                }
                (b'E', body) => {
                    return Err(io::Error::other(
                        String::from_utf8_lossy(body).replace('\0', " "),
                    ));
                }
                (b'Z', _) => break,
                _ => {}
            }
        }
        let elapsed = start.elapsed();
        wire.stream.write_all(&message(Some(b'X'), &[]))?;
        while wire.stream.read(&mut wire.buffer)? > 0 {}
        Ok(elapsed)
    }
}

const PROTOCOL_3_0: [u8; 4] = [0, 3, 0, 0];

/// A message with its length.
fn message(tag: Option<u8>, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length + 4).expect("messages are small");
    let mut bytes: Vec<u8> = tag.into_iter().collect();
    bytes.extend(length.to_be_bytes());
    parts.iter().for_each(|part| bytes.extend(*part));
    bytes
}

/// SASLInitialResponse.
fn initial_response(mechanism: &str, response: &str) -> Vec<u8> {
    let length = u32::try_from(response.len()).expect("responses are small");
    message(
        Some(b'p'),
        &[
            mechanism.as_bytes(),
            &[0],
            &length.to_be_bytes(),
            response.as_bytes(),
        ],
    )
}

/// Reads messages through one buffer.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Wire {
    fn receive(&mut self) -> io::Result<(u8, &[u8])> {
        self.fill(5)?;
        let head = &self.buffer[self.start..];
        let tag = head[0];
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        self.fill(1 + length)?;
        let body = self.start + 5..self.start + 1 + length;
        self.start = body.end;
        Ok((tag, &self.buffer[body]))
    }

    /// Reads until so many bytes are there.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.start > 0 && self.buffer.len() - self.start < wanted {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.end - self.start < wanted {
            match self.stream.read(&mut self.buffer[self.end..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.end += count,
            }
        }
        Ok(())
    }
}

/// SCRAM-SHA-256 (RFC 5802, RFC 7677). The salted password, which is most of a client's work, is kept.
pub struct Scram {
    password: String,
    salted: OnceLock<Vec<u8>>,
}

/// The server adds its own, random part.
const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

impl Scram {
    pub fn new(password: &str) -> Scram {
        Scram {
            password: password.to_owned(),
            salted: OnceLock::new(),
        }
    }

    fn answer(&self, code: u32, data: &[u8]) -> Option<Vec<u8>> {
        match code {
            10 => Some(initial_response(
                "SCRAM-SHA-256",
                &format!("n,,n=,r={CLIENT_NONCE}"),
            )),
            11 => Some(message(
                Some(b'p'),
                &[self
                    .final_message(&String::from_utf8_lossy(data))
                    .as_bytes()],
            )),
            _ => None,
        }
    }

    fn final_message(&self, server_first: &str) -> String {
        let part = |name: &str| {
            let value = server_first
                .split(',')
                .find_map(|part| part.strip_prefix(name));
            value.expect("the server's message has all its parts")
        };
        let salted = self.salted.get_or_init(|| {
            let salt = STANDARD.decode(part("s=")).expect("the salt is base64");
            let iterations = part("i=").parse().expect("a number of iterations above 0");
            let mut salted = vec![0; 32];
            pbkdf2::derive(
                pbkdf2::PBKDF2_HMAC_SHA256,
                iterations,
                &salt,
                self.password.as_bytes(),
                &mut salted,
            );
            salted
        });
        let without_proof = format!("c=biws,r={}", part("r="));
        let auth_message = format!("n=,r={CLIENT_NONCE},{server_first},{without_proof}");
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        };
        let client_key = sign(salted, "Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = sign(stored_key.as_ref(), &auth_message);
        let both = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = both.map(|(key, signature)| key ^ signature).collect();
        format!("{without_proof},p={}", STANDARD.encode(proof))
    }
}
