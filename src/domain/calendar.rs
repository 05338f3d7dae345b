//! Seasons and the holidays a grocery shop trades on, computed for any year (northern hemisphere, United States).
//!
//! Easter follows the anonymous Gregorian computus (Meeus, *Astronomical Algorithms*, ch. 8).

use chrono::{Datelike, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

/// Meteorological season: three whole months each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Season {
    Winter,
    Spring,
    Summer,
    Autumn,
}

impl Season {
    pub fn of(date: NaiveDate) -> Self {
        match date.month() {
            12 | 1 | 2 => Self::Winter,
            3..=5 => Self::Spring,
            6..=8 => Self::Summer,
            _ => Self::Autumn,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Winter => "winter",
            Self::Spring => "spring",
            Self::Summer => "summer",
            Self::Autumn => "autumn",
        }
    }
}

/// An occasion the shop trades on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holiday {
    NewYear,
    BigGame,
    Valentines,
    StPatricks,
    Easter,
    CincoDeMayo,
    MothersDay,
    MemorialDay,
    FathersDay,
    IndependenceDay,
    BackToSchool,
    LaborDay,
    Halloween,
    Thanksgiving,
    Hanukkah,
    Christmas,
    NewYearsEve,
}

impl Holiday {
    pub const ALL: [Holiday; 17] = [
        Self::NewYear,
        Self::BigGame,
        Self::Valentines,
        Self::StPatricks,
        Self::Easter,
        Self::CincoDeMayo,
        Self::MothersDay,
        Self::MemorialDay,
        Self::FathersDay,
        Self::IndependenceDay,
        Self::BackToSchool,
        Self::LaborDay,
        Self::Halloween,
        Self::Thanksgiving,
        Self::Hanukkah,
        Self::Christmas,
        Self::NewYearsEve,
    ];

    /// The name used in contexts and prompts.
    pub fn name(self) -> &'static str {
        match self {
            Self::NewYear => "New Year",
            Self::BigGame => "big game weekend",
            Self::Valentines => "Valentine's Day",
            Self::StPatricks => "St. Patrick's Day",
            Self::Easter => "Easter",
            Self::CincoDeMayo => "Cinco de Mayo",
            Self::MothersDay => "Mother's Day",
            Self::MemorialDay => "Memorial Day",
            Self::FathersDay => "Father's Day",
            Self::IndependenceDay => "Independence Day",
            Self::BackToSchool => "back to school",
            Self::LaborDay => "Labor Day",
            Self::Halloween => "Halloween",
            Self::Thanksgiving => "Thanksgiving",
            Self::Hanukkah => "Hanukkah",
            Self::Christmas => "Christmas",
            Self::NewYearsEve => "New Year's Eve",
        }
    }

    /// Whether segment contexts announce it as upcoming (the teacher's contexts use these fifteen).
    pub fn announced(self) -> bool {
        !matches!(self, Self::CincoDeMayo | Self::Hanukkah)
    }

    /// Its day in `year`. Hanukkah, which follows another calendar, is given by the middle of its possible window.
    pub fn date(self, year: i32) -> Option<NaiveDate> {
        let fixed = |month, day| NaiveDate::from_ymd_opt(year, month, day);
        let nth = |month, weekday, n| NaiveDate::from_weekday_of_month_opt(year, month, weekday, n);
        match self {
            Self::NewYear => fixed(1, 1),
            Self::BigGame => nth(2, Weekday::Sun, 1),
            Self::Valentines => fixed(2, 14),
            Self::StPatricks => fixed(3, 17),
            Self::Easter => easter(year),
            Self::CincoDeMayo => fixed(5, 5),
            Self::MothersDay => nth(5, Weekday::Sun, 2),
            Self::MemorialDay => nth(5, Weekday::Mon, 5).or_else(|| nth(5, Weekday::Mon, 4)),
            Self::FathersDay => nth(6, Weekday::Sun, 3),
            Self::IndependenceDay => fixed(7, 4),
            Self::BackToSchool => nth(8, Weekday::Mon, 3),
            Self::LaborDay => nth(9, Weekday::Mon, 1),
            Self::Halloween => fixed(10, 31),
            Self::Thanksgiving => nth(11, Weekday::Thu, 4),
            Self::Hanukkah => fixed(12, 14),
            Self::Christmas => fixed(12, 25),
            Self::NewYearsEve => fixed(12, 31),
        }
    }

    /// Days from `date` to the holiday's next occurrence (0 on the day itself).
    pub fn days_until(self, date: NaiveDate) -> Option<i64> {
        [date.year(), date.year() + 1]
            .into_iter()
            .filter_map(|year| self.date(year))
            .map(|day| (day - date).num_days())
            .find(|days| *days >= 0)
    }
}

fn easter(year: i32) -> Option<NaiveDate> {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (b - (b + 8) / 25 + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let l = (32 + 2 * e + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    NaiveDate::from_ymd_opt(year, (n / 31) as u32, (n % 31 + 1) as u32)
}

/// How far ahead a context announces a holiday, days.
pub const HORIZON_DAYS: i64 = 24;

/// A holiday within [`HORIZON_DAYS`] of the context's date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upcoming {
    pub holiday: Holiday,
    /// 0..=[`HORIZON_DAYS`]
    pub days: i64,
}

impl Upcoming {
    /// The distance as the prompt says it: a class, so that one day's drift leaves the prompt's bytes.
    pub fn distance_class(&self) -> &'static str {
        match self.days {
            0..=3 => "in the next few days",
            4..=10 => "in about a week",
            11..=17 => "in about two weeks",
            _ => "in about three weeks",
        }
    }
}

/// The announced holidays of the next [`HORIZON_DAYS`] days, nearest first.
pub fn upcoming(date: NaiveDate) -> Vec<Upcoming> {
    let mut near: Vec<Upcoming> = Holiday::ALL
        .into_iter()
        .filter(|holiday| holiday.announced())
        .filter_map(|holiday| Some(Upcoming { holiday, days: holiday.days_until(date)? }))
        .filter(|next| next.days <= HORIZON_DAYS)
        .collect();
    near.sort_by_key(|next| (next.days, next.holiday));
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("date")
    }

    /// The dates of 2017 as `shared/teacher/contexts.py` lists them.
    #[test]
    fn the_holidays_of_2017() {
        for (holiday, date) in [
            (Holiday::BigGame, "2017-02-05"),
            (Holiday::Easter, "2017-04-16"),
            (Holiday::MothersDay, "2017-05-14"),
            (Holiday::MemorialDay, "2017-05-29"),
            (Holiday::FathersDay, "2017-06-18"),
            (Holiday::BackToSchool, "2017-08-21"),
            (Holiday::LaborDay, "2017-09-04"),
            (Holiday::Thanksgiving, "2017-11-23"),
        ] {
            assert_eq!(holiday.date(2017), Some(day(date)), "{}", holiday.name());
        }
    }

    /// <https://aa.usno.navy.mil/data/easter_date>
    #[test]
    fn easter_of_other_years() {
        for date in ["2000-04-23", "2008-03-23", "2024-03-31", "2025-04-20", "2026-04-05", "2038-04-25"] {
            assert_eq!(easter(day(date).year()), Some(day(date)));
        }
    }

    #[test]
    fn the_next_occurrence_crosses_the_year() {
        assert_eq!(Holiday::NewYear.days_until(day("2017-12-30")), Some(2));
        let names: Vec<_> = upcoming(day("2017-12-20")).iter().map(|next| next.holiday.name()).collect();
        assert_eq!(names, ["Christmas", "New Year's Eve", "New Year"]);
    }
}
