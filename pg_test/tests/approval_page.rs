//! The page on which a person approves a login of `make demo INTERACTIVE=1`, as Chromium shows it. What it looks like is
//! kept in target/screenshots.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rig::{DeviceLogin, DeviceOutcome, Endpoint, Issuer, Prompt, Server, child, scratch, skip};
use serde_json::json;
use tokio::runtime::Runtime;

/// How long the installation of 400 MB may take.
const INSTALLATION: Duration = Duration::from_secs(600);

/// What a person has read, page by page.
type Seen = Vec<String>;

#[test]
fn person_approves_and_psql_gets_in() {
    let Some(chromium) = Chromium::start() else {
        return;
    };
    let (issuer, outcome, seen) = log_in(&chromium, async |page, prompt| {
        page.goto(&prompt.url).await?;
        let mut seen = vec![text(page).await?];
        // Whoever has come here can type at once.
        seen.push(focused(page).await?);
        // Nothing is sent without a code.
        press(page, "Allow").await?;
        seen.push(text(page).await?);
        field(page, "Code shown by psql")
            .await?
            .send_keys("BCDF-BCDF")
            .await?;
        press(page, "Allow").await?;
        seen.push(text(page).await?);
        let code = field(page, "Code shown by psql").await?;
        code.clear().await?;
        code.send_keys(&prompt.user_code).await?;
        let name = field(page, "Your name").await?;
        seen.push(name.prop("value").await?.unwrap_or_default());
        keep_screenshot(page, "approval-form").await?;
        press(page, "Allow").await?;
        seen.push(text(page).await?);
        keep_screenshot(page, "approval-done").await?;
        Ok(seen)
    });
    let form = "Connect a device\nCode shown by psql\nYour name\nAllow Refuse";
    let unknown = form.replace("\nCode", "\nNo device waits with this code.\nCode");
    let done = "Done\nYou can close this page.";
    assert_eq!(seen, [form, "user_code", form, &unknown, "alice", done]);
    assert_eq!(outcome.success(), "oauth:alice");
    let requests = issuer.requests();
    let sent = requests.iter().filter(|(endpoint, request)| {
        *endpoint == Endpoint::Verification && request.method == "POST"
    });
    assert_eq!(sent.count(), 2);
}

#[test]
fn person_refuses_and_psql_does_not_get_in() {
    let Some(chromium) = Chromium::start() else {
        return;
    };
    let (_, outcome, seen) = log_in(&chromium, async |page, prompt| {
        page.goto(&prompt.url).await?;
        let code = field(page, "Code shown by psql").await?;
        code.send_keys(&prompt.user_code).await?;
        press(page, "Refuse").await?;
        keep_screenshot(page, "approval-refused").await?;
        Ok(vec![text(page).await?])
    });
    assert_eq!(seen, ["Refused\nNothing was granted."]);
    assert!(!outcome.psql.status.success(), "{outcome:?}");
    assert!(
        outcome.messages().concat().contains("access_denied"),
        "{outcome:?}"
    );
}

/// psql logs in as alice; what it asks for, a person does in Chromium.
fn log_in(
    chromium: &Chromium,
    walk: impl AsyncFnOnce(&Client, &Prompt) -> Result<Seen, CmdError>,
) -> (Issuer, DeviceOutcome, Seen) {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).start();
    let mut seen = Seen::new();
    let outcome = DeviceLogin::new(&server, "alice", issuer.url())
        .run(|prompt| seen = chromium.visit(async |page| walk(page, prompt).await));
    (issuer, outcome, seen)
}

/// Everything that can be read on the page.
async fn text(page: &Client) -> Result<String, CmdError> {
    page.find(Locator::Css("body")).await?.text().await
}

/// The name of what the next key goes to.
async fn focused(page: &Client) -> Result<String, CmdError> {
    let element = page.active_element().await?;
    Ok(element.attr("name").await?.unwrap_or_default())
}

/// The field that has this label.
async fn field(page: &Client, label: &str) -> Result<fantoccini::elements::Element, CmdError> {
    let path = format!("//label[contains(., '{label}')]//input");
    page.find(Locator::XPath(&path)).await
}

async fn press(page: &Client, button: &str) -> Result<(), CmdError> {
    let path = format!("//button[normalize-space() = '{button}']");
    page.find(Locator::XPath(&path)).await?.click().await
}

async fn keep_screenshot(page: &Client, name: &str) -> Result<(), CmdError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let image = page.screenshot().await?;
    assert!(image.starts_with(b"\x89PNG\r\n\x1a\n"), "no PNG");
    fs::write(folder.join(name).with_extension("png"), image).expect("a file can be written");
    Ok(())
}

/// A running chromedriver.
struct Chromium {
    driver: Child,
    url: String,
}

impl Chromium {
    /// Installs Chromium where it is missing. `None`: it cannot be had here, which is said.
    fn start() -> Option<Chromium> {
        let mut install = Command::new("../scripts/packages.sh");
        install.current_dir(env!("CARGO_MANIFEST_DIR"));
        install.arg("browser");
        if !child::run(install, INSTALLATION).status.success() {
            skip("chromium and chromium-driver cannot be installed here");
            return None;
        }
        let chromium = Chromium::start_driver();
        if chromium.is_none() {
            skip("chromedriver cannot be started here");
        }
        chromium
    }

    fn start_driver() -> Option<Chromium> {
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0").stdin(Stdio::null());
        driver.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = child::spawn(driver, libc::SIGKILL).ok()?;
        let output = BufReader::new(driver.stdout.take()?);
        let port = output.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("was started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        })?;
        let url = format!("http://127.0.0.1:{port}");
        Some(Chromium { driver, url })
    }

    /// Opens a window without a screen.
    fn visit(&self, walk: impl AsyncFnOnce(&Client) -> Result<Seen, CmdError>) -> Seen {
        let profile = scratch::new_folder("chromium");
        let profile = format!("--user-data-dir={}", profile.display());
        // As root, Chromium has no sandbox; all that it opens here is a page of our own.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            // Chromium ends as soon as the driver does, however that ends.
            "--remote-debugging-pipe",
            "--window-size=800,600",
            &profile,
        ];
        let options = json!({"args": arguments});
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let runtime = Runtime::new().expect("threads can be started");
        runtime.block_on(async {
            let mut window = ClientBuilder::new(HttpConnector::new());
            let window = window.capabilities(capabilities).connect(&self.url).await;
            let window = window.expect("Chromium starts");
            walk(&window)
                .await
                .expect("the page has what a person looks for")
        })
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
