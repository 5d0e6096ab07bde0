//! The certificate that the client presented by TLS.
//!
//! The server exports nothing that gives the certificate's bytes, but it carries libcrypto, which has
//! `i2d_X509`. It is looked up when needed and never linked, so that a server without OpenSSL, too, can
//! load the module; such a server has no certificates, and refuses every token that is bound to one.

use oauth_core::Peer;

/// The client's end of this backend's connection.
pub struct TlsPeer;

impl Peer for TlsPeer {
    fn certificate_der(&self) -> Option<Vec<u8>> {
        certificate_der()
    }
}

#[cfg(not(server_has_openssl))]
fn certificate_der() -> Option<Vec<u8>> {
    None
}

/// The DER of the certificate, as it came in the handshake.
#[cfg(server_has_openssl)]
fn certificate_der() -> Option<Vec<u8>> {
    use std::ffi::{c_int, c_uchar};

    use crate::{abi, hba};

    type I2dX509 = unsafe extern "C" fn(*const abi::X509, *mut *mut c_uchar) -> c_int;

    let port = hba::port()?;
    if !port.ssl_in_use || !port.peer_cert_valid || port.peer.is_null() {
        return None;
    }
    // SAFETY: dlsym takes a NUL-terminated name and returns null or the symbol's address.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"i2d_X509".as_ptr()) };
    if symbol.is_null() {
        return None;
    }
    // SAFETY: libcrypto documents i2d_X509 with this signature since 0.9; the server is linked with
    // libcrypto, and our own copy of AWS-LC does not export its symbols (they carry a prefix).
    let i2d_x509 = unsafe { std::mem::transmute::<*mut libc::c_void, I2dX509>(symbol) };
    // SAFETY: port.peer is a valid certificate while the connection lives; a null output asks for the size.
    let size = unsafe { i2d_x509(port.peer, std::ptr::null_mut()) };
    let mut der = vec![0; usize::try_from(size).ok().filter(|size| *size > 0)?];
    let mut end = der.as_mut_ptr();
    // SAFETY: `end` points to as many writable bytes as the call above said it needs.
    let written = unsafe { i2d_x509(port.peer, &mut end) };
    (written == size).then_some(der)
}
