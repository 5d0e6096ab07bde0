//! The rig itself: what the other tests rely on.

use std::time::{Duration, Instant};

use rig::{
    Alg, Authority, Browser, ConnectionFault, DeviceLogin, Ending, Endpoint, Fault, FirstResponse,
    Issuer, Key, KeyKind, Login, OidcProvider, OnError, Prompt, Response, Server, StopMode,
    environment,
};
use serde_json::json;

fn discovery(issuer: &Issuer) -> String {
    format!("{}/.well-known/openid-configuration", issuer.url())
}

#[test]
fn server_runs_sql_and_keeps_its_data_over_a_restart() {
    let server = Server::builder().start();
    let number = server.value("SHOW server_version_num");
    let major = environment::postgresql_version();
    assert_eq!(number.parse::<u32>().ok().map(|n| n / 10_000), Some(major));
    server.sql("CREATE TABLE t AS SELECT 'x' AS a, NULL AS b");
    server.restart();
    assert_eq!(
        server.sql("SELECT * FROM t"),
        vec![vec![Some("x".to_owned()), None]]
    );
    assert_eq!(server.psql("SELECT count(*) FROM t").success(), "1");
    assert!(server.stop(StopMode::Fast) < Duration::from_secs(10));
    assert!(!server.data_folder().join("postmaster.pid").exists());
}

#[test]
fn reload_reports_bad_values_and_is_seen_by_the_next_session() {
    let server = Server::builder()
        .set("work_mem", "1MB")
        .hba("host all alice 127.0.0.1/32 trust")
        .start();
    assert!(!server.reload().contains("invalid value"));
    let log = server.reload_with(&[("work_mem", "2MB"), ("wal_writer_delay", "-7")]);
    assert!(log.contains("-7 ms is outside the valid range"), "{log}");
    assert_eq!(server.value("SHOW work_mem"), "2MB");
    assert!(Login::new(&server, "alice").run().is_session());
    server.unset("wal_writer_delay");
    server.set_hba(&["host all alice 127.0.0.1/32 reject"]);
    server.reload();
    let refusal = Login::new(&server, "alice").run().refusal();
    assert_eq!(
        (refusal.error().severity(), refusal.error().code()),
        ("FATAL", "28000")
    );
    assert_eq!(refusal.ending, Ending::Closed);
}

#[test]
fn server_that_does_not_start_says_why() {
    let log = Server::builder()
        .set("shared_buffers", "lots")
        .try_start()
        .err()
        .expect("it does not start");
    assert!(
        log.contains("invalid value for parameter \"shared_buffers\""),
        "{log}"
    );
}

#[test]
fn session_reports_errors_and_can_be_cancelled() {
    let server = Server::builder()
        .hba("host all alice 127.0.0.1/32 trust")
        .start();
    let mut session = Login::new(&server, "alice").run().session();
    assert_eq!(session.value("SELECT current_user"), "alice");
    assert_eq!(
        session
            .query("SELECT 1/0")
            .expect_err("division by zero")
            .code(),
        "22012"
    );
    let pid = session.pid();
    assert_eq!(session.value("SELECT pg_backend_pid()"), pid.to_string());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let mut session = Login::new(&server, "alice").run().session();
            session
                .query("SELECT pg_sleep(30)")
                .expect_err("it is cancelled")
                .code()
                .to_owned()
        });
        let sleeping = server.wait_for_backend("query ~ 'pg_sleep' AND state = 'active'");
        server.sql(&format!("SELECT pg_cancel_backend({sleeping})"));
        assert_eq!(slow.join().expect("no panic"), "57014");
    });
    session.cancel();
    server.sql(&format!("SELECT pg_terminate_backend({pid})"));
    let (ending, words) = session.wait_for_end(Duration::from_secs(5));
    assert_eq!(
        (ending, words.expect("last words").code()),
        (Ending::Closed, "57P01")
    );
}

