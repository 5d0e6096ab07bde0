//! The connection that this backend serves: whether anyone between client and server could read it.

use std::ffi::c_void;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::postgres::{abi, hba};

/// Whether what the client sends is encrypted, or stays on this machine.
pub fn is_private() -> bool {
    hba::port()
        .is_some_and(|port| port.ssl_in_use || is_local(&port.raddr) || has_gss_encryption(port))
}

/// Whether the peer is at a Unix socket or a loopback address. Of any other kind of address nothing is known.
fn is_local(peer: &abi::SockAddr) -> bool {
    let storage = &raw const peer.addr;
    match i32::from(peer.addr.ss_family) {
        libc::AF_UNIX => true,
        libc::AF_INET => {
            // SAFETY: a sockaddr_storage has the size and alignment of every address, and its family says that this is
            // an IPv4 address.
            let address = unsafe { (*storage.cast::<libc::sockaddr_in>()).sin_addr };
            is_loopback(Ipv4Addr::from(address.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above; an IPv6 address.
            let address = unsafe { (*storage.cast::<libc::sockaddr_in6>()).sin6_addr };
            is_loopback(Ipv6Addr::from(address.s6_addr).into())
        }
        _ => false,
    }
}

/// RFC 4291 §2.5.5.2: an IPv4 address may be mapped into an IPv6 address.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Asked of the server that is running, which may have been built without GSSAPI: then it has no such function, and no
/// such encryption.
fn has_gss_encryption(port: &'static abi::Port) -> bool {
    // SAFETY: dlsym takes a NUL-terminated name and returns null or the symbol's address.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"be_gssapi_get_enc".as_ptr()) };
    if symbol.is_null() {
        return false;
    }
    // SAFETY: libpq/libpq-be.h declares it so where it exists. It reads the Port and raises no error.
    unsafe {
        let get_enc = std::mem::transmute::<
            *mut c_void,
            unsafe extern "C" fn(*const abi::Port) -> bool,
        >(symbol);
        get_enc(port)
    }
}
