//! The days a page is judged by.

use chrono::{Days, NaiveDate};
use serde::Serialize;

/// The days from `as_of` on, `weeks` of seven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    pub as_of: NaiveDate,
    pub weeks: u32,
}

impl Window {
    pub fn days(self) -> u64 {
        u64::from(self.weeks) * 7
    }

    /// First day after the window.
    pub fn until(self) -> NaiveDate {
        self.as_of.checked_add_days(Days::new(self.days())).unwrap_or(NaiveDate::MAX)
    }

    pub fn contains(self, date: NaiveDate) -> bool {
        self.as_of <= date && date < self.until()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_is_not_in_the_window() {
        let window = Window { as_of: "2017-11-06".parse().expect("date"), weeks: 4 };
        assert_eq!(window.until().to_string(), "2017-12-04");
        assert!(window.contains(window.as_of) && !window.contains(window.until()));
    }
}
