//! Unix time as a date, in UTC. The calendar is the proleptic Gregorian one, by Hinnant's
//! `civil_from_days`.

/// `20261122T231551Z` of Unix nanoseconds.
#[must_use]
pub fn utc_stamp(unix_ns: u64) -> String {
    let (year, month, day) = date(unix_ns);
    let second = unix_ns / 1_000_000_000 % 86_400;
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// `2026-11-22` of Unix nanoseconds.
#[must_use]
pub fn utc_date(unix_ns: u64) -> String {
    let (year, month, day) = date(unix_ns);
    format!("{year:04}-{month:02}-{day:02}")
}

fn date(unix_ns: u64) -> (u64, u64, u64) {
    let days = unix_ns / 1_000_000_000 / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_utc() {
        let stamp = |seconds: u64| utc_stamp(seconds * 1_000_000_000);
        assert_eq!(stamp(0), "19700101T000000Z");
        assert_eq!(stamp(951_782_400), "20000229T000000Z");
        assert_eq!(stamp(1_709_251_199), "20240229T235959Z");
        assert_eq!(stamp(1_795_389_351), "20261122T231551Z");
        assert_eq!(utc_date(1_795_389_351_000_000_000), "2026-11-22");
    }
}
