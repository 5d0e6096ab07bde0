//! What we take from the server: its types and functions, in a form that the rest can use without `unsafe`.

pub mod abi;
pub mod before_exit;
pub mod client_certificate;
pub mod containment;
pub mod hba;
#[cfg(feature = "pg19")]
pub mod hba_file;
pub mod query;
pub mod random;
pub mod role_catalog;
pub mod signals;
pub mod text;
pub mod time;
pub mod wait_event;
