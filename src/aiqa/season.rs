//! Occasions and seasons: the words that stand for them and the days they may stand on a page.

use chrono::{Datelike, Days, NaiveDate};
use serde::Deserialize;

use super::AiqaError;
use super::lexicon::Lexicon;
use super::text::Text;
use crate::domain::calendar::Holiday;

const SEASONS: &str = include_str!("lexicons/seasons.toml");

/// All occasions of `lexicons/seasons.toml`.
#[derive(Debug)]
pub(super) struct Seasons(Vec<Occasion>);

#[derive(Debug)]
struct Occasion {
    name: String,
    tag: Option<String>,
    window: Window,
    terms: Lexicon,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    occasion: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    tag: Option<String>,
    window: Window,
    terms: Vec<String>,
}

/// When an occasion's words may be used.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Window {
    Holiday { holiday: String, before: i64, after: i64 },
    Feast { feast: Feast, before: i64, after: i64 },
    Months { months: [MonthDay; 2] },
}

/// A feast that follows another calendar.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Feast {
    Passover,
    RoshHashanah,
    Ramadan,
}

/// `MM-DD`, ordered within the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct MonthDay(u32, u32);

impl TryFrom<String> for MonthDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // Any leap year knows every day of a year.
        let date: NaiveDate = format!("2000-{text}").parse().map_err(|_| format!("{text:?} is not MM-DD"))?;
        Ok(Self(date.month(), date.day()))
    }
}

impl Seasons {
    pub fn load() -> Result<Self, AiqaError> {
        let broken = |reason: String| AiqaError::Lexicon { name: "seasons.toml".into(), reason };
        let file: File = toml::from_str(SEASONS).map_err(|error| broken(error.to_string()))?;
        let mut occasions = Vec::with_capacity(file.occasion.len());
        for Entry { name, tag, window, terms } in file.occasion {
            if let Window::Holiday { holiday, .. } = &window
                && holiday_named(holiday).is_none()
            {
                return Err(broken(format!("{name}: the calendar knows no holiday {holiday:?}")));
            }
            let terms = Lexicon::of_terms("seasons.toml", &name, terms.iter().map(String::as_str))?;
            occasions.push(Occasion { name, tag, window, terms });
        }
        Ok(Self(occasions))
    }

    /// The first occasion `text` speaks of that is not near `date`: the words and the occasion's name.
    pub fn out_of_season(&self, text: &Text, date: NaiveDate) -> Option<(String, &str)> {
        self.0.iter().filter(|occasion| !occasion.window.contains(date)).find_map(|occasion| {
            let hit = occasion.terms.find(text)?;
            Some((hit.text, occasion.name.as_str()))
        })
    }

    /// The occasions that are near `date`, in the file's order: all that a verdict takes from the date.
    pub fn near(&self, date: NaiveDate) -> impl Iterator<Item = &str> {
        let near = self.0.iter().filter(move |occasion| occasion.window.contains(date));
        near.map(|occasion| occasion.name.as_str())
    }

    /// Whether a catalogue tag (`seasonal-christmas`) stands for an occasion that is near `date`.
    pub fn tag_in_season(&self, tag: &str, date: NaiveDate) -> bool {
        self.0.iter().any(|occasion| occasion.tag.as_deref() == Some(tag) && occasion.window.contains(date))
    }

    /// The occasion of a catalogue tag (`seasonal-christmas`), if it is not near `date`.
    pub fn tag_out_of_season(&self, tag: &str, date: NaiveDate) -> Option<&str> {
        let occasion = self.0.iter().find(|occasion| occasion.tag.as_deref() == Some(tag))?;
        (!occasion.window.contains(date)).then_some(occasion.name.as_str())
    }
}

fn holiday_named(name: &str) -> Option<Holiday> {
    Holiday::ALL.into_iter().find(|holiday| holiday.name() == name)
}

impl Window {
    fn contains(&self, date: NaiveDate) -> bool {
        match self {
            Self::Months { months: [from, to] } => {
                let day = MonthDay(date.month(), date.day());
                if from <= to { (*from..=*to).contains(&day) } else { day >= *from || day <= *to }
            }
            Self::Holiday { holiday, before, after } => {
                let days = |year| holiday_named(holiday).and_then(|holiday| holiday.date(year));
                around(date, days, *before, *after)
            }
            Self::Feast { feast, before, after } => around(date, |year| feast.date(year), *before, *after),
        }
    }
}

/// Whether `date` is within `before` days before to `after` days after the day of its own or a neighbouring year.
fn around(date: NaiveDate, day: impl Fn(i32) -> Option<NaiveDate>, before: i64, after: i64) -> bool {
    let years = date.year() - 1..=date.year() + 1;
    years.filter_map(day).any(|day| (-before..=after).contains(&(date - day).num_days()))
}

impl Feast {
    /// Its first day in the Gregorian `year` (for Ramadan, the first one that starts in it).
    fn date(self, year: i32) -> Option<NaiveDate> {
        match self {
            Self::RoshHashanah => rosh_hashanah(year),
            // 15 Nisan is always 163 days before the following 1 Tishri.
            Self::Passover => rosh_hashanah(year)?.checked_sub_days(Days::new(163)),
            Self::Ramadan => ramadan(year),
        }
    }
}

