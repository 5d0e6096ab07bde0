//! The page on which a person approves a login of `make demo INTERACTIVE=1`, as Chromium shows it. What it looks like is
//! kept in target/screenshots.

#[path = "browser/chromium.rs"]
mod chromium;

use std::time::{Duration, Instant};

use fantoccini::error::CmdError;
use fantoccini::{Client, Locator};
use rig::{DeviceLogin, DeviceOutcome, Endpoint, Issuer, Prompt, Server};

use chromium::{Chromium, keep_screenshot};

/// How large the window is.
const SIZE: (u32, u32) = (800, 600);

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
        seen.push(text_with(page, "No device").await?);
        let code = field(page, "Code shown by psql").await?;
        code.clear().await?;
        code.send_keys(&prompt.user_code).await?;
        let name = field(page, "Your name").await?;
        seen.push(name.prop("value").await?.unwrap_or_default());
        keep_screenshot(page, "approval-form").await?;
        press(page, "Allow").await?;
        seen.push(text_with(page, "Done").await?);
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
        let refused = text_with(page, "Refused").await?;
        keep_screenshot(page, "approval-refused").await?;
        Ok(vec![refused])
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
        .run(|prompt| seen = chromium.visit(SIZE, async |page| walk(page, prompt).await));
    (issuer, outcome, seen)
}

/// Everything that can be read on the page.
async fn text(page: &Client) -> Result<String, CmdError> {
    page.find(Locator::Css("body")).await?.text().await
}

/// The same, once it has this part: the page before may still be there, or be on its way out, when a button was pressed.
async fn text_with(page: &Client, part: &str) -> Result<String, CmdError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let text = text(page).await;
        let is_there = text.as_ref().is_ok_and(|text| text.contains(part));
        if is_there || Instant::now() > deadline {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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
