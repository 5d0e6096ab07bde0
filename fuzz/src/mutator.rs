//! Changes lines of JSON so that they stay JSON, most of the time.

use libfuzzer_sys::fuzzer_mutate;
use oauth_core::Preset;
use serde_json::{Number, Value, json};

/// Names of members that mean something to one of the targets.
const NAMES: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "azp",
    "appid",
    "cid",
    "scope",
    "scp",
    "typ",
    "token_use",
    "token_type",
    "events",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "auth_time",
    "amr",
    "acr",
    "cnf",
    "x5t#S256",
    "jkt",
    "jwk",
    "groups",
    "roles",
    "permissions",
    "cognito:groups",
    "realm_access",
    "_claim_names",
    "hasgroups",
    "tid",
    "ver",
    "oid",
    "email",
    "email_verified",
    "preferred_username",
    "kubernetes.io",
    "namespace",
    "serviceaccount",
    "name",
    "repository",
    "repository_owner",
    "run_id",
    "project_path",
    "pipeline_id",
    "job_id",
    "uid",
    "sid",
    "active",
    "error",
    "alg",
    "kid",
    "crit",
    "jku",
    "x5u",
    "x5c",
    "b64",
    "zip",
    "keys",
    "kty",
    "use",
    "key_ops",
    "crv",
    "x",
    "y",
    "n",
    "e",
    "k",
    "d",
    "issuer",
    "jwks_uri",
    "introspection_endpoint",
    "mtls_endpoint_aliases",
    "",
    "audience",
    "access_token_issuer",
    "appid",
    "apptype",
    "upn",
    "preset",
    "scopes",
    "optional_scopes",
    "algorithms",
    "token_types",
    "identity_claim",
    "identity_prefix",
    "identity_case",
    "required_claims",
    "client_ids",
    "clock_skew",
    "max_token_age",
    "max_token_size",
    "delegated",
    "mapped",
    "role_claim",
    "role_separator",
    "role_map",
    "identity_rule",
    "provisioned",
    "allow_superuser",
    "introspection",
    "audience_required",
    "exp_required",
    "require_bound_token",
    "role",
    "now",
    "certificate",
    "power",
    "opaque",
];

/// Strings that mean something.
const TEXTS: &[&str] = &[
    "https://issuer.example/realm",
    "https://issuer.example",
    "https://issuer.example/",
    "https://pg.example/",
    "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
    "https://sts.windows.net/11111111-2222-3333-4444-555555555555/",
    "11111111-2222-3333-4444-555555555555",
    "1.0",
    "https://fs.corp.example/adfs",
    "http://fs.corp.example/adfs/services/trust",
    "psql",
    "alice",
    "Alice",
    "lower",
    "as_is",
    "bob",
    "postgres",
    "openid postgres",
    "openid",
    "offline_access",
    "api://pg/postgres",
    "sub",
    "groups",
    "/realm_access/roles",
    "/a~1b/0",
    "staff",
    "staff=alice",
    "former alice",
    "staff;alice",
    ",",
    ";",
    "superuser",
    "at+jwt",
    "application/at+jwt",
    "JWT",
    "JOSE",
    "-",
    "none",
    "RS256",
    "PS384",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
    "HS256",
    "RSA",
    "EC",
    "OKP",
    "oct",
    "P-256",
    "P-384",
    "P-521",
    "X25519",
    "sig",
    "enc",
    "jwt-svid",
    "verify",
    "sign",
    "AQAB",
    "Aw",
    "AA",
    "Bearer",
    "ID",
    "Refresh",
    "access",
    "access_token",
    "id",
    "true",
    "false",
    "off",
    "opaque",
    "always",
    "invalid_client",
    "acr=phr",
    "phr",
    "sub=alice, acr=phr",
    "acr in (phr, phrh)",
    "sub like al*",
    "sub like (b*, *ice)",
    "act absent",
    "email, sub",
    "oid, client_id=service:",
    "/realm_access/name=, sub",
    "acr present",
    "a*b",
    "a, \"b, c\"",
    "\"\"",
    "spiffe://corp/alice",
    "system:serviceaccount:ns:sa",
    "corp:",
    "-----cert-----",
    "",
    " ",
    "/",
    "~",
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "\u{0}",
    "\n",
    "\u{200b}",
    "\u{202e}",
    "\u{e9}",
    "\u{1f511}",
    "http://127.0.0.1:8080/keys",
    "http://localhost/",
    "http://issuer.example/",
    "https://u@issuer.example/",
    "https://issuer.example:443/keys?x#y",
    "https://issuer.example/.well-known/openid-configuration",
    "max-age=3600",
];

