//! Whether a product's `seasonal-…` tag is in season.

use chrono::{Days, NaiveDate};

use crate::domain::Product;
use crate::domain::calendar::{Holiday, Season};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeasonFit {
    /// No tag that names a season the calendar knows.
    Timeless,
    In,
    Out,
}

/// The product's fit on `as_of`; with several tags, one in season is enough. A holiday's products are in
/// season from `lead_days` before it to its day, a season's from `lead_days` before its first to its last.
pub(super) fn fit(product: &Product, as_of: NaiveDate, lead_days: i64) -> SeasonFit {
    let named = product.tags.iter().filter_map(|tag| tag.strip_prefix("seasonal-"));
    let fits: Vec<bool> = named.filter_map(|name| in_season(name, as_of, lead_days)).collect();
    match fits.as_slice() {
        [] => SeasonFit::Timeless,
        fits if fits.contains(&true) => SeasonFit::In,
        _ => SeasonFit::Out,
    }
}

/// `None` where `name` is neither a holiday nor a season ("other").
fn in_season(name: &str, as_of: NaiveDate, lead_days: i64) -> Option<bool> {
    if let Some(holiday) = Holiday::ALL.into_iter().find(|holiday| slugs(*holiday).contains(&name)) {
        return holiday.days_until(as_of).map(|days| days <= lead_days);
    }
    let season = [Season::Winter, Season::Spring, Season::Summer, Season::Autumn]
        .into_iter()
        .find(|season| season.name() == name || (*season == Season::Autumn && name == "fall"))?;
    let soon = as_of.checked_add_days(Days::new(lead_days.unsigned_abs())).unwrap_or(as_of);
    Some(Season::of(as_of) == season || Season::of(soon) == season)
}

/// The names a tag may give a holiday.
fn slugs(holiday: Holiday) -> &'static [&'static str] {
    match holiday {
        Holiday::NewYear => &["new-year", "new-years"],
        Holiday::BigGame => &["big-game"],
        Holiday::Valentines => &["valentine", "valentines"],
        Holiday::StPatricks => &["st-patrick", "st-patricks"],
        Holiday::Easter => &["easter"],
        Holiday::CincoDeMayo => &["cinco-de-mayo"],
        Holiday::MothersDay => &["mothers-day"],
        Holiday::MemorialDay => &["memorial-day"],
        Holiday::FathersDay => &["fathers-day"],
        Holiday::IndependenceDay => &["independence-day", "july-4th"],
        Holiday::BackToSchool => &["back-to-school"],
        Holiday::LaborDay => &["labor-day"],
        Holiday::Halloween => &["halloween"],
        Holiday::Thanksgiving => &["thanksgiving"],
        Holiday::Hanukkah => &["hanukkah"],
        Holiday::Christmas => &["christmas"],
        Holiday::NewYearsEve => &["new-years-eve"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(name: &str, date: &str) -> Option<bool> {
        in_season(name, date.parse().expect("date"), 35)
    }

    /// Christmas 2017 is 35 days after 20 November; Easter 2017 was 16 April; summer is June to August.
    #[test]
    fn a_tag_is_in_season_from_its_lead_to_its_day() {
        assert_eq!(on("christmas", "2017-11-19"), Some(false));
        assert_eq!(on("christmas", "2017-11-20"), Some(true));
        assert_eq!(on("christmas", "2017-12-25"), Some(true));
        assert_eq!(on("christmas", "2017-12-26"), Some(false));
        assert_eq!(on("easter", "2017-04-17"), Some(false));
        assert_eq!(on("summer", "2017-04-26"), Some(false));
        assert_eq!(on("summer", "2017-04-27"), Some(true));
        assert_eq!(on("summer", "2017-08-31"), Some(true));
        assert_eq!(on("summer", "2017-09-01"), Some(false));
        assert_eq!(on("other", "2017-09-01"), None);
    }
}
