//! A person's browser, as far as a provider's plain HTML pages need one: ureq with a cookie jar, and scraper to find forms.

use std::fs;
use std::io::{self, Read};
use std::time::Duration;

use scraper::{ElementRef, Html, Selector};
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, AsSendBody, Body, ResponseExt};
use url::Url;

use crate::net::tls::{self, Authority, Identity};

/// A browser with an empty cookie jar. It follows redirects and trusts the shared authority.
pub struct Browser(Agent);

/// A page that a browser shows.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it is, after redirects.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// All headers; names are lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub text: String,
}

/// The first form of a page.
#[derive(Clone, Debug)]
pub struct Form {
    /// `GET` or `POST`.
    pub method: String,
    /// Where it is sent to.
    pub action: String,
    /// What is sent when nothing is typed and the first button is pressed.
    pub fields: Vec<(String, String)>,
}

impl Page {
    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; anything else fails the test.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("no JSON: {e}\n{self:?}"))
    }

    /// The first form, if there is one.
    pub fn form(&self) -> Option<Form> {
        let page = Html::parse_document(&self.text);
        let form = page.select(&selector("form")).next()?;
        let action = form.attr("action").unwrap_or_default();
        let method = form.attr("method").unwrap_or_default();
        Some(Form {
            method: match method.eq_ignore_ascii_case("post") {
                true => "POST".to_owned(),
                false => "GET".to_owned(),
            },
            action: Url::parse(&self.url).ok()?.join(action).ok()?.into(),
            fields: fields(&page, form),
        })
    }
}

impl Browser {
    /// A new browser.
    #[allow(clippy::new_without_default)] // Nothing asks for one.
    pub fn new() -> Browser {
        Browser::with(None)
    }

    /// A browser that presents a certificate to whom asks for one.
    pub fn presenting(identity: &Identity) -> Browser {
        Browser::with(Some(identity))
    }

    fn with(identity: Option<&Identity>) -> Browser {
        let authority = fs::read(Authority::shared().file()).expect("the authority has a file");
        let authority = Certificate::from_pem(&authority).expect("the authority is a certificate");
        let client = identity.map(|identity| {
            let chain = Certificate::from_pem(identity.certificate_pem().as_bytes());
            let key = PrivateKey::from_pem(identity.key_pem().as_bytes());
            ClientCert::new_with_certs(&[chain.expect("a certificate")], key.expect("a key"))
        });
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[authority]))
            .client_cert(client)
            .unversioned_rustls_crypto_provider(tls::provider())
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .timeout_per_read(Some(Duration::from_secs(60)));
        Browser(config.build().new_agent())
    }

    /// Opens a page.
    #[track_caller]
    pub fn get(&mut self, url: &str) -> Page {
        self.navigate("GET", url, &[], PAGES)
    }

    /// Sends a form with these fields.
    #[track_caller]
    pub fn post(&mut self, url: &str, fields: &[(&str, &str)]) -> Page {
        self.navigate("POST", url, fields, ANYTHING)
    }

    /// Sends a page's first form; `entries` are typed over the values that it has.
    #[track_caller]
    pub fn submit(&mut self, page: &Page, entries: &[(&str, &str)]) -> Page {
        let form = page.form();
        let form = form.unwrap_or_else(|| panic!("no form on the page: {page:?}"));
        let kept = form.fields.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let kept = kept.filter(|(name, _)| entries.iter().all(|(typed, _)| typed != name));
        let fields: Vec<_> = kept.chain(entries.iter().copied()).collect();
        self.navigate(&form.method, &form.action, &fields, PAGES)
    }

    #[track_caller]
    fn navigate(
        &mut self,
        method: &str,
        url: &str,
        fields: &[(&str, &str)],
        accepted: &str,
    ) -> Page {
        let fields = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let page = match (method, fields.as_str()) {
            ("POST", _) | (_, "") => self.send(method, url, fields, accepted, MAX_REDIRECTS),
            _ => {
                let (page, _) = url.split_once('?').unwrap_or((url, ""));
                self.send(
                    method,
                    &format!("{page}?{fields}"),
                    String::new(),
                    accepted,
                    MAX_REDIRECTS,
                )
            }
        };
        page.unwrap_or_else(|e| panic!("{url}: {e}"))
    }

    /// What a program sends that is not a form: JSON, or nothing, with a bearer token (RFC 6750 §2.1).
    #[track_caller]
    pub(crate) fn call(&self, method: &str, url: &str, token: &str, body: Option<&Value>) -> Page {
        let request = Request::builder().method(method).uri(url);
        let request = request.header("Authorization", format!("Bearer {token}"));
        let answer = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.run(request.body(body.to_string()), 0)
            }
            None => self.run(request.body(()), 0),
        };
        let page = answer.map_err(ureq::Error::into_io).and_then(read);
        page.unwrap_or_else(|e| panic!("{url}: {e}"))
    }

    /// One request, one answer, without following anything.
    pub fn request(&mut self, method: &str, url: &str, body: &str) -> io::Result<Page> {
        self.send(method, url, body.to_owned(), ANYTHING, 0)
    }

    fn send(
        &self,
        method: &str,
        url: &str,
        body: String,
        accepted: &str,
        redirects: u32,
    ) -> io::Result<Page> {
        let request = Request::builder().method(method).uri(url);
        let request = request.header("Accept", accepted);
        let answer = match method {
            "POST" => {
                let request = request.header("Content-Type", "application/x-www-form-urlencoded");
                self.run(request.body(body), redirects)
            }
            _ => self.run(request.body(()), redirects),
        };
        read(answer.map_err(ureq::Error::into_io)?)
    }

    fn run(
        &self,
        request: Result<Request<impl AsSendBody>, ureq::http::Error>,
        redirects: u32,
    ) -> Result<Response<Body>, ureq::Error> {
        let request = self.0.configure_request(request?);
        let request = request.max_redirects(redirects);
        // Without any, a redirect is an answer like others.
        let request = request.max_redirects_will_error(redirects > 0);
        self.0.run(request.build())
    }
}

