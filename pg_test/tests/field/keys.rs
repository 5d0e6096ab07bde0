//! How providers write their keys, and what stays no key beside it.

use rig::{Issuer, Key, KeyKind, Server, base64url, from_base64url};
use serde_json::{Value, json};

use crate::{admits, refuses};

/// An issuer that signs with this key, and a server that trusts it.
fn start(key: &Key) -> (Issuer, Server) {
    let issuer = Issuer::builder().key(key.clone()).start();
    let server = Server::trusting(&issuer).start();
    (issuer, server)
}

/// Publishes the key with these members as they are, `null` included. Another key keeps the set one that has a usable key.
fn publish(issuer: &Issuer, members: Value) {
    let mut jwk = issuer.signing_key().jwk();
    let all = jwk.as_object_mut().expect("a JWK is an object");
    all.extend(members.as_object().expect("members").clone());
    issuer.publish_only(&[jwk, Key::new(KeyKind::P384).jwk()]);
}

#[track_caller]
fn assert_verdicts(key: &Key, good: &[Value], bad: &[Value]) {
    let (issuer, server) = start(key);
    let token = issuer.token("alice").encode();
    for members in good {
        publish(&issuer, members.clone());
        admits(&server, &token);
    }
    for members in bad {
        publish(&issuer, members.clone());
        refuses(&server, &token, "key_unsuitable");
    }
    publish(&issuer, json!({}));
    admits(&server, &token);
}

#[test]
fn null_and_empty_lists_are_as_absent() {
    assert_verdicts(
        &Key::new(KeyKind::Rsa),
        &[
            json!({"d": null, "p": null, "q": null, "dp": null, "dq": null, "qi": null, "oth": null}),
            json!({"alg": null, "use": null, "key_ops": null, "x5c": null, "x5t": null}),
            json!({"use": "sig", "key_ops": [], "x5c": [], "oth": []}),
        ],
        &[
            json!({"d": "AQAB"}),
            json!({"d": ""}),
            json!({"p": "AQAB", "d": null}),
            json!({"use": "enc", "key_ops": []}),
            json!({"key_ops": ["sign"]}),
            json!({"key_ops": ["sign"], "use": null}),
            json!({"n": null}),
            json!({"n": base64url([0xa5; 128])}),
        ],
    );
}

#[test]
fn material_may_be_padded_cut_or_in_the_other_alphabet() {
    let key = Key::new(KeyKind::Rsa);
    let jwk = key.jwk();
    let n = jwk["n"].as_str().expect("a modulus");
    let standard = n.replace('-', "+").replace('_', "/");
    assert_verdicts(
        &key,
        &[
            json!({"n": format!("{n}==")}),
            json!({"n": standard}),
            json!({"n": format!("{standard}=="), "e": "AQAB"}),
        ],
        &[
            json!({"n": format!("{n}===")}),
            json!({"n": format!("{n}\n")}),
            json!({"n": format!("{}==", base64url([0xa5; 127]))}),
        ],
    );
}

#[test]
fn coordinate_may_lack_its_zeros_or_have_one_for_the_sign() {
    let bytes = |key: &Key, name: &str| {
        from_base64url(key.jwk()[name].as_str().expect("a coordinate")).expect("base64url")
    };
    let key = std::iter::repeat_with(|| Key::new(KeyKind::P256))
        .find(|key| bytes(key, "x")[0] == 0)
        .expect("one key in 256");
    let (x, y) = (bytes(&key, "x"), bytes(&key, "y"));
    assert_verdicts(
        &key,
        &[
            json!({"x": base64url(&x[1..])}),
            json!({"y": base64url([&[0], &y[..]].concat())}),
        ],
        &[
            json!({"y": base64url(&y[1..])}),
            json!({"y": base64url([&[0, 0], &y[..]].concat())}),
            json!({"y": base64url([&[1], &y[..]].concat())}),
            json!({"x": base64url(&y), "y": base64url(&x)}),
            json!({"x": ""}),
        ],
    );
}
