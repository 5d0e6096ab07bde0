//! The connection that this backend serves: whether anyone between client and server could read it; and addresses.

use std::ffi::{CStr, c_void};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(not(feature = "pg15"))]
use pgrx::pg_sys;

use crate::postgres::{abi, hba};

/// Whether what the client sends is encrypted, or stays on this machine.
pub fn is_private() -> bool {
    hba::port()
        .is_some_and(|port| port.ssl_in_use || is_local(&port.raddr) || has_gss_encryption(port))
}

/// The same, but that nothing on this machine is trusted but a Unix socket.
pub fn is_encrypted_or_by_socket() -> bool {
    hba::port().is_some_and(|port| {
        let is_socket = i32::from(port.raddr.addr.ss_family) == libc::AF_UNIX;
        port.ssl_in_use || is_socket || has_gss_encryption(port)
    })
}

/// Whether the peer is at a Unix socket or a loopback address. Of any other kind of address nothing is known.
fn is_local(peer: &abi::SockAddr) -> bool {
    if i32::from(peer.addr.ss_family) == libc::AF_UNIX {
        return true;
    }
    // SAFETY: a sockaddr_storage has the size and alignment of every address.
    let address = unsafe { ip_address((&raw const peer.addr).cast()) };
    address.is_some_and(is_loopback)
}

/// RFC 4291 §2.5.5.2: an IPv4 address may be mapped into an IPv6 address.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// An address as the system has it. `None`: it is neither of IPv4 nor of IPv6.
///
/// # Safety
/// `address` is null, or points to an address of the size that its family has.
pub unsafe fn ip_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: by this function's contract; the family says what it is.
    unsafe {
        match i32::from(address.as_ref()?.sa_family) {
            libc::AF_INET => {
                let address = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()).into())
            }
            libc::AF_INET6 => {
                let address = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
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

/// Has PostgreSQL take `identity` for who has authenticated, which `system_user` shows. For the end of an authentication,
/// when PostgreSQL has noted somebody else: the role that was requested, as its method `pam` does.
#[cfg(not(feature = "pg15"))]
pub fn set_authenticated_identity(identity: &CStr) {
    // SAFETY: the main thread; a variable of this process, and a copy that lives as long as it does. The string before it
    // belongs to the same context, and is left there.
    unsafe {
        let copy = pg_sys::MemoryContextStrdup(pg_sys::TopMemoryContext, identity.as_ptr());
        abi::MyClientConnectionInfo.authn_id = copy;
    }
}

/// 15 tells nobody who has authenticated.
#[cfg(feature = "pg15")]
pub fn set_authenticated_identity(_identity: &CStr) {}
