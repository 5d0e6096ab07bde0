//! The issuer of the HBA line, plain http, and the authority that is trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rig::{Authority, Issuer, Server, oauth_line, scratch};

#[test]
fn plain_http_is_refused_unless_it_is_allowed() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    let token = issuer.token("alice").encode();
    server.unset("validator.allow_http");
    server.reload();
    let verdict = server.refuses("alice", &token, "issuer_invalid");
    assert!(
        verdict.log.contains("the URL is not https"),
        "{}",
        verdict.log
    );
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
    server.reload_with(&[("validator.allow_http", "on")]);
    server.admits("alice", &token);
}

#[test]
fn issuer_that_is_no_issuers_url_is_refused() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    let token = issuer.token("alice").encode();
    for url in [
        "corp",
        "127.0.0.1:8080/realms/corp",
        "ftp://127.0.0.1/realms/corp",
        "https://",
        "https://user:password@idp.test/",
        "https://idp.test/?tenant=corp",
        "https://idp.test/#corp",
        "https://idp.test/re alm",
        "https://idp.test:0/",
        "https://idp.test/.well-known/security.txt",
        "https://idp.test/a/.well-known/openid-configuration/b",
        // Plain http leads to a loopback address only.
        "http://idp.test/realms/corp",
        "http://10.0.0.1/realms/corp",
        "http://127.0.0.1.idp.test/realms/corp",
        "http://localhost@idp.test/",
    ] {
        server.set_hba(&[&oauth_line(url, "")]);
        server.reload();
        let verdict = server.refuses("alice", &token, "issuer_invalid");
        let hint = "HINT:  Set issuer=\"...\" in pg_hba.conf to the provider's https URL";
        assert!(verdict.log.contains(hint), "{url}: {}", verdict.log);
        assert!(!verdict.log.contains("line_issuer="), "{}", verdict.log);
    }
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
}

#[test]
fn issuer_can_be_given_as_either_well_known_uri() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    let (origin, url) = (issuer.origin(), issuer.url());
    for given in [
        format!("{url}/.well-known/openid-configuration"),
        format!("{url}/.well-known/oauth-authorization-server"),
        format!("{origin}/.well-known/openid-configuration/realms/corp"),
        format!("{origin}/.well-known/oauth-authorization-server/realms/corp"),
    ] {
        server.set_hba(&[&oauth_line(&given, "")]);
        server.reload();
        let before = issuer.requests().len();
        // The token names the issuer itself.
        server.admits("alice", &issuer.token("alice").encode());
        let asked = &issuer.requests()[before..];
        assert_eq!(format!("{origin}{}", asked[0].1.path), given);
        server.refuses(
            "alice",
            &issuer.token("alice").claim("iss", given).encode(),
            "iss_mismatch",
        );
    }
}

#[test]
fn issuer_that_ends_with_a_slash_is_given_with_it() {
    let issuer = Issuer::builder().path("/realms/corp/").start();
    let server = Server::trusting(&issuer).log_everything().start();
    let (origin, url) = (issuer.origin(), issuer.url());
    let token = issuer.token("alice").encode();
    for given in [
        url.to_owned(),
        format!("{url}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server/realms/corp/"),
    ] {
        server.set_hba(&[&oauth_line(&given, "")]);
        server.reload();
        server.admits("alice", &token);
    }
    server.set_hba(&[&oauth_line(url.trim_end_matches('/'), "")]);
    server.reload();
    let verdict = server.refuses("alice", &token, "provider_unavailable");
    assert!(
        verdict.log.contains("cause=issuer_mismatch"),
        "{}",
        verdict.log
    );
    assert!(
        verdict
            .log
            .contains("They differ only by a slash at the end"),
        "{}",
        verdict.log
    );
}

#[test]
fn authority_of_the_provider_is_trusted_by_ca_file_only() {
    for preload in [true, false] {
        let issuer = Issuer::builder().https().start();
        let builder = Server::trusting(&issuer).log_everything();
        let server = if preload { builder.preload() } else { builder }.start();
        let token = issuer.token("alice").encode();
        server.admits("alice", &token);
        server.unset("validator.ca_file");
        server.reload();
        server.forget_keys();
        let verdict = server.refuses("alice", &token, "provider_unavailable");
        assert!(verdict.log.contains("cause=tls"), "{}", verdict.log);
        assert!(
            verdict.log.contains("set validator.ca_file to a file"),
            "{}",
            verdict.log
        );
        assert_eq!(
            issuer.requests().len(),
            2,
            "only the first login came as far as to ask"
        );
        let authority = Authority::shared().file().display().to_string();
        server.reload_with(&[("validator.ca_file", &authority)]);
        server.forget_keys();
        server.admits("alice", &token);
    }
}

#[test]
fn ca_file_that_can_not_be_used_is_named_with_the_reason() {
    let issuer = Issuer::builder().https().start();
    let server = Server::trusting(&issuer).log_everything().start();
    let token = issuer.token("alice").encode();
    let folder = scratch::new_folder("ca");
    let good = fs::read_to_string(Authority::shared().file()).expect("the authority's file");
    let key = Authority::shared().server().key_pem();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file can be written");
        path
    };
    let closed = file("closed.pem", &good);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("its mode can be set");
    let broken = good.replacen("MII", "!!!", 1);
    for (path, why) in [
        (folder.join("nowhere.pem"), "No such file or directory"),
        (closed, "Permission denied"),
        (folder.clone(), "Is a directory"),
        (file("empty.pem", ""), "the file has no certificate"),
        (
            file("text.pem", "this is not PEM\n"),
            "the file has no certificate",
        ),
        (file("broken.pem", &broken), "the file is not PEM"),
        (
            file("key.pem", &key),
            "the file contains something other than certificates",
        ),
    ] {
        let shown = path.display().to_string();
        server.reload_with(&[("validator.ca_file", &shown)]);
        let verdict = server.refuses("alice", &token, "setting_invalid");
        let message = format!("setting \"validator.ca_file\" cannot be used: {why}");
        assert!(verdict.log.contains(&message), "{shown}: {}", verdict.log);
        assert!(
            verdict.log.contains("HINT:  Correct validator.ca_file"),
            "{}",
            verdict.log
        );
    }
    let several = format!(
        "# two authorities\n{}\n{good}",
        pem(Authority::new("another").file())
    );
    let several = file("several.pem", &several).display().to_string();
    server.reload_with(&[("validator.ca_file", &several)]);
    server.admits("alice", &token);
}

fn pem(file: &Path) -> String {
    fs::read_to_string(file).expect("the authority's file")
}
