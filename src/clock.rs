//! Time as values.
//!
//! The law: who decides by time is told the time, so that windows, waits and ends are tested without waiting. The one reading
//! that goes on only forward is for windows, and is the same for every process of the machine, so that one can hand its windows to
//! the next; the other, of the calendar, is for what a person has written down.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// A moment, by both clocks, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Since the machine started (CLOCK_MONOTONIC); it never goes back.
    pub steady: u64,
    /// Since 1970, UTC.
    pub calendar: u64,
}

/// How far the calendar is ahead of the other clock, looked up once a second: a request need not read both.
#[derive(Clone, Copy)]
struct Ahead {
    second: u64,
    by: u64,
}

/// A moment by both ways of reading the steady clock.
static BEGIN: OnceLock<(Instant, Duration)> = OnceLock::new();

thread_local! {
    static AHEAD: Cell<Ahead> = const { Cell::new(Ahead { second: u64::MAX, by: 0 }) };
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self::at(Instant::now())
    }

    /// The moment of `instant`, which has been looked up already.
    pub fn at(instant: Instant) -> Self {
        let millis = |time: Duration| time.as_secs().saturating_mul(1000) + u64::from(time.subsec_millis());
        let (begin, began) = *BEGIN.get_or_init(|| {
            // The clock is there on every Linux; were it not, nothing would ever be forgotten, and no limit opened.
            let began = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
            (Instant::now(), began)
        });
        // An instant is a reading of the same clock, and says nothing but how far it is from another.
        let steady = match instant.checked_duration_since(begin) {
            Some(since) => began.saturating_add(since),
            None => began.saturating_sub(begin.saturating_duration_since(instant)),
        };
        let steady = millis(steady);
        let ahead = AHEAD.get();
        if ahead.second == steady / 1000 {
            return Self { steady, calendar: steady.saturating_add(ahead.by) };
        }
        let calendar = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        AHEAD.set(Ahead { second: steady / 1000, by: calendar.saturating_sub(steady) });
        Self { steady, calendar }
    }
}

/// Milliseconds since the machine started, some few behind: the time of the kernel's last tick, for a fraction of the price.
pub fn coarse() -> u64 {
    let ticked = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).map(Duration::from).unwrap_or_default();
    u64::try_from(ticked.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970 of a time of RFC 3339; none: it is no such time.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let (clock, offset) = time.split_at(time.find(['Z', 'z', '+', '-'])?);
    let mut clock = clock.splitn(3, ':');
    let (hour, minute): (i64, i64) = (clock.next()?.parse().ok()?, clock.next()?.parse().ok()?);
    let seconds: f64 = clock.next()?.parse().ok()?;
    let fits = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..61.0).contains(&seconds)
        && parts.next().is_none();
    if !fits {
        return None;
    }
    let minutes = days(year, month, day) * 1440 + hour * 60 + minute - offset_minutes(offset)?;
    u64::try_from(minutes * 60_000).ok().map(|whole| whole + (seconds * 1000.0) as u64)
}

/// The time of RFC 3339 that is so many milliseconds after 1970, in UTC.
pub fn rfc3339(millis: u64) -> String {
    format!("{}.{:03}Z", civil(millis / 1000), millis % 1000)
}

/// Date and time of a second since 1970, in UTC: `1970-01-01T00:00:00`.
pub fn civil(seconds: u64) -> String {
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    // civil_from_days of the same paper; the era that begins in March of the year 0.
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let index = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * index + 2) / 5 + 1;
    let month = if index < 10 { index + 3 } else { index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}")
}

fn offset_minutes(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 60 + minutes))
}

/// Days since 1970 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let month_index = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (month_index * 153 + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        for millis in [0, 951_826_645_000, 951_782_400_000, 951_868_800_000, 1_795_392_000_250, 4_107_542_399_999] {
            assert_eq!(parse_rfc3339(&rfc3339(millis)), Some(millis));
        }
        assert_eq!(rfc3339(951_826_645_000), "2000-02-29T12:17:25.000Z");
    }

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:17:25Z", Some(951_826_645_000)),
            ("2026-11-23T00:00:00.250Z", Some(1_795_392_000_250)),
            ("2026-11-23T01:00:00+01:00", Some(1_795_392_000_000)),
            ("2026-11-22 23:30:00-00:30", Some(1_795_392_000_000)),
            ("2026-11-23", None),
            ("2026-11-23T00:00:00", None),
            ("2026-13-23T00:00:00Z", None),
            ("2026-11-23T25:00:00Z", None),
            ("1969-12-31T00:00:00Z", None),
            ("99999999999999999-11-23T00:00:00Z", None),
            ("soon", None),
        ] {
            assert_eq!(parse_rfc3339(text), expected, "{text}");
        }
    }
}
