//! Which line of pg_hba.conf a connection would match: PostgreSQL's own rules (check_hba of hba.c), for connections that
//! do not exist, and so may be known in part only.

use std::ffi::c_void;
use std::net::IpAddr;

use pgrx::pg_guard;

use crate::postgres::abi;
use crate::postgres::auth_file::{NamedRole, Word, hba_lines};
use crate::postgres::connection::ip_address;
use crate::postgres::hba::FileLine;
use crate::postgres::text::{c_string, copied_lossy};

/// A connection over TCP.
pub struct Connection<'a> {
    pub role: NamedRole<'a>,
    pub database: &'a str,
    /// Where the client is; `None`: anywhere.
    pub address: Option<IpAddr>,
    pub has_tls: bool,
}

/// A line that the connection matches.
pub struct Match {
    pub place: FileLine,
    /// What the answer depends on, which is not known here.
    pub only_if: Option<String>,
}

/// The lines that the connection may match, in their order. The last is the one that it matches whatever is not known
/// here, if there is one. `is_readable`: whether PostgreSQL takes the line that is there.
pub fn matching_lines(
    connection: &Connection<'_>,
    is_readable: impl Fn(&FileLine) -> bool,
) -> Vec<Match> {
    let mut found = Vec::new();
    for (place, line) in hba_lines() {
        if !is_readable(&place) {
            continue;
        }
        if !fits_type(line, connection.has_tls) || !fits_names(line, connection) {
            continue;
        }
        let only_if = match fit_address(line, connection.address) {
            Fit::Yes => None,
            Fit::No => continue,
            Fit::Only(condition) => Some(condition),
        };
        let is_certain = only_if.is_none();
        found.push(Match { place, only_if });
        if is_certain {
            break;
        }
    }
    found
}

/// Whether a line is for such an address.
enum Fit {
    Yes,
    No,
    /// It is under this condition.
    Only(String),
}

/// GSS encryption is the alternative to TLS, and not considered.
fn fits_type(line: &abi::HbaLine, has_tls: bool) -> bool {
    match line.conntype {
        abi::ConnType_ctHost | abi::ConnType_ctHostNoGSS => true,
        abi::ConnType_ctHostSSL => has_tls,
        abi::ConnType_ctHostNoSSL => !has_tls,
        _ => false,
    }
}

fn fits_names(line: &abi::HbaLine, connection: &Connection<'_>) -> bool {
    // SAFETY: the lists of a line that hba_lines gave.
    let (databases, roles) = unsafe { (Word::list(line.databases), Word::list(line.roles)) };
    let role = &connection.role;
    databases
        .iter()
        .any(|word| names_database(word, connection.database, role))
        && roles.iter().any(|word| role.is_meant_by(word))
}

/// PostgreSQL's check_db, for connections that do not replicate the whole server.
fn names_database(word: &Word<'_>, database: &str, role: &NamedRole<'_>) -> bool {
    if word.is_keyword("all") {
        true
    } else if word.is_keyword("sameuser") {
        database == role.name()
    } else if word.is_keyword("samegroup") || word.is_keyword("samerole") {
        role.is_member_of(&c_string(database))
    } else if word.is_keyword("replication") {
        false
    } else if word.is_regex() {
        word.find_in(database).is_some()
    } else {
        word.is(database)
    }
}

fn fit_address(line: &abi::HbaLine, address: Option<IpAddr>) -> Fit {
    match line.ip_cmp_method {
        abi::IPCompareMethod_ipCmpAll => Fit::Yes,
        abi::IPCompareMethod_ipCmpMask if !line.hostname.is_null() => {
            // SAFETY: a NUL-terminated string of a parsed line.
            let name = unsafe { copied_lossy(line.hostname) };
            Fit::Only(format!("the client's address has the name {name}"))
        }
        abi::IPCompareMethod_ipCmpMask => fit_network(line, address),
        method => {
            let is_whole_net = method == abi::IPCompareMethod_ipCmpSameNet;
            let Some(address) = address else {
                let what = if is_whole_net {
                    "in a network of the server's"
                } else {
                    "the server's own"
                };
                return Fit::Only(format!("the client's address is {what}"));
            };
            match interfaces()
                .iter()
                .any(|own| own.includes(address, is_whole_net))
            {
                true => Fit::Yes,
                false => Fit::No,
            }
        }
    }
}

fn fit_network(line: &abi::HbaLine, address: Option<IpAddr>) -> Fit {
    match (Network::of(line), address) {
        (None, _) => Fit::No,
        (Some(network), Some(address)) if network.includes(address, true) => Fit::Yes,
        (Some(_), Some(_)) => Fit::No,
        (Some(network), None) if network.mask.is_unspecified() => Fit::Yes,
        (Some(network), None) => Fit::Only(format!("the client's address is in {network}")),
    }
}

/// An address with its mask.
pub struct Network {
    address: IpAddr,
    mask: IpAddr,
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ones: u32 = octets(self.mask)
            .iter()
            .map(|octet| octet.count_ones())
            .sum();
        write!(f, "{}/{ones}", self.address)
    }
}

impl Network {
    /// That of a line with an address and a mask.
    pub fn of(line: &abi::HbaLine) -> Option<Network> {
        // SAFETY: the address and mask of a parsed line.
        unsafe { Network::read((&raw const line.addr).cast(), (&raw const line.mask).cast()) }
    }

    /// Whether every address of the other one is in this one.
    pub fn covers(&self, other: &Network) -> bool {
        let (own, others) = (octets(self.mask), octets(other.mask));
        let is_wider = own
            .iter()
            .zip(&others)
            .all(|(own, other)| own & other == *own);
        is_wider && self.includes(other.address, true)
    }

    /// `None`: of neither family.
    ///
    /// # Safety
    /// Each is null, or an address of the length that its family has.
    unsafe fn read(address: *const abi::sockaddr, mask: *const abi::sockaddr) -> Option<Network> {
        // SAFETY: by this function's contract.
        unsafe {
            Some(Network {
                address: ip_address(address.cast())?,
                mask: ip_address(mask.cast())?,
            })
        }
    }

    /// Whether it is this one's address, or one in its network.
    fn includes(&self, address: IpAddr, is_whole_net: bool) -> bool {
        if self.address.is_ipv4() != address.is_ipv4() {
            return false;
        }
        let (own, other, mask) = (octets(self.address), octets(address), octets(self.mask));
        let mask = mask
            .into_iter()
            .map(|octet| if is_whole_net { octet } else { 0xff });
        let mut pairs = own.into_iter().zip(other).zip(mask);
        pairs.all(|((own, other), mask)| own & mask == other & mask)
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The addresses of this machine, each with its network.
fn interfaces() -> Vec<Network> {
    let mut found: Vec<Network> = Vec::new();
    // SAFETY: the server's own function, and a callback that gets back what it is given here.
    unsafe {
        abi::guarded(|| abi::pg_foreach_ifaddr(Some(note_interface), (&raw mut found).cast()));
    }
    found
}

#[pg_guard]
unsafe extern "C-unwind" fn note_interface(
    address: *mut abi::sockaddr,
    mask: *mut abi::sockaddr,
    found: *mut c_void,
) {
    // SAFETY: the vector that interfaces() passed, and an interface's address and mask.
    unsafe {
        let found = &mut *found.cast::<Vec<Network>>();
        found.extend(Network::read(address, mask));
    }
}
