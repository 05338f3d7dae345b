//! Why an experiment cannot be read or planned.

use crate::domain::{ArmId, IdError};

/// Each message says what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExperimentError {
    #[error(
        "the events name one arm only ({arm}); a comparison needs two: export all arms of the experiment"
    )]
    OneArm { arm: ArmId },
    #[error("the events name {arms} arms, at most {max} can be compared; is the column arm the right one?")]
    TooManyArms { arms: usize, max: usize },
    #[error("the arm {arm} has {units} units; a spread needs at least 2: wait for more events")]
    TooFewUnits { arm: ArmId, units: usize },
    #[error("the arm {arm} has no page views, so nothing per page view can be said; export page_views")]
    NoPageViews { arm: ArmId },
    #[error("there is no arm {control} among {arms}; name the control with --control")]
    NoControl { control: ArmId, arms: String },
    #[error(
        "the allocation names the arms {expected}, the events {found}; name the experiment's arms in --arms"
    )]
    OtherArms { expected: String, found: String },
    #[error("no event lies in the window from {from} until {until}; the events are of {first} to {last}")]
    EmptyWindow { from: String, until: String, first: String, last: String },
    #[error(
        "the events have no column date, so no window of days can be taken; leave --from and --until out"
    )]
    NoDates,
    #[error("{name} = {value} is not {demand}")]
    OutOfRange { name: &'static str, value: f64, demand: &'static str },
    #[error("{text:?} is not an allocation: {problem}; write it as control:50,treatment:50")]
    Allocation { text: String, problem: String },
    #[error(transparent)]
    Id(#[from] IdError),
    #[error("the baseline events have {units} units; a spread needs at least 2")]
    NoSpread { units: usize },
    #[error("the baseline of {metric} is {value}; an effect relative to it needs one above 0")]
    NoBaseline { metric: &'static str, value: f64 },
}

impl ExperimentError {
    /// Whether the call is to be mended rather than the data.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoControl { .. }
                | Self::OtherArms { .. }
                | Self::NoDates
                | Self::OutOfRange { .. }
                | Self::Allocation { .. }
                | Self::Id(_)
        )
    }
}
