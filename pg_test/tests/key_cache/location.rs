//! Keys from where the settings say.

use rig::{Endpoint, Fault, Issuer};
use serde_json::json;

use crate::{Mode, asked, assert_settled, log_in};

#[test]
fn jwks_uri_is_asked_instead_of_the_metadata() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        issuer.fail(Endpoint::Discovery, Fault::Status(500));
        let uri = format!("{}/jwks", issuer.url());
        let server = mode
            .server_of(&issuer)
            .set("validator.jwks_uri", &uri)
            .start();
        log_in(&server, &issuer);
        log_in(&server, &issuer);
        assert_eq!(asked(&issuer), (0, 1), "{mode:?}");
        // Tokens must name the issuer as ever.
        let other = issuer
            .token("alice")
            .claim("iss", "https://other.test")
            .encode();
        server.refuses("alice", &other, "iss_mismatch");
        assert_settled(&server, &issuer);
    }
}

#[test]
fn discovery_url_is_asked_and_must_name_the_issuer() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        issuer.fail(Endpoint::Discovery, Fault::Status(500));
        let url = format!(
            "{}/.well-known/oauth-authorization-server/realms/corp",
            issuer.origin()
        );
        let server = mode
            .server_of(&issuer)
            .set("validator.discovery_url", &url)
            .start();
        log_in(&server, &issuer);
        log_in(&server, &issuer);
        assert_eq!(asked(&issuer), (0, 1), "{mode:?}");
        assert_eq!(issuer.hits(Endpoint::ServerMetadata), 1);
        server.forget_keys();
        issuer.fail(
            Endpoint::ServerMetadata,
            Fault::altered(|document| document["issuer"] = json!("https://other.test")),
        );
        let token = issuer.token("alice").encode();
        let verdict = server.refuses("alice", &token, "provider_unavailable");
        let cause = format!("cause=issuer_mismatch url={url}");
        assert!(verdict.log.contains(&cause), "{}", verdict.log);
    }
}

#[test]
fn location_that_is_changed_is_asked_at_the_next_login_though_keys_are_cached() {
    for mode in Mode::BOTH {
        let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
        let server = mode.server_of(&issuer).start();
        let token = issuer.token("alice").encode();
        let by_other = issuer
            .token("alice")
            .signed_by(&other.rotate(), rig::Alg::ES256)
            .encode();
        server.admits("alice", &token);
        // The first unknown key causes a fetch, and the next one none.
        server.refuses("alice", &by_other, "unknown_kid");
        let uri = format!("{}/jwks", other.url());
        server.reload_with(&[("validator.jwks_uri", &uri)]);
        server.admits("alice", &by_other);
        assert_eq!(
            (asked(&issuer), asked(&other)),
            ((2, 2), (0, 1)),
            "{mode:?}"
        );
        // And back: what was cached is still there.
        server.unset("validator.jwks_uri");
        server.reload();
        server.refuses("alice", &by_other, "unknown_kid");
        server.admits("alice", &token);
        assert_eq!(
            (asked(&issuer), asked(&other)),
            ((2, 2), (0, 1)),
            "{mode:?}"
        );
    }
}

#[test]
fn location_that_must_not_be_asked_is_refused() {
    let issuer = Issuer::builder().start();
    let server = Mode::OnDemand.server_of(&issuer).start();
    let token = issuer.token("alice").encode();
    for setting in ["validator.jwks_uri", "validator.discovery_url"] {
        for url in ["http://idp.test/jwks", "file:///etc/passwd", "idp.test"] {
            server.reload_with(&[(setting, url)]);
            server.refuses("alice", &token, "setting_invalid");
        }
        server.unset(setting);
    }
    assert_eq!(issuer.requests().len(), 0);
    server.reload();
    server.admits("alice", &token);
}
