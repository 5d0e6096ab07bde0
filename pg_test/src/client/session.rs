//! A session that the server let in.

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;

use crate::client::wire::{Ending, ServerMessage, Wire, local, message};

/// The rows of a query, as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// A session that is logged in; it ends when this value goes.
pub struct Session {
    wire: Wire,
    port: u16,
    pid: i32,
    cancel_key: i32,
}

impl Session {
    pub(crate) fn new(wire: Wire, port: u16, pid: i32, cancel_key: i32) -> Session {
        Session {
            wire,
            port,
            pid,
            cancel_key,
        }
    }

    /// The backend's process id.
    pub fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Runs SQL by the simple protocol; all rows of all its statements.
    pub fn query(&mut self, sql: &str) -> Result<Rows, ServerMessage> {
        self.wire.limit(Duration::from_secs(60));
        let query = message(|m| frontend::query(sql, m));
        let mut rows = Rows::new();
        let mut error = self.wire.send(&query).err().map(broken);
        while let Ok(message) = self.wire.receive() {
            match message {
                Message::DataRow(body) => rows.push(row(&body)),
                Message::ErrorResponse(body) => error = Some(ServerMessage::new(body.fields())),
                Message::ReadyForQuery(_) => return error.map_or(Ok(rows), Err),
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
        let mut request = BytesMut::new();
        frontend::cancel_request(self.pid, self.cancel_key, &mut request);
        let limit = Duration::from_secs(5);
        let mut wire = Wire::by_tcp(local(self.port), limit).expect("the server listens");
        wire.send(&request).expect("a cancel request can be sent");
        // The server answers nothing, and closes when it has passed the request on.
        let _ = wire.receive();
    }

    /// Waits until the server ends the session; its last words, if there were any.
    pub fn wait_for_end(&mut self, limit: Duration) -> (Ending, Option<ServerMessage>) {
        self.wire.limit(limit);
        let mut words = None;
        loop {
            match self.wire.receive() {
                Ok(Message::ErrorResponse(body)) => {
                    words = Some(ServerMessage::new(body.fields()));
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

fn row(body: &DataRowBody) -> Vec<Option<String>> {
    let text = |range| String::from_utf8_lossy(&body.buffer()[range]).into_owned();
    let values = body.ranges().map(|value| Ok(value.map(text)));
    values.collect().expect("all values can be read")
}

fn broken(ending: Ending) -> ServerMessage {
    ServerMessage {
        fields: vec![('M', format!("the connection ended: {ending:?}"))],
    }
}
