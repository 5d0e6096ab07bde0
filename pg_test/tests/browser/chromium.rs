//! Chromium, which shows pages as a person sees them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rig::{child, scratch, skip};
use serde_json::json;
use tokio::runtime::Runtime;

/// How long the installation of 400 MB may take.
const INSTALLATION: Duration = Duration::from_secs(600);

/// Keeps what the page looks like in target/screenshots.
pub async fn keep_screenshot(page: &Client, name: &str) -> Result<(), CmdError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let image = page.screenshot().await?;
    assert!(image.starts_with(b"\x89PNG\r\n\x1a\n"), "no PNG");
    fs::write(folder.join(name).with_extension("png"), image).expect("a file can be written");
    Ok(())
}

/// A running chromedriver.
pub struct Chromium {
    driver: Child,
    url: String,
}

impl Chromium {
    /// Installs Chromium where it is missing. `None`: it cannot be had here, which is said.
    pub fn start() -> Option<Chromium> {
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

    /// Opens a window of this size, without a screen.
    pub fn visit<T>(
        &self,
        (width, height): (u32, u32),
        walk: impl AsyncFnOnce(&Client) -> Result<T, CmdError>,
    ) -> T {
        let profile = scratch::new_folder("chromium");
        let profile = format!("--user-data-dir={}", profile.display());
        let size = format!("--window-size={width},{height}");
        // As root, Chromium has no sandbox; all that it opens here is a page of our own.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            // Chromium ends as soon as the driver does, however that ends.
            "--remote-debugging-pipe",
            &size,
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
