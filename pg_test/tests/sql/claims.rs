//! `claims()`, `claim()` and `token_expires_at()`, and row-level security by them.

use rig::{Issuer, Login, Server, Session, now};
use serde_json::{Value, json};

use crate::{BOTH, server_of, server_that_asks, with_extension};

/// Logs in as alice with these claims, too.
fn session_with(server: &Server, issuer: &Issuer, claims: Value) -> Session {
    let mut token = issuer.token("alice");
    for (name, value) in claims.as_object().expect("an object") {
        token = token.claim(name, value.clone());
    }
    server.admits("alice", &token.encode())
}

#[test]
fn session_sees_the_verified_claims_of_its_login() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        let exp = now() + 300;
        let claims = json!({
            "exp": exp, "tenant": "acme", "n": 1.5, "big": 123456789012345_i64, "yes": true, "none": null,
            "realm": {"roles": ["a", "b"]}, "odd/name": "x", "name": "Zo\u{eb} \u{1f511}",
        });
        let token = issuer.token("alice").encode();
        let mut session = session_with(&server, &issuer, claims);
        let mut claim = |name: &str| session.value(&format!("SELECT validator.claim('{name}')"));
        assert_eq!(claim("tenant"), "acme");
        assert_eq!(claim("n"), "1.5");
        assert_eq!(claim("big"), "123456789012345");
        assert_eq!(claim("yes"), "true");
        assert_eq!(claim("realm"), r#"{"roles": ["a", "b"]}"#);
        assert_eq!(claim("/realm/roles/1"), "b");
        assert_eq!(claim("/odd~1name"), "x");
        assert_eq!(claim("name"), "Zo\u{eb} \u{1f511}");
        assert_eq!(claim("iss"), issuer.url());
        for absent in ["none", "Tenant", "/realm/roles/2", "realm.roles", "/"] {
            let sql = format!("SELECT validator.claim('{absent}') IS NULL");
            assert_eq!(session.value(&sql), "t", "{absent}");
        }
        assert_eq!(session.value("SELECT validator.claim(NULL) IS NULL"), "t");
        assert_eq!(
            session.value("SELECT extract(epoch FROM validator.token_expires_at())::bigint"),
            exp.to_string()
        );
        let claims: Value =
            serde_json::from_str(&session.value("SELECT validator.claims()")).expect("JSON");
        assert_eq!(claims["realm"], json!({"roles": ["a", "b"]}));
        assert_eq!(claims["sub"], "alice");
        assert!(!claims.to_string().contains(&token));
        // Another role does not make another login.
        server.sql("GRANT bob TO alice");
        session.value("SET ROLE bob; SELECT 1");
        assert_eq!(session.value("SELECT validator.claim('tenant')"), "acme");
        // Each session has its own.
        let mut other = session_with(&server, &issuer, json!({"tenant": "umbrella"}));
        assert_eq!(other.value("SELECT validator.claim('tenant')"), "umbrella");
        assert_eq!(session.value("SELECT validator.claim('tenant')"), "acme");
    }
}

#[test]
fn session_that_no_token_opened_has_no_claims() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload).hba("local all carol trust"));
        let _somebody = server.admits("alice", &issuer.token("alice").encode());
        let mut carol = Login::by_socket(&server, "carol").run().session();
        assert_eq!(
            carol.value(
                "SELECT validator.claims() IS NULL AND validator.claim('sub') IS NULL \
                 AND validator.token_expires_at() IS NULL"
            ),
            "t"
        );
    }
}

#[test]
fn path_that_is_none_is_an_error() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let mut session = session_with(&server, &issuer, json!({}));
    for path in ["", "/a~2", "/a~"] {
        let error = session
            .query(&format!("SELECT validator.claim('{path}')"))
            .expect_err(path);
        assert_eq!(error.code(), "22023", "{path}");
    }
}

