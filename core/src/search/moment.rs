//! Moments as people write them: a year, a month, a day, a minute, a second or a millisecond.
use super::QueryFault;
use crate::time::WallTime;
use std::fmt;

/// A span of time that has a name: `2026`, `2026-11`, `2026-11-01`, `2026-11-01T09:30Z`, `2026-11-01T09:30:15Z`,
/// `2026-11-01T09:30:15.250Z`. Source: W3C NOTE-datetime. Times may have another offset than `Z` when they are read. Days,
/// months and years are those of UTC. The years are 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    from: WallTime,
    precision: Precision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precision {
    Year,
    Month,
    Day,
    Minute,
    Second,
    Millisecond,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;
/// The first moment of the year 10000. Milliseconds since 1970.
const END: u64 = 253_402_300_800_000;

impl Moment {
    /// One millisecond.
    ///
    /// # Errors
    /// [`QueryFault::NotAMoment`] after the year 9999.
    pub fn at(time: WallTime) -> Result<Self, QueryFault> {
        match time.0 {
            0..END => Ok(Self { from: time, precision: Precision::Millisecond }),
            _ => Err(QueryFault::NotAMoment),
        }
    }

    /// Reads what is written as in the examples.
    ///
    /// # Errors
    /// [`QueryFault::NotAMoment`].
    pub fn parse(text: &str) -> Result<Self, QueryFault> {
        read(text).ok_or(QueryFault::NotAMoment)
    }

    /// Whether it is a whole year.
    pub(crate) fn is_year(&self) -> bool {
        self.precision == Precision::Year
    }

    /// Its first millisecond.
    pub fn from(&self) -> WallTime {
        self.from
    }

    /// The first millisecond after it.
    pub fn to(&self) -> WallTime {
        let (year, month, _) = date_of(self.from.0 / DAY);
        let to = match self.precision {
            Precision::Year => days_before(year + 1, 1) * DAY,
            Precision::Month if month == 12 => days_before(year + 1, 1) * DAY,
            Precision::Month => days_before(year, month + 1) * DAY,
            Precision::Day => self.from.0 + DAY,
            Precision::Minute => self.from.0 + MINUTE,
            Precision::Second => self.from.0 + SECOND,
            Precision::Millisecond => self.from.0 + 1,
        };
        WallTime(to)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.from.0 / DAY);
        write!(f, "{year:04}")?;
        if self.precision == Precision::Year {
            return Ok(());
        }
        write!(f, "-{month:02}")?;
        if self.precision == Precision::Month {
            return Ok(());
        }
        write!(f, "-{day:02}")?;
        let rest = self.from.0 % DAY;
        let (hour, minute, second) = (rest / MINUTE / 60, rest / MINUTE % 60, rest / SECOND % 60);
        match self.precision {
            Precision::Year | Precision::Month | Precision::Day => Ok(()),
            Precision::Minute => write!(f, "T{hour:02}:{minute:02}Z"),
            Precision::Second => write!(f, "T{hour:02}:{minute:02}:{second:02}Z"),
            Precision::Millisecond => {
                write!(f, "T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % SECOND)
            }
        }
    }
}

fn read(text: &str) -> Option<Moment> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    if !(1970..=9999).contains(&year) {
        return None;
    }
    if rest.is_empty() {
        return Some(Moment { from: day(year, 1, 1)?, precision: Precision::Year });
    }
    let month = after(&mut rest, "-").and_then(|()| digits(&mut rest, 2))?;
    if rest.is_empty() {
        return Some(Moment { from: day(year, month, 1)?, precision: Precision::Month });
    }
    let date = after(&mut rest, "-").and_then(|()| digits(&mut rest, 2))?;
    let from = day(year, month, date)?;
    if rest.is_empty() {
        return Some(Moment { from, precision: Precision::Day });
    }
    time(from, rest)
}

/// The part after the day.
fn time(day: WallTime, text: &str) -> Option<Moment> {
    let mut rest = text;
    after(&mut rest, "T")?;
    let hour = digits(&mut rest, 2).filter(|hour| *hour < 24)?;
    after(&mut rest, ":")?;
    let minute = digits(&mut rest, 2).filter(|minute| *minute < 60)?;
    let mut from = day.0 + (hour * 60 + minute) * MINUTE;
    let mut precision = Precision::Minute;
    if after(&mut rest, ":").is_some() {
        from += digits(&mut rest, 2).filter(|second| *second < 60)? * SECOND;
        precision = Precision::Second;
        if after(&mut rest, ".").is_some() {
            let count = rest.bytes().take_while(u8::is_ascii_digit).count().min(9);
            let fraction = digits(&mut rest, count)?;
            from += fraction * 1_000 / 10_u64.pow(u32::try_from(count).ok()?);
            precision = Precision::Millisecond;
        }
    }
    let from = WallTime(offset(from, rest)?);
    (from.0 < END).then_some(Moment { from, precision })
}

