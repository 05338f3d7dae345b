//! Fusion and the merchandising rules (MER-1) through their public doors.

mod golden;
mod pages;
mod properties;
mod rules;
mod shop;
mod verifier;
