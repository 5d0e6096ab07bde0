//! A person's browser, as far as a provider's plain HTML pages need one: cookies, redirects, forms.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::net::tls::{self, Authority, Identity};

/// A browser with an empty cookie jar. It follows redirects and trusts the shared authority.
pub struct Browser {
    cookies: Vec<(String, String)>,
    tls: Arc<ClientConfig>,
}

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
    /// Where it is sent to.
    pub action: String,
    /// Its fields, with the values that the page gives them.
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
        let start = self.text.find("<form")?;
        let html = &self.text[start..];
        let html = &html[..html.find("</form").unwrap_or(html.len())];
        let tag = &html[..html.find('>')?];
        let inputs = html
            .split("<input")
            .skip(1)
            .map(|rest| &rest[..rest.find('>').unwrap_or(rest.len())]);
        let fields = inputs.filter_map(|input| {
            Some((
                attribute(input, "name")?,
                attribute(input, "value").unwrap_or_default(),
            ))
        });
        let action = attribute(tag, "action").unwrap_or_else(|| self.url.clone());
        Some(Form {
            action: resolve(&self.url, &action),
            fields: fields.collect(),
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
        Browser {
            cookies: Vec::new(),
            tls: tls::client_config(Authority::shared(), identity),
        }
    }

    /// Opens a page.
    #[track_caller]
    pub fn get(&mut self, url: &str) -> Page {
        self.navigate("GET", url, String::new())
    }

    /// Sends a form with these fields.
    #[track_caller]
    pub fn post(&mut self, url: &str, fields: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.navigate("POST", url, body)
    }

    /// Sends a page's first form; `entries` are typed over the values that it has.
    #[track_caller]
    pub fn submit(&mut self, page: &Page, entries: &[(&str, &str)]) -> Page {
        let mut form = page
            .form()
            .unwrap_or_else(|| panic!("no form on the page: {page:?}"));
        for (name, value) in entries {
            form.fields.retain(|(n, _)| n != name);
            form.fields.push((name.to_string(), value.to_string()));
        }
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form.fields)
            .finish();
        self.navigate("POST", &form.action, body)
    }

    #[track_caller]
    fn navigate(&mut self, method: &str, url: &str, body: String) -> Page {
        let mut page = self
            .request(method, url, &body)
            .unwrap_or_else(|e| panic!("{url}: {e}"));
        for _ in 0..10 {
            let Some(location) = page
                .header("location")
                .filter(|_| (301..=308).contains(&page.status))
            else {
                return page;
            };
            let next = resolve(&page.url, location);
            page = self
                .request("GET", &next, "")
                .unwrap_or_else(|e| panic!("{next}: {e}"));
        }
        panic!("too many redirects from {url}");
    }

    /// One request, one answer, without following anything.
    pub fn request(&mut self, method: &str, url: &str, body: &str) -> io::Result<Page> {
        let (origin, path) = split(url);
        let host = origin.split_once("//").map_or("", |(_, host)| host);
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n"
        );
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self
                .cookies
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            request.push_str(&format!("Cookie: {}\r\n", cookies.join("; ")));
        }
        if method == "POST" {
            let length = body.len();
            request.push_str(&format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n"
            ));
        }
        let answer = self.exchange(origin, host, &format!("{request}\r\n{body}"))?;
        let page = parse(url, &answer)?;
        for (_, cookie) in page.headers.iter().filter(|(n, _)| n == "set-cookie") {
            let pair = cookie
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='));
            if let Some((name, value)) = pair {
                self.cookies.retain(|(n, _)| n != name.trim());
                self.cookies
                    .push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Ok(page)
    }

    /// Sends a request and reads until the server closes.
    fn exchange(&self, origin: &str, host: &str, request: &str) -> io::Result<Vec<u8>> {
        let mut tcp = TcpStream::connect(host)?;
        tcp.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut answer = Vec::new();
        if origin.starts_with("https:") {
            let name = host
                .rsplit_once(':')
                .map_or(host, |(name, _)| name)
                .to_owned();
            let name = ServerName::try_from(name).map_err(io::Error::other)?;
            let connection =
                ClientConnection::new(self.tls.clone(), name).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, tcp);
            stream.write_all(request.as_bytes())?;
            match stream.read_to_end(&mut answer) {
                // The issuer closes without close_notify.
                Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => return Err(e),
                _ => {}
            }
        } else {
            tcp.write_all(request.as_bytes())?;
            tcp.read_to_end(&mut answer)?;
        }
        Ok(answer)
    }
}

fn parse(url: &str, answer: &[u8]) -> io::Result<Page> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(answer).map_err(io::Error::other)? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let headers: Vec<_> = parsed
        .headers
        .iter()
        .map(|h| {
            (
                h.name.to_ascii_lowercase(),
                String::from_utf8_lossy(h.value).into_owned(),
            )
        })
        .collect();
    let chunked = headers
        .iter()
        .any(|(n, v)| n == "transfer-encoding" && v == "chunked");
    let body = match chunked {
        true => unchunk(&answer[head..]),
        false => answer[head..].to_vec(),
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    Ok(Page {
        url: url.to_owned(),
        status: parsed.code.unwrap_or(0),
        headers,
        text,
    })
}

/// RFC 9112 §7.1.
fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest) {
        let Some(chunk) = usize::try_from(size)
            .ok()
            .and_then(|size| rest.get(start..start + size))
        else {
            break;
        };
        body.extend_from_slice(chunk);
        rest = rest.get(start + chunk.len() + 2..).unwrap_or_default();
        if chunk.is_empty() {
            break;
        }
    }
    body
}

/// An attribute of a tag; providers quote them.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = &tag[start..];
    let value = &value[..value.find('"')?];
    let plain = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    Some(
        plain
            .iter()
            .fold(value.to_owned(), |text, (from, to)| text.replace(from, to)),
    )
}

/// The origin and the path with its query.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("//").map_or(0, |at| at + 2);
    let path = url[host..].find('/').map_or(url.len(), |at| host + at);
    (
        &url[..path],
        if path == url.len() { "/" } else { &url[path..] },
    )
}

fn resolve(base: &str, target: &str) -> String {
    match target {
        absolute if absolute.contains("://") => absolute.to_owned(),
        path => format!("{}/{}", split(base).0, path.trim_start_matches('/')),
    }
}
