//! What clients and issuers speak: TLS, HTTP.

pub(crate) mod deaf_port;
pub(crate) mod http;
pub(crate) mod http_server;
pub(crate) mod proxy;
pub(crate) mod tls;
