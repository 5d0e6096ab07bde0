//! `validator`: decides whether an OAuth 2.0 bearer token opens a PostgreSQL session.
//!
//! This crate is the PostgreSQL side and judges nothing: it copies settings and the matched HBA line into a
//! policy, hands the token to `oauth-core`, and carries the decision back. See ARCHITECTURE.md.

mod abi;
mod answer_cache;
mod before_exit;
mod cache_layout;
mod callbacks;
mod check_token;
mod circuit_breaker;
mod client_settings;
mod containment;
mod doctor;
mod fetch_thread;
mod flight;
mod guarded;
mod gucs;
mod hba;
#[cfg(feature = "pg19")]
mod hba_file;
mod hba_options;
mod hba_rules;
mod http_client;
mod http_transport;
mod introspection;
mod key_source;
mod peer;
mod provider_settings;
mod query;
mod random;
mod refresh_worker;
mod refusal_log;
mod revocations;
mod role_catalog;
mod secret_file;
mod server_log;
mod session_claims;
mod session_expiry;
mod session_registry;
mod session_sql;
mod session_start;
mod setting_check;
mod setting_lookup;
mod setting_tables;
mod setting_values;
mod settings;
mod shared_cache;
mod shared_memory;
mod signals;
mod sql;
mod sql_time;
mod statistics;
mod statistics_sql;
mod text;
mod trust_roots;
mod wait_event;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);
// The extension's script is written by hand, with its grants: `cargo pgrx package` must copy it, not make its own.
pgrx::extension_sql_file!("../sql/validator--0.1.0.sql", name = "objects");

/// Runs when the module is loaded: once in the postmaster if preloaded, else at every login.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    gucs::define();
    session_start::hook_authentication();
    if shared_memory::is_preloading() {
        shared_memory::request_at_start();
        refresh_worker::register();
        trust_roots::read_for_all();
        // All backends inherit the tables and flags that the first verification of a process makes.
        if !oauth_core::rehearse() {
            pgrx::warning!("validator can not verify the signatures that it is tested with");
        }
    }
}
