//! What is compared: servers that differ in how they let a client in, and in nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use rig::{
    Authority, Endpoint, Issuer, Key, KeyKind, Server, ServerBuilder, now, oauth_line, scratch,
};

use crate::login::{Client, Method};
use crate::postmaster;

/// One row of the table: a server, and a client that it lets in.
pub struct Variant {
    pub name: String,
    pub mode: Mode,
    /// The accept-all validator, to which others of its mode are compared.
    pub is_floor: bool,
    pub client: Client,
    pub postmaster: u32,
    /// The server's own processes, which live as long as it does.
    pub children: usize,
    issuer: Option<Issuer>,
    // Running as long as this value lives.
    _server: Server,
}

/// When the validator is loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// There is no validator.
    BuiltIn,
    /// At each login.
    OnDemand,
    /// At the server's start.
    Preloaded,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::BuiltIn => "built in",
            Mode::OnDemand => "on demand",
            Mode::Preloaded => "preloaded",
        }
    }
}

/// What lets the client in.
#[derive(Clone)]
enum Kind {
    Trust,
    Scram,
    Floor,
    Ours(KeyKind, Module),
    /// The provider is asked about the token.
    Introspected(Asked),
}

/// Which token the provider is asked about, and when.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Once; then the answer is cached.
    Opaque,
    /// At each login, over TLS, where the system's authorities and one more are trusted.
    OpaqueUncached,
    /// Once; its signature is verified, too.
    Jwt,
}

/// Which build of the module.
#[derive(Clone)]
enum Module {
    /// The one that `make` has built.
    Staged,
    /// Another one, as `validator.so` in this folder.
    In(PathBuf),
}

const ROLE: &str = "alice";
const PASSWORD: &str = "correct horse battery staple";
/// Longer than any run of the benchmark.
const TOKEN_SECONDS: i64 = 3600;

/// Starts all servers: `compare` are other builds of the module, `only` selects rows by words of their names.
pub fn start_all(compare: &[PathBuf], only: &[String]) -> Vec<Variant> {
    let mut rows = vec![
        ("trust".to_owned(), Mode::BuiltIn, Kind::Trust),
        ("scram-sha-256".to_owned(), Mode::BuiltIn, Kind::Scram),
    ];
    for mode in [Mode::OnDemand, Mode::Preloaded] {
        rows.push(("floor".to_owned(), mode, Kind::Floor));
        for kind in [KeyKind::Rsa, KeyKind::P256, KeyKind::Ed25519] {
            rows.push((
                format!("validator {}", Key::new(kind).default_alg().name()),
                mode,
                Kind::Ours(kind, Module::Staged),
            ));
        }
        for (name, asked) in [
            ("opaque", Asked::Opaque),
            ("opaque uncached", Asked::OpaqueUncached),
            ("RS256 asked", Asked::Jwt),
        ] {
            rows.push((format!("validator {name}"), mode, Kind::Introspected(asked)));
        }
        for library in compare {
            let kind = Kind::Ours(KeyKind::Rsa, Module::In(folder_of(library)));
            rows.push((library.display().to_string(), mode, kind));
        }
    }
    rows.retain(|(name, mode, kind)| {
        let name = format!("{name} {}", mode.name());
        matches!(kind, Kind::Floor)
            || only.is_empty()
            || only.iter().any(|word| name.contains(word))
    });
    // RSA keys are made once in a process: not by several threads at once.
    Key::new(KeyKind::Rsa);
    thread::scope(|scope| {
        let start = |(name, mode, kind)| scope.spawn(move || Variant::start(name, mode, kind));
        let starting: Vec<_> = rows.into_iter().map(start).collect();
        let started = starting.into_iter().map(|thread| thread.join());
        started
            .collect::<Result<_, _>>()
            .expect("all servers start")
    })
}

/// A library under the name by which the server looks for it.
fn folder_of(library: &Path) -> PathBuf {
    let folder = scratch::new_folder("module");
    fs::copy(library, folder.join("validator.so"))
        .unwrap_or_else(|error| panic!("{}: {error}", library.display()));
    folder
}

/// The settings that all servers share.
fn quiet(builder: ServerBuilder) -> ServerBuilder {
    builder
        .set("log_min_messages", "warning")
        .set("log_connections", "off")
        .set("jit", "off")
        .set("bgwriter_lru_maxpages", "0")
}

