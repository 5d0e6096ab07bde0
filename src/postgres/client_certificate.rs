//! The certificate that the client presented by TLS.
//!
//! The server exports nothing that gives the certificate's bytes, but it carries libcrypto, which has
//! `i2d_X509`. It is looked up when needed and never linked, so that a server without OpenSSL, too, can
//! load the module; such a server refuses every token that is bound to a certificate.

use std::ffi::{CStr, c_int, c_uchar, c_void};

use oauth_core::{Misconfigured, Peer};
use pgrx::pg_sys;

use crate::postgres::{abi, hba};

/// The client's end of this backend's connection.
pub struct TlsPeer;

impl Peer for TlsPeer {
    /// The DER of the certificate, as it came in the handshake.
    fn certificate_der(&self) -> Result<Option<Vec<u8>>, Misconfigured> {
        let i2d_x509 = find_i2d_x509()?;
        let port = hba::port().filter(|port| port.ssl_in_use && port.peer_cert_valid);
        let certificate = port.map_or(std::ptr::null(), certificate_of);
        if certificate.is_null() {
            return Ok(None);
        }
        der(i2d_x509, certificate).map(Some).ok_or(unsupported(
            "libcrypto could not encode the client's certificate",
        ))
    }
}

/// Whether the server requests a certificate of clients that connect over TLS.
pub fn are_requested() -> bool {
    // SAFETY: gives null or a NUL-terminated text, which outlives its use here.
    unsafe {
        let file = pg_sys::GetConfigOption(c"ssl_ca_file".as_ptr(), true, false);
        !file.is_null() && *file != 0
    }
}

/// Whether this backend's connection is encrypted by TLS.
pub fn has_tls() -> bool {
    hba::port().is_some_and(|port| port.ssl_in_use)
}

/// OpenSSL's form of it, or null.
#[cfg(openssl)]
fn certificate_of(port: &abi::Port) -> *const c_void {
    port.peer.cast_const().cast()
}

/// The server was built without OpenSSL.
#[cfg(not(openssl))]
fn certificate_of(_port: &abi::Port) -> *const c_void {
    std::ptr::null()
}

/// libcrypto documents it with this signature since 0.9: certificate, place of a pointer to write to.
type I2dX509 = unsafe extern "C" fn(*const c_void, *mut *mut c_uchar) -> c_int;

fn find_i2d_x509() -> Result<I2dX509, Misconfigured> {
    if !server_has_openssl() {
        return Err(unsupported("this server is built without OpenSSL"));
    }
    // SAFETY: dlsym takes a NUL-terminated name and returns null or the symbol's address.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"i2d_X509".as_ptr()) };
    if symbol.is_null() {
        return Err(unsupported(
            "this server does not export its OpenSSL functions",
        ));
    }
    // SAFETY: the server is linked with libcrypto, which is searched before the libraries of modules; our own copy of
    // AWS-LC does not export its symbols (they carry a prefix).
    Ok(unsafe { std::mem::transmute::<*mut c_void, I2dX509>(symbol) })
}

fn der(i2d_x509: I2dX509, certificate: *const c_void) -> Option<Vec<u8>> {
    // SAFETY: the certificate is valid while the connection lives; a null output asks for the size.
    let size = unsafe { i2d_x509(certificate, std::ptr::null_mut()) };
    let mut der = vec![0; usize::try_from(size).ok().filter(|size| *size > 0)?];
    let mut end = der.as_mut_ptr();
    // SAFETY: `end` points to as many writable bytes as the call above said it needs.
    let written = unsafe { i2d_x509(certificate, &mut end) };
    (written == size).then_some(der)
}

/// Asked of the server that is running: the module may have been built for another one.
fn server_has_openssl() -> bool {
    // SAFETY: gives null or a NUL-terminated text, which outlives its use here.
    let library = unsafe {
        let value = pg_sys::GetConfigOption(c"ssl_library".as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value))
    };
    library == Some(c"OpenSSL")
}

fn unsupported(why: &'static str) -> Misconfigured {
    Misconfigured::CertificatesUnsupported { why }
}
