//! Settings, the claims of a signed or opaque token, and the provider's answer about it: whatever is granted meets
//! the settings.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};
use oauth_core_fuzz::case::Case;
use oauth_core_fuzz::{mutator, oracle};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(case) = Case::parse(input) else {
        return Corpus::Reject;
    };
    oracle::check(&case);
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::mutate(data, size, max_size, seed)
});
