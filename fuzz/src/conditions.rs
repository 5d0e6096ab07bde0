//! What `required_claims` demands, said a second time: for texts without quotes and backslashes.

use serde_json::Value;

/// Every condition holds of the claims, which `find` looks up.
pub fn assert_hold<'a>(required: &str, find: impl Fn(&str) -> Option<&'a Value>) {
    if required.contains(['"', '\\']) {
        return; // the grammar has a target of its own
    }
    let mut rest = required.trim();
    while !rest.is_empty() {
        let (holds, after) = match operator(rest) {
            Some((name, word, operand)) => {
                let (values, after) = operands(word, operand);
                let test = |text: &str| match word {
                    "in" => values.contains(&text),
                    _ => values.iter().any(|pattern| is_like(text, pattern)),
                };
                (texts(find(name)).iter().any(|text| test(text)), after)
            }
            None => {
                let (item, after) = rest.split_once(',').unwrap_or((rest, ""));
                (simple(item.trim(), &find), after)
            }
        };
        assert!(holds, "{rest:?} does not hold");
        rest = after.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
    }
}

/// Name, operator and what follows it, where a condition with `in` or `like` begins.
fn operator(text: &str) -> Option<(&str, &'static str, &str)> {
    let (name, more) = text.split_once(char::is_whitespace)?;
    if name.contains(['=', ',']) {
        return None;
    }
    let more = more.trim_start();
    if let Some(list) = more.strip_prefix("in")
        && list.trim_start().starts_with('(')
    {
        return Some((name, "in", list.trim_start()));
    }
    let operand = more.strip_prefix("like")?;
    let is_pattern = operand.starts_with(|c: char| c == '(' || c.is_whitespace());
    let operand = operand.trim_start();
    (is_pattern && !operand.starts_with(['=', ',']) && !operand.is_empty())
        .then_some((name, "like", operand))
}

/// The values, and what follows them.
fn operands<'a>(word: &str, operand: &'a str) -> (Vec<&'a str>, &'a str) {
    match operand.strip_prefix('(') {
        Some(list) => {
            let (list, after) = list.split_once(')').expect("parsed before");
            (list.split(',').map(str::trim).collect(), after)
        }
        None => {
            assert_eq!(word, "like");
            let (pattern, after) = operand.split_once(',').unwrap_or((operand, ""));
            (vec![pattern.trim()], after)
        }
    }
}

/// `name=text`, `name present` or `name absent`.
fn simple<'a>(item: &str, find: &impl Fn(&str) -> Option<&'a Value>) -> bool {
    if let Some((name, text)) = item.split_once('=') {
        return texts(find(name.trim_end())).contains(&text.trim_start().to_owned());
    }
    let (name, word) = item.split_once(char::is_whitespace).expect("parsed before");
    match word.trim() {
        "present" => find(name).is_some_and(|value| !value.is_null()),
        "absent" => find(name).is_none(),
        other => panic!("{other:?} is no condition"),
    }
}

/// What may be compared: strings, and booleans and numbers as JSON text; of an array, its elements.
fn texts(value: Option<&Value>) -> Vec<String> {
    let elements = match value {
        Some(Value::Array(list)) => list.iter().collect(),
        one => Vec::from_iter(one),
    };
    let text = |one: &Value| match one {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(one.to_string()),
        _ => None,
    };
    elements.into_iter().filter_map(text).collect()
}

/// `*` stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    // Which beginnings of the pattern match what has been read of the text.
    let mut matched = vec![false; pattern.len() + 1];
    matched[0] = true;
    let skip_stars = |matched: &mut Vec<bool>| {
        for (at, c) in pattern.iter().enumerate() {
            matched[at + 1] |= matched[at] && *c == '*';
        }
    };
    skip_stars(&mut matched);
    for c in text.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (at, wanted) in pattern.iter().enumerate() {
            next[at] |= matched[at] && *wanted == '*';
            next[at + 1] |= matched[at] && *wanted == c && *wanted != '*';
        }
        matched = next;
        skip_stars(&mut matched);
    }
    matched[pattern.len()]
}