const MAX_REDIRECTS: u32 = 10;

/// What a person's browser accepts, and what a program does: Keycloak answers both at one address.
const PAGES: &str = "text/html, */*;q=0.8";
const ANYTHING: &str = "*/*";

fn read(answer: Response<Body>) -> io::Result<Page> {
    let url = answer.get_uri().to_string();
    let (head, body) = answer.into_parts();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    });
    let mut bytes = Vec::new();
    match body.into_reader().read_to_end(&mut bytes) {
        // A page that breaks off is shown as far as it came.
        Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => return Err(e),
        _ => {}
    }
    Ok(Page {
        url,
        status: head.status.as_u16(),
        headers: headers.collect(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// HTML §4.10.21.4: what a form sends, if its first button is pressed.
fn fields(page: &Html, form: ElementRef<'_>) -> Vec<(String, String)> {
    let mut is_pressed = false;
    let mut fields = Vec::new();
    for control in page.select(&selector("input, button, select, textarea")) {
        let owner = match control.attr("form") {
            Some(id) => form.attr("id") == Some(id),
            None => control.ancestors().any(|ancestor| ancestor == *form),
        };
        if !owner || control.attr("disabled").is_some() {
            continue;
        }
        let kind = control.attr("type").map(str::to_ascii_lowercase);
        let sent = match (control.value().name(), kind.as_deref().unwrap_or_default()) {
            (_, "reset" | "button" | "image" | "file") => false,
            ("button", _) | ("input", "submit") => !std::mem::replace(&mut is_pressed, true),
            ("input", "checkbox" | "radio") => control.attr("checked").is_some(),
            _ => true,
        };
        if let Some(name) = control.attr("name").filter(|_| sent) {
            fields.push((name.to_owned(), value(control)));
        }
    }
    fields
}

fn value(control: ElementRef<'_>) -> String {
    let chosen = |list: &str| control.select(&selector(list)).next().map(value);
    match control.value().name() {
        "textarea" => control.text().collect(),
        "select" => chosen("option[selected]")
            .or_else(|| chosen("option"))
            .unwrap_or_default(),
        "option" => control
            .attr("value")
            .map_or_else(|| control.text().collect(), str::to_owned),
        _ => {
            let is_box = matches!(control.attr("type"), Some("checkbox" | "radio"));
            let default = if is_box { "on" } else { "" };
            control.attr("value").unwrap_or(default).to_owned()
        }
    }
}

fn selector(text: &str) -> Selector {
    Selector::parse(text).expect("a selector of ours")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(html: &str) -> Option<Form> {
        let page = Page {
            url: "https://idp.test/realms/corp/device?x=1".to_owned(),
            status: 200,
            headers: Vec::new(),
            text: html.to_owned(),
        };
        page.form()
    }

    #[test]
    fn form_sends_what_a_browser_would_send() {
        let form = form(
            "<!-- <form action=/trap> --><button form=f name=first value=1>One</button>
             <form id=f METHOD='Post' action='../done?a=1&amp;b=2'>
             <input name=code value=\"a &quot;b&quot;\"><input type=hidden name='empty'>
             <input type=checkbox name=off value=x><input type=checkbox name=on checked>
             <select name=s><option>one<option selected value=2>two</select>
             <textarea name=t>a &lt; b</textarea><input disabled name=gone value=1>
             <input type=submit name=second value=2><input type=reset name=third></form>
             <input name=outside value=1>",
        )
        .expect("a form");
        assert_eq!(form.method, "POST");
        assert_eq!(form.action, "https://idp.test/realms/done?a=1&b=2");
        let fields = [
            ("first", "1"),
            ("code", "a \"b\""),
            ("empty", ""),
            ("on", "on"),
            ("s", "2"),
            ("t", "a < b"),
        ];
        assert_eq!(
            form.fields,
            fields.map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn form_without_attributes_is_sent_by_get_to_its_own_page() {
        let form = form("<form><input name=q></form>").expect("a form");
        assert_eq!(form.method, "GET");
        assert_eq!(form.action, "https://idp.test/realms/corp/device?x=1");
    }

    #[test]
    fn page_without_a_form_has_none() {
        assert!(form("<p>&lt;form&gt;</p>").is_none());
    }
}
