//! Keycloak, set up as docs/providers/keycloak.md says: a realm for each test.

mod article;
mod directory;
mod keys;
mod logins;
mod revocation;
mod roles;

use rig::{Hook, Issuer, Realm, Server, ServerBuilder};
use serde_json::json;

/// The secret of the client by which a server asks about tokens. It has characters that each of the encodings writes in its
/// own way.
const SECRET: &str = "s3cret+/% &=:";

/// A server with the preset and a line for this realm; `options` end the line.
fn server_for(realm: &Realm, options: &str) -> ServerBuilder {
    preset().hba(&super::line(&realm.issuer(), Issuer::SCOPE, options))
}

/// A server with the preset and no line yet.
fn preset() -> ServerBuilder {
    super::server()
        .set("validator.provider", "keycloak")
        .set("validator.audience", Issuer::AUDIENCE)
}

/// Has the server ask about each token, as this confidential client, which is added.
fn ask_about_all(realm: &Realm, builder: ServerBuilder, client_id: &str) -> ServerBuilder {
    realm.add_client(
        client_id,
        &json!({"secret": SECRET, "standardFlowEnabled": false}),
    );
    builder
        .set("validator.introspection", "always")
        .set("validator.client_id", client_id)
}

/// Gives such a server the client's secret.
fn give_secret(server: &Server) {
    let file = server.private_file("secret", &format!("{SECRET}\n"));
    server.reload_with(&[("validator.client_secret_file", &file.display().to_string())]);
}

/// The line that lets `validator-hook` in.
const HOOK_LINE: &str = "local postgres validator_hook trust";

/// `validator-hook` for a server with [`HOOK_LINE`] and the extension, as docs/logout.md says. Keycloak tells it of the
/// logouts of people who are logged in by the client `psql`; `names_session`: with the session that was logged out.
fn start_hook(realm: &Realm, server: &Server, names_session: bool) -> Hook {
    server.sql(
        "CREATE ROLE validator_hook LOGIN;
         GRANT USAGE ON SCHEMA validator TO validator_hook;
         GRANT EXECUTE ON FUNCTION validator.end_sessions(text, text, text, text, text), validator.flush_answers(text)
         TO validator_hook",
    );
    let issuer = realm.issuer();
    let hook = Hook::start(&format!(
        "[[issuer]]\nurl = \"{issuer}\"\nclient_ids = [\"psql\"]\nallow_http = true\n{}",
        Hook::server_table("primary", server, "validator_hook")
    ));
    realm.change_client("psql", |client| {
        client["frontchannelLogout"] = false.into();
        let attributes = &mut client["attributes"];
        attributes["backchannel.logout.url"] = hook.url("/logout").into();
        attributes["backchannel.logout.session.required"] = names_session.to_string().into();
    });
    hook
}
