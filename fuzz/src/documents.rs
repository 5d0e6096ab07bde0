//! A provider's documents, read a second time in another way: by serde's own structures, which ignore a member that they
//! do not know, and take none twice that they do.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::text::without_mark;

type Member<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
#[allow(dead_code)] // that they are there once is all that counts
struct Metadata<'a> {
    #[serde(borrow)]
    issuer: Member<'a>,
    jwks_uri: Member<'a>,
    introspection_endpoint: Member<'a>,
    mtls_endpoint_aliases: Member<'a>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Aliases<'a> {
    #[serde(borrow)]
    introspection_endpoint: Member<'a>,
}

#[derive(Deserialize)]
struct KeySet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Key<'a> {
    #[serde(borrow)]
    kty: Member<'a>,
    kid: Member<'a>,
    r#use: Member<'a>,
    key_ops: Member<'a>,
    alg: Member<'a>,
    n: Member<'a>,
    e: Member<'a>,
    crv: Member<'a>,
    x: Member<'a>,
    y: Member<'a>,
    d: Member<'a>,
    p: Member<'a>,
    q: Member<'a>,
    dp: Member<'a>,
    dq: Member<'a>,
    qi: Member<'a>,
    oth: Member<'a>,
}

/// A metadata document that was accepted has no member twice that is read.
#[track_caller]
pub fn assert_metadata_read_once(document: &[u8]) {
    let metadata = serde_json::from_slice::<Metadata<'_>>(without_mark(document));
    let aliases = metadata.expect("no member twice").mtls_endpoint_aliases;
    if let Some(aliases) = aliases.map(RawValue::get).filter(|text| is_object(text)) {
        serde_json::from_str::<Aliases<'_>>(aliases).expect("no alias twice");
    }
}

/// A key set that was accepted has no member twice that is read.
#[track_caller]
pub fn assert_key_set_read_once(document: &[u8]) {
    let set = serde_json::from_slice::<KeySet<'_>>(without_mark(document));
    let keys = set.expect("no member twice").keys;
    for key in keys
        .into_iter()
        .map(RawValue::get)
        .filter(|text| is_object(text))
    {
        serde_json::from_str::<Key<'_>>(key).expect("no member of a key twice");
    }
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}
