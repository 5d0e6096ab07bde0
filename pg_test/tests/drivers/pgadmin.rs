//! pgAdmin 4, in which a person opens servers in a browser. It gets tokens from a "password exec" command, and connects by
//! psycopg's libpq. What it looks like is kept in target/screenshots.

use std::env;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, Locator};
use rig::{Authority, assert_silent_log, child, reasons, scratch};
use serde_json::{Value, json};

use crate::chromium::{Chromium, keep_screenshot};
use crate::setup::Setup;
use crate::tap::Tap;
use crate::tokens::TokenCommand;

/// How long pgAdmin may take for a step, and a page to change.
const LIMIT: Duration = Duration::from_secs(120);

/// How large the window is.
const SIZE: (u32, u32) = (1280, 800);

#[test]
#[ignore = "600 MB to install: make test-pgadmin"]
fn pgadmin_with_a_password_exec_command() {
    let (Some(setup), Some(chromium)) = (Setup::of("alice"), Chromium::start()) else {
        return;
    };
    let good = TokenCommand::new(setup.good());
    let bad = setup
        .bad()
        .map(|(reason, token)| (reason, TokenCommand::new(token)));
    let not_sent = TokenCommand::new(setup.good());
    let tap = Tap::on(setup.server.port());
    let mut servers = vec![server("db", setup.server.port(), true, &good)];
    for (reason, tokens) in &bad {
        servers.push(server(reason, setup.server.port(), true, tokens));
    }
    servers.push(server("plain", tap.port, false, &not_sent));
    let pgadmin = PgAdmin::start(&servers);

    let row = chromium.visit(SIZE, async |page| pgadmin.query_on(page, "db").await);
    assert!(row.contains("token-"), "{row}");
    // One connection for the tree of objects, one for the query, each with a token of its own.
    assert!(!row.contains("token-1"), "{row}");
    assert!(good.calls() >= 2);

    for (reason, tokens) in &bad {
        let mark = setup.server.log().mark();
        let refused = chromium.visit(SIZE, async |page| pgadmin.refusal_of(page, reason).await);
        assert_refused(&refused);
        let log = setup.server.log().since(mark);
        let found: Vec<&str> = reasons(&log).collect();
        assert!(!found.is_empty(), "{log}");
        assert!(found.iter().all(|found| found == reason), "{found:?}");
        for token in tokens.all() {
            assert_silent_log(&log, token);
            assert_silent_log(&pgadmin.log(), token);
        }
    }

    let refused = chromium.visit(SIZE, async |page| pgadmin.refusal_of(page, "plain").await);
    assert_refused(&refused);
    assert!(tap.sent().contains("alice"));
    for token in not_sent.all() {
        assert!(!tap.sent().contains(token.as_str()));
    }
}

#[track_caller]
fn assert_refused(text: &str) {
    let message = "PAM authentication failed for user \"alice\"";
    assert!(text.contains(message), "{text}");
}

/// A server as docs/password-clients.md has it in a file for pgAdmin.
fn server(name: &str, port: u16, encrypted: bool, tokens: &TokenCommand) -> Value {
    let page = include_str!("../../../docs/password-clients.md");
    let (_, rest) = page.split_once("```json\n").expect("the page has the file");
    let text = rest.split("```").next().unwrap_or_default();
    let file: Value = serde_json::from_str(text).expect("JSON");
    let mut server = file["Servers"]["1"].clone();
    let parameters = server["ConnectionParameters"].clone();
    assert_eq!(parameters["sslmode"], "verify-full");
    server["Name"] = json!(name);
    server["Host"] = json!("127.0.0.1");
    server["Port"] = json!(port);
    server["PasswordExecCommand"] = json!(tokens.path());
    server["ConnectionParameters"]["sslrootcert"] = json!(Authority::shared().file());
    if !encrypted {
        server["ConnectionParameters"]["sslmode"] = json!("disable");
    }
    server
}

