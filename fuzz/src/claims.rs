//! Claims, read in other words than the core's.

use serde_json::Value;

use crate::text::Object;

/// A claim by its name, or by a JSON Pointer (RFC 6901).
pub fn find<'a>(claims: &'a Object, path: &str) -> Option<&'a Value> {
    if !path.starts_with('/') {
        return claims.get(path);
    }
    let mut steps = path
        .split('/')
        .skip(1)
        .map(|step| step.replace("~1", "/").replace("~0", "~"));
    let top = claims.get(&steps.next()?)?;
    steps.try_fold(top, |value, step| match value {
        Value::Object(object) => object.get(&step),
        Value::Array(list) => {
            let plain = step == "0"
                || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
            list.get(step.parse::<usize>().ok().filter(|_| plain)?)
        }
        _ => None,
    })
}

/// The strings of an array, or the words of a string.
pub fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
