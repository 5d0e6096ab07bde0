//! Findings about the provider that a line names.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, Key, KeyKind, Login, Response, Server};
use serde_json::json;

use crate::{assert_findings, clinic, good_line, healthy, line, only_detail, second_line, started};

fn patient() -> (Issuer, Server) {
    let (issuer, builder) = healthy();
    (issuer, started(builder))
}

#[test]
fn provider_does_not_answer() {
    let (issuer, server) = patient();
    issuer.go_down();
    let found = assert_findings(&server, &["error provider_unavailable"]);
    assert!(found[0].detail.contains("connection failed"), "{found:?}");
    assert!(
        found[0]
            .detail
            .contains("/.well-known/openid-configuration"),
        "{found:?}"
    );
    assert!(
        found[0].advice.contains("must be able to reach this URL"),
        "{found:?}"
    );
    issuer.come_up();
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn provider_answers_in_other_ways_than_a_provider() {
    let (issuer, server) = patient();
    for (endpoint, fault, detail) in [
        (Endpoint::Discovery, Fault::Status(503), "HTTP status 503"),
        (Endpoint::Discovery, Fault::Html, "not a JSON object"),
        (Endpoint::Discovery, Fault::Redirect(302), "redirect 302"),
        (Endpoint::Jwks, Fault::Oversize(300_000), "too large"),
        (Endpoint::Jwks, Fault::Status(404), "HTTP status 404"),
    ] {
        issuer.fail(endpoint, fault);
        let told = only_detail(&server, "error provider_unavailable");
        assert!(told.contains(detail), "{told}");
        issuer.heal();
    }
}

#[test]
fn access_tokens_of_ad_fs_have_another_issuer_than_is_accepted() {
    let issuer = Issuer::builder().https().path("/adfs").start();
    let builder = clinic()
        .hba(&good_line(issuer.url()))
        .set("validator.provider", "adfs");
    let server = started(builder);
    // Its URL has a port, so the name does not follow from it.
    let detail = only_detail(&server, "error access_token_issuer_differs");
    assert!(detail.contains("all are refused"), "{detail}");
    let name = "http://FS.CORP.EXAMPLE/adfs/services/trust";
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(move |document| document["access_token_issuer"] = json!(name)),
    );
    let found = assert_findings(&server, &["error access_token_issuer_differs"]);
    assert!(found[0].detail.contains(name), "{found:?}");
    let lower = name.to_lowercase();
    server.reload_with(&[("validator.access_token_issuer", &lower)]);
    let detail = only_detail(&server, "error access_token_issuer_differs");
    assert!(detail.contains(&format!("\"{lower}\"")), "{detail}");
    server.reload_with(&[("validator.access_token_issuer", name)]);
    assert_findings(&server, &["ok ok"]);
    // Another provider's metadata may say what it likes of it.
    server.reload_with(&[
        ("validator.provider", "keycloak"),
        ("validator.access_token_issuer", "urn:x"),
    ]);
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn provider_is_not_trusted() {
    let (_issuer, server) = patient();
    server.unset("validator.ca_file");
    server.reload();
    let found = assert_findings(&server, &["error provider_unavailable"]);
    assert!(found[0].detail.contains("TLS failed"), "{found:?}");
    assert!(found[0].advice.contains("validator.ca_file"), "{found:?}");
    server.reload_with(&[("validator.ca_file", "/nonexistent")]);
    let detail = only_detail(&server, "error setting_invalid");
    assert!(detail.contains("validator.ca_file"), "{detail}");
}

#[test]
fn discovery_document_is_of_another_issuer() {
    let (issuer, server) = patient();
    let other = format!("{}/", issuer.url());
    let named = other.clone();
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(move |document| document["issuer"] = json!(named)),
    );
    let found = assert_findings(&server, &["error issuer_mismatch"]);
    assert!(
        found[0].detail.contains(&format!("\"{other}\"")),
        "{found:?}"
    );
    assert!(found[0].advice.contains("trailing slash"), "{found:?}");
    let near = format!(
        "The line has \"{}\": they differ only by a slash at the end.",
        issuer.url()
    );
    assert!(found[0].detail.ends_with(&near), "{found:?}");
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(|document| document["issuer"] = json!("https://other.example")),
    );
    let detail = only_detail(&server, "error issuer_mismatch");
    assert!(!detail.contains("differ only"), "{detail}");
}

