//! A port at which connections wait for ever.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// A port of 127.0.0.1 to which nobody can connect: who tries is left waiting.
pub struct DeafPort {
    port: u16,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl DeafPort {
    /// Listens, accepts nobody, and fills its own queue.
    pub fn new() -> DeafPort {
        DeafPort::deafen(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"))
    }

    /// The same for this port of ::1, while that of 127.0.0.1 is as it was; `None` without IPv6.
    pub fn on_ipv6(port: u16) -> Option<DeafPort> {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok()?;
        Some(DeafPort::deafen(listener))
    }

    fn deafen(listener: TcpListener) -> DeafPort {
        let address = listener.local_addr().expect("a listener has an address");
        // SAFETY: the descriptor is the listener's own; listening again only changes its queue's length.
        unsafe { libc::listen(listener.as_raw_fd(), 0) };
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queue.push(stream);
        }
        DeafPort {
            port: address.port(),
            _listener: listener,
            _queue: queue,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Default for DeafPort {
    fn default() -> Self {
        DeafPort::new()
    }
}
