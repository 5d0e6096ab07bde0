//! The grammars of the settings: what a parser takes means what was written, and can be written again.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use oauth_core::{
    Algorithms, ClaimPath, ClientAuthMethod, Endpoint, IdentityCase, IdentityClaims,
    IdentityPrefix, IntrospectionMode, Issuer, NoProxy, Preset, Printable, Proxy, RequiredClaims,
    RoleSeparator, SettingError, StringList, TokenTypes,
};
use oauth_core_fuzz::text::assert_printable;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    check_lists(text);
    check_names(text);
    check_urls(text);
    assert_printable(Printable::new(text).as_str());
    assert_printable(Printable::list([text, "b"]).as_str());
    Corpus::Keep
});

/// The value, where the text is one; what an administrator is told otherwise is one line.
fn parse<T: std::str::FromStr<Err = SettingError>>(text: &str) -> Option<T> {
    let parsed = text.parse();
    parsed
        .map_err(|error: SettingError| {
            assert!(!error.to_string().contains(['\n', '\r', '\0']), "{error:?}")
        })
        .ok()
}

fn check_lists(text: &str) {
    let list: Option<StringList> = parse(text);
    if let Some(list) = &list {
        let items: Vec<&str> = list.iter().collect();
        for item in &items {
            assert!(!item.is_empty() && item.len() <= 1024 && !item.chars().any(char::is_control));
            assert!(list.contains(item));
        }
        assert!(items.len() <= 256 && list.is_empty() == text.trim().is_empty());
        // Written again with every item in quotes, it is the same list.
        let quoted: Vec<String> = items
            .iter()
            .map(|item| format!("\"{}\"", item.replace('"', "\"\"")))
            .collect();
        assert_eq!(quoted.join(" , ").parse().as_ref(), Ok(list));
    }
    if let Some(algorithms) = parse::<Algorithms>(text) {
        assert_eq!(algorithms.names().parse().as_ref(), Ok(&algorithms));
        for bad in ["none", "HS256", "HS384", "HS512"] {
            assert!(!algorithms.names().contains(bad));
        }
    }
    if let Some(types) = parse::<TokenTypes>(text) {
        let items: Vec<String> = list
            .as_ref()
            .expect("a list")
            .iter()
            .map(str::to_lowercase)
            .collect();
        let says = |name: &str| items.iter().any(|item| item == name);
        assert_eq!(types.accept(None), says("-") || says("application/-"));
        assert_eq!(
            types.accept(Some("JWT")),
            says("jwt") || says("application/jwt")
        );
        assert!(!types.accept(Some("")) && !types.accept(Some("-")));
    }
    check_conditions(text, list.as_ref());
}

/// A mistake has a place; and what was a list of name=value before there were operators still is.
fn check_conditions(text: &str, list: Option<&StringList>) {
    let conditions = text.parse::<RequiredClaims>();
    if let Err(error) = &conditions {
        let told = error.to_string();
        let (at, _) = told
            .strip_prefix("at character ")
            .and_then(|rest| rest.split_once(": "))
            .expect("a place");
        let at: usize = at.parse().expect("a number");
        assert!((1..=text.chars().count() + 1).contains(&at), "{told}");
        assert!(!told.contains(['\n', '\r', '\0']));
    }
    let is_plain = |item: &str| {
        item.split_once('=').is_some_and(|(name, value)| {
            let name = name.trim_end();
            let one_word = !name.chars().any(char::is_whitespace);
            one_word && name.parse::<ClaimPath>().is_ok() && !value.trim_start().is_empty()
        })
    };
    if let Some(list) = list.filter(|list| list.iter().all(is_plain)) {
        let quoted: Vec<String> = list
            .iter()
            .map(|item| format!("\"{}\"", item.replace('"', "\"\"")))
            .collect();
        assert!(conditions.is_ok(), "{conditions:?}");
        if list.iter().all(|item| item.trim() == item) {
            assert_eq!(quoted.join(",").parse(), conditions);
        }
    }
}

fn check_names(text: &str) {
    if let Some(path) = parse::<ClaimPath>(text) {
        assert_eq!(path.as_str(), text);
        assert!(!text.is_empty() && !text.chars().any(char::is_control));
    }
    if let Some(claims) = parse::<IdentityClaims>(text) {
        assert_eq!(claims.as_str(), text);
        let none = IdentityPrefix::default();
        let prefixes: Vec<&str> = claims.prefixes(&none).collect();
        assert!((1..=16).contains(&prefixes.len()));
        assert!(prefixes.iter().all(|prefix| prefix.len() <= 128));
    }
    if let Some(prefix) = parse::<IdentityPrefix>(text) {
        assert_eq!(prefix.as_str(), text);
        assert!(text.len() <= 128 && !text.chars().any(char::is_control));
    }
    assert_eq!(
        parse::<IdentityCase>(text).is_some(),
        ["as_is", "lower"].contains(&text)
    );
    assert_eq!(
        parse::<RoleSeparator>(text).is_some(),
        ["", " ", ",", ";"].contains(&text)
    );
    if let Some(preset) = parse::<Preset>(text) {
        assert_eq!(preset.to_string(), text);
        let defaults = |name| preset.default_of(name).unwrap_or_default();
        assert!(defaults("token_types").parse::<TokenTypes>().is_ok());
        assert!(defaults("optional_scopes").parse::<StringList>().is_ok());
        assert!(defaults("identity_claim").parse::<IdentityClaims>().is_ok());
    }
    assert_eq!(
        parse::<IntrospectionMode>(text).is_some(),
        ["off", "opaque", "always"].contains(&text)
    );
    if parse::<ClientAuthMethod>(text).is_some() {
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        );
    }
}

fn check_urls(text: &str) {
    if let Ok(proxy) = text.parse::<Proxy>() {
        let uri = proxy.uri();
        assert!(uri.host().is_some_and(|host| !host.is_empty()));
        assert!(!proxy.as_str().contains(['@', '#', '?']));
        assert_eq!(proxy.is_tls(), uri.scheme_str() == Some("https"));
        assert_printable(proxy.printable().as_str());
    }
    if let Some(except) = parse::<NoProxy>(text) {
        let has = |url: &str| url.parse().is_ok_and(|url| except.has(&url));
        let all = text
            .split(',')
            .any(|item| item.trim().trim_matches('"') == "*");
        assert!(!all || has("https://idp.example"));
        // What ends like a host is another host.
        assert!(!has("https://x.y.z.q") || has("https://X.Y.Z.Q:8443/a"));
    }
    for allow_http in [false, true] {
        let endpoint = Endpoint::parse_allowing(text, allow_http);
        if let Ok(endpoint) = &endpoint {
            assert_eq!(endpoint.as_str(), text);
            assert!(endpoint.has_origin_of(endpoint));
            assert!(text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        let Ok(issuer) = Issuer::parse_allowing(text, allow_http) else {
            continue;
        };
        let endpoint = endpoint.expect("an issuer is a URL that may be asked");
        assert!(issuer.discovery().has_origin_of(&endpoint), "{issuer:?}");
        assert!(!issuer.identifier().contains(['?', '#']));
        // The identifier is an issuer by itself, with the same name.
        let again = Issuer::parse_allowing(issuer.identifier(), allow_http);
        assert_eq!(
            again.as_ref().map(Issuer::identifier),
            Ok(issuer.identifier())
        );
    }
}
