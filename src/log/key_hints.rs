//! Hints about keys, by when they were fetched.

use oauth_core::{Printable, Reject};

use crate::log::circumstances::{Circumstances, KeySet};

/// Seconds for which a token counts as new.
const NEW: u64 = 300;

/// A hint about a token whose key is not among the cached ones, or did not verify it.
pub fn key_hint(reject: &Reject, known: &Circumstances<'_>) -> Option<String> {
    let keys = known.findings?.keys.as_ref()?;
    let mut hint = match reject {
        Reject::UnknownKid { .. } | Reject::NoFittingKey { .. } if keys.is_file => format!(
            "The file of validator.jwks_file, read at {}, does not have this key. If the provider has a new one, replace \
                the file by its current key set; otherwise the token is from another issuer, or older than the \
                provider's last key rotation.",
            keys.fetched
        ),
        Reject::UnknownKid { again_in } | Reject::NoFittingKey { again_in } => match again_in {
            Some(seconds) => held_back_hint(*seconds, keys, known),
            None => fetched_hint(keys, known),
        },
        Reject::BadSignature { .. } if keys.is_file => format!(
            "The token was altered or forged, or its key was replaced under the same \"kid\" since the file of \
                validator.jwks_file was read, at {}.",
            keys.fetched
        ),
        Reject::BadSignature { again_in } => bad_signature_hint(*again_in, keys, known),
        _ => return None,
    };
    if let Some(error) = &keys.last_error {
        hint += &format!(" The last fetch failed: {error}.");
    }
    Some(hint)
}

/// The keys were fetched for this token, or while it waited.
fn fetched_hint(keys: &KeySet, known: &Circumstances<'_>) -> String {
    let fetched = &keys.fetched;
    let issued_before = issued_at(known).map(|iat| keys.fetched_at.saturating_sub(iat));
    let beginning = format!(
        "The provider's keys were fetched for this token, at {fetched}, and none of them is the token's."
    );
    match issued_before {
        Some(seconds) if seconds.unsigned_abs() < NEW => format!(
            "{beginning} The token says that it was issued within {} minutes of that (unverified): it is from another \
                issuer, or the provider, or a cache before it, does not publish its new key yet. Compare \"kid\" with the \
                provider's key set.",
            NEW / 60
        ),
        _ => format!(
            "{beginning} It is from another issuer, or older than the provider's last key rotation."
        ),
    }
}

/// The keys may not be fetched again yet.
fn held_back_hint(seconds: u64, keys: &KeySet, known: &Circumstances<'_>) -> String {
    let (fetched, age) = (&keys.fetched, keys.age);
    let beginning = format!(
        "None of the keys that were fetched at {fetched}, {age} s ago, is the token's, and they were not fetched again for \
            it (validator.jwks_refresh_cooldown)."
    );
    let again = fetched_again(seconds, known);
    match issued_at(known) {
        Some(iat) if iat > keys.fetched_at => format!(
            "{beginning} The token says that it was issued after that (unverified), so it may be newer than the keys: it \
                is accepted once they are fetched again, {again}."
        ),
        Some(iat) if keys.fetched_at.saturating_sub(iat).unsigned_abs() >= NEW => format!(
            "{beginning} The token says that it was issued before that (unverified), so it is probably from another \
                issuer, or older than the provider's last key rotation. The keys are fetched again {again}."
        ),
        // Both may have happened within the time by which clocks differ.
        _ => format!(
            "{beginning} If the token is newer than the keys, it is accepted once they are fetched again, {again}. \
                Otherwise it is from another issuer, or older than the provider's last key rotation."
        ),
    }
}

fn bad_signature_hint(again_in: Option<u64>, keys: &KeySet, known: &Circumstances<'_>) -> String {
    let (fetched, age) = (&keys.fetched, keys.age);
    match again_in {
        Some(seconds) => format!(
            "The token was altered or forged, or its key was replaced under the same \"kid\" since the keys were fetched, \
                at {fetched}, {age} s ago. They are fetched again {}.",
            fetched_again(seconds, known)
        ),
        None => format!(
            "The token was altered or forged, or signed with a key that the provider has replaced since under the same \
                \"kid\": the keys were fetched for this token, at {fetched}."
        ),
    }
}

/// That the provider may have changed its keys since they were fetched, if it was not asked because of the cooldown; else
/// nothing.
pub fn changed_keys_note(again_in: Option<u64>, known: &Circumstances<'_>) -> String {
    let Some(seconds) = again_in else {
        return String::new();
    };
    let keys = known.findings.and_then(|findings| findings.keys.as_ref());
    let since = keys.map_or_else(String::new, |keys| {
        format!(
            " since they were fetched, at {}, {} s ago",
            keys.fetched, keys.age
        )
    });
    format!(
        " The provider may have changed its keys{since}. They are fetched again {}.",
        fetched_again(seconds, known)
    )
}

/// When keys that are held back now are fetched, as the end of a sentence.
pub fn fetched_again(seconds: u64, known: &Circumstances<'_>) -> String {
    let issuer = known
        .policy
        .map_or("ISSUER", |policy| policy.issuer().identifier());
    format!(
        "for a token that comes in {seconds} s or later, or at once by validator.refresh_keys('{}')",
        Printable::new(issuer)
    )
}

/// By what the token says, which is not verified.
fn issued_at(known: &Circumstances<'_>) -> Option<i64> {
    known.sketch?.issued_at
}
