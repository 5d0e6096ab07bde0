//! What we take from the server: its types and functions, in a form that the rest can use without `unsafe`.

pub mod abi;
pub mod auth_file;
pub mod before_exit;
pub mod client_certificate;
pub mod config_files;
pub mod connection;
pub mod containment;
pub mod hba;
pub mod hba_cover;
pub mod hba_match;
pub mod heap_holes;
pub mod ident_match;
pub mod inherited_pages;
pub mod own_path;
pub mod pam_file;
pub mod query;
pub mod random;
pub mod role_catalog;
pub mod role_rows;
pub mod signals;
pub mod subtransaction;
pub mod text;
pub mod time;
pub mod versions;
pub mod wait_event;
