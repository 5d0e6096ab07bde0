//! Asks a provider about a token that was never issued, as `validator.check_config()` does: past the cache, and while other
//! requests are under way.

use std::time::Instant;

use oauth_core::{Failure, fetch_introspection_endpoint};

use crate::memory::answer_cache::AnswerKey;
use crate::provider::fetch_thread::{self, UnderWay};
use crate::provider::http_client::UreqClient;
use crate::provider::introspection_question::{Answer, NEVER_ISSUED};
use crate::settings::provider::ProviderIntrospection;

impl ProviderIntrospection {
    /// Starts to ask whether the provider calls such a token active. Finding the endpoint and asking take one timeout
    /// together, as in a login.
    ///
    /// Errors: what authenticates this server cannot be read, whatever state the provider is in.
    pub fn start_probe(&self) -> Result<UnderWay<bool>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let asked = self.endpoint.as_ref().unwrap_or(self.issuer.discovery());
        let bearer = self.http.bearer.as_ref();
        let secret = self.client.read_secret(bearer, asked)?;
        let mut question = self.question(secret, &NEVER_ISSUED)?;
        let (known, issuer, http) = (
            self.endpoint.clone(),
            self.issuer.clone(),
            self.http.prepare(),
        );
        // The metadata may name an endpoint on another server, which does not get this server's bearer token.
        let elsewhere = match (bearer, &known) {
            (Some(bearer), None) if self.client.secret_is_bearer() => {
                Some((bearer.clone(), self.question(None, &NEVER_ISSUED)?))
            }
            _ => None,
        };
        let by_certificate = self.is_by_certificate();
        fetch_thread::start(deadline, asked, move || {
            let endpoint = match known {
                Some(endpoint) => endpoint,
                None => {
                    let client = UreqClient::new(http, deadline)?;
                    fetch_introspection_endpoint(&client, &issuer, by_certificate)?.0
                }
            };
            if let Some((bearer, anonymous)) = elsewhere
                && !bearer.is_for(&endpoint)
            {
                question = anonymous;
            }
            let answer = question.ask(&endpoint, deadline)?;
            Ok(matches!(answer, Answer::Active(_)))
        })
    }

    /// The same for all that would be asked in the same way.
    pub fn probe_key(&self) -> AnswerKey {
        self.key_of("probe", NEVER_ISSUED.expose())
    }
}
