//! `validator`: decides whether an OAuth 2.0 bearer token opens a PostgreSQL session.
//!
//! This crate is the PostgreSQL side and judges nothing: it copies settings and the matched HBA line into a
//! policy, hands the token to `oauth-core`, and carries the decision back. See ARCHITECTURE.md.

mod doctor;
mod log;
mod login;
mod memory;
mod postgres;
mod provider;
mod roles;
mod settings;
mod sql;

use pgrx::prelude::*;

use login::{second_copy, session_start};
use postgres::heap_holes;
use postgres::inherited_pages::{Inherited, inherit_own_pages};
use provider::{refresh_worker, trust_roots};
use settings::gucs;

pgrx::pg_module_magic!(name, version);
// The extension's script is written by hand, with its grants: `cargo pgrx package` must copy it, not make its own.
pgrx::extension_sql_file!("../sql/validator--0.1.0.sql", name = "objects");

/// Runs when the module is loaded: once in the postmaster if preloaded, else at every login.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    if gucs::are_defined() {
        second_copy::refuse_second_copy();
        return;
    }
    gucs::define();
    session_start::hook_authentication();
    if memory::is_preloading() {
        memory::request_at_start();
        refresh_worker::register();
        roles::worker::register();
        trust_roots::read_for_all();
        // All backends inherit the tables and flags that the first verification of a process makes.
        if !oauth_core::warm_up() {
            pgrx::warning!("validator cannot verify its built-in test signatures");
        }
        let filled = heap_holes::fill();
        report_inherited(&inherit_own_pages(), filled);
    }
}

fn report_inherited(inherited: &Inherited, filled: usize) {
    let Inherited {
        mappings,
        of,
        bytes,
        error,
    } = inherited;
    let kilobytes = bytes / 1024;
    let why = error
        .as_ref()
        .map_or(String::new(), |error| format!(": {error}"));
    pgrx::debug1!(
        "validator: backends inherit {mappings} of {of} read-only mappings of the module, {kilobytes} kB{why}; \
         {filled} bytes of holes in the heap are filled"
    );
}
