//! One question about a token, and what the provider answers (RFC 7662): no cache, and nothing shared with other logins.

use std::time::Instant;

use oauth_core::{
    Bearer, ClientAuthMethod, Document, Endpoint, Failure, FormRequest, IntrospectionResponse,
    NotActive, Reject, validate_answer, validate_coding,
};
use ureq::http::{Response, StatusCode};

use crate::provider::fetch_thread;
use crate::provider::http_client::{ClientIdentity, PreparedHttp, UreqClient};
use crate::provider::secret_file::Secret;
use crate::settings::provider::ProviderIntrospection;

/// A token that no provider has issued, and that nobody sends.
pub const NEVER_ISSUED: Bearer<'static> = Bearer::new("never-issued");

/// What the provider has answered about a token.
pub enum Answer {
    Active(IntrospectionResponse),
    Refused(Reject),
}

impl ProviderIntrospection {
    /// What is sent about a token, with what authenticates this server.
    pub fn question(
        &self,
        secret: Option<Secret>,
        token: &Bearer<'_>,
    ) -> Result<Question, Failure> {
        let client = &self.client;
        let proof = client.proof(secret.as_ref().map(Secret::expose), &self.issuer)?;
        let form = FormRequest::introspect(token, &client.id, &proof);
        let identity = match client.method {
            ClientAuthMethod::TlsClientAuth => Some(client.read_identity()?),
            _ => None,
        };
        let http = self.http.prepare();
        Ok(Question {
            form,
            identity,
            http,
        })
    }

    /// Whether the endpoint for clients that present a certificate is asked.
    pub fn is_by_certificate(&self) -> bool {
        self.client.method == ClientAuthMethod::TlsClientAuth
    }
}

/// One question about a token, with everything that the helper thread needs to ask it.
pub struct Question {
    form: FormRequest,
    identity: Option<ClientIdentity>,
    http: PreparedHttp,
}

impl Question {
    /// To be called in a helper thread.
    pub fn ask(self, url: &Endpoint, deadline: Instant) -> Result<Answer, Failure> {
        let client = UreqClient::presenting(self.http, self.identity, deadline)?;
        let parsed = client
            .post(url, &self.form)
            .map_err(NotActive::Unavailable)
            .and_then(|answer| read_answer(&answer, url));
        match parsed {
            Ok(response) => Ok(Answer::Active(response)),
            Err(NotActive::Reject(reject)) => Ok(Answer::Refused(reject)),
            Err(NotActive::Unavailable(cause)) => Err(fetch_thread::unavailable(url, cause)),
        }
    }
}

/// RFC 7662 §2.2, or §2.3 of a provider that refuses. Of an answer in a content coding, neither can be read.
fn read_answer(
    answer: &Response<Vec<u8>>,
    url: &Endpoint,
) -> Result<IntrospectionResponse, NotActive> {
    let status = answer.status();
    match status {
        StatusCode::OK | StatusCode::UNAUTHORIZED => validate_coding(answer.headers()),
        StatusCode::FORBIDDEN => Ok(()),
        _ => validate_answer(answer, url, Document::Introspection),
    }
    .map_err(NotActive::Unavailable)?;
    IntrospectionResponse::parse(status, answer.body())
}
