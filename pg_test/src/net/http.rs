//! Requests and answers of HTTP, as tests see them.

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// All headers; names are lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The certificate that the client presented by TLS, as DER.
    pub client_certificate: Option<Vec<u8>>,
}

impl Request {
    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// A field of the body as a form.
    pub fn form(&self, name: &str) -> Option<String> {
        field(&self.body, name)
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        field(self.query.as_bytes(), name)
    }
}

fn field(form: &[u8], name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(form).into_owned();
    fields.find(|(n, _)| n == name).map(|(_, value)| value)
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// All headers but `Content-Length` and `Connection`, which are added.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer of one content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Response {
            status,
            headers,
            body: body.into(),
        }
    }

    /// A JSON document.
    pub fn json(status: u16, document: &serde_json::Value) -> Response {
        Response::new(status, "application/json", document.to_string())
    }

    /// An HTML page.
    pub fn html(status: u16, page: impl Into<Vec<u8>>) -> Response {
        Response::new(status, "text/html; charset=utf-8", page)
    }
}
