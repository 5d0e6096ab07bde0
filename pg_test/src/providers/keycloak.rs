//! `Keycloak` (Maven Central): one server for all tests of this process, a realm for each.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

use crate::issuer::Issuer;
use crate::machine::{environment, scratch};
use crate::net::tls::Authority;
use crate::person::browser::{Browser, Page};
use crate::person::psql::Prompt;
use crate::providers::daemon::{self, Daemon};

const ADMINISTRATOR: &str = "administrator";

/// The running server, with its administrator's rights.
pub struct Keycloak {
    origin: String,
    secret: String,
    /// Held while a realm is made, which takes the server seconds: all at once, each would take as long as all.
    makes_realm: Mutex<()>,
    _server: Daemon,
}

/// A realm: an issuer with its own users, clients and keys.
pub struct Realm {
    keycloak: &'static Keycloak,
    name: String,
}

impl Keycloak {
    /// The server, which is started by the first call and ends with this process. It speaks https as `localhost`, with a
    /// certificate of the shared authority.
    #[track_caller]
    pub fn shared() -> &'static Keycloak {
        static SHARED: OnceLock<Keycloak> = OnceLock::new();
        SHARED.get_or_init(Keycloak::start)
    }

    #[track_caller]
    fn start() -> Keycloak {
        // Its own home: what it writes goes there, and the rest is shared with other runs.
        let home = scratch::new_folder("keycloak");
        let distribution = environment::keycloak_folder();
        for name in ["conf", "lib", "providers", "themes", "version.txt"] {
            symlink(distribution.join(name), home.join(name)).expect("a link can be made");
        }
        let (certificate, key) = Authority::shared().server().files();
        let origin = format!("https://localhost:{}", daemon::free_port());
        let secret = "administrator's secret".to_owned();
        // Its script would be in between, and leave the server running when it is killed. It is to start soon, not to run long.
        let mut java = Command::new("java");
        java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        for package in ["util", "util.concurrent", "security", "lang"] {
            java.arg(format!("--add-opens=java.base/java.{package}=ALL-UNNAMED"));
        }
        java.arg(format!("-Dkc.home.dir={}", home.display()))
            .arg(format!("-Djboss.server.config.dir={}/conf", home.display()))
            .arg("-Djava.util.logging.manager=org.jboss.logmanager.LogManager")
            .arg("-Dpicocli.disable.closures=true")
            .args(["-cp", "lib/quarkus-run.jar"])
            .arg("io.quarkus.bootstrap.runner.QuarkusEntryPoint")
            .args(["start", "--optimized", "--cache=local"])
            .args(["--http-host=127.0.0.1", &format!("--hostname={origin}")])
            .arg(format!("--https-port={}", port(&origin)))
            .arg(format!(
                "--https-certificate-file={}",
                certificate.display()
            ))
            .arg(format!("--https-certificate-key-file={}", key.display()))
            .env("KC_BOOTSTRAP_ADMIN_CLIENT_ID", ADMINISTRATOR)
            .env("KC_BOOTSTRAP_ADMIN_CLIENT_SECRET", &secret);
        let is_ready = || daemon::is_served(&format!("{origin}/realms/master"));
        Keycloak {
            _server: Daemon::start(java, &home, is_ready, Duration::from_secs(300)),
            origin,
            secret,
            makes_realm: Mutex::new(()),
        }
    }

    /// A new realm as docs/providers/keycloak.md has it: the client scope `postgres` with the audience [`Issuer::AUDIENCE`],
    /// the public client `psql` for the device flow, and users whose password is their name: alice, bob and mallory.
    #[track_caller]
    pub fn realm(&'static self, name: &str) -> Realm {
        let realm = Realm {
            keycloak: self,
            name: name.to_owned(),
        };
        let settings = json!({
            "realm": name, "enabled": true, "accessTokenLifespan": 600, "oauth2DevicePollingInterval": 1,
            "passwordPolicy": "hashAlgorithm(pbkdf2) and hashIterations(1)",
        });
        let turn = self.makes_realm.lock().unwrap_or_else(|e| e.into_inner());
        self.request("POST", "/admin/realms", Some(&settings));
        drop(turn);
        realm.create(
            "client-scopes",
            &json!({
                "name": "postgres", "protocol": "openid-connect",
                "attributes": {"include.in.token.scope": "true"},
                "protocolMappers": [mapper("audience", "oidc-audience-mapper", json!({
                    "included.custom.audience": Issuer::AUDIENCE, "id.token.claim": "false",
                    "access.token.claim": "true",
                }))],
            }),
        );
        realm.add_client(
            "psql",
            &json!({
                "publicClient": true, "standardFlowEnabled": false, "directAccessGrantsEnabled": true,
                "attributes": {"oauth2.device.authorization.grant.enabled": "true"},
                "defaultClientScopes": ["basic", "profile", "email", "roles", "acr"],
                "optionalClientScopes": ["postgres"],
            }),
        );
        for user in ["alice", "bob", "mallory"] {
            realm.add_user(user);
        }
        realm
    }

    /// A request to the admin API, as its administrator; anything but success fails the test.
    #[track_caller]
    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Page {
        let url = format!(
            "{}/realms/master/protocol/openid-connect/token",
            self.origin
        );
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", ADMINISTRATOR),
            ("client_secret", &self.secret),
        ];
        let mut program = Browser::new();
        let answer = program.post(&url, &form).json();
        let token = answer["access_token"].as_str().expect("a token");
        let page = program.call(method, &format!("{}{path}", self.origin), token, body);
        assert!(
            (200..300).contains(&page.status),
            "{method} {path}: {page:?}"
        );
        page
    }
}

