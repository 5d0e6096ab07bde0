//! Senders who are no provider: bounded in size, time and number, and told nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rig::{Authority, Endpoint, Fault, Hook, Issuer};

use crate::*;

#[test]
fn requests_that_are_none_are_refused_and_do_no_harm() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = hook(&issuer, &server);
    let form = "application/x-www-form-urlencoded";
    let large = format!("logout_token={}", "x".repeat(40_000));
    for (path, content_type, body, status) in [
        ("/", form, "logout_token=a", 404),
        ("/logout/", form, "logout_token=a", 404),
        ("/logout", "application/json", "{}", 400),
        ("/logout", form, "", 400),
        ("/logout", form, "logout_token=a&logout_token=b", 400),
        ("/logout", form, &large, 413),
        ("/events", "application/jwt", "a.b.c", 404),
        ("/events", "application/secevent+jwt", "a.b.c", 400),
    ] {
        let answer = hook.post(path, content_type, "", body);
        // Without [issuer.events], there is nobody whose events are taken.
        let status = if path == "/events" { 400 } else { status };
        assert_status(&answer, status);
    }
    let get = hook.exchange(b"GET /logout HTTP/1.1\r\nHost: hook\r\n\r\n");
    assert_status(&get, 405);
    assert!(get.head.contains("allow: POST"), "{get:?}");
    let many = "X: y\r\n".repeat(100);
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"POST /logout HTTP/9.9\r\n\r\n",
        b"POST /logout HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /logout HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        format!("POST /logout HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(70_000)).as_bytes(),
        format!("POST /logout HTTP/1.1\r\n{many}\r\n").as_bytes(),
        // TLS, where there is none.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ] {
        let answer = hook.exchange(bytes);
        assert!([0, 400, 431].contains(&answer.status), "{answer:?}");
    }
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&token), 200);
    // Smuggled behind it: a connection has one request.
    let token = logout_token(&issuer).claim("sub", "bob").encode();
    let body = format!("logout_token={token}");
    let request = format!(
        "POST /logout HTTP/1.1\r\nHost: hook\r\nContent-Type: {form}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = hook.exchange(format!("{request}{request}").as_bytes());
    assert_status(&answer, 200);
    assert!(!answer.body.contains("HTTP/1.1"), "{answer:?}");
    assert!(!hook.log().contains(&token));
}

#[test]
fn slow_senders_are_cut_off_and_others_served() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = hook(&issuer, &server);
    let connect = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", hook.port())).expect("it listens");
        stream.write_all(bytes).expect("it reads");
        stream
    };
    let body = b"POST /logout HTTP/1.1\r\nHost: hook\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nx";
    let mut slow: Vec<TcpStream> = (0..30)
        .flat_map(|_| [connect(b""), connect(b"POST /logout"), connect(body)])
        .collect();
    let start = Instant::now();
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&token), 200);
    assert!(start.elapsed() < Duration::from_secs(5));
    for stream in &mut slow {
        stream.set_read_timeout(Some(SOON)).expect("a socket");
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(
        start.elapsed() < Duration::from_secs(25),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn program_serves_tls_by_itself() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let (certificate, key) = Authority::shared().server().files();
    let files = format!(
        "listen = \"127.0.0.1:0\"\ntls_certificate_file = \"{}\"\ntls_key_file = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    let hook = Hook::start(&format!("{files}{}", configuration(&issuer, &server)));
    let plain = hook.log_out("a.b.c");
    assert_eq!(plain.status, 0, "{plain:?}");
    let mut agent = rig::Browser::new();
    let page = agent.request(
        "POST",
        &hook.url("/logout").replace("http:", "https:"),
        "logout_token=a.b.c",
    );
    assert_eq!(page.expect("an answer").status, 400);
}

/// What a sender has sent is dealt with although they leave: so they count as long as that takes.
#[test]
fn senders_who_leave_are_counted_until_their_requests_are_done() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = hook(&issuer, &server);
    // The program waits for the keys.
    issuer.fail(Endpoint::Discovery, Fault::Hang);
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    let body = format!("logout_token={token}");
    let request = format!(
        "POST /logout HTTP/1.1\r\nHost: hook\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let connect = |_| TcpStream::connect(("127.0.0.1", hook.port())).expect("it listens");
    let mut senders: Vec<TcpStream> = (0..256).map(connect).collect();
    let mut probe = connect(256);
    let start = Instant::now();
    for sender in &mut senders {
        sender.write_all(request.as_bytes()).expect("it reads");
    }
    // It has read all of them by then.
    thread::sleep(Duration::from_millis(500));
    drop(senders);
    let get = b"GET /logout HTTP/1.1\r\nHost: hook\r\n\r\n";
    probe.write_all(get).expect("it is queued");
    probe
        .set_read_timeout(Some(Duration::from_millis(1500)))
        .expect("a socket");
    let answer = probe.read(&mut [0; 16]);
    let waits = |kind| [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&kind);
    assert!(
        answer.as_ref().is_err_and(|error| waits(error.kind())),
        "served after {:?}: {answer:?}",
        start.elapsed()
    );
    // A fetch is given up after four seconds, and then they are done.
    assert_status(&hook.exchange(get), 405);
}
