use super::*;

const GOOD: &str = r#"
listen = "127.0.0.1:8099"

[[issuer]]
url = "https://idp.example.com/realms/corp"
client_ids = ["psql", "a, \"b\""]
identity_claim = "email"
identity_prefix = "corp:"
identity_case = "lower"

[issuer.events]
audience = ["https://hook.example.com/events"]

[[server]]
name = "primary"
connection = "host=db1.example.com user=validator_hook dbname=postgres"

[[server]]
name = "local"
connection = "host=/var/run/postgresql user=validator_hook dbname=postgres"
"#;

fn parse(text: &str) -> Result<Config, String> {
    let folder = Folder {
        credentials: None,
        configuration: env::temp_dir(),
    };
    Config::parse(text, &folder)
}

#[track_caller]
fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_written_is_what_is_meant() {
    let config = good(GOOD);
    assert_eq!(config.listen.port(), 8099);
    let [issuer] = &config.issuers[..] else {
        panic!("one issuer");
    };
    assert_eq!(
        issuer.issuer.identifier(),
        "https://idp.example.com/realms/corp"
    );
    for client in ["psql", "a, \"b\""] {
        assert!(issuer.client_ids.contains(client), "{client}");
    }
    let events = issuer.events.as_ref().expect("events");
    assert_eq!(events.transmitter, issuer.issuer);
    assert_eq!(events.max_age.as_secs(), 7 * 24 * 3600);
    let by = |claim, value| issuer.identity.identity_by(claim, value);
    assert_eq!(
        by("email", "Alice@Corp"),
        Some("corp:alice@corp".to_owned())
    );
    assert_eq!(by("sub", "Alice"), None);
    // TLS towards other hosts, with their certificate verified; none through a socket.
    let tls: Vec<_> = config.servers.iter().map(|server| server.tls).collect();
    assert_eq!(tls, [true, false]);
}

#[test]
fn identity_is_the_subject_unless_it_is_said_otherwise() {
    let config = good(&GOOD.replace("identity_", "# identity_"));
    let rule = &config.issuers[0].identity;
    assert_eq!(rule.identity_by("sub", "Alice"), Some("Alice".to_owned()));
    assert_eq!(rule.identity_by("email", "a@b"), None);
}

