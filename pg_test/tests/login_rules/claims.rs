//! Issuer, audience and times of a token whose signature is right.

use rig::{Issuer, Server, Token, now, oauth_line};
use serde_json::{Value, json};

use crate::start;

/// The payload as text, with something put before its closing brace.
fn claims_and(token: &Token, more: &str) -> String {
    let text = String::from_utf8(token.claims_json()).expect("JSON is UTF-8");
    let open = text.strip_suffix('}').expect("an object");
    format!("{open}{more}}}")
}

#[test]
fn claims_are_one_json_object_of_bounded_depth() {
    let (issuer, server) = start();
    let good = issuer.token("alice");
    let nested = |levels: usize| {
        let deep = format!(r#","x":{}{}"#, "[".repeat(levels), "]".repeat(levels));
        claims_and(&good, &deep).into_bytes()
    };
    for claims in [
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"alice\"".to_vec(),
        [good.claims_json(), b"x".to_vec()].concat(),
        [good.claims_json(), good.claims_json()].concat(),
        [b"\xef\xbb\xbf".to_vec(), good.claims_json()].concat(),
        claims_and(&good, ",").into_bytes(),
        claims_and(&good, ",\"x\":\"\u{1}\"").into_bytes(),
        [
            claims_and(&good, ",\"x\":\"")
                .trim_end_matches('}')
                .as_bytes(),
            b"\xff\"}",
        ]
        .concat(),
        good.claims_json()[..good.claims_json().len() - 1].to_vec(),
        nested(40),
        nested(5_000),
    ] {
        let token = good.clone().raw_claims(claims).encode();
        server.refuses("alice", &token, "claims_malformed");
    }
    server.admits("alice", &good.clone().raw_claims(nested(20)).encode());
    let spaced = [b" \n".to_vec(), good.claims_json(), b"\r\n".to_vec()].concat();
    server.admits("alice", &good.raw_claims(spaced).encode());
}

#[test]
fn claim_that_appears_twice_is_refused() {
    let (issuer, server) = start();
    let good = issuer.token("alice");
    for more in [
        r#","sub":"alice""#,
        r#","sub":"bob""#,
        r#","\u0073ub":"bob""#,
        r#","aud":"https://pg.example.test/""#,
        r#","exp":9999999999"#,
        r#","x":1,"x":1"#,
        r#","cnf":{"jkt":"a"},"cnf":null"#,
        r#","x":{"y":[{"z":1,"z":2}]}"#,
    ] {
        let token = good.clone().raw_claims(claims_and(&good, more));
        server.refuses("alice", &token.encode(), "duplicate_claim");
    }
    // Names are case-sensitive, and the same name at another place is another claim.
    let token = good
        .clone()
        .raw_claims(claims_and(&good, r#","SUB":"bob","x":{"sub":"bob"}"#));
    server.admits("alice", &token.encode());
}

#[test]
fn issuer_must_equal_the_hba_lines_byte_for_byte() {
    let (issuer, server) = start();
    let good = issuer.token("alice");
    server.refuses(
        "alice",
        &good.clone().without_claim("iss").encode(),
        "iss_missing",
    );
    for iss in [
        json!(1),
        Value::Null,
        json!([issuer.url()]),
        json!({"iss": issuer.url()}),
    ] {
        server.refuses(
            "alice",
            &good.clone().claim("iss", iss).encode(),
            "iss_malformed",
        );
    }
    let url = issuer.url();
    for iss in [
        String::new(),
        "https://other.example".to_owned(),
        format!("{url}/"),
        format!("{url}#"),
        format!(" {url}"),
        format!("{url}/.well-known/openid-configuration"),
        url.replace("/corp", "/CORP"),
        url.replace("/corp", "/%63orp"),
        url.replace("http:", "HTTP:"),
        url.replace("127.0.0.1", "localhost"),
        url.trim_end_matches("/realms/corp").to_owned(),
    ] {
        let token = good.clone().claim("iss", iss).encode();
        let verdict = server.refuses("alice", &token, "iss_mismatch");
        assert!(
            !verdict.log.contains("connection authenticated"),
            "{}",
            verdict.log
        );
    }
    let token = good.claim("iss", "https://other.example").encode();
    let verdict = server.refuses("alice", &token, "iss_mismatch");
    let hint = format!(
        "HINT:  The token says that it is from \"https://other.example\" (unverified); line 3 of pg_hba.conf, which matched, \
         is for \"{url}\"."
    );
    assert!(verdict.log.contains(&hint), "{}", verdict.log);
}

#[test]
fn each_line_takes_only_its_own_issuers_tokens() {
    let (corp, partner) = (
        Issuer::builder().start(),
        Issuer::builder().path("/realms/partner").start(),
    );
    let server = Server::trusting(&corp).log_everything().start();
    let line = |issuer: &Issuer, role: &str| {
        oauth_line(issuer.url(), "").replacen("all all", &format!("all {role}"), 1)
    };
    server.set_hba(&[&line(&corp, "alice"), &line(&partner, "bob")]);
    server.reload();
    server.admits("alice", &corp.token("alice").encode());
    server.admits("bob", &partner.token("bob").encode());
    server.refuses("bob", &corp.token("bob").encode(), "unknown_kid");
    server.refuses("alice", &partner.token("alice").encode(), "unknown_kid");
    // Not even if one publishes the other's keys, or signs in its name.
    partner.publish(&corp.signing_key());
    server.forget_keys();
    server.refuses("bob", &corp.token("bob").encode(), "iss_mismatch");
    corp.sign_with(&partner.signing_key());
    server.refuses("alice", &corp.token("alice").encode(), "unknown_kid");
}

#[test]
fn audience_must_name_this_server() {
    let (issuer, server) = start();
    let good = issuer.token("alice");
    let of = |aud: Value| good.clone().claim("aud", aud).encode();
    let own = Issuer::AUDIENCE;
    for aud in [
        json!(own),
        json!([own]),
        json!(["https://other.test", own]),
        json!([own, own]),
    ] {
        server.admits("alice", &of(aud));
    }
    server.refuses(
        "alice",
        &good.clone().without_claim("aud").encode(),
        "aud_missing",
    );
    for aud in [
        json!(1),
        Value::Null,
        json!({"aud": own}),
        json!([own, 1]),
        json!([[own]]),
        json!(true),
    ] {
        server.refuses("alice", &of(aud), "aud_malformed");
    }
    for aud in [
        json!(""),
        json!([]),
        json!("account"),
        json!(["account", "psql"]),
        json!(own.trim_end_matches('/')),
        json!(format!("{own}x")),
        json!(own.to_uppercase()),
        json!(format!("{own} account")),
        json!(format!("account,{own}")),
    ] {
        server.refuses("alice", &of(aud), "aud_mismatch");
    }
    let verdict = server.refuses("alice", &of(json!(["account", "psql"])), "aud_mismatch");
    let hint =
        format!("HINT:  The token names \"account, psql\"; validator.audience accepts \"{own}\".");
    assert!(verdict.log.contains(&hint), "{}", verdict.log);
    // What most tokens of a provider have is not offered for acceptance; another server's audience may be.
    assert!(
        verdict.log.contains("Do not accept \"account\" instead"),
        "{}",
        verdict.log
    );
    let offer = "for nothing but this server, add it to validator.audience";
    assert!(!verdict.log.contains(offer), "{}", verdict.log);
    let verdict = server.refuses("alice", &of(json!("https://other.test/")), "aud_mismatch");
    assert!(verdict.log.contains(offer), "{}", verdict.log);
}

#[test]
fn several_audiences_can_be_accepted() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.audience", "api://pg, \"with, comma\",urn:pg")
        .start();
    let of = |aud: &str| issuer.token("alice").claim("aud", aud).encode();
    for aud in ["api://pg", "with, comma", "urn:pg"] {
        server.admits("alice", &of(aud));
    }
    for aud in [
        "api://pg, urn:pg",
        "with",
        " urn:pg",
        "api://",
        Issuer::AUDIENCE,
    ] {
        server.refuses("alice", &of(aud), "aud_mismatch");
    }
}

#[test]
fn token_expires() {
    let (issuer, server) = start();
    let good = issuer.token("alice");
    let at = |exp: Value| good.clone().claim("exp", exp).encode();
    // 30 s of clock skew are allowed unless set otherwise; a busy machine needs some seconds.
    for exp in [
        json!(now() + 5),
        json!(now() - 10),
        json!(now() as f64 + 20.75),
        json!(1e15),
        json!(u64::MAX),
    ] {
        server.admits("alice", &at(exp));
    }
    server.refuses(
        "alice",
        &good.clone().without_claim("exp").encode(),
        "exp_missing",
    );
    for exp in [
        json!((now() + 300).to_string()),
        Value::Null,
        json!(true),
        json!([now() + 300]),
        json!({}),
    ] {
        server.refuses("alice", &at(exp), "exp_malformed");
    }
    for exp in [
        json!(now() - 31),
        json!(now() - 86_400),
        json!(0),
        json!(-1),
        json!(now() as f64 - 40.5),
        json!(-1e300),
    ] {
        server.refuses("alice", &at(exp), "expired");
    }
    server.reload_with(&[("validator.clock_skew", "0")]);
    server.refuses("alice", &at(json!(now() - 1)), "expired");
    server.refuses("alice", &at(json!(now())), "expired");
    server.admits("alice", &at(json!(now() + 60)));
    server.reload_with(&[("validator.clock_skew", "5min")]);
    server.admits("alice", &at(json!(now() - 250)));
    server.refuses("alice", &at(json!(now() - 301)), "expired");
}

#[test]
fn token_is_not_valid_before_its_time() {
    let (issuer, server) = start();
    let good = issuer.token("alice").claim("exp", now() + 100_000);
    let at = |nbf: Value| good.clone().claim("nbf", nbf).encode();
    for nbf in [
        json!(now()),
        json!(now() + 25),
        json!(0),
        json!(-5),
        json!(now() as f64 - 0.5),
    ] {
        server.admits("alice", &at(nbf));
    }
    for nbf in [
        json!(now().to_string()),
        Value::Null,
        json!(false),
        json!([]),
    ] {
        server.refuses("alice", &at(nbf), "nbf_malformed");
    }
    for nbf in [
        json!(now() + 60),
        json!(now() + 86_400),
        json!(u64::MAX),
        json!(1e300),
    ] {
        server.refuses("alice", &at(nbf), "not_yet_valid");
    }
    server.reload_with(&[("validator.clock_skew", "5min")]);
    server.admits("alice", &at(json!(now() + 295)));
}

#[test]
fn token_is_not_issued_in_the_future() {
    let (issuer, server) = start();
    let good = issuer.token("alice").claim("exp", now() + 100_000);
    let at = |iat: Value| good.clone().claim("iat", iat).encode();
    server.admits("alice", &good.clone().without_claim("iat").encode());
    for iat in [
        json!(now() + 25),
        json!(now() - 86_400),
        json!(0),
        json!(now() as f64 + 0.5),
    ] {
        server.admits("alice", &at(iat));
    }
    for iat in [
        json!(now().to_string()),
        Value::Null,
        json!(true),
        json!({}),
    ] {
        server.refuses("alice", &at(iat), "iat_malformed");
    }
    for iat in [json!(now() + 60), json!(now() + 86_400), json!(1e18)] {
        server.refuses("alice", &at(iat), "issued_in_future");
    }
}

#[test]
fn age_of_a_token_can_be_limited() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.max_token_age", "10min")
        .start();
    let good = issuer.token("alice").claim("exp", now() + 100_000);
    let at = |iat: i64| good.clone().claim("iat", iat).encode();
    server.admits("alice", &at(now()));
    server.admits("alice", &at(now() - 590));
    server.refuses("alice", &at(now() - 631), "too_old");
    server.refuses("alice", &at(0), "too_old");
    let ageless = good.clone().without_claim("iat").encode();
    server.refuses("alice", &ageless, "iat_missing");
    server.reload_with(&[("validator.max_token_age", "0")]);
    server.admits("alice", &at(now() - 631));
    server.admits("alice", &ageless);
}
