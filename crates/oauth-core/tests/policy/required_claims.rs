//! The grammar of `required_claims`, for any conditions and claims.

use court::*;
use oauth_core::{ClaimPath, RequiredClaims, StringList};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone)]
enum Test {
    Equals(String),
    In(Vec<String>),
    Like(Vec<Vec<String>>),
    Present,
    Absent,
}

/// Texts of the characters that mean something in the grammar, and of two that do not.
fn any_text() -> impl Strategy<Value = String> {
    "[ab*,()=\"\\\\][ab*,()=\"\\\\ ]{0,3}"
}

fn any_test() -> impl Strategy<Value = Test> {
    let part = prop_oneof![Just(String::new()), any_text()];
    prop_oneof![
        any_text().prop_map(Test::Equals),
        vec(any_text(), 1..4).prop_map(Test::In),
        vec(vec(part, 2..4), 1..3).prop_map(Test::Like),
        Just(Test::Present),
        Just(Test::Absent),
    ]
}

fn any_claim() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        any_text().prop_map(|text| Some(json!(text))),
        vec(any_text(), 0..3).prop_map(|list| Some(json!(list))),
    ]
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn written(name: &str, test: &Test) -> String {
    let listed = |values: Vec<String>| values.join(" , ");
    match test {
        Test::Equals(value) => quote(&format!("{name}={value}")),
        Test::In(values) => format!(
            "{name} in ({})",
            listed(values.iter().map(|value| quote(value)).collect())
        ),
        Test::Like(patterns) => {
            let escape = |part: &String| part.replace('\\', "\\\\").replace('*', "\\*");
            let pattern = |parts: &Vec<String>| {
                quote(&parts.iter().map(escape).collect::<Vec<_>>().join("*"))
            };
            format!(
                "{name} like ({})",
                listed(patterns.iter().map(pattern).collect())
            )
        }
        Test::Present => format!("{name} present"),
        Test::Absent => format!("{name} absent"),
    }
}

/// Whether the texts stand in this order, with anything between them.
fn is_like(text: &str, parts: &[String]) -> bool {
    match parts {
        [] => text.is_empty(),
        [last] => text == last,
        [first, rest @ ..] => text.strip_prefix(first.as_str()).is_some_and(|after| {
            let mut ends = after.char_indices().map(|(at, _)| at).chain([after.len()]);
            ends.any(|at| is_like(&after[at..], rest))
        }),
    }
}

fn expected(test: &Test, claim: Option<&Value>) -> &'static str {
    let any = |fits: &dyn Fn(&str) -> bool| match claim {
        None => "required_claim_missing",
        Some(claim) => {
            let list = claim.as_array().cloned().unwrap_or(vec![claim.clone()]);
            let fit = list.iter().filter_map(Value::as_str).any(fits);
            if fit {
                GRANTED
            } else {
                "required_claim_mismatch"
            }
        }
    };
    match (test, claim) {
        (Test::Equals(value), _) => any(&|text| text == value),
        (Test::In(values), _) => any(&|text| values.iter().any(|value| value == text)),
        (Test::Like(patterns), _) => any(&|text| patterns.iter().any(|parts| is_like(text, parts))),
        (Test::Present, None) => "required_claim_missing",
        (Test::Present, Some(Value::Null)) => "required_claim_mismatch",
        (Test::Absent, Some(_)) => "forbidden_claim",
        (Test::Present, Some(_)) | (Test::Absent, None) => GRANTED,
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn what_is_written_is_what_is_demanded(
        first in any_test(), second in any_test(), x in any_claim(), y in any_claim(),
    ) {
        let conditions = [written("x", &first), written("y", &second)];
        let setting: RequiredClaims = conditions.join(" ,").parse().unwrap();
        let mut claims = Map::new();
        claims.extend(x.clone().map(|x| ("x".to_owned(), x)));
        claims.extend(y.clone().map(|y| ("y".to_owned(), y)));
        let token = claims.iter().fold(good_token(), |token, (name, value)| token.claim(name, value.clone()));
        let verdict = Court::new().policy(|policy| policy.required_claims(setting)).verdict(&token);
        let both = [expected(&first, x.as_ref()), expected(&second, y.as_ref())];
        prop_assert_eq!(verdict, both.into_iter().find(|one| *one != GRANTED).unwrap_or(GRANTED));
    }

    #[test]
    fn a_condition_in_quotes_is_the_same_condition(test in any_test()) {
        let plain = written("x", &test);
        if !plain.starts_with('"') {
            prop_assert_eq!(quote(&plain).parse::<RequiredClaims>(), plain.parse());
        }
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(
        text in prop_oneof![any::<String>(), "[\"a,=*()\\\\ ]{0,12}", "a (in|like|present|absent) ?[\"a,=*()\\\\ ]{0,9}"],
    ) {
        if let Err(error) = text.parse::<RequiredClaims>() {
            let told = error.to_string();
            let place = told.strip_prefix("at character ").and_then(|rest| rest.split(':').next());
            let at: usize = place.unwrap().parse().unwrap();
            prop_assert!((1..=text.chars().count() + 1).contains(&at), "{text:?}: {told}");
        }
    }

    #[test]
    fn a_list_of_names_and_values_still_is_one(text in "[ab=,\"*() ]{0,16}") {
        let Ok(list) = text.parse::<StringList>() else { return Ok(()); };
        let pairs: Option<Vec<(&str, &str)>> = list.iter().map(|item| {
            let (name, value) = item.split_once('=')?;
            let (name, value) = (name.trim_end(), value.trim_start());
            let is_pair = name.parse::<ClaimPath>().is_ok() && !value.is_empty();
            is_pair.then_some((name, value))
        }).collect();
        let Some(pairs) = pairs else { return Ok(()); };
        let setting: RequiredClaims = text.parse().unwrap();
        let court = Court::new().policy(|policy| policy.required_claims(setting));
        let mut claims = Map::new();
        for (name, value) in &pairs {
            let list = claims.entry(*name).or_insert_with(|| json!([]));
            list.as_array_mut().unwrap().push(json!(value));
        }
        let token = |claims: &Map<String, Value>| claims.iter()
            .fold(good_token(), |token, (name, value)| token.claim(name, value.clone()));
        prop_assert_eq!(court.verdict(&token(&claims)), GRANTED);
        if let Some((name, _)) = pairs.last() {
            claims.insert((*name).to_owned(), json!("other"));
            prop_assert_eq!(court.verdict(&token(&claims)), "required_claim_mismatch");
        }
    }
}
