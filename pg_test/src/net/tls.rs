//! Certificates for servers, issuers and clients, all from one test authority.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::machine::scratch;
use token_minter::base64url;

/// A certificate authority that exists only in this process.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    /// The authority that servers, issuers and clients of this process share.
    pub fn shared() -> &'static Authority {
        static SHARED: OnceLock<Authority> = OnceLock::new();
        SHARED.get_or_init(|| Authority::new("pg_test CA"))
    }

    /// Another authority, which nothing trusts unless it is told to.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority can be made");
        let file = scratch::new_folder("ca").join("ca.pem");
        fs::write(&file, issuer.pem()).expect("the authority's certificate can be written");
        Authority { issuer, file }
    }

    /// The authority's certificate as a PEM file, for settings such as `validator.ca_file`.
    pub fn file(&self) -> &std::path::Path {
        &self.file
    }

    /// A good certificate for a server on this machine: `localhost` and `127.0.0.1`.
    pub fn server(&self) -> Identity {
        self.server_for(&["localhost", "127.0.0.1"])
    }

    /// A certificate for a server of other names.
    pub fn server_for(&self, names: &[&str]) -> Identity {
        let mut params = params(names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// A certificate for this machine that ended in 2001.
    pub fn expired_server(&self) -> Identity {
        let mut params = params(&["localhost", "127.0.0.1"]);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(params)
    }

    /// A certificate for this machine that begins in 2090.
    pub fn future_server(&self) -> Identity {
        let mut params = params(&["localhost", "127.0.0.1"]);
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
        self.sign(params)
    }

    /// A certificate for a client of this name.
    pub fn client(&self, common_name: &str) -> Identity {
        let mut params = params(&[]);
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// A new certificate for the key of a client.
    pub fn renew(&self, client: &Identity) -> Identity {
        let mut params = params(&[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::try_from(client.key.serialize_der()).expect("a key can be copied");
        self.sign_for(params, key)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        self.sign_for(params, KeyPair::generate().expect("a key can be made"))
    }

    fn sign_for(&self, params: CertificateParams, key: KeyPair) -> Identity {
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("a certificate can be signed");
        Identity {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key,
        }
    }

    fn root(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }
}

/// What a server does about its clients' certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// It does not ask for them.
    Ignored,
    /// It asks, and verifies what it gets.
    Requested,
    /// Without one of the shared authority there is no connection.
    Demanded,
}

/// A certificate and its private key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

impl Identity {
    /// What `openssl req -x509` makes: a certificate of these names that is an authority's, and its own.
    pub fn authority_as_server(names: &[&str]) -> Identity {
        let mut params = params(names);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params
            .self_signed(&key)
            .expect("a certificate can be signed");
        Identity {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key,
        }
    }

    /// A certificate that was made elsewhere, and its private key, in PEM.
    pub fn from_pem(certificate: &str, key: &str) -> Identity {
        Identity {
            certificate: CertificateDer::from_pem_slice(certificate.as_bytes())
                .expect("a certificate in PEM"),
            certificate_pem: certificate.to_owned(),
            key: KeyPair::from_pem(key).expect("a private key in PEM"),
        }
    }

    /// The certificate as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key as PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Certificate and key as PEM files, in this order; libpq takes no key that others can read.
    pub fn files(&self) -> (PathBuf, PathBuf) {
        let folder = scratch::new_folder("identity");
        let (certificate, key) = (folder.join("client.crt"), folder.join("client.key"));
        fs::write(&certificate, self.certificate_pem()).expect("the certificate can be written");
        fs::write(&key, self.key_pem()).expect("the key can be written");
        scratch::set_mode(&key, 0o600);
        (certificate, key)
    }

    /// RFC 8705 §3.1: what a token's `cnf` names as `x5t#S256`.
    pub fn thumbprint(&self) -> String {
        base64url(digest::digest(&digest::SHA256, &self.certificate))
    }

    /// How a rustls server presents this certificate.
    pub(crate) fn server_config(&self, clients: ClientCertificates) -> Arc<ServerConfig> {
        let verifier = || {
            let mut roots = RootCertStore::empty();
            roots
                .add(Authority::shared().root())
                .expect("the authority can be trusted");
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        };
        let verifier = match clients {
            ClientCertificates::Ignored => Ok(WebPkiClientVerifier::no_client_auth()),
            ClientCertificates::Requested => verifier().allow_unauthenticated().build(),
            ClientCertificates::Demanded => verifier().build(),
        };
        let key = provider()
            .key_provider
            .load_private_key(self.private_key())
            .expect("a private key");
        // Without looking at the certificate, which may be one that no server should have.
        let certified = CertifiedKey::new(vec![self.certificate.clone()], key);
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS")
            .with_client_cert_verifier(verifier.expect("the authority can be trusted"))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        Arc::new(config)
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

/// A rustls client that trusts `authority`, and presents a certificate if it is given one.
pub(crate) fn client_config(
    authority: &Authority,
    identity: Option<&Identity>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.root())
        .expect("the authority can be trusted");
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS")
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(vec![identity.certificate.clone()], identity.private_key())
            .expect("key and certificate fit"),
    };
    Arc::new(config)
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .clone()
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
    let mut params = CertificateParams::new(names).expect("the names fit a certificate");
    params.use_authority_key_identifier_extension = true;
    params
}
