//! A server that takes tokens as passwords over TLS.

use rig::{Issuer, PAM_SERVICE, Server, SignatureFault, Token, can_use_pam, now};

/// What every program asks once it is in.
pub const QUERY: &str =
    "SELECT current_user || ' ' || system_user || ' ' || validator.claim('jti')";

/// The role of backups, which may replicate. Such a role is only for identities that a map names.
pub const BACKUP: &str = "backup";

/// The server, and whose tokens it takes.
pub struct Setup {
    pub issuer: Issuer,
    pub server: Server,
    has_map: bool,
}

impl Setup {
    /// For logins as this role: `alice`, or [`BACKUP`], which is hers by a map. `None`: there is no PAM here, which was said.
    pub fn of(role: &str) -> Option<Setup> {
        if !can_use_pam() {
            return None;
        }
        let issuer = Issuer::builder().start();
        let mut server = Server::taking_passwords(&issuer);
        let has_map = role == BACKUP;
        if has_map {
            // Physical replication is a database of its own to pg_hba.conf.
            let line = format!("host replication {BACKUP} all pam pamservice={PAM_SERVICE}");
            server = server
                .set("validator.password_map", "backups")
                .ident(&format!("backups alice {BACKUP}"))
                .set("wal_level", "logical")
                .hba(&line);
        }
        let server = server.start();
        server.sql(&format!(
            "CREATE EXTENSION validator; CREATE ROLE {BACKUP} LOGIN REPLICATION"
        ));
        Some(Setup {
            issuer,
            server,
            has_map,
        })
    }

    /// A good token of alice's.
    pub fn good(&self) -> Token {
        self.issuer.token("alice")
    }

    /// Tokens that do not open the role, and the reasons for it.
    pub fn bad(&self) -> [(&'static str, Token); 3] {
        let altered = self.good().signature_fault(SignatureFault::FlippedBit);
        let others = match self.has_map {
            true => "identity_not_mapped",
            false => "identity_not_role",
        };
        [
            ("expired", self.good().claim("exp", now() - 3600)),
            ("bad_signature", altered),
            (others, self.issuer.token("bob")),
        ]
    }
}
