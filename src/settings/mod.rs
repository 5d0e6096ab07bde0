//! Everything that an administrator sets, as a login sees it.

mod check;
pub mod gucs;
pub mod hba_rules;
pub mod line_options;
mod login;
mod lookup;
mod password;
mod profiles;
pub mod provider;
pub mod provisioning;
pub mod tables;
pub mod values;

pub use login::{
    LoginSettings, cache_limits, issuer_name, policy_of, read, read_introspection, read_keys,
};
pub use lookup::Settings;
pub use password::line_of_service;
pub use profiles::{for_line, nearest_profile, profile_issuers};
pub use values::invalid;