#[test]
fn provider_has_no_usable_key() {
    let (issuer, server) = patient();
    issuer.publish_only(&[
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "RSA", "kid": "a"}),
    ]);
    let detail = only_detail(&server, "error no_usable_key");
    let told = r#"no usable signature key: key 1: "kty" is "oct"; key "a": "n" is missing."#;
    assert!(detail.contains(told), "{detail}");
    issuer.publish_only(&[]);
    let detail = only_detail(&server, "error no_usable_key");
    assert!(
        detail.contains("no usable signature key: it is empty"),
        "{detail}"
    );
    // One that is good, and not for an algorithm that is accepted.
    issuer.publish(&Key::new(KeyKind::P256));
    assert_findings(&server, &["ok ok"]);
    server.reload_with(&[("validator.algorithms", "RS256")]);
    let detail = only_detail(&server, "error no_usable_key");
    assert!(detail.contains("validator.algorithms"), "{detail}");
}

#[test]
fn keys_are_in_a_file() {
    let (issuer, server) = patient();
    issuer.go_down();
    let file = server.data_folder().join("keys.json");
    server.reload_with(&[("validator.jwks_file", &file.display().to_string())]);
    let detail = only_detail(&server, "error setting_invalid");
    assert!(detail.contains("validator.jwks_file"), "{detail}");
    let write = |text: &str| std::fs::write(&file, text).expect("a file can be written");
    write("{}");
    only_detail(&server, "error setting_invalid");
    write(&json!({"keys": [Key::new(KeyKind::P256).jwk()]}).to_string());
    let detail = only_detail(&server, "ok ok");
    assert!(
        detail.contains("the keys of validator.jwks_file."),
        "{detail}"
    );
}

/// The time in so many seconds, as a header has it.
fn date(server: &Server, ahead: i64) -> String {
    server.http_date(ahead)
}

