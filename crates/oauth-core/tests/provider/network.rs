//! A provider's network that answers as it is told to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use http::Response;
use oauth_core::{
    Endpoint, HttpClient, Issuer, JwkSet, Unavailable, UnavailableCause, fetch_jwk_set,
};
use serde_json::json;

use court::{ISSUER, document, signing_key};

pub const DISCOVERY: &str = "https://issuer.example/realm/.well-known/openid-configuration";
pub const JWKS: &str = "https://keys.example/jwks";

type Answer = Result<(u16, Vec<u8>), UnavailableCause>;

/// A network of a few URLs that writes down what it is asked for.
#[derive(Clone, Default)]
pub struct Network {
    pub answers: HashMap<String, Answer>,
    pub asked: Rc<RefCell<Vec<String>>>,
    /// Of every answer, besides its own.
    pub headers: Vec<(&'static str, &'static str)>,
}

impl HttpClient for Network {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        self.asked.borrow_mut().push(url.as_str().to_owned());
        let (status, body) = self
            .answers
            .get(url.as_str())
            .unwrap_or_else(|| panic!("asked for {}", url.as_str()))
            .clone()?;
        let answer = Response::builder().status(status);
        let answer = self
            .headers
            .iter()
            .fold(answer, |answer, (name, value)| answer.header(*name, *value));
        Ok(answer.body(body).unwrap())
    }
}

impl Network {
    /// The issuer of the good token.
    pub fn sound() -> Network {
        Network::default()
            .answering(
                DISCOVERY,
                200,
                json!({"issuer": ISSUER, "jwks_uri": JWKS}).to_string(),
            )
            .answering(JWKS, 200, document(&[signing_key().jwk()]))
    }

    pub fn answering(mut self, url: &str, status: u16, body: impl Into<Vec<u8>>) -> Network {
        self.answers
            .insert(url.to_owned(), Ok((status, body.into())));
        self
    }

    pub fn failing(mut self, url: &str, cause: UnavailableCause) -> Network {
        self.answers.insert(url.to_owned(), Err(cause));
        self
    }

    pub fn fetch(&self) -> Result<JwkSet, Unavailable> {
        fetch_jwk_set(self, &Issuer::parse(ISSUER).unwrap(), None).map(|fetched| fetched.keys)
    }

    /// At which URL the fetch fails, with which code, after how many requests.
    pub fn fault(&self) -> (String, &'static str, usize) {
        self.asked.borrow_mut().clear();
        let error = self.fetch().unwrap_err();
        (
            error.url.as_str().to_owned(),
            error.cause.code(),
            self.asked.borrow().len(),
        )
    }
}
