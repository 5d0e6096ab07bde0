//! The cache of the providers' keys, judged by what the providers are asked.

mod cold_and_warm;
mod file;
mod flush;
mod freshness;
mod issuers;
mod keys;
mod killed;
mod location;
mod memory;
mod no_room;
mod outage;
mod replaced_key;
mod resolver;
mod server_life;
mod single_flight;
mod slow_provider;
mod support;
mod unknown_kid;
mod worker;

use support::*;
