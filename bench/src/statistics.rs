//! The few numbers that many measurements are summed up by.

use std::time::Duration;

/// The smallest of the times that at least this many percent of them do not exceed (the nearest rank), in milliseconds.
pub fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1].as_secs_f64() * 1000.0
}

/// How many times the floor's value that is, on average, and the standard error of that, from
/// how much the pairs differ. `None`: the floor's values are too small to tell.
pub fn ratio(own: &[f64], floor: &[f64]) -> Option<(f64, f64)> {
    let pairs = own.iter().zip(floor);
    let ratios: Vec<f64> = pairs.map(|(own, floor)| own / floor).collect();
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
    let error = (squares / (count - 1.0).max(1.0) / count).sqrt();
    let ratio = own.iter().sum::<f64>() / floor.iter().sum::<f64>();
    Some((ratio, error)).filter(|_| error.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(times: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        times.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentile_is_the_nearest_rank() {
        let hundred = millis(1..=100);
        assert_eq!(percentile(&hundred, 50), 50.0);
        assert_eq!(percentile(&hundred, 99), 99.0);
        assert_eq!(percentile(&millis(1..=101), 50), 51.0);
        // Of few, the 99th is the worst.
        assert_eq!(percentile(&millis([1, 2, 3, 4, 90]), 99), 90.0);
        assert_eq!(percentile(&millis([1, 2, 3, 4, 90]), 50), 3.0);
        assert_eq!(percentile(&millis([7]), 50), 7.0);
        assert_eq!(percentile(&millis([7]), 99), 7.0);
    }

    #[test]
    fn ratios_that_do_not_differ_have_no_error() {
        assert_eq!(ratio(&[2.0, 4.0], &[1.0, 2.0]), Some((2.0, 0.0)));
        assert_eq!(ratio(&[3.0], &[2.0]), Some((1.5, 0.0)));
    }

    #[test]
    fn error_is_the_deviation_by_the_root_of_the_count() {
        // Ratios 1, 2, 3: their deviation is 1.
        let (mean, error) = ratio(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0]).unwrap();
        assert_eq!(mean, 2.0);
        assert!((error - (1.0 / 3.0_f64).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_told_of_so_few_logins_that_the_clock_has_not_ticked() {
        assert_eq!(ratio(&[1.0, 0.0], &[1.0, 0.0]), None);
        assert_eq!(ratio(&[1.0, 1.0], &[1.0, 0.0]), None);
        assert_eq!(ratio(&[], &[]), None);
    }
}