#[test]
fn tls_login_presents_a_client_certificate() {
    let server = Server::builder()
        .client_certificates()
        .hba("hostssl all alice 127.0.0.1/32 cert")
        .hba("hostssl all bob 127.0.0.1/32 trust")
        .start();
    let alice = Authority::shared().client("alice");
    let sql = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(
        Login::by_tls(&server, "alice", Some(&alice))
            .run()
            .session()
            .value(sql),
        "/CN=alice"
    );
    assert_eq!(
        Login::by_tls(&server, "bob", None)
            .run()
            .session()
            .value(sql),
        ""
    );
    assert!(!Login::by_tls(&server, "alice", None).run().is_session());
    assert!(!Login::new(&server, "bob").run().is_session());
}

#[test]
fn client_speaks_every_form_of_the_sasl_exchange() {
    let server = Server::builder()
        .hba("host all all 127.0.0.1/32 oauth issuer=\"https://idp.test\" scope=\"openid\"")
        .start();
    let discovery = Login::new(&server, "alice").run().refusal();
    let document: serde_json::Value =
        serde_json::from_str(&discovery.document.clone().expect("a document")).expect("JSON");
    assert_eq!(
        document,
        json!({"status": "invalid_token", "scope": "openid",
               "openid-configuration": "https://idp.test/.well-known/openid-configuration"})
    );
    assert_eq!(
        (discovery.error().code(), discovery.ending),
        ("28000", Ending::Closed)
    );
    let late = FirstResponse::Late(b"n,,\x01auth=\x01\x01".to_vec());
    let late = Login::new(&server, "alice").first(late).run().refusal();
    assert_eq!(
        (&late.document, late.error().code()),
        (&discovery.document, "28000")
    );
    let garbage = Login::new(&server, "alice")
        .first(FirstResponse::Bytes(b"y,,".to_vec()))
        .run()
        .refusal();
    assert_eq!(
        (garbage.document.as_deref(), garbage.error().code()),
        (None, "08P01")
    );
    let silent = Login::new(&server, "alice")
        .on_error(OnError::Silence)
        .limit(Duration::from_millis(300));
    assert_eq!(silent.run().refusal().ending, Ending::TimedOut);
    let closed = Login::new(&server, "alice")
        .on_error(OnError::Close)
        .run()
        .refusal();
    assert_eq!(closed.ending, Ending::ClosedByClient);
    let gone = Login::new(&server, "alice")
        .first(FirstResponse::Close)
        .run()
        .refusal();
    assert!(gone.asked_for_token && gone.document.is_none());
}

#[test]
fn issuer_serves_both_well_known_forms_over_http_and_https() {
    for builder in [
        Issuer::builder(),
        Issuer::builder().https(),
        Issuer::builder().path("/realms/corp/"),
    ] {
        let issuer = builder.start();
        let mut browser = Browser::new();
        let (origin, url) = (issuer.origin(), issuer.url());
        for address in [
            format!("{url}/.well-known/openid-configuration"),
            format!(
                "{}/.well-known/openid-configuration",
                url.trim_end_matches('/')
            ),
            format!("{origin}/.well-known/openid-configuration/realms/corp"),
            format!("{origin}/.well-known/oauth-authorization-server/realms/corp"),
        ] {
            let document = browser.get(&address).json();
            assert_eq!(document["issuer"], url, "{address}");
            let keys = browser.get(document["jwks_uri"].as_str().expect("a URL"));
            assert_eq!(
                keys.header("content-type"),
                Some("application/jwk-set+json")
            );
            assert_eq!(
                keys.json()["keys"][0]["kid"],
                issuer.signing_key().kid().expect("a kid")
            );
        }
        assert_eq!(issuer.hits(Endpoint::Discovery), 3);
        assert_eq!(issuer.hits(Endpoint::ServerMetadata), 1);
        assert_eq!(issuer.hits(Endpoint::Jwks), 4);
        assert_eq!(browser.get(&format!("{origin}/elsewhere")).status, 404);
    }
}