#[test]
fn text_that_the_database_can_not_hold_is_an_error_and_not_another_text() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let claims = json!({"nul": "a\u{0}b", "name": "Zo\u{eb}", "key": "\u{1f511}"});
    let mut session = session_with(&server, &issuer, claims.clone());
    let code =
        |session: &mut Session, sql: &str| session.query(sql).expect_err(sql).code().to_owned();
    assert_eq!(code(&mut session, "SELECT validator.claim('nul')"), "22P05");
    assert_eq!(code(&mut session, "SELECT validator.claims()"), "22P05");
    assert_eq!(session.value("SELECT validator.claim('name')"), "Zo\u{eb}");

    server.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let mut admin = Login::by_socket(&server, "postgres")
        .database("latin")
        .run()
        .session();
    admin.value("CREATE EXTENSION validator; SELECT 1");
    let mut token = issuer.token("alice");
    for (name, value) in claims.as_object().expect("an object") {
        token = token.claim(name, value.clone());
    }
    let mut session = Login::new(&server, "alice")
        .database("latin")
        .token(&token.encode())
        .run()
        .session();
    assert_eq!(session.value("SELECT length(validator.claim('name'))"), "3");
    assert_eq!(
        session.value("SELECT validator.claim('name') = U&'Zo\\00eb'"),
        "t"
    );
    assert_eq!(code(&mut session, "SELECT validator.claim('key')"), "22P05");
}

#[test]
fn claims_of_an_opaque_token_are_the_providers_word_without_the_token() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_that_asks(&issuer));
    let token = issuer.opaque_token("alice");
    let mut word = issuer.word_on("alice");
    word["tenant"] = json!("acme");
    word["access_token"] = json!(token);
    issuer.say(&token, word);
    // From the provider, then from the cache.
    for _ in 0..2 {
        let mut session = server.admits("alice", &token);
        assert_eq!(session.value("SELECT validator.claim('tenant')"), "acme");
        assert!(!session.value("SELECT validator.claims()").contains(&token));
    }
}

/// The example of docs/row-level-security.md.
fn with_orders(issuer: &Issuer, preload: bool) -> Server {
    let server = with_extension(server_of(issuer, preload));
    let page = include_str!("../../../docs/row-level-security.md");
    let example = page
        .split("```sql")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("the page has an example");
    server.sql("CREATE ROLE app; GRANT app TO alice, bob");
    server.sql(example);
    server.sql("INSERT INTO orders SELECT CASE WHEN i % 2 = 0 THEN 'acme' ELSE 'umbrella' END, i FROM generate_series(1, 20000) i; ANALYZE orders");
    server
}

#[test]
fn policy_lets_a_session_see_and_change_the_rows_of_its_tenant_only() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_orders(&issuer, preload);
        let mut acme = session_with(&server, &issuer, json!({"tenant": "acme"}));
        let seen = "SELECT count(*), min(tenant), max(tenant) FROM orders";
        let rows = acme.query(seen).expect("alice may read");
        assert_eq!(
            rows,
            [["10000", "acme", "acme"].map(|text| Some(text.to_owned()))]
        );
        let error = acme
            .query("INSERT INTO orders VALUES ('umbrella', 0)")
            .expect_err("not her tenant");
        assert_eq!(error.code(), "42501");
        acme.query("INSERT INTO orders VALUES ('acme', 0)")
            .expect("her tenant");
        // A session without the claim, or without a token, sees nothing.
        let mut nobody = session_with(&server, &issuer, json!({}));
        assert_eq!(nobody.value("SELECT count(*) FROM orders"), "0");
    }
}

