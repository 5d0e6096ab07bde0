//! How this server shows the provider who it is when it asks about a token: the client, and its secret, read from files at
//! each request.

use std::path::PathBuf;

use oauth_core::{
    AssertionKey, ClientAuthMethod, ClientProof, Clock, Endpoint, Failure, Internal, Issuer,
    Misconfigured, Printable, SystemClock,
};

use crate::postgres::random;
use crate::provider::http_client::ClientIdentity;
use crate::provider::secret_file::Secret;
use crate::settings;
use crate::settings::provider::{BearerFile, ClientSettings};

impl ClientSettings {
    /// Read at each request, so that a new secret is noticed.
    ///
    /// Errors: a file is not set, or cannot be used.
    pub fn read_secret(
        &self,
        bearer: Option<&BearerFile>,
        endpoint: &Endpoint,
    ) -> Result<Option<Secret>, Misconfigured> {
        let (file, setting) = match self.method {
            ClientAuthMethod::ClientSecretBasic
            | ClientAuthMethod::ClientSecretBasicRaw
            | ClientAuthMethod::ClientSecretPost => (&self.secret_file, "client_secret_file"),
            ClientAuthMethod::PrivateKeyJwt => (&self.key_file, "client_key_file"),
            ClientAuthMethod::None => {
                let bearer = bearer.filter(|bearer| bearer.is_for(endpoint));
                return bearer.map(BearerFile::read).transpose();
            }
            ClientAuthMethod::TlsClientAuth => return Ok(None),
        };
        read_file(file, setting).map(Some)
    }

    /// Whether what authenticates this server, if anything does, is the token that it has for the provider's documents.
    pub fn secret_is_bearer(&self) -> bool {
        self.method == ClientAuthMethod::None
    }

    /// What is sent of it to the provider of this issuer.
    pub fn proof<'a>(
        &self,
        secret: Option<&'a str>,
        issuer: &Issuer,
    ) -> Result<ClientProof<'a>, Failure> {
        let Some(secret) = secret else {
            return Ok(ClientProof::NameOnly);
        };
        Ok(match self.method {
            ClientAuthMethod::ClientSecretBasicRaw => ClientProof::SecretBasicRaw(secret),
            ClientAuthMethod::ClientSecretPost => ClientProof::SecretPost(secret),
            ClientAuthMethod::PrivateKeyJwt => {
                ClientProof::Assertion(self.assertion(secret, issuer)?)
            }
            ClientAuthMethod::None => ClientProof::Bearer(secret),
            _ => ClientProof::SecretBasic(secret),
        })
    }

    /// RFC 7523 §3. Its audience is the issuer, as the current drafts of OAuth demand of all providers.
    fn assertion(&self, pem: &str, issuer: &Issuer) -> Result<String, Failure> {
        let unusable = || {
            invalid(
                "client_key_file",
                "the file has no RSA, P-256 or Ed25519 key",
            )
        };
        let der = crate::provider::http_client::private_key(pem).ok_or_else(unusable)?;
        let key = AssertionKey::from_der(der.der()).ok_or_else(unusable)?;
        let audience = issuer.identifier();
        let assertion = key.assertion(&self.id, audience, &unique_id()?, SystemClock.now());
        Ok(assertion.ok_or_else(unusable)?)
    }

    /// The certificate to present in the TLS handshake, and its key.
    pub fn read_identity(&self) -> Result<ClientIdentity, Misconfigured> {
        let key = read_file(&self.key_file, "client_key_file")?;
        let Some(cert_file) = &self.cert_file else {
            return Err(invalid("client_cert_file", "it is not set"));
        };
        let certificates = std::fs::read(cert_file)
            .map_err(|error| invalid("client_cert_file", &error.to_string()))?;
        ClientIdentity::parse(&certificates, key.expose()).ok_or_else(|| {
            invalid(
                "client_cert_file",
                "it does not contain a certificate for the key in client_key_file",
            )
        })
    }
}

/// What authenticates this server to the provider.
fn read_file(file: &Option<PathBuf>, setting: &str) -> Result<Secret, Misconfigured> {
    match file {
        Some(file) => Secret::read(file, setting),
        None => Err(invalid(setting, "it is not set")),
    }
}

fn invalid(setting: &str, why: &str) -> Misconfigured {
    settings::invalid(&format!("validator.{setting}"), why)
}

/// RFC 7523 §3: `jti`, different each time.
fn unique_id() -> Result<String, Internal> {
    let bytes =
        random::strong().ok_or(Internal(Printable::new("could not generate random bytes")))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