impl Realm {
    /// The issuer's identifier.
    pub fn issuer(&self) -> String {
        format!("{}/realms/{}", self.keycloak.origin, self.name)
    }

    /// A request to the admin API about this realm; what is answered, or null.
    #[track_caller]
    pub fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let path = format!("/admin/realms/{}/{path}", self.name);
        let page = self.keycloak.request(method, &path, body);
        serde_json::from_str(&page.text).unwrap_or_default()
    }

    /// Creates something by the admin API; its identifier there.
    #[track_caller]
    pub fn create(&self, what: &str, settings: &Value) -> String {
        let path = format!("/admin/realms/{}/{what}", self.name);
        let page = self.keycloak.request("POST", &path, Some(settings));
        let location = page
            .header("location")
            .and_then(|url| url.rsplit('/').next());
        location.unwrap_or_default().to_owned()
    }

    /// Adds a client with these settings; its identifier in the admin API.
    #[track_caller]
    pub fn add_client(&self, client_id: &str, settings: &Value) -> String {
        let mut settings = settings.clone();
        settings["clientId"] = client_id.into();
        self.create("clients", &settings)
    }

    /// Adds a user whose password is the name; the identifier, which is also `sub`.
    #[track_caller]
    pub fn add_user(&self, name: &str) -> String {
        self.create(
            "users",
            &json!({
                "username": name, "enabled": true, "emailVerified": true,
                "firstName": name, "lastName": name, "email": format!("{name}@corp.example.com"),
                "credentials": [{"type": "password", "value": name, "temporary": false}],
            }),
        )
    }

    /// The identifier of a user or client in the admin API, by `username` or `clientId`.
    #[track_caller]
    pub fn id(&self, what: &str, name: &str) -> String {
        let key = if what == "users" {
            "username"
        } else {
            "clientId"
        };
        let found = self.admin("GET", &format!("{what}?exact=true&{key}={name}"), None);
        let id = found[0]["id"].as_str();
        id.unwrap_or_else(|| panic!("no {name} among the {what}"))
            .to_owned()
    }

    /// Changes settings of a client.
    #[track_caller]
    pub fn change_client(&self, client_id: &str, change: impl FnOnce(&mut Value)) {
        let path = format!("clients/{}", self.id("clients", client_id));
        let mut settings = self.admin("GET", &path, None);
        change(&mut settings);
        self.admin("PUT", &path, Some(&settings));
    }

    /// Creates a realm role and gives it to a user.
    #[track_caller]
    pub fn grant_role(&self, user: &str, role: &str) {
        self.create("roles", &json!({ "name": role }));
        let role = self.admin("GET", &format!("roles/{role}"), None);
        let path = format!("users/{}/role-mappings/realm", self.id("users", user));
        self.admin("POST", &path, Some(&json!([role])));
    }

    /// Has access tokens list their user's groups in the claim `groups`, without paths, if they have the scope `postgres`.
    #[track_caller]
    pub fn add_groups_mapper(&self) {
        let scopes = self.admin("GET", "client-scopes", None);
        let scopes = scopes.as_array().map(Vec::as_slice).unwrap_or_default();
        let scope = scopes.iter().find(|scope| scope["name"] == "postgres");
        let id = scope.and_then(|scope| scope["id"].as_str());
        self.create(
            &format!(
                "client-scopes/{}/protocol-mappers/models",
                id.expect("the scope postgres")
            ),
            &mapper(
                "groups",
                "oidc-group-membership-mapper",
                json!({"claim.name": "groups", "full.path": "false", "access.token.claim": "true"}),
            ),
        );
    }

    /// Creates a group and makes a user its member; the group's identifier in the admin API.
    #[track_caller]
    pub fn add_to_group(&self, user: &str, group: &str) -> String {
        let group = self.create("groups", &json!({ "name": group }));
        self.admin("PUT", &self.membership(user, &group), None);
        group
    }

    /// Takes a user out of a group, which is named by its identifier.
    #[track_caller]
    pub fn remove_from_group(&self, user: &str, group: &str) {
        self.admin("DELETE", &self.membership(user, group), None);
    }

    #[track_caller]
    fn membership(&self, user: &str, group: &str) -> String {
        format!("users/{}/groups/{group}", self.id("users", user))
    }

    /// Enables or disables a user, as the switch in the console does.
    #[track_caller]
    pub fn enable(&self, user: &str, enabled: bool) {
        let path = format!("users/{}", self.id("users", user));
        let mut settings = self.admin("GET", &path, None);
        settings["enabled"] = enabled.into();
        self.admin("PUT", &path, Some(&settings));
    }

    /// Creates a key that signs from now on, of the kind that a key provider such as `rsa-generated` makes; the identifier
    /// by which the admin API can delete it (`components/…`).
    #[track_caller]
    pub fn add_signing_key(&self, provider: &str, config: &[(&str, &str)]) -> String {
        let realm = self.admin("GET", "", None);
        let mut settings = json!({
            "name": provider, "providerId": provider, "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": realm["id"], "config": {"priority": ["1000"], "enabled": ["true"], "active": ["true"]},
        });
        for (name, value) in config {
            settings["config"][name] = json!([value]);
        }
        self.create("components", &settings)
    }

    /// The answer of the token endpoint to these fields.
    #[track_caller]
    pub fn tokens(&self, fields: &[(&str, &str)]) -> Value {
        let url = format!("{}/protocol/openid-connect/token", self.issuer());
        let page = Browser::new().post(&url, fields);
        assert_eq!(page.status, 200, "{page:?}");
        page.json()
    }

    /// The tokens of a user by the password grant, which is a login at the provider, too.
    #[track_caller]
    pub fn log_in(&self, user: &str, client_id: &str, scope: &str) -> Value {
        self.tokens(&[
            ("grant_type", "password"),
            ("client_id", client_id),
            ("username", user),
            ("password", user),
            ("scope", scope),
        ])
    }

    /// The access token of such a login by the client `psql`.
    #[track_caller]
    pub fn access_token(&self, user: &str) -> String {
        text(&self.log_in(user, "psql", Issuer::SCOPE), "access_token")
    }

    /// The access token of a confidential client for itself.
    #[track_caller]
    pub fn workload_token(&self, client_id: &str, secret: &str) -> String {
        let answer = self.tokens(&[
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", secret),
        ]);
        text(&answer, "access_token")
    }

    /// Revokes a token that the public client `psql` got (RFC 7009).
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        let url = format!("{}/protocol/openid-connect/revoke", self.issuer());
        let page = Browser::new().post(&url, &[("token", token), ("client_id", "psql")]);
        assert_eq!(page.status, 200, "{page:?}");
    }

    /// Logs a user out everywhere, as an administrator does in the console.
    #[track_caller]
    pub fn log_out(&self, user: &str) {
        let path = format!("users/{}/logout", self.id("users", user));
        self.admin("POST", &path, None);
    }

    /// Walks the provider's own pages as a person would: code, login, consent.
    #[track_caller]
    pub fn approve(&self, prompt: &Prompt, user: &str) {
        let (mut browser, consent) = self.sign_in(prompt, user);
        let done = browser.submit(&consent, &[("accept", "Yes")]);
        assert!(done.text.contains("Device Login Successful"), "{done:?}");
    }

    /// Begins a device login of the client `psql`; what the provider's page says once the user has entered code, name and
    /// password.
    #[track_caller]
    pub fn page_after_sign_in(&self, user: &str) -> Page {
        let url = format!("{}/protocol/openid-connect/auth/device", self.issuer());
        let fields = [("client_id", "psql"), ("scope", Issuer::SCOPE)];
        let answer = Browser::new().post(&url, &fields).json();
        let prompt = Prompt {
            url: text(&answer, "verification_uri"),
            user_code: text(&answer, "user_code"),
        };
        self.sign_in(&prompt, user).1
    }

    /// Code and login; the page that follows.
    #[track_caller]
    fn sign_in(&self, prompt: &Prompt, user: &str) -> (Browser, Page) {
        let mut browser = Browser::new();
        let code = browser.get(&prompt.url);
        let login = browser.submit(&code, &[("device_user_code", &prompt.user_code)]);
        let next = browser.submit(&login, &[("username", user), ("password", user)]);
        (browser, next)
    }
}

/// A protocol mapper of a client scope or client.
fn mapper(name: &str, kind: &str, config: Value) -> Value {
    json!({"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config})
}

fn text(answer: &Value, name: &str) -> String {
    let value = answer[name].as_str();
    value.unwrap_or_else(|| panic!("no {name}")).to_owned()
}

fn port(origin: &str) -> &str {
    origin.rsplit(':').next().unwrap_or_default()
}