/// Numbers around the time of the judgement and at the ends of their range.
const NUMBERS: &[f64] = &[
    0.0,
    1.0,
    -1.0,
    30.0,
    300.0,
    1_800_000_000.0,
    1_800_000_300.0,
    1_799_999_970.0,
    1_799_999_969.5,
    1_800_000_030.0,
    1_800_000_031.0,
    1e18,
    1.8e19,
    -1e300,
    1e300,
    0.5,
    200.0,
    401.0,
];

/// One of the texts, or a preset's name.
fn text_of(random: &mut Random) -> &'static str {
    let chosen = random.below(TEXTS.len() + Preset::ALL.len());
    match TEXTS.get(chosen) {
        Some(text) => text,
        None => Preset::ALL[chosen - TEXTS.len()].name(),
    }
}

/// For `fuzz_mutator!`: one change of one line, or libFuzzer's own changes of bytes.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed));
    if random.below(5) > 0
        && let Some(changed) = data
            .get(..size)
            .and_then(|input| mutate_lines(input, &mut random))
        && changed.len() <= max_size
    {
        data[..changed.len()].copy_from_slice(&changed);
        return changed.len();
    }
    fuzzer_mutate(data, size, max_size)
}

fn mutate_lines(input: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(input).ok()?;
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let chosen = random.below(lines.len());
    let mut value: Value = serde_json::from_str(&lines[chosen]).ok()?;
    let other: Option<Value> = serde_json::from_str(&lines[random.below(lines.len())]).ok();
    for _ in 0..=random.below(3) {
        let count = count_of(&value);
        let spare = match &other {
            Some(other) if random.below(4) == 0 => {
                node(&mut other.clone(), random.below(count_of(other))).map(|n| n.clone())
            }
            _ => None,
        };
        let at = random.below(count);
        change(node(&mut value, at)?, spare, random);
    }
    let mut line = value.to_string();
    if random.below(16) == 0
        && let Some(object) = line.strip_suffix('}')
    {
        // A member twice, which a map cannot hold.
        line = format!(
            "{object},{}:{}}}",
            json!(random.of(NAMES)),
            new_value(random)
        );
    }
    lines[chosen] = line;
    Some(lines.join("\n").into_bytes())
}

fn change(value: &mut Value, spare: Option<Value>, random: &mut Random) {
    if let Some(spare) = spare {
        *value = spare;
        return;
    }
    let die = random.below(8);
    match value {
        Value::Object(object) if die < 7 => {
            let names: Vec<String> = object.keys().cloned().collect();
            let old = names
                .get(random.below(names.len().max(1)))
                .cloned()
                .unwrap_or_default();
            let new = random.of(NAMES).to_string();
            match die {
                0 | 1 => drop(object.remove(&old)),
                2 => {
                    if let Some(moved) = object.remove(&old) {
                        object.insert(new, moved);
                    }
                }
                _ => drop(object.insert(new, new_value(random))),
            }
        }
        Value::Array(elements) if die < 7 => match die {
            0 | 1 => drop(elements.pop()),
            2 => elements.reverse(),
            3 => elements.extend(elements.first().cloned()),
            _ => elements.push(new_value(random)),
        },
        Value::String(text) if die < 5 => match die {
            0 => text.push_str(text_of(random)),
            1 => text.insert_str(0, text_of(random)),
            2 => drop(text.pop()),
            3 => *text = format!("{text}, {}", text_of(random)),
            _ => *text = text_of(random).to_string(),
        },
        Value::Number(number) if die < 4 => {
            let old = number.as_f64().unwrap_or_default();
            let new = match die {
                0 => old + 1.0,
                1 => old - 30.5,
                2 => -old,
                _ => random.of(NUMBERS),
            };
            *value = number_of(new);
        }
        Value::Bool(truth) if die < 4 => *truth = !*truth,
        one if die == 7 => *one = json!([one.take()]),
        one => *one = new_value(random),
    }
}

fn new_value(random: &mut Random) -> Value {
    match random.below(10) {
        0 => Value::Null,
        1 => json!(true),
        2 | 3 => number_of(random.of(NUMBERS)),
        4 => json!([text_of(random), text_of(random)]),
        5 => json!({ random.of(NAMES): text_of(random) }),
        _ => json!(text_of(random)),
    }
}

fn number_of(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e18 {
        return json!(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn count_of(value: &Value) -> usize {
    1 + match value {
        Value::Array(elements) => elements.iter().map(count_of).sum(),
        Value::Object(object) => object.values().map(count_of).sum(),
        _ => 0,
    }
}

/// The value at this place, counted from the root downwards.
fn node(value: &mut Value, mut place: usize) -> Option<&mut Value> {
    if place == 0 {
        return Some(value);
    }
    place -= 1;
    let below: Vec<&mut Value> = match value {
        Value::Array(elements) => elements.iter_mut().collect(),
        Value::Object(object) => object.values_mut().collect(),
        _ => Vec::new(),
    };
    for child in below {
        let count = count_of(child);
        if place < count {
            return node(child, place);
        }
        place -= count;
    }
    None
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
