//! Roles that come and go with the directory: a login's role is created, and given and taken memberships, by the groups
//! in its token. The judgement on the token has ended by then.
//!
//! A login only looks, and asks the worker if something is to be done: `login.rs`. The worker does it, in one transaction, as
//! a role that can grant the managed groups and nothing else: `worker.rs`, `change.rs`.

mod change;
pub mod login;
mod managed;
mod note;
pub mod worker;

pub use managed::{MARKER, Management};
pub use note::Note;
