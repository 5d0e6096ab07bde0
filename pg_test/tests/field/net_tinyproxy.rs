//! A real proxy: tinyproxy, as Debian has it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Issuer, Server, child, environment, scratch, skip};

#[test]
fn tinyproxy_passes_on_for_those_who_have_its_password() {
    let Some(program) = environment::tinyproxy() else {
        return skip("this machine's packages have no tinyproxy");
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let configuration = scratch::new_folder("tinyproxy").join("tinyproxy.conf");
    let text = format!(
        "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nBasicAuth pg pass-word\n"
    );
    fs::write(&configuration, text).expect("a file can be written");
    let mut command = Command::new(program);
    command.arg("-d").arg("-c").arg(&configuration);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut proxy = child::spawn(command, libc::SIGKILL).expect("tinyproxy can be started");
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it does not listen"
        );
        thread::sleep(Duration::from_millis(20));
    }

    let issuer = Issuer::builder().https().start();
    let server = Server::trusting(&issuer)
        .set("validator.http_proxy", &format!("http://127.0.0.1:{port}"))
        .asks_about_opaque_tokens()
        .start();
    let token = issuer.token("alice").encode();
    // It answers 407 without a password, and 401 to a wrong one.
    for (secret, status) in [(None, 407), (Some("pg:wrong"), 401)] {
        if let Some(secret) = secret {
            let file = server.private_file("proxy", secret);
            let path = file.to_str().expect("UTF-8");
            server.reload_with(&[("validator.http_proxy_secret_file", path)]);
        }
        server.forget_keys();
        let log = server.refuses("alice", &token, "provider_unavailable").log;
        let message = format!("does not accept this server's credentials (status {status})");
        assert!(log.contains("cause=proxy_unauthorized "), "{log}");
        assert!(log.contains(&message), "{log}");
    }
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
    server.private_file("proxy", "pg:pass-word\n");
    server.forget_keys();
    server.admits("alice", &token);
    server.admits("alice", &issuer.opaque_token("alice"));
    assert_eq!(issuer.hits(Endpoint::Introspection), 1);

    proxy.kill().expect("a child can be killed");
    proxy.wait().expect("a child ends");
    server.forget_keys();
    let log = server.refuses("alice", &token, "provider_unavailable").log;
    assert!(log.contains("cause=proxy_failed "), "{log}");
}
