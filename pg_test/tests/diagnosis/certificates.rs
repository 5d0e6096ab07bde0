//! Tokens that are bound to a certificate that is not there.

use rig::{Authority, Issuer, Login, Server};
use serde_json::json;

use crate::{explain_login, server_for};

#[test]
fn cause_of_a_missing_certificate_is_told() {
    let issuer = Issuer::builder().start();
    let own = Authority::shared().client("alice");
    let token = issuer
        .token("alice")
        .claim("cnf", json!({"x5t#S256": own.thumbprint()}))
        .encode();
    let by_tls = |server: &Server, own| Login::by_tls(server, "alice", own).token(&token);

    let server = server_for(&issuer).tls().start();
    let login = by_tls(&server, Some(&own));
    explain_login(&server, login, &token, "certificate_missing")
        .says(&["since ssl_ca_file is not set", "and reload"])
        .loosens_nothing();

    let server = server_for(&issuer).client_certificates().start();
    let login = by_tls(&server, None);
    explain_login(&server, login, &token, "certificate_missing")
        .says(&["the server requested one, and the client sent none"])
        .does_not_say(&["ssl_ca_file"])
        .loosens_nothing();
    let login = Login::new(&server, "alice").token(&token);
    explain_login(&server, login, &token, "certificate_missing")
        .says(&[
            "this connection is not encrypted by TLS",
            "sslmode=verify-full",
        ])
        .does_not_say(&["ssl_ca_file"])
        .loosens_nothing();
    server.admits_login(by_tls(&server, Some(&own)));
}
