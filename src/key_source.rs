//! The provider's keys, fetched for this login.

use std::time::{Duration, Instant};

use oauth_core::{Algorithm, Failure, Issuer, KeySource, PublicKey, fetch_jwk_set};

use crate::fetch_thread;
use crate::http_client::{HttpSettings, UreqClient};

/// Asks the issuer at every login.
pub struct FetchedKeys<'a> {
    pub issuer: &'a Issuer,
    pub http: HttpSettings,
    /// How long all requests together may take.
    pub timeout: Duration,
}

impl KeySource for FetchedKeys<'_> {
    fn find_key(&self, kid: Option<&str>, alg: Algorithm) -> Result<PublicKey, Failure> {
        let deadline = Instant::now() + self.timeout;
        let issuer = self.issuer.clone();
        let http = self.http.clone();
        let fetched = fetch_thread::run_until(deadline, self.issuer.discovery(), move || {
            let client = UreqClient::new(&http, deadline)?;
            fetch_jwk_set(&client, &issuer).map_err(Failure::from)
        })?;
        fetched.find_key(kid, alg)
    }
}
