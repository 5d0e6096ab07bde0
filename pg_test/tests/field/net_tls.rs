//! Certificates and TLS of providers that are refused: each with the cause, and with what to do about it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rig::{Authority, ConnectionFault, Identity, Issuer, Server, child, scratch, skip};

/// Logins with this issuer are refused for this cause, which an administrator is told in these words, also by a login that
/// has only heard of it.
#[track_caller]
fn refuses(server: &Server, issuer: &Issuer, cause: &str, parts: &[&str]) {
    server.forget_keys();
    let token = issuer.token("alice").encode();
    for _ in 0..2 {
        let log = server.refuses("alice", &token, "provider_unavailable").log;
        let cause = format!("cause={cause} ");
        for part in parts.iter().copied().chain([cause.as_str()]) {
            assert!(log.contains(part), "no {part:?} in: {log}");
        }
    }
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
}

/// A server that trusts these certificates only.
fn server_with(issuer: &Issuer, trusted: &str) -> Server {
    let server = Server::trusting(issuer).start();
    let file = server.private_file("trusted.pem", trusted);
    let path = file.to_str().expect("UTF-8");
    server.reload_with(&[("validator.ca_file", path)]);
    server
}

fn shared() -> String {
    fs::read_to_string(Authority::shared().file()).expect("the authority's file")
}

#[test]
fn authority_s_own_certificate_is_not_a_server_s() {
    let identity = Identity::authority_as_server(&["localhost"]);
    let trusted = identity.certificate_pem().to_owned();
    let issuer = Issuer::builder().https_as(identity).start();
    let server = server_with(&issuer, &trusted);
    let parts = [
        "certificate is that of an authority (CA:TRUE)",
        "HINT:  Give the provider a certificate of its own, with CA:FALSE",
    ];
    refuses(&server, &issuer, "tls_ca_certificate", &parts);
}

#[test]
fn certificate_must_be_of_version_3() {
    let certificate = include_str!("version-1/certificate.pem");
    let identity = Identity::from_pem(certificate, include_str!("version-1/key.pem"));
    let issuer = Issuer::builder().https_as(identity).start();
    let server = server_with(&issuer, certificate);
    let parts = [
        "another X.509 version than 3",
        "HINT:  Give the provider a certificate of version 3",
    ];
    refuses(&server, &issuer, "tls_certificate_version", &parts);
}

#[test]
fn certificate_must_name_the_host() {
    let authority = Authority::shared();
    let issuer = Issuer::builder()
        .https_as(authority.server_for(&[]))
        .start();
    let server = server_with(&issuer, &shared());
    let parts = [
        "(it has no subjectAltName)",
        "the common name does not count",
    ];
    refuses(&server, &issuer, "tls_name_missing", &parts);

    // All names, also those beyond what is shown of other texts.
    let names: Vec<String> = (1..=6)
        .map(|n| format!("idp-{n}.department.corp.example"))
        .collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.extend(["*.corp.example", "192.0.2.1"]);
    let identity = authority.server_for(&names);
    let issuer = Issuer::builder().https_as(identity).start();
    let server = server_with(&issuer, &shared());
    let message = format!("certificate is for {}, not for localhost", names.join(", "));
    let parts = [
        message.as_str(),
        "HINT:  Use a host that the certificate names",
    ];
    refuses(&server, &issuer, "tls_name_mismatch", &parts);
}

#[test]
fn certificate_counts_from_its_beginning_to_its_end() {
    for (identity, cause, says) in [
        (
            Authority::shared().expired_server(),
            "tls_expired",
            "certificate expired ",
        ),
        (
            Authority::shared().future_server(),
            "tls_not_yet_valid",
            "certificate becomes valid in ",
        ),
    ] {
        let issuer = Issuer::builder().https_as(identity).start();
        let server = server_with(&issuer, &shared());
        let parts = [says, "HINT:  Renew the provider's certificate"];
        refuses(&server, &issuer, cause, &parts);
    }
}