#[test]
fn issuer_rotates_and_withdraws_keys() {
    let issuer = Issuer::builder().start();
    let jwks = format!("{}/jwks", issuer.url());
    let kids = || -> Vec<String> {
        let keys = Browser::new().get(&jwks).json()["keys"].take();
        keys.as_array()
            .expect("keys")
            .iter()
            .map(|k| k["kid"].as_str().unwrap_or("-").to_owned())
            .collect()
    };
    let old = issuer.signing_key();
    let new = issuer.rotate();
    assert_eq!(
        kids(),
        [old.kid().expect("a kid"), new.kid().expect("a kid")]
    );
    issuer.withdraw(old.kid().expect("a kid"));
    assert_eq!(kids(), [new.kid().expect("a kid")]);
    issuer.publish_only(&[
        old.without_kid().jwk(),
        json!({"kty": "oct", "k": "AA", "kid": "x"}),
    ]);
    assert_eq!(kids(), ["-", "x"]);
    issuer.publish_document(Some(json!([])));
    assert_eq!(Browser::new().get(&jwks).json(), json!([]));
}

#[test]
fn issuer_fails_as_it_is_told() {
    let issuer = Issuer::builder().start();
    let url = discovery(&issuer);
    let fetch = || Browser::new().request("GET", &url, "");
    let fail = |fault| issuer.fail(Endpoint::Discovery, fault);
    let status = |fault| {
        fail(fault);
        fetch().map(|page| (page.status, page.text.len()))
    };
    let length = fetch().expect("an answer").text.len();
    assert_eq!(status(Fault::Status(500)).ok(), Some((500, length)));
    assert_eq!(status(Fault::Oversize(300_000)).ok(), Some((200, 300_000)));
    assert_eq!(status(Fault::Truncated).ok(), Some((200, length / 2)));
    assert_eq!(status(Fault::ClosedInBody).ok(), Some((200, length / 2)));
    assert_eq!(
        status(Fault::Answer(Response::html(418, "tea"))).ok(),
        Some((418, 3))
    );
    assert!(status(Fault::Closed).is_err());
    fail(Fault::Html);
    assert!(fetch().expect("an answer").text.contains("<h1>"));
    fail(Fault::altered(|document| {
        document["issuer"] = json!("https://other.test")
    }));
    assert_eq!(
        fetch().expect("an answer").json()["issuer"],
        "https://other.test"
    );
    let start = Instant::now();
    fail(Fault::Delay(Duration::from_millis(200)));
    assert_eq!(fetch().expect("an answer").text.len(), length);
    fail(Fault::Drip(Duration::from_millis(1)));
    assert_eq!(fetch().expect("an answer").text.len(), length);
    assert!(start.elapsed() > Duration::from_millis(400));
    fail(Fault::Redirect(302));
    assert_eq!(Browser::new().get(&url).text.len(), length);
    assert_eq!(issuer.hits(Endpoint::Redirected), 1);
    issuer.heal();
    assert_eq!(fetch().expect("an answer").status, 200);
}

#[test]
fn issuer_hangs_until_it_stops() {
    for fault in [
        Fault::Hang,
        Fault::HangInHeaders,
        Fault::HangInBody,
        Fault::Endless,
    ] {
        let issuer = Issuer::builder().start();
        issuer.fail(Endpoint::Discovery, fault.clone());
        let url = discovery(&issuer);
        let client = std::thread::spawn(move || {
            Browser::new()
                .request("GET", &url, "")
                .map(|page| page.status)
        });
        std::thread::sleep(Duration::from_millis(150));
        assert!(!client.is_finished(), "{fault:?}");
        drop(issuer);
        let _ = client.join().expect("no panic");
    }
}

