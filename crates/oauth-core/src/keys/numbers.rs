//! The numbers of a key as they are written: base64 of big-endian bytes.

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine as _};

/// Bytes of the longest RSA exponent; 65537 has three.
const MAX_RSA_EXPONENT_BYTES: usize = 4;

/// RFC 7518 §2: base64url without padding. The standard alphabet and padding spell the same bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    const PADDED_OR_NOT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const ALPHABETS: [GeneralPurpose; 2] = [
        GeneralPurpose::new(&alphabet::URL_SAFE, PADDED_OR_NOT),
        GeneralPurpose::new(&alphabet::STANDARD, PADDED_OR_NOT),
    ];
    ALPHABETS
        .iter()
        .find_map(|alphabet| alphabet.decode(text).ok())
}

/// The same number.
pub(crate) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(number.len());
    number.get(start..).unwrap_or_default()
}

/// Of a number without leading zeros.
pub(crate) fn bits(number: &[u8]) -> usize {
    let zeros = number.first().map_or(0, |byte| byte.leading_zeros());
    number
        .len()
        .saturating_mul(8)
        .saturating_sub(zeros as usize)
}

/// Whether a number is odd, as a modulus and its exponent are.
pub(crate) fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|byte| byte & 1 == 1)
}

/// Whether an exponent may be used: not so large that verification takes long, and not one, which signs for everyone.
pub(crate) fn is_exponent(e: &[u8]) -> bool {
    e.len() <= MAX_RSA_EXPONENT_BYTES && is_odd(e) && e != [1]
}

/// Bits of a modulus; zero if it is not one.
pub(crate) fn rsa_bits(n: &str) -> usize {
    decode(n).map_or(0, |n| bits(without_leading_zeros(&n)))
}

/// Whether this is an exponent that may be used.
pub(crate) fn is_rsa_exponent(e: &str) -> bool {
    decode(e).is_some_and(|e| is_exponent(without_leading_zeros(&e)))
}