impl Variant {
    fn start(name: String, mode: Mode, kind: Kind) -> Variant {
        let issuer = match &kind {
            Kind::Ours(key, _) => Some(start_issuer(*key)),
            Kind::Introspected(Asked::OpaqueUncached) => Some(Issuer::builder().https().start()),
            Kind::Introspected(_) => Some(start_issuer(KeyKind::Rsa)),
            _ => None,
        };
        let mut builder = match &issuer {
            Some(issuer) => Server::trusting(issuer),
            None => Server::builder().hba(&hba_line(&kind)),
        };
        if let Kind::Floor = kind {
            builder = builder.set("oauth_validator_libraries", "floor");
        }
        if let Kind::Ours(_, Module::In(folder)) = &kind {
            let path = format!("{}:$libdir", folder.display());
            builder = builder.set("dynamic_library_path", &path);
        }
        if let Kind::Introspected(asked) = kind {
            builder = introspecting(builder, asked);
        }
        if mode == Mode::Preloaded {
            let library = match kind {
                Kind::Floor => "floor",
                _ => "validator",
            };
            builder = builder.set("shared_preload_libraries", library);
        }
        let server = quiet(builder).start();
        let method = match &kind {
            Kind::Trust => Method::Trust,
            Kind::Scram => {
                // The server's work for a login is the same for any number of iterations, the client's is not.
                server.sql(&format!(
                    "SET scram_iterations = 1; ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'"
                ));
                Method::Scram(PASSWORD.to_owned())
            }
            Kind::Floor => Method::Bearer(floor_token()),
            Kind::Ours(..) => Method::Bearer(token(issuer.as_ref().expect("it has an issuer"))),
            Kind::Introspected(asked) => {
                let issuer = issuer.as_ref().expect("it has an issuer");
                Method::Bearer(introspected_token(issuer, *asked))
            }
        };
        let client = Client::new(server.port(), ROLE, method);
        // Warm from here on: the keys are cached, and the server's first-time work is done.
        for _ in 0..10 {
            client
                .log_in()
                .unwrap_or_else(|error| panic!("{name}: {error}\n{}", server.log().text()));
        }
        let postmaster = server.postmaster_pid();
        Variant {
            is_floor: matches!(kind, Kind::Floor),
            children: settled_children(postmaster),
            name,
            mode,
            client,
            postmaster,
            issuer,
            _server: server,
        }
    }

    /// Requests that the issuer has had so far.
    pub fn requests(&self) -> usize {
        self.issuer
            .as_ref()
            .map_or(0, |issuer| issuer.requests().len())
    }
}

/// How many children the postmaster has when no client is connected: as many as there are for a while.
fn settled_children(postmaster: u32) -> usize {
    let mut least = usize::MAX;
    for _ in 0..25 {
        thread::sleep(std::time::Duration::from_millis(20));
        least = least.min(postmaster::count_children(postmaster));
    }
    least
}

/// An issuer whose keys stay fresh during the whole run.
pub fn start_issuer(key: KeyKind) -> Issuer {
    let issuer = Issuer::builder().key(Key::new(key)).start();
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "max-age=86400");
    issuer
}

/// A token of that issuer for the role that the benchmark logs in as.
pub fn token(issuer: &Issuer) -> String {
    issuer
        .token(ROLE)
        .claim("exp", now() + TOKEN_SECONDS)
        .encode()
}

/// A server that asks about tokens and keeps the answers during the whole run.
fn introspecting(builder: ServerBuilder, asked: Asked) -> ServerBuilder {
    let (mode, ttl) = match asked {
        Asked::Opaque => ("opaque", "1h"),
        Asked::OpaqueUncached => ("opaque", "0"),
        Asked::Jwt => ("always", "1h"),
    };
    let builder = match asked {
        Asked::OpaqueUncached => trusting_the_system(builder),
        _ => builder,
    };
    builder
        .set("validator.introspection", mode)
        .set("validator.introspection_cache_ttl", ttl)
        .set("validator.client_id", "pg")
        .set("validator.client_auth_method", "none")
}

/// A server whose system has the rig's authority among its own.
fn trusting_the_system(builder: ServerBuilder) -> ServerBuilder {
    let system = fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    let own = fs::read(Authority::shared().file()).expect("the authority's certificate");
    let bundle = scratch::new_folder("authorities").join("bundle.pem");
    fs::write(&bundle, [system, own].concat()).expect("the bundle can be written");
    builder
        .set("validator.ca_file", "")
        .environment("SSL_CERT_FILE", &bundle.display().to_string())
}

/// A token that the issuer confirms when it is asked.
fn introspected_token(issuer: &Issuer, asked: Asked) -> String {
    let token = match asked {
        Asked::Opaque | Asked::OpaqueUncached => issuer.opaque_token(ROLE),
        Asked::Jwt => token(issuer),
    };
    let mut word = issuer.word_on(ROLE);
    word["exp"] = (now() + TOKEN_SECONDS).into();
    issuer.say(&token, word);
    token
}

/// Of the size of a real one, since the server reads it.
fn floor_token() -> String {
    let key = Key::new(KeyKind::Rsa);
    let issuer = "http://127.0.0.1:12345/realms/corp";
    let scope = Issuer::SCOPE;
    rig::Token::new(&key, issuer, ROLE, Issuer::AUDIENCE, "psql", scope).encode()
}

fn hba_line(kind: &Kind) -> String {
    match kind {
        Kind::Trust => "host all all 127.0.0.1/32 trust".to_owned(),
        Kind::Scram => "host all all 127.0.0.1/32 scram-sha-256".to_owned(),
        Kind::Floor | Kind::Ours(..) | Kind::Introspected(_) => {
            oauth_line("http://127.0.0.1:12345/realms/corp", "").replace("=validator", "=floor")
        }
    }
}

/// A client for [`token`]'s tokens.
pub fn bearer_client(server: &Server, token: String) -> Client {
    Client::new(server.port(), ROLE, Method::Bearer(token))
}

/// A server for the cold start: as all others, but with room for so many clients.
pub fn start_cold(issuer: &Issuer, mode: Mode, clients: usize) -> Server {
    let connections = (clients + 100).to_string();
    let mut builder = Server::trusting(issuer).set("max_connections", &connections);
    if mode == Mode::Preloaded {
        builder = builder.preload();
    }
    quiet(builder).start()
}
