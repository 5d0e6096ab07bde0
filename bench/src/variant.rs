//! What is compared: servers that differ in how they let a client in, and in nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rig::{
    Authority, Endpoint, Issuer, Key, KeyKind, Server, ServerBuilder, Token, now, oauth_line,
    scratch,
};

use crate::login::{Client, Method};
use crate::postmaster;
use crate::rows::{Asked, Kind, Mode, Row};

/// One row of the table: a server, and a client that it lets in.
pub struct Variant {
    pub row: Row,
    pub client: Client,
    pub postmaster: u32,
    /// The server's own processes, which live as long as it does.
    pub children: usize,
    /// The first is the one whose token the client has.
    issuers: Vec<Issuer>,
    // Running as long as this value lives.
    _server: Server,
}

/// The role that every client logs in as.
pub const ROLE: &str = "alice";
const PASSWORD: &str = "correct horse battery staple";
/// Longer than any run of the benchmark.
const TOKEN_SECONDS: i64 = 3600;

/// Starts all servers, each with room for so many clients.
pub fn start_all(rows: Vec<Row>, clients: usize) -> Vec<Variant> {
    // RSA keys are made once in a process: not by several threads at once.
    Key::new(KeyKind::Rsa);
    thread::scope(|scope| {
        let start = |row| scope.spawn(move || Variant::start(row, clients));
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
fn quiet(builder: ServerBuilder, clients: usize) -> ServerBuilder {
    // As many as PostgreSQL allows by default, or more; some for the rig, and for backends that are about to end.
    let connections = (clients + 40).max(100).to_string();
    builder
        .set("max_connections", &connections)
        .set("log_min_messages", "warning")
        .set("log_connections", "off")
        .set("jit", "off")
        .set("bgwriter_lru_maxpages", "0")
}

impl Variant {
    pub fn start(row: Row, clients: usize) -> Variant {
        let issuers = issuers(&row.kind);
        let mut builder = builder(&row.kind, &issuers);
        if row.mode == Mode::Preloaded {
            let library = match row.kind {
                Kind::Floor => "floor",
                _ => "validator",
            };
            builder = builder.set("shared_preload_libraries", library);
        }
        let server = quiet(builder, clients).start();
        if let Kind::Ours(_, scenario) = row.kind {
            scenario.introduce(&server, &issuers);
        }
        let client = Client::new(server.port(), ROLE, method(&row.kind, &server, &issuers));
        // Warm from here on: the keys are cached, and the server's first-time work is done.
        for _ in 0..10 {
            client
                .log_in()
                .unwrap_or_else(|error| panic!("{}: {error}\n{}", row.name, server.log().text()));
        }
        let postmaster = server.postmaster_pid();
        Variant {
            children: settled_children(postmaster),
            row,
            client,
            postmaster,
            issuers,
            _server: server,
        }
    }

    /// Requests that the issuers have had so far.
    pub fn requests(&self) -> usize {
        let requests = self.issuers.iter().map(|issuer| issuer.requests().len());
        requests.sum()
    }
}

fn issuers(kind: &Kind) -> Vec<Issuer> {
    match kind {
        Kind::Trust | Kind::Scram | Kind::Floor => Vec::new(),
        Kind::Ours(key, scenario) => scenario.issuers(*key),
        Kind::Introspected(Asked::OpaqueUncached) => vec![Issuer::builder().https().start()],
        Kind::Introspected(_) | Kind::Other(_) => vec![start_issuer(KeyKind::Rsa)],
    }
}

fn builder(kind: &Kind, issuers: &[Issuer]) -> ServerBuilder {
    match kind {
        Kind::Trust => Server::builder().hba("host all all 127.0.0.1/32 trust"),
        Kind::Scram => Server::builder().hba("host all all 127.0.0.1/32 scram-sha-256"),
        Kind::Floor => {
            let line = oauth_line("http://127.0.0.1:12345/realms/corp", "");
            Server::builder()
                .set("oauth_validator_libraries", "floor")
                .hba(&line.replace("=validator", "=floor"))
        }
        Kind::Ours(_, scenario) => scenario.server(issuers),
        Kind::Introspected(asked) => introspecting(Server::trusting(&issuers[0]), *asked),
        Kind::Other(library) => {
            let path = format!("{}:$libdir", folder_of(library).display());
            Server::trusting(&issuers[0]).set("dynamic_library_path", &path)
        }
    }
}

fn method(kind: &Kind, server: &Server, issuers: &[Issuer]) -> Method {
    match kind {
        Kind::Trust => Method::Trust,
        Kind::Scram => {
            // The server's work for a login is the same for any number of iterations, the client's is not.
            server.sql(&format!(
                "SET scram_iterations = 1; ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'"
            ));
            Method::Scram(PASSWORD.to_owned())
        }
        Kind::Floor => Method::Bearer(floor_token()),
        Kind::Ours(_, scenario) => Method::Bearer(scenario.token(&issuers[0])),
        Kind::Introspected(asked) => Method::Bearer(introspected_token(&issuers[0], *asked)),
        Kind::Other(_) => Method::Bearer(token(&issuers[0]).encode()),
    }
}

/// How many children the postmaster has when no client is connected: as many as there are for a while.
fn settled_children(postmaster: u32) -> usize {
    let mut least = usize::MAX;
    for _ in 0..25 {
        thread::sleep(Duration::from_millis(20));
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
pub fn token(issuer: &Issuer) -> Token {
    issuer.token(ROLE).claim("exp", now() + TOKEN_SECONDS)
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
        Asked::Jwt => token(issuer).encode(),
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
    Token::new(&key, issuer, ROLE, Issuer::AUDIENCE, "psql", scope).encode()
}

/// A client for [`token`]'s tokens.
pub fn bearer_client(server: &Server, token: &Token) -> Client {
    Client::new(server.port(), ROLE, Method::Bearer(token.encode()))
}

/// A server for the cold start, whose keys are not cached.
pub fn start_cold(issuer: &Issuer, mode: Mode, clients: usize) -> Server {
    let mut builder = Server::trusting(issuer);
    if mode == Mode::Preloaded {
        builder = builder.preload();
    }
    quiet(builder, clients).start()
}