/// 1 Tishri in the autumn of the Gregorian `year` (Dershowitz and Reingold, *Calendrical Calculations*, ch. 8).
fn rosh_hashanah(year: i32) -> Option<NaiveDate> {
    const EPOCH: i64 = -1_373_427;
    let hebrew = i64::from(year) + 3761;
    let elapsed = |year: i64| {
        let months = (235 * year - 234).div_euclid(19);
        let parts = 12_084 + 13_753 * months;
        let day = 29 * months + parts.div_euclid(25_920);
        if (3 * (day + 1)).rem_euclid(7) < 3 { day + 1 } else { day }
    };
    let (before, this, after) = (elapsed(hebrew - 1), elapsed(hebrew), elapsed(hebrew + 1));
    let delay = match (after - this, this - before) {
        (356, _) => 2,
        (_, 382) => 1,
        _ => 0,
    };
    NaiveDate::from_num_days_from_ce_opt(i32::try_from(EPOCH + this + delay).ok()?)
}

/// 1 Ramadan of the tabular Islamic calendar (the same book, ch. 7), a day or so from the observed one.
fn ramadan(year: i32) -> Option<NaiveDate> {
    const EPOCH: i64 = 227_015;
    let start = |hijri: i64| {
        let day = EPOCH + (hijri - 1) * 354 + (3 + 11 * hijri).div_euclid(30) + 29 * 8 + 53 / 11;
        NaiveDate::from_num_days_from_ce_opt(i32::try_from(day).ok()?)
    };
    let guess = (i64::from(year) - 622) * 33 / 32;
    (guess - 1..=guess + 2).filter_map(start).find(|day| day.year() == year)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("date")
    }

    /// <https://www.hebcal.com/holidays/rosh-hashana> and <https://www.hebcal.com/holidays/pesach>
    #[test]
    fn feasts_of_the_hebrew_calendar() {
        for (year, date) in
            [(2015, "2015-09-14"), (2017, "2017-09-21"), (2024, "2024-10-03"), (2026, "2026-09-12")]
        {
            assert_eq!(Feast::RoshHashanah.date(year), Some(day(date)));
        }
        for (year, date) in [(2017, "2017-04-11"), (2024, "2024-04-23"), (2026, "2026-04-02")] {
            assert_eq!(Feast::Passover.date(year), Some(day(date)));
        }
    }

    /// Observed first days in North America: 2017-05-27, 2024-03-11, 2026-02-18.
    #[test]
    fn ramadan_is_within_a_day() {
        for (year, date) in [(2017, "2017-05-27"), (2024, "2024-03-11"), (2026, "2026-02-18")] {
            let off = Feast::Ramadan.date(year).expect("in range") - day(date);
            assert!(off.num_days().abs() <= 1, "{year}: {off}");
        }
    }

    #[test]
    fn words_follow_the_calendar() {
        let seasons = Seasons::load().expect("seasons.toml");
        let out = |title: &str, date: &str| {
            let text = Text::read(title).expect("short");
            seasons.out_of_season(&text, day(date)).map(|(_, name)| name.to_owned())
        };
        for (title, inside, outside) in [
            ("Halloween candy bags", "2017-10-14", "2017-04-19"),
            ("Fourth of July cookout", "2017-07-01", "2017-07-14"),
            ("Valentine chocolates", "2017-02-05", "2017-02-24"),
            ("Mardi Gras king cake", "2017-02-21", "2017-03-20"),
            ("Lenten fish Fridays", "2017-03-10", "2017-09-08"),
            ("Rosh Hashanah honey cakes", "2017-09-12", "2017-03-26"),
            ("Iftar dates and soups", "2017-06-01", "2017-11-01"),
            ("New Year's Eve platters", "2017-12-28", "2017-01-12"),
            ("Winter squash soup for a snowy night", "2017-01-12", "2017-07-12"),
        ] {
            assert_eq!(out(title, inside), None, "{title} on {inside}");
            assert!(out(title, outside).is_some(), "{title} on {outside}");
        }
        for (title, date) in [
            ("Summer sausage and crackers", "2017-01-12"),
            ("Fall-off-the-bone ribs", "2017-05-12"),
            ("Spring water and spring rolls", "2017-11-12"),
            ("Snow peas and bok choy", "2017-06-25"),
        ] {
            assert_eq!(out(title, date), None, "{title}");
        }
    }

    #[test]
    fn tags_share_the_windows() {
        let seasons = Seasons::load().expect("seasons.toml");
        assert_eq!(seasons.tag_out_of_season("seasonal-christmas", day("2017-07-01")), Some("Christmas"));
        assert_eq!(seasons.tag_out_of_season("seasonal-christmas", day("2017-12-01")), None);
        assert_eq!(seasons.tag_out_of_season("dairy", day("2017-07-01")), None);
    }
}