#[test]
fn authority_that_is_not_trusted_is_told_from_a_system_without_any() {
    let stranger = Authority::new("stranger");
    let issuer = Issuer::builder().https_as(stranger.server()).start();
    let server = server_with(&issuer, &shared());
    let parts = [
        "authority that is not trusted",
        "set validator.ca_file to a file",
    ];
    refuses(&server, &issuer, "tls_untrusted", &parts);

    for preload in [true, false] {
        // As in a container without ca-certificates.
        let issuer = Issuer::builder().https_as(stranger.server()).start();
        let empty = scratch::new_folder("roots");
        let builder = Server::trusting(&issuer)
            .set("validator.ca_file", "")
            .environment(
                "SSL_CERT_FILE",
                &empty.join("none.pem").display().to_string(),
            )
            .environment("SSL_CERT_DIR", &empty.display().to_string());
        let builder = if preload { builder.preload() } else { builder };
        let server = builder.start();
        let parts = [
            "this system has no certificate authorities",
            "HINT:  Install the package ca-certificates, or set validator.ca_file",
        ];
        refuses(&server, &issuer, "tls_no_authorities", &parts);
        let found = "SELECT severity, advice FROM validator.check_config() WHERE finding = 'tls_no_authorities'";
        let rows = server.sql(found);
        let row = rows.first().expect("the doctor finds it");
        assert_eq!(row[0].as_deref(), Some("error"));
        assert!(
            row[1]
                .as_deref()
                .is_some_and(|advice| advice.contains("ca-certificates"))
        );

        let file = stranger.file().display().to_string();
        server.reload_with(&[("validator.ca_file", &file)]);
        assert_eq!(server.sql(found).len(), 0);
    }
}

#[test]
fn provider_that_offers_nothing_that_is_safe_is_told() {
    // RFC 5246 §7.2: fatal alerts.
    const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
    const PROTOCOL_VERSION: &[u8] = &[21, 3, 1, 0, 2, 2, 70];
    const INSUFFICIENT_SECURITY: &[u8] = &[21, 3, 3, 0, 2, 2, 71];
    const INTERNAL_ERROR: &[u8] = &[21, 3, 3, 0, 2, 2, 80];
    let issuer = Issuer::builder().https().start();
    let server = server_with(&issuer, &shared());
    for alert in [HANDSHAKE_FAILURE, PROTOCOL_VERSION, INSUFFICIENT_SECURITY] {
        issuer.fail_connections(ConnectionFault::Says(alert));
        let parts = [
            "no version or cipher in common",
            "TLS 1.2 with ECDHE and AEAD",
        ];
        refuses(&server, &issuer, "tls_incompatible", &parts);
    }
    issuer.fail_connections(ConnectionFault::Says(INTERNAL_ERROR));
    refuses(
        &server,
        &issuer,
        "tls",
        &["InternalError", "openssl s_client"],
    );
    issuer.heal();
    server.forget_keys();
    server.admits("alice", &issuer.token("alice").encode());
}

/// What stands before a provider may be old: a real server with such ciphers only.
#[test]
fn rsa_key_exchange_and_cbc_are_too_little() {
    let identity = Authority::shared().server();
    let (certificate, key) = identity.files();
    let issuer = Issuer::builder().https().start();
    let server = server_with(&issuer, &shared());
    for (cipher, cause) in [
        ("AES128-GCM-SHA256", "tls_incompatible"),
        ("ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0", "tls_incompatible"),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "malformed"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut command = Command::new("openssl");
        command.args([
            "s_server", "-quiet", "-tls1_2", "-cipher", cipher, "-www", "-accept",
        ]);
        command.arg(port.to_string());
        command.arg("-cert").arg(&certificate).arg("-key").arg(&key);
        let Ok(mut child) = child::spawn(command, libc::SIGKILL) else {
            skip("there is no program openssl");
            return;
        };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().expect("a child").is_none(), "it has ended");
            thread::sleep(Duration::from_millis(20));
        }
        let url = format!("https://localhost:{port}");
        server.set_hba(&[&rig::oauth_line(&url, "")]);
        server.reload();
        let token = issuer.token("alice").encode();
        let log = server.refuses("alice", &token, "provider_unavailable").log;
        assert!(log.contains(&format!("cause={cause} ")), "{cipher}: {log}");
        child.kill().expect("a child can be killed");
        child.wait().expect("a child ends");
    }
}

/// The commands of the manual, run as they are.
#[test]
fn commands_of_the_manual_make_a_certificate_that_is_accepted() {
    if Command::new("openssl").arg("version").output().is_err() {
        skip("there is no program openssl");
        return;
    }
    let manual = include_str!("../../../docs/operations.md");
    let (_, section) = manual
        .split_once("\n### A certificate for a private provider\n")
        .expect("a section");
    let commands = section
        .split("```")
        .nth(1)
        .expect("a block")
        .trim_start_matches("sh\n");
    assert!(commands.starts_with("openssl req -x509 "), "{commands}");
    let folder = scratch::new_folder("openssl");
    let mut shell = Command::new("sh");
    shell.current_dir(&folder);
    shell.args(["-ec", &commands.replace("idp.corp.example", "localhost")]);
    child::run(shell, Duration::from_secs(60)).success();
    let read = |name: &str| fs::read_to_string(Path::new(&folder).join(name)).expect(name);
    let issuer = Issuer::builder()
        .https_as(Identity::from_pem(&read("idp.pem"), &read("idp.key")))
        .start();
    let server = server_with(&issuer, &read("ca.pem"));
    server.admits("alice", &issuer.token("alice").encode());
}
