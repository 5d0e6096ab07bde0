//! A time as postgresql.conf has it: a number and its unit.

use std::str::FromStr;
use std::time::Duration;

const SECONDS: &[(&str, u64)] = &[("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)];

/// How old a security event may be.
#[derive(Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

impl Default for Period {
    fn default() -> Period {
        Period(Duration::from_secs(7 * 86_400))
    }
}

impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Period, &'static str> {
        let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let number = text
            .strip_suffix(unit)
            .and_then(|number| number.parse::<u64>().ok());
        let unit = SECONDS.iter().find(|(name, _)| *name == unit.trim());
        let seconds = number
            .zip(unit)
            .and_then(|(number, (_, seconds))| number.checked_mul(*seconds));
        match seconds {
            Some(seconds @ 60..=31_536_000) => Ok(Period(Duration::from_secs(seconds))),
            _ => Err("it must be from \"1min\" to \"365d\", with the unit s, min, h or d"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_a_unit_and_bounds() {
        let seconds = |text: &str| text.parse().map(|period: Period| period.0.as_secs());
        for (text, wanted) in [
            ("60s", 60),
            ("1min", 60),
            ("36 h", 129_600),
            ("7d", 604_800),
            ("365d", 31_536_000),
        ] {
            assert_eq!(seconds(text), Ok(wanted), "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "0",
            "0d",
            "-1d",
            "+1d",
            "1.5d",
            "59s",
            "366d",
            "1 week",
            "7D",
            " 7d",
            "18446744073709551615d",
            "99999999999999999999d",
            "7dd",
            "٧d",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!("7d".parse(), Ok(Period::default()));
    }
}
