//! A session that the server let in.

use std::fmt;
use std::time::Duration;

use crate::client::wire::{Ending, ServerMessage, Wire};

const CANCEL_REQUEST: u32 = 80_877_102;

/// The rows of a query, as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// A session that is logged in; it ends when this value goes.
pub struct Session {
    wire: Wire,
    port: u16,
    pid: u32,
    cancel_key: Vec<u8>,
}

impl Session {
    pub(crate) fn new(wire: Wire, port: u16, pid: u32, cancel_key: Vec<u8>) -> Session {
        Session {
            wire,
            port,
            pid,
            cancel_key,
        }
    }

    /// The backend's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Runs SQL by the simple protocol; all rows of all its statements.
    pub fn query(&mut self, sql: &str) -> Result<Rows, ServerMessage> {
        self.wire.limit(Duration::from_secs(60));
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        let mut rows = Rows::new();
        let mut error = self.wire.send(Some(b'Q'), &body).err().map(broken);
        while let Ok(message) = self.wire.receive() {
            match message.tag {
                b'D' => rows.push(row(&message.body)),
                b'E' => error = Some(ServerMessage::parse(&message.body)),
                b'Z' => return error.map_or(Ok(rows), Err),
                _ => {}
            }
        }
        Err(error.unwrap_or_else(|| broken(Ending::Closed)))
    }

    /// The one value that SQL gives; NULL is an empty string.
    #[track_caller]
    pub fn value(&mut self, sql: &str) -> String {
        let rows = self.query(sql).unwrap_or_else(|e| panic!("{e}\nin: {sql}"));
        let value = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next());
        value
            .unwrap_or_else(|| panic!("no row from: {sql}"))
            .unwrap_or_default()
    }

    /// Asks the server, over another connection, to cancel what this session does.
    pub fn cancel(&self) {
        let mut body = CANCEL_REQUEST.to_be_bytes().to_vec();
        body.extend_from_slice(&self.pid.to_be_bytes());
        body.extend_from_slice(&self.cancel_key);
        let limit = Duration::from_secs(5);
        let mut wire = Wire::by_tcp(self.port, limit).expect("the server listens");
        wire.send(None, &body)
            .expect("a cancel request can be sent");
        // The server answers nothing, and closes when it has passed the request on.
        let _ = wire.receive();
    }

    /// Waits until the server ends the session; its last words, if there were any.
    pub fn wait_for_end(&mut self, limit: Duration) -> (Ending, Option<ServerMessage>) {
        self.wire.limit(limit);
        let mut words = None;
        loop {
            match self.wire.receive() {
                Ok(message) if message.tag == b'E' => {
                    words = Some(ServerMessage::parse(&message.body))
                }
                Ok(_) => {}
                Err(ending) => return (ending, words),
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// DataRow: a count, then each value with its length, -1 for NULL.
fn row(body: &[u8]) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let value = usize::try_from(i32::from_be_bytes(*length)).ok();
        let (bytes, tail) = tail.split_at(value.unwrap_or(0));
        values.push(value.map(|_| String::from_utf8_lossy(bytes).into_owned()));
        rest = tail;
    }
    values
}

fn broken(ending: Ending) -> ServerMessage {
    ServerMessage {
        fields: vec![('M', format!("the connection ended: {ending:?}"))],
    }
}
