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

    /// The window of the same length that ends where this one begins: what settings may be learned on. Its pages are made
    /// from what came before *its* `as_of`.
    pub fn before(self) -> Self {
        let as_of = self.as_of.checked_sub_days(Days::new(self.days())).unwrap_or(NaiveDate::MIN);
        Self { as_of, weeks: self.weeks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_where_the_next_begins() {
        let window = Window { as_of: "2017-11-06".parse().expect("date"), weeks: 4 };
        assert_eq!(window.until().to_string(), "2017-12-04");
        assert!(window.contains(window.as_of) && !window.contains(window.until()));
        let before = window.before();
        assert_eq!((before.until(), before.weeks), (window.as_of, 4));
        assert!(!before.contains(window.as_of));
    }
}