#[test]
fn policy_holds_in_parallel_plans() {
    let issuer = Issuer::builder().start();
    let server = with_orders(&issuer, false);
    let mut acme = session_with(&server, &issuer, json!({"tenant": "acme"}));
    acme.query(
        "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; \
         SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off",
    )
    .expect("settings of hers");
    let sql = "SELECT count(*) FROM orders WHERE amount >= 0";
    let plan = acme
        .query(&format!("EXPLAIN (ANALYZE, COSTS OFF) {sql}"))
        .expect("a plan");
    let plan: Vec<String> = plan.into_iter().flatten().flatten().collect();
    assert!(plan.iter().any(|line| line.contains("Gather")), "{plan:#?}");
    assert!(
        plan.iter()
            .any(|line| line.contains("Workers Launched: ") && !line.ends_with(" 0")),
        "{plan:#?}"
    );
    assert_eq!(acme.value(sql), "10000");

    // Asked for row by row the claims are this process's own too, whatever the plan.
    server.sql("DROP POLICY own_tenant ON orders; CREATE POLICY own_tenant ON orders USING (tenant = validator.claim('tenant'))");
    for debug in ["off", "on", "regress"] {
        acme.query(&format!("SET debug_parallel_query = {debug}"))
            .expect("a setting of hers");
        assert_eq!(acme.value(sql), "10000");
        assert_eq!(acme.value("SELECT validator.claim('tenant')"), "acme");
        assert_eq!(acme.value("SELECT validator.claims() ->> 'tenant'"), "acme");
    }
}

#[test]
fn user_can_not_forge_claims() {
    let issuer = Issuer::builder().start();
    let server = with_orders(&issuer, false);
    server.sql("GRANT CREATE ON SCHEMA public TO alice; GRANT CREATE, TEMPORARY ON DATABASE postgres TO alice");
    let mut alice = session_with(&server, &issuer, json!({"tenant": "acme"}));
    let refused = |alice: &mut Session, sql: &str| {
        let error = alice.query(sql).expect_err(sql);
        assert!(
            ["42501", "42P13", "42883", "55P02"].contains(&error.code()),
            "{sql}: {error}"
        );
    };
    refused(
        &mut alice,
        "CREATE OR REPLACE FUNCTION validator.claim(name text) RETURNS text LANGUAGE sql RETURN 'umbrella'",
    );
    refused(
        &mut alice,
        "CREATE FUNCTION validator.claim(name varchar) RETURNS text LANGUAGE sql RETURN 'umbrella'",
    );
    refused(
        &mut alice,
        "ALTER FUNCTION validator.claims() SET search_path = public",
    );
    refused(
        &mut alice,
        "CREATE FUNCTION c(text) RETURNS text LANGUAGE c AS '$libdir/validator', 'own_claims_wrapper'",
    );
    refused(&mut alice, "ALTER TABLE orders DISABLE ROW LEVEL SECURITY");
    refused(&mut alice, "ALTER EXTENSION validator UPDATE");
    refused(&mut alice, "SET validator.audience = 'x'");
    // What she makes of her own is not what a policy calls, whatever her search path.
    alice
        .query(
            "CREATE FUNCTION public.claim(name text) RETURNS text LANGUAGE sql RETURN 'umbrella'; \
             CREATE FUNCTION public.own_claims(path text) RETURNS text LANGUAGE sql RETURN '\"umbrella\"'; \
             CREATE FUNCTION pg_temp.jsonb(text) RETURNS jsonb LANGUAGE sql RETURN '\"umbrella\"'::pg_catalog.jsonb; \
             CREATE FUNCTION public.pick(jsonb, text[]) RETURNS text LANGUAGE sql RETURN 'umbrella'; \
             CREATE OPERATOR public.#>> (LEFTARG = jsonb, RIGHTARG = text[], FUNCTION = public.pick); \
             SET search_path = pg_temp, public, validator, pg_catalog; SET ROLE app",
        )
        .expect("objects of hers");
    assert_eq!(alice.value("SELECT validator.claim('tenant')"), "acme");
    assert_eq!(
        alice.value("SELECT string_agg(DISTINCT tenant, ',') FROM public.orders"),
        "acme"
    );
}