#[test]
fn clocks_differ() {
    let (issuer, server) = patient();
    // 30 seconds are allowed.
    for (ahead, expected, effect) in [
        (280, "ahead of", "issued_in_future"),
        (-280, "behind", "too early (expired)"),
    ] {
        issuer.add_header(Endpoint::Jwks, "Date", &date(&server, ahead));
        let detail = only_detail(&server, "error clock_differs");
        for part in [
            expected,
            effect,
            "Which of the two is wrong cannot be told",
            "clock_skew is 30 s, and 300 s at most, which would cover this",
        ] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        // To the second, give or take how long this takes.
        let seconds = detail
            .split_whitespace()
            .find_map(|word| word.parse::<i64>().ok());
        assert!(
            seconds.is_some_and(|s| (250..=290).contains(&s)),
            "{detail}"
        );
        server.reload_with(&[("validator.clock_skew", "300s")]);
        assert_findings(&server, &["ok ok"]);
        server.unset("validator.clock_skew");
        server.reload();
        issuer.remove_headers(Endpoint::Jwks);
    }
    for ahead in [3600, -3600] {
        issuer.add_header(Endpoint::Jwks, "Date", &date(&server, ahead));
        let detail = only_detail(&server, "error clock_differs");
        assert!(detail.contains("does not cover this"), "{detail}");
        issuer.remove_headers(Endpoint::Jwks);
    }
    // A cache between has kept the answer for five minutes.
    issuer.add_header(Endpoint::Jwks, "Date", &date(&server, -300));
    issuer.add_header(Endpoint::Jwks, "Age", "300");
    assert_findings(&server, &["ok ok"]);
    issuer.remove_headers(Endpoint::Jwks);
    // No time, or none that can be read.
    issuer.add_header(Endpoint::Jwks, "Date", "yesterday");
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn other_providers_tell_whose_clock_is_wrong() {
    let [one, two] = [(), ()].map(|()| Issuer::builder().https().start());
    let server = started(
        clinic()
            .set("validator.identity_prefix", "x:")
            .hba(&good_line(one.url()))
            .hba(&second_line(two.url())),
    );
    let hour_ahead = date(&server, 3600);
    let told = || {
        let found = crate::examine(&server).into_iter();
        found
            .filter(|row| row.code == "clock_differs")
            .map(|row| row.detail)
            .collect::<Vec<_>>()
    };
    one.add_header(Endpoint::Jwks, "Date", &hour_ahead);
    let details = told();
    assert!(
        details[0].contains("cannot be told from here"),
        "{details:?}"
    );
    two.add_header(Endpoint::Jwks, "Date", &date(&server, 0));
    let details = told();
    assert_eq!(details.len(), 1, "{details:?}");
    let whose = "1 other provider has this server's time, so it is the provider's clock";
    assert!(details[0].contains(whose), "{details:?}");
    two.remove_headers(Endpoint::Jwks);
    two.add_header(Endpoint::Jwks, "Date", &hour_ahead);
    let details = told();
    assert_eq!(details.len(), 2, "{details:?}");
    let whose = "1 other provider has the same time, so it is this server's clock";
    assert!(
        details.iter().all(|told| told.contains(whose)),
        "{details:?}"
    );
}

#[test]
fn provider_can_bind_tokens_to_certificates_that_are_not_asked_for() {
    let (issuer, server) = patient();
    let says = |value: serde_json::Value| {
        issuer.fail(
            Endpoint::Discovery,
            Fault::altered(move |document| {
                document["tls_client_certificate_bound_access_tokens"] = value.clone();
            }),
        );
    };
    for value in [json!(false), json!("true"), json!(null), json!([true])] {
        says(value);
        assert_findings(&server, &["ok ok"]);
    }
    says(json!(true));
    let detail = only_detail(&server, "notice certificates_not_asked_for");
    assert!(
        detail.contains("tokens that are bound are refused"),
        "{detail}"
    );
    let authority = rig::Authority::shared().file().display().to_string();
    server.reload_with(&[("ssl_ca_file", &authority)]);
    assert_findings(&server, &["ok ok"]);
    server.unset("ssl_ca_file");
    server.reload_with(&[("validator.require_bound_token", "on")]);
    only_detail(&server, "error certificates_not_asked_for");
}

#[test]
fn each_provider_is_asked_for_itself() {
    let up = Issuer::builder().https().start();
    let down = Issuer::builder().https().path("/down").start();
    down.go_down();
    let server = started(
        clinic()
            .hba(&good_line(down.url()))
            .hba(&second_line(up.url())),
    );
    let found = assert_findings(
        &server,
        &[
            "error provider_unavailable",
            "warning identity_shared",
            "warning identity_shared",
        ],
    );
    assert_eq!((&*found[0].line, &*found[2].line), ("3", "4"));
}

#[test]
fn a_provider_that_hangs_does_not_hold_the_doctor() {
    let (issuer, server) = patient();
    issuer.fail(Endpoint::Discovery, Fault::Hang);
    server.reload_with(&[("validator.http_timeout", "500ms")]);
    let detail = only_detail(&server, "error provider_unavailable");
    assert!(detail.contains("no answer in time"), "{detail}");
    server.reload_with(&[("validator.http_timeout", "60s")]);
    let start = Instant::now();
    thread::scope(|scope| {
        let check = scope.spawn(|| {
            let mut session = Login::by_socket(&server, "postgres").run().session();
            session.query("SELECT * FROM validator.check_config()")
        });
        let pid = server.wait_for_backend("wait_event = 'ValidatorFetch'");
        server.sql(&format!("SELECT pg_cancel_backend({pid})"));
        let error = check.join().expect("no panic").expect_err("canceled");
        assert_eq!(error.code(), "57014");
    });
    assert!(start.elapsed() < Duration::from_secs(30));
}

/// One after the other, the second would be asked a minute later.
#[test]
fn providers_are_asked_at_the_same_time() {
    let issuers = [(); 3].map(|()| Issuer::builder().https().start());
    let server = started(clinic().set("validator.http_timeout", "60s"));
    let lines: Vec<String> = issuers
        .iter()
        .map(|issuer| {
            issuer.fail(Endpoint::Discovery, Fault::Hang);
            line("hostssl", issuer.url(), Issuer::SCOPE, "")
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    server.set_hba(&lines);
    server.reload();
    thread::scope(|scope| {
        let check = scope.spawn(|| {
            let mut session = Login::by_socket(&server, "postgres").run().session();
            session.query("SELECT * FROM validator.check_config()")
        });
        let pid = server.wait_for_backend("wait_event = 'ValidatorFetch'");
        let limit = Instant::now() + Duration::from_secs(30);
        while issuers
            .iter()
            .any(|issuer| issuer.hits(Endpoint::Discovery) == 0)
        {
            assert!(Instant::now() < limit, "not all were asked");
            thread::sleep(Duration::from_millis(20));
        }
        server.sql(&format!("SELECT pg_cancel_backend({pid})"));
        let error = check.join().expect("no panic").expect_err("canceled");
        assert_eq!(error.code(), "57014");
    });
    for issuer in &issuers {
        assert_eq!(issuer.hits(Endpoint::Discovery), 1);
    }
}

#[test]
fn what_a_provider_says_can_not_forge_rows() {
    let (issuer, server) = patient();
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(|document| document["issuer"] = json!("https://x\n\u{0}\u{202e}\u{7f}ü")),
    );
    let detail = only_detail(&server, "error issuer_mismatch");
    assert!(
        detail.chars().all(|c| !c.is_control() && c != '\u{202e}'),
        "{detail:?}"
    );
}

#[test]
fn keys_that_are_not_used_are_told_with_the_reason() {
    let (issuer, server) = patient();
    let good = Key::new(KeyKind::P256);
    let encryption = good.with_kid("abc").jwk_with(json!({"use": "enc"}));
    let curve = good.without_kid().jwk_with(json!({"crv": "secp256k1"}));
    let published = Key::new(KeyKind::P256).with_kid("\n\u{202e}x");
    let published = published.jwk_with(json!({"d": "AQAB"}));
    issuer.publish_only(&[encryption.clone(), good.jwk()]);
    let found = assert_findings(&server, &["ok ok"]);
    let told = "usable keys: 1, not used: key \"abc\": \"use\" is \"enc\".";
    assert!(found[0].detail.contains(told), "{found:?}");
    issuer.publish_only(&[encryption.clone(), good.jwk(), curve.clone()]);
    let told = only_detail(&server, "notice keys_unusable");
    let expected = "Not used: key \"abc\": \"use\" is \"enc\"; key 3: \"crv\" is \"secp256k1\".";
    assert_eq!(told, expected);
    issuer.publish_only(&[encryption, good.jwk(), curve, published]);
    let found = assert_findings(&server, &["warning keys_unusable"]);
    let told = "key 3: \"crv\" is \"secp256k1\"; key \"\\u{a}\\u{202e}x\": \"d\" publishes its private part.";
    assert!(found[0].detail.contains(told), "{found:?}");
    let jwks: Vec<_> = (0..100)
        .map(|_| Key::new(KeyKind::P256).jwk_with(json!({"use": "enc"})))
        .collect();
    issuer.publish_only(&[&[good.jwk()], &jwks[..]].concat());
    let found = assert_findings(&server, &["ok ok"]);
    assert!(found[0].detail.contains("; and 90 more."), "{found:?}");
}

#[test]
fn provider_publishes_more_keys_than_are_kept() {
    let (issuer, server) = patient();
    let jwks: Vec<_> = (0..129).map(|_| Key::new(KeyKind::P256).jwk()).collect();
    issuer.publish_only(&jwks[..128]);
    let found = assert_findings(&server, &["ok ok"]);
    assert!(found[0].detail.contains("usable keys: 128"), "{found:?}");
    issuer.publish_only(&jwks);
    let told = only_detail(&server, "warning key_set_too_large");
    assert!(
        told.contains("1 signature keys more than the 128"),
        "{told}"
    );
}

#[test]
fn provider_is_read_as_a_login_would_read_it() {
    let (issuer, server) = patient();
    let mut odd = issuer.signing_key().jwk();
    odd["d"] = json!(null);
    odd["key_ops"] = json!([]);
    let document = json!({ "keys": [odd.clone()] }).to_string();
    let marked = format!("\u{feff}{}", document.replacen('{', "{\"x\":1,\"x\":2,", 1));
    let answer = Response::new(200, "text/plain", marked);
    issuer.fail(Endpoint::Jwks, Fault::Answer(answer));
    let found = assert_findings(&server, &["ok ok"]);
    assert!(found[0].detail.contains("usable keys: 1"), "{found:?}");
    let mut coded = Response::json(200, &json!({}));
    let coding = ("Content-Encoding".to_owned(), "br".to_owned());
    coded.headers.push(coding);
    issuer.fail(Endpoint::Jwks, Fault::Answer(coded));
    let told = only_detail(&server, "error provider_unavailable");
    assert!(told.contains("content coding \"br\""), "{told}");
    odd["p"] = json!("AQAB");
    let published = Response::json(200, &json!({ "keys": [odd] }));
    issuer.fail(Endpoint::Jwks, Fault::Answer(published));
    assert_findings(&server, &["error no_usable_key"]);
}
