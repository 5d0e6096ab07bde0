//! What the comment on a created role says: whose role it is. It goes with the role through renames, dumps and upgrades.

use oauth_core::{Timestamp, ascii_json};
use serde_json::{Value, json};

/// How such a comment begins.
const BEGIN: &str = "validator: ";

/// Who a role was created for, and when.
pub struct Note {
    pub issuer: String,
    pub identity: String,
    pub created_at: Timestamp,
}

impl Note {
    /// In ASCII: comments on roles are shared by databases of all encodings.
    pub fn write(&self) -> String {
        let note = json!({
            "issuer": self.issuer,
            "identity": self.identity,
            "created_at": self.created_at.unix_seconds(),
        });
        format!("{BEGIN}{}", ascii_json(&note.to_string()))
    }

    /// `None`: the comment is another one, or was changed.
    pub fn read(comment: &str) -> Option<Note> {
        let note: Value = serde_json::from_str(comment.strip_prefix(BEGIN)?).ok()?;
        let member = |name: &str| Some(note.get(name)?.as_str()?.to_owned());
        let micros = note.get("created_at")?.as_i64()?.checked_mul(1_000_000)?;
        Some(Note {
            issuer: member("issuer")?,
            identity: member("identity")?,
            created_at: Timestamp::from_unix_micros(micros),
        })
    }
}