/// The moment in UTC, of one with this offset.
fn offset(local: u64, text: &str) -> Option<u64> {
    if text == "Z" {
        return Some(local);
    }
    let (ahead, mut rest) = match text.split_at_checked(1)? {
        ("+", rest) => (true, rest),
        ("-", rest) => (false, rest),
        _ => return None,
    };
    let hours = digits(&mut rest, 2).filter(|hours| *hours < 24)?;
    after(&mut rest, ":")?;
    let minutes = digits(&mut rest, 2).filter(|minutes| *minutes < 60)?;
    let span = (hours * 60 + minutes) * MINUTE;
    let utc = if ahead { local.checked_sub(span)? } else { local + span };
    rest.is_empty().then_some(utc)
}

fn after(rest: &mut &str, mark: &str) -> Option<()> {
    *rest = rest.strip_prefix(mark)?;
    Some(())
}

fn digits(rest: &mut &str, count: usize) -> Option<u64> {
    let (number, after) = rest.split_at_checked(count)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    *rest = after;
    number.parse().ok()
}

fn day(year: u64, month: u64, day: u64) -> Option<WallTime> {
    let valid = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    valid.then(|| WallTime((days_before(year, month) + day - 1) * DAY))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to the first of a month.
fn days_before(year: u64, month: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    years + (1..month).map(|month| days_of(year, month)).sum::<u64>()
}

/// Year, month and day of a day, counted from 1970.
fn date_of(days: u64) -> (u64, u64, u64) {
    // A year has at most 366 days, and at least 365 on average.
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_before(year, month + 1) <= days {
        month += 1;
    }
    (year, month, days - days_before(year, month) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(text: &str) -> (u64, u64) {
        let moment = Moment::parse(text).unwrap();
        (moment.from().0, moment.to().0)
    }

    #[test]
    fn parts_of_a_date_are_spans() {
        assert_eq!(span("1970"), (0, 365 * DAY));
        assert_eq!(span("2024-02"), (1_706_745_600_000, 1_709_251_200_000));
        assert_eq!(span("2026-11-01"), (1_793_491_200_000, 1_793_577_600_000));
        assert_eq!(span("9999-12-31").1, END);
        let (from, to) = span("2026-11-01T09:30Z");
        assert_eq!((from, to - from), (1_793_525_400_000, MINUTE));
        assert_eq!(span("2026-11-01T11:30+02:00"), (from, to));
        assert_eq!(span("2026-11-01T09:30:15.25Z"), (from + 15_250, from + 15_251));
        assert_eq!(span("2026-11-01T09:30:15-00:30").0, from + 15_000 + 30 * MINUTE);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "20",
            "1969",
            "10000",
            "2026-",
            "2026-13",
            "2026-00",
            "2026-02-29",
            "2026-11-01T",
            "2026-11-01T09",
            "2026-11-01T24:00Z",
            "2026-11-01T09:60Z",
            "2026-11-01T09:30",
            "2026-11-01T09:30:60Z",
            "2026-11-01T09:30:15.Z",
            "2026-11-01 09:30Z",
            "2026-11-01T09:30z",
            "1970-01-01T00:00+00:01",
            "9999-12-31T23:59-01:00",
            "2026-11-01T09:30+2:00",
            "+026",
            "２０２６",
        ] {
            assert_eq!(Moment::parse(text), Err(QueryFault::NotAMoment), "{text}");
        }
    }

    proptest! {
        #[test]
        fn moments_are_read_as_they_are_written(time in 0..END, cut in 0..5) {
            let text = Moment::at(WallTime(time)).unwrap().to_string();
            let cut = [text.len(), 19, 16, 10, 7][usize::try_from(cut).unwrap()];
            let end = if (11..24).contains(&cut) { "Z" } else { "" };
            let text = format!("{}{end}", &text[..cut]);
            let moment = Moment::parse(&text).unwrap();
            prop_assert_eq!(moment.to_string(), text);
            prop_assert!(moment.from().0 <= time && time < moment.to().0);
        }
    }
}
