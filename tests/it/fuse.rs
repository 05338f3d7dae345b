//! Fusion and the merchandising rules (MER-1) through their public doors.

mod bytes;
mod composing;
mod golden;
mod kinds;
mod pages;
mod properties;
mod rule_sets;
mod rules;
pub mod shop;
mod survey;
mod verifier;
