//! Name resolution that hangs, and addresses of which the first is dead.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rig::{DeafPort, Issuer, Login, Server, ServerBuilder, StopMode, can_mount, oauth_line, shim};

use crate::{AT_ONCE, asked, assert_nobody_waits, assert_settled, log_in, wait_for_fetcher};

/// A name server that takes every question and answers none.
struct SilentResolver {
    socket: UdpSocket,
    address: Ipv4Addr,
}

impl SilentResolver {
    /// Name servers are asked at port 53, so each has an address of its own.
    fn start() -> SilentResolver {
        let process = std::process::id().to_be_bytes();
        for n in 1..=250 {
            let address = Ipv4Addr::new(127, process[2] | 1, process[3], n);
            if let Ok(socket) = UdpSocket::bind((address, 53)) {
                socket.set_nonblocking(true).expect("a socket is one");
                return SilentResolver { socket, address };
            }
        }
        panic!("no port 53 is free on 127.0.0.0/8");
    }

    /// Whether it was asked for this name, which is sent as labels with their lengths.
    fn was_asked_for(&self, label: &str) -> bool {
        let mut packet = [0; 512];
        while let Ok(length) = self.socket.recv(&mut packet) {
            let asked = &packet[..length];
            if asked
                .windows(label.len())
                .any(|part| part == label.as_bytes())
            {
                return true;
            }
        }
        false
    }
}

fn server_asking(resolver: &SilentResolver, timeout: &str) -> Server {
    let line = oauth_line("https://idp.example/realms/corp", "");
    Server::builder()
        .hba(&line)
        .set("validator.audience", Issuer::AUDIENCE)
        .set("validator.http_timeout", timeout)
        .etc_file(
            "resolv.conf",
            &format!(
                "nameserver {}\noptions timeout:30 attempts:5\n",
                resolver.address
            ),
        )
        .etc_file("nsswitch.conf", "hosts: files dns\n")
        .start()
}

#[test]
fn resolver_that_never_answers_is_given_up_in_time() {
    if !can_mount() {
        return;
    }
    let (issuer, resolver) = (Issuer::builder().start(), SilentResolver::start());
    let server = server_asking(&resolver, "1s");
    let token = issuer.token("alice").encode();
    let verdict = server.refuses("alice", &token, "provider_unavailable");
    assert!(resolver.was_asked_for("idp"), "the resolver was not asked");
    let cause =
        "cause=timeout url=https://idp.example/realms/corp/.well-known/openid-configuration";
    assert!(verdict.log.contains(cause), "{}", verdict.log);
    let took = verdict.refusal.elapsed;
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(1) + AT_ONCE,
        "{took:?}"
    );
    assert_nobody_waits(&server);
}

#[test]
fn resolver_is_asked_without_a_second_thread() {
    if !can_mount() {
        return;
    }
    let (issuer, resolver) = (Issuer::builder().start(), SilentResolver::start());
    let server = server_asking(&resolver, "60s");
    let login = Login::new(&server, "alice").token(&issuer.token("alice").encode());
    let client = thread::spawn(move || login.run());
    let fetcher = wait_for_fetcher(&server);
    crate::eventually(AT_ONCE, "the resolver is asked", || {
        resolver.was_asked_for("idp")
    });
    let threads = fs::read_dir(format!("/proc/{fetcher}/task")).expect("it runs");
    assert_eq!(threads.count(), 2, "the backend and its helper");
    server.sql(&format!("SELECT pg_terminate_backend({fetcher})"));
    client.join().expect("no panic").refusal();
}

#[test]
fn orders_to_stop_are_obeyed_while_the_resolver_hangs() {
    if !can_mount() {
        return;
    }
    let (issuer, resolver) = (Issuer::builder().start(), SilentResolver::start());
    let server = server_asking(&resolver, "60s");
    let token = issuer.token("alice").encode();
    let start_login = || {
        let login = Login::new(&server, "alice").token(&token);
        let client = thread::spawn(move || login.run());
        let fetcher = wait_for_fetcher(&server);
        crate::eventually(AT_ONCE, "the resolver is asked", || {
            resolver.was_asked_for("idp")
        });
        (client, fetcher, Instant::now())
    };
    for order in ["pg_terminate_backend", "pg_cancel_backend"] {
        let (client, fetcher, start) = start_login();
        server.sql(&format!("SELECT {order}({fetcher})"));
        client.join().expect("no panic").refusal();
        assert!(
            start.elapsed() < AT_ONCE,
            "{order} took {:?}",
            start.elapsed()
        );
    }
    server.reload_with(&[("authentication_timeout", "1s")]);
    let (client, _, start) = start_login();
    client.join().expect("no panic").refusal();
    assert!(
        start.elapsed() < AT_ONCE,
        "authentication_timeout took {:?}",
        start.elapsed()
    );
    assert_nobody_waits(&server);
    server.reload_with(&[("authentication_timeout", "1min")]);
    let (client, _, _) = start_login();
    let took = server.stop(StopMode::Fast);
    assert!(took < AT_ONCE, "a fast shutdown took {took:?}");
    client.join().expect("no panic").refusal();
}

/// A server for which `localhost` is ::1 first, then 127.0.0.1.
fn with_both_addresses(issuer: &Issuer) -> ServerBuilder {
    Server::trusting(issuer)
        .set("validator.http_timeout", "6s")
        .etc_file("hosts", "::1 localhost\n127.0.0.1 localhost\n")
        .etc_file("gai.conf", "precedence ::1/128 100\n")
}

#[test]
fn provider_whose_first_address_is_dead_is_reached_by_the_second() {
    if !can_mount() {
        return;
    }
    let issuer = Issuer::builder().https().start();
    let port = issuer
        .origin()
        .rsplit(':')
        .next()
        .and_then(|p| p.parse().ok());
    // Nobody listens there: it is refused at once.
    let server = with_both_addresses(&issuer).start();
    log_in(&server, &issuer);
    assert_settled(&server, &issuer);
    assert_eq!(asked(&issuer), (1, 1));
    // Nobody answers there.
    let Some(_deaf) = DeafPort::on_ipv6(port.expect("a port")) else {
        return;
    };
    server.forget_keys();
    log_in(&server, &issuer);
    assert_eq!(asked(&issuer), (2, 2));
}

/// A library by which no TCP connection by IPv6 can be made, as a firewall would, with this error.
fn prohibition(error: &str) -> PathBuf {
    shim::compile(&format!(
        "#define _GNU_SOURCE\n\
         #include <dlfcn.h>\n#include <errno.h>\n#include <sys/socket.h>\n\
         int connect(int fd, const struct sockaddr *to, socklen_t length) {{\n\
         int type = 0; socklen_t size = sizeof type;\n\
         getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);\n\
         if (to->sa_family == AF_INET6 && type == SOCK_STREAM) {{ errno = {error}; return -1; }}\n\
         int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, \"connect\");\n\
         return next(fd, to, length);\n}}\n"
    ))
}

#[test]
fn provider_whose_first_address_is_prohibited_is_reached_by_the_second() {
    if !can_mount() {
        return;
    }
    for error in ["EPERM", "EACCES", "EINVAL", "EAFNOSUPPORT"] {
        let issuer = Issuer::builder().https().start();
        let server = with_both_addresses(&issuer)
            .environment("LD_PRELOAD", &prohibition(error).display().to_string())
            .start();
        log_in(&server, &issuer);
        assert_eq!(asked(&issuer), (1, 1), "{error}");
    }
}
