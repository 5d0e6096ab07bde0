//! The conditions on claims that the administrator has set.

use serde_json::Value;

use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::failure::reject::Reject;
use crate::policy::Policy;
use crate::policy::required_claims::{Condition, Test};

/// Every condition must hold. The first one that does not is told.
pub(crate) fn validate_required_claims(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    for condition in policy.required_claims().iter() {
        validate_condition(claims, condition)?;
    }
    Ok(())
}

fn validate_condition(claims: &Object, condition: &Condition) -> Result<(), Reject> {
    let told = || Printable::new(&condition.text);
    let found = condition.claim.find(claims);
    let holds = match (&condition.test, found) {
        (Test::Absent, None) => true,
        (Test::Absent, Some(_)) => return Err(Reject::ForbiddenClaim { condition: told() }),
        (_, None) => return Err(Reject::RequiredClaimMissing { condition: told() }),
        (Test::Present, Some(value)) => !value.is_null(),
        (Test::OneOf(values), Some(value)) => {
            some_text(value, |text| values.iter().any(|one| one == text))
        }
        (Test::Like(patterns), Some(value)) => some_text(value, |text| {
            patterns.iter().any(|pattern| pattern.matches(text))
        }),
    };
    match holds {
        true => Ok(()),
        false => Err(Reject::RequiredClaimMismatch { condition: told() }),
    }
}

/// Whether `fits` holds of a claim, or of an element of an array: of a string as it is, of a boolean or a number as JSON
/// text, and of nothing else.
fn some_text(claim: &Value, fits: impl Fn(&str) -> bool) -> bool {
    let one = |claim: &Value| match claim {
        Value::String(text) => fits(text),
        Value::Bool(truth) => fits(if *truth { "true" } else { "false" }),
        Value::Number(number) => fits(&number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match claim {
        Value::Array(elements) => elements.iter().any(one),
        single => one(single),
    }
}