#[test]
fn issuer_refuses_connections_while_it_is_down() {
    let issuer = Issuer::builder().start();
    let fetch = || {
        Browser::new()
            .request("GET", &discovery(&issuer), "")
            .map(|page| page.status)
    };
    issuer.go_down();
    assert_eq!(
        fetch().expect_err("refused").kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    issuer.come_up();
    assert_eq!(fetch().ok(), Some(200));
    issuer.fail_connections(ConnectionFault::Close);
    assert!(fetch().is_err());
    issuer.heal();
    assert_eq!(fetch().ok(), Some(200));
}

#[test]
fn issuer_grants_a_token_after_approval() {
    let issuer = Issuer::builder().key(Key::new(KeyKind::P256)).start();
    let mut browser = Browser::new();
    let base = issuer.url().to_owned();
    let grant = browser
        .post(
            &format!("{base}/device_authorization"),
            &[("client_id", "psql"), ("scope", "openid postgres")],
        )
        .json();
    let user_code = grant["user_code"].as_str().expect("a user code");
    let device_code = grant["device_code"]
        .as_str()
        .expect("a device code")
        .to_owned();
    let poll = |browser: &mut Browser| {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", &device_code),
            ("client_id", "psql"),
        ];
        browser.post(&format!("{base}/token"), &fields).json()
    };
    issuer.answer_polls_with(&["slow_down"]);
    assert_eq!(poll(&mut browser)["error"], "slow_down");
    assert_eq!(poll(&mut browser)["error"], "authorization_pending");
    // A person would type the code in lower case into the page's form.
    let page = browser.get(&format!(
        "{base}/device?user_code={}",
        user_code.to_lowercase()
    ));
    assert_eq!(
        page.form().expect("a form").fields[0].1,
        user_code.to_lowercase()
    );
    let done = browser.submit(&page, &[("user", "alice")]);
    assert!(done.text.contains("<h1>Done</h1>"), "{}", done.text);
    issuer.alter_tokens(|token| token.claim("aud", "https://elsewhere.test"));
    let answer = poll(&mut browser);
    let token = answer["access_token"].as_str().expect("a token");
    let claims =
        rig::from_base64url(token.split('.').nth(1).expect("three parts")).expect("base64url");
    let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(
        (
            &claims["iss"],
            &claims["sub"],
            &claims["aud"],
            &claims["client_id"],
            &claims["scope"]
        ),
        (
            &json!(base),
            &json!("alice"),
            &json!("https://elsewhere.test"),
            &json!("psql"),
            &json!("openid postgres")
        )
    );
    assert_eq!(poll(&mut browser)["error"], "invalid_grant");
}

/// No validator is asked: psql 18 walks through the device flow, and the server fails afterwards.
#[test]
fn psql_asks_for_approval_and_polls_both_issuers() {
    let issuer = Issuer::builder().https().interval(0).start();
    let provider = OidcProvider::start(Alg::ES256);
    let line = |issuer: &str| {
        format!("host all all 127.0.0.1/32 oauth issuer=\"{issuer}\" scope=\"openid postgres\"")
    };
    let server = Server::builder().hba(&line(issuer.url())).start();
    let outcome = DeviceLogin::new(&server, "alice", issuer.url())
        .ca_file(Authority::shared().file())
        .run(|prompt: &Prompt| issuer.approve(&prompt.user_code, "alice"));
    assert_eq!(
        outcome.prompt.as_ref().map(|p| p.url.clone()),
        Some(format!("{}/device", issuer.url()))
    );
    assert!(
        outcome.psql.stdout.contains("alice") || !outcome.messages().is_empty(),
        "{outcome:?}"
    );
    assert!(issuer.hits(Endpoint::Token) >= 1);

    server.set_hba(&[&line(provider.issuer())]);
    server.reload();
    let kid = provider.rotate();
    let outcome =
        DeviceLogin::new(&server, "alice", provider.issuer()).run(|p| provider.approve(p, "alice"));
    assert!(outcome.prompt.is_some(), "{outcome:?}");
    let keys = |provider: &OidcProvider| {
        Browser::new()
            .get(&format!("{}/jwks", provider.issuer()))
            .json()
    };
    assert_eq!(keys(&provider)["keys"][0]["kid"], kid);
    assert_eq!(keys(&provider)["keys"].as_array().map(Vec::len), Some(3));
    provider.retire_old_keys();
    assert_eq!(keys(&provider)["keys"].as_array().map(Vec::len), Some(2));
}