#[test]
fn mistakes_are_named() {
    let tls = "tls_certificate_file = \"a.pem\"\nlisten = ";
    for (from, to, why) in [
        ("listen", "listne", "listne"),
        ("client_ids", "client_id", "client_id"),
        ("audience", "audiences", "audiences"),
        ("127.0.0.1:8099", "0.0.0.0:8099", "can be reached by others"),
        ("127.0.0.1:8099", "8099", "listen"),
        ("listen = ", tls, "must be set together"),
        ("https://idp", "http://idp", "issuer \"http://idp"),
        ("[[server]]", "[[servers]]", "servers"),
        (
            "\"local\"",
            "\"primary\"",
            "server \"primary\" is there twice",
        ),
        ("host=db1.example.com ", "", "must name one host"),
        ("host=db1.example.com", "host=db1,db2", "must name one host"),
        ("dbname=postgres", "password=s3cret", "password_file"),
        ("dbname=postgres", "sslrootcert=ca.pem", "ca_file"),
        (
            "client_ids = [\"psql\", \"a, \\\"b\\\"\"]",
            "algorithms = \"HS256\"",
            "algorithms",
        ),
        ("\"lower\"", "\"upper\"", "identity_case"),
        (
            "[\"https://hook.example.com/events\"]",
            "[]",
            "audience is empty",
        ),
        (
            "[issuer.events]",
            "[issuer.events]\nmax_event_age = \"7\"",
            "max_event_age: it must be from",
        ),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let error = parse(&text)
            .err()
            .unwrap_or_else(|| panic!("{to} is taken"));
        assert!(error.contains(why), "{to}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let (issuer, _) = GOOD.split_once("[[server]]").expect("servers");
    assert!(parse(issuer).is_err_and(|error| error.contains("no [[server]]")));
    let nothing = GOOD.replace(
        "[issuer.events]\naudience = [\"https://hook.example.com/events\"]",
        "",
    );
    let nothing = nothing.replace("client_ids", "# client_ids");
    assert!(parse(&nothing).is_err_and(|error| error.contains("nothing can be received")));
    let twice = format!(
        "{GOOD}\n[[issuer]]\nurl = \"https://idp.example.com/realms/corp\"\nclient_ids = [\"a\"]\n"
    );
    assert!(parse(&twice).is_err_and(|error| error.contains("is there twice")));
}

/// What works, and is less safe than it could be.
#[test]
fn doubts_are_about_open_events_and_passwords_in_clear_text() {
    let doubts = |text: &str| -> Vec<String> {
        let doubts = good(text).doubts().into_iter();
        doubts.map(|(what, why)| format!("{what}: {why}")).collect()
    };
    let [open] = &doubts(GOOD)[..] else {
        panic!("{:?}", doubts(GOOD));
    };
    assert!(
        open.contains("realms/corp\": without authorization_file"),
        "{open}"
    );
    let file = env::temp_dir().join(format!("validator-hook-header-{}", std::process::id()));
    fs::write(&file, "Bearer s3cret").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, mode).expect("a mode");
    let header = format!(
        "[issuer.events]\nauthorization_file = \"{}\"",
        file.display()
    );
    let closed = GOOD.replace("[issuer.events]", &header);
    assert_eq!(doubts(&closed), [""; 0]);
    for (connection, is_readable) in [
        ("host=db1.example.com", true),
        ("host=192.0.2.7", true),
        ("host=localhost.example.com", true),
        // The address is what is connected to.
        ("host=localhost hostaddr=192.0.2.7", true),
        ("host=db1.example.com hostaddr=127.0.0.1", false),
        ("host=LOCALHOST", false),
        ("host=127.0.0.2", false),
        ("host=::1", false),
        ("host=/run/postgresql", false),
    ] {
        let text = closed.replacen("host=db1.example.com", connection, 1);
        assert_eq!(doubts(&text), [""; 0], "{connection}");
        let text = text.replacen("name = \"primary\"", "name = \"primary\"\ntls = false", 1);
        let found = doubts(&text);
        assert_eq!(
            found.len(),
            usize::from(is_readable),
            "{connection}: {found:?}"
        );
        let is_named = |doubt: &String| doubt.contains("server \"primary\": with tls = false");
        assert!(found.iter().all(is_named), "{found:?}");
    }
    fs::remove_file(&file).expect("it is there");
}

#[test]
fn roles_that_no_event_can_name_are_in_doubt() {
    let doubts = |claim: &str| -> Vec<String> {
        let text = GOOD.replace("identity_claim = \"email\"", claim);
        let doubts = good(&text).doubts().into_iter();
        let about_roles = doubts.filter(|(_, why)| why.contains("disable_roles"));
        about_roles
            .map(|(what, why)| format!("{what}: {why}"))
            .collect()
    };
    for claim in ["", "identity_claim = \"sub\"", "identity_claim = \"email\""] {
        assert_eq!(doubts(&format!("{claim}\ndisable_roles = true")), [""; 0]);
    }
    let claim = "identity_claim = \"preferred_username\"";
    assert_eq!(doubts(claim), [""; 0]);
    let [doubt] = &doubts(&format!("{claim}\ndisable_roles = true"))[..] else {
        panic!("one doubt");
    };
    let start = "issuer \"https://idp.example.com/realms/corp\": disable_roles has no effect with identity_claim = \"preferred_username\"";
    assert!(doubt.starts_with(start), "{doubt}");
    let end = "Sessions are ended, but an administrator has to disable the roles";
    assert!(doubt.ends_with(end), "{doubt}");
}

#[test]
fn secrets_are_read_from_files_that_not_everyone_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = env::temp_dir().join(format!("validator-hook-{}", std::process::id()));
    fs::write(&file, "s3cret\r\n").expect("a file");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("a mode");
    mode(0o640);
    assert_eq!(
        Secret::read(&file).map(|secret| secret.expose().to_owned()),
        Ok("s3cret".to_owned())
    );
    mode(0o644);
    assert!(Secret::read(&file).is_err_and(|error| error.contains("everyone may read it")));
    mode(0o600);
    for empty in ["", "\n"] {
        fs::write(&file, empty).expect("a file");
        assert!(Secret::read(&file).is_err());
    }
    fs::write(&file, "x".repeat(70_000)).expect("a file");
    assert!(Secret::read(&file).is_err());
    fs::remove_file(&file).expect("it is there");
    assert!(Secret::read(&file).is_err());
    assert!(Secret::read(&env::temp_dir()).is_err());
}

#[test]
fn relative_files_are_credentials_or_beside_the_configuration() {
    let folder = env::temp_dir().join(format!("validator-hook-folder-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("password"), "x").expect("a file");
    let places = Folder {
        credentials: Some(folder.clone()),
        configuration: "/etc/validator-hook".into(),
    };
    assert_eq!(places.path(Path::new("password")), folder.join("password"));
    assert_eq!(
        places.path(Path::new("ca.pem")),
        Path::new("/etc/validator-hook/ca.pem")
    );
    assert_eq!(places.path(Path::new("/a/b")), Path::new("/a/b"));
    fs::remove_dir_all(&folder).expect("it is there");
}