/// pgAdmin as its desktop application runs it: for one person, without a login of its own.
struct PgAdmin {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl PgAdmin {
    fn start(servers: &[Value]) -> PgAdmin {
        let python =
            env::var_os("PGADMIN_PYTHON").expect("`make test-pgadmin` sets PGADMIN_PYTHON");
        let python = PathBuf::from(python);
        let folder = scratch::new_folder("pgadmin");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        drop(listener);
        let data = folder.join("data");
        fs::create_dir(&data).expect("a folder");
        let configuration = format!(
            "HELP_PATH = ''\nMINIFY_HTML = False\nSERVER_MODE = False\nDATA_DIR = '{}'\n\
             DEFAULT_SERVER_PORT = {port}\nMASTER_PASSWORD_REQUIRED = False\n\
             USE_OS_SECRET_STORAGE = False\nUPGRADE_CHECK_ENABLED = False\n",
            data.display()
        );
        fs::write(folder.join("config.py"), configuration).expect("a file");
        let numbered = servers.iter().enumerate();
        let numbered: serde_json::Map<String, Value> = numbered
            .map(|(n, server)| ((n + 1).to_string(), server.clone()))
            .collect();
        let file = json!({ "Servers": numbered }).to_string();
        fs::write(folder.join("servers.json"), file).expect("a file");
        let package = package(&python);
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(&python);
            command.arg("-B").arg(package.join(program)).args(arguments);
            command.env("CONFIG_DISTRO_FILE_PATH", folder.join("config.py"));
            command.env("HOME", &folder).current_dir(&folder);
            command.env_remove("PGADMIN_SERVER_MODE");
            command
        };
        child::run(run("setup.py", &["setup-db"]), LIMIT).success();
        let load = [
            "load-servers",
            "servers.json",
            "--user",
            "pgadmin4@pgadmin.org",
        ];
        let loaded = child::run(run("setup.py", &load), LIMIT);
        let count = format!("{} Server(s)", servers.len());
        assert!(loaded.success().contains(&count), "{loaded:?}");
        let log = File::create(folder.join("log")).expect("a log can be made");
        let mut command = run("pgAdmin4.py", &[]);
        command.stdin(Stdio::null());
        command.stderr(log.try_clone().expect("a file can be opened twice"));
        command.stdout(log);
        let child = child::spawn(command, libc::SIGKILL).expect("pgAdmin can be started");
        let pgadmin = PgAdmin {
            child,
            port,
            folder,
        };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < LIMIT, "{}", pgadmin.log());
            thread::sleep(Duration::from_millis(100));
        }
        pgadmin
    }

    /// All that it has logged.
    fn log(&self) -> String {
        let files = [
            self.folder.join("log"),
            self.folder.join("data/pgadmin4.log"),
        ];
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        files.map(read).concat()
    }

    /// Opens a server, then its query tool; the row that a query gives there.
    async fn query_on(&self, page: &Client, name: &str) -> Result<String, CmdError> {
        self.visit(page).await?;
        for (folder, item) in [
            ("Servers", name),
            (name, "Databases"),
            ("Databases", "postgres"),
        ] {
            open(page, &node(folder), &node(item)).await?;
        }
        press(page, &node("postgres")).await?;
        let tool = "//button[@data-label='Query Tool' or @aria-label='Query Tool'][not(@disabled)]";
        press(page, tool).await?;
        // Each query tool is a document of its own; those of earlier visits are hidden.
        let frame = wait(page, "//iframe[starts-with(@id, 'id-query-tool')]").await?;
        frame.enter_frame().await?;
        let editor = "//div[contains(@class, 'cm-content')][@contenteditable='true']";
        press(page, editor).await?;
        let query = "SELECT current_user, system_user, validator.claim('jti')";
        wait(page, editor).await?.send_keys(query).await?;
        // pgAdmin takes its time to see what was typed; before that, F5 does nothing.
        let result = "//div[@role='row'][contains(., 'pam:alice')]";
        let run = char::from(fantoccini::key::Key::F5).to_string();
        let start = Instant::now();
        while shown(page, result).await.is_none() && start.elapsed() < LIMIT {
            wait(page, editor).await?.send_keys(&run).await?;
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let row = wait(page, result).await?;
        keep_screenshot(page, "pgadmin").await?;
        row.text().await
    }

    /// What pgAdmin says of a server that refuses it.
    async fn refusal_of(&self, page: &Client, name: &str) -> Result<String, CmdError> {
        self.visit(page).await?;
        open(page, &node("Servers"), &node(name)).await?;
        let message = "//*[contains(text(), 'authentication failed')]";
        open(page, &node(name), message).await?;
        keep_screenshot(page, "pgadmin-refused").await?;
        wait(page, message).await?.text().await
    }

    async fn visit(&self, page: &Client) -> Result<(), CmdError> {
        page.goto(&format!("http://127.0.0.1:{}/browser/", self.port))
            .await
    }
}

impl Drop for PgAdmin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where pip has put the package.
fn package(python: &Path) -> PathBuf {
    let mut command = Command::new(python);
    command.args([
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
    ]);
    let folder = child::run(command, LIMIT);
    Path::new(folder.success()).join("pgadmin4")
}

/// An item of the tree of objects; folders have a number behind their name.
fn node(name: &str) -> String {
    let text = "normalize-space()";
    format!(
        "//span[contains(@class, 'file-name')][{text} = '{name}' or starts-with({text}, '{name} (')]"
    )
}

/// The first element of these that can be seen. The page is drawn again and again: one may be gone when it is asked.
async fn shown(page: &Client, path: &str) -> Option<Element> {
    for element in page.find_all(Locator::XPath(path)).await.ok()? {
        if element.is_displayed().await.unwrap_or(false) {
            return Some(element);
        }
    }
    None
}

async fn wait(page: &Client, path: &str) -> Result<Element, CmdError> {
    let start = Instant::now();
    loop {
        if let Some(element) = shown(page, path).await {
            return Ok(element);
        }
        if start.elapsed() > LIMIT {
            keep_screenshot(page, "pgadmin-failure").await?;
            panic!("not seen: {path} (target/screenshots/pgadmin-failure.png)");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn press(page: &Client, path: &str) -> Result<(), CmdError> {
    let start = Instant::now();
    loop {
        let pressed = wait(page, path).await?.click().await;
        if pressed.is_ok() || start.elapsed() > LIMIT {
            return pressed;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Opens an item by a double click, which would close it if it were open: until the other thing can be seen.
async fn open(page: &Client, item: &str, seen: &str) -> Result<(), CmdError> {
    let start = Instant::now();
    while shown(page, seen).await.is_none() {
        assert!(start.elapsed() < LIMIT, "not opened: {item}");
        let target = wait(page, item).await?;
        // An item that was drawn again is looked for once more.
        let _ = double_click(page, target).await;
        let clicked = Instant::now();
        while shown(page, seen).await.is_none() && clicked.elapsed() < Duration::from_secs(15) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

async fn double_click(page: &Client, target: Element) -> Result<(), CmdError> {
    const LEFT: u64 = 0;
    let mut mouse = MouseActions::new("mouse".to_owned()).then(PointerAction::MoveToElement {
        element: target,
        duration: None,
        x: 0.0,
        y: 0.0,
    });
    for _ in 0..2 {
        mouse = mouse.then(PointerAction::Down { button: LEFT });
        mouse = mouse.then(PointerAction::Up { button: LEFT });
    }
    page.perform_actions(mouse).await
}
