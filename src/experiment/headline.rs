//! The read-out in two sentences a merchandiser can take to a meeting: what the figures say, and what they do not.

use crate::domain::ArmId;

use super::Metric;
use super::report::{ArmReport, Contrast, MetricReport, Verdict};
use super::sample_ratio::SampleRatio;

pub struct Headline {
    pub says: String,
    pub does_not_say: String,
    pub verdict: Verdict,
}

/// Of the metric that decides. An arm's p-value is Holm's over the treatments.
pub fn headline(arms: &[ArmReport], ratio: &SampleRatio, primary: &MetricReport, alpha: f64) -> Headline {
    let verdict = verdict(ratio, primary, alpha);
    let control = &arms[0].arm;
    let contrast = |arm: &ArmId| primary.contrasts.iter().find(|contrast| contrast.arm == *arm);
    let (says, does_not_say) = match &verdict {
        Verdict::SampleRatioMismatch => mismatch(arms, ratio),
        Verdict::Better { arm } | Verdict::Worse { arm } => {
            let contrast = contrast(arm).expect("the verdict names one of the contrasts");
            (difference(contrast, control, alpha), beyond(contrast, alpha))
        }
        Verdict::Inconclusive => inconclusive(primary, control, alpha),
    };
    Headline { says, does_not_say, verdict }
}

fn verdict(ratio: &SampleRatio, primary: &MetricReport, alpha: f64) -> Verdict {
    if ratio.alarm {
        return Verdict::SampleRatioMismatch;
    }
    let sure = primary.contrasts.iter().filter(|contrast| contrast.p_holm < alpha);
    let by_difference = |a: &&Contrast, b: &&Contrast| {
        a.comparison.difference.total_cmp(&b.comparison.difference).then_with(|| b.arm.cmp(&a.arm))
    };
    let best = sure.clone().max_by(by_difference).filter(|contrast| contrast.comparison.difference > 0.0);
    let worst = sure.min_by(by_difference);
    match (best, worst) {
        (Some(best), _) => Verdict::Better { arm: best.arm.clone() },
        (None, Some(worst)) => Verdict::Worse { arm: worst.arm.clone() },
        (None, None) => Verdict::Inconclusive,
    }
}

fn mismatch(arms: &[ArmReport], ratio: &SampleRatio) -> (String, String) {
    let counts: Vec<String> = arms
        .iter()
        .map(|arm| {
            format!(
                "{} {} ({:.1} %, not {:.1} %)",
                arm.arm,
                arm.units,
                100.0 * arm.share,
                100.0 * arm.expected_share
            )
        })
        .collect();
    (
        format!(
            "The arms do not have the units they were to have: {} (p = {}), so units were lost or sent astray and no arm can \
             be called the winner.",
            counts.join(", "),
            p_value(ratio.p_value)
        ),
        "The differences below compare groups that are no longer alike, whatever their p-values; find the cause (redirects, \
         bots, a cache or log that favours an arm) and run again."
            .into(),
    )
}

fn difference(contrast: &Contrast, control: &ArmId, alpha: f64) -> String {
    let Contrast { arm, comparison, p_holm, .. } = contrast;
    let (change, low, high) = change(contrast);
    let more = if comparison.difference > 0.0 { "more" } else { "fewer" };
    format!(
        "Households shown {arm} made {more} {} than those shown {control}: {change} ({} interval {low} to {high}, p = {}).",
        Metric::PRIMARY.label(),
        level(alpha),
        p_value(*p_holm)
    )
}

/// What a clear difference leaves open.
fn beyond(contrast: &Contrast, alpha: f64) -> String {
    let anytime = match contrast.sequential {
        Some(sequential) if sequential.p_holm < alpha => {
            "it also holds if it was looked at every day".to_owned()
        }
        Some(sequential) => format!(
            "it holds only if the day of reading was fixed beforehand (always-valid p = {})",
            p_value(sequential.p_holm)
        ),
        None => "it holds only if the day of reading was fixed beforehand".to_owned(),
    };
    format!(
        "It speaks of these households in these weeks, not of another season or shop, nor of why; {anytime}."
    )
}

fn inconclusive(primary: &MetricReport, control: &ArmId, alpha: f64) -> (String, String) {
    let parts: Vec<String> = primary
        .contrasts
        .iter()
        .map(|contrast| {
            let (change, low, high) = change(contrast);
            format!("{} {change} ({} interval {low} to {high})", contrast.arm, level(alpha))
        })
        .collect();
    (
        format!(
            "No difference in {} from {control} is shown: {}.",
            Metric::PRIMARY.label(),
            parts.join(", ")
        ),
        "It does not say that the pages are equally good: every difference within the interval fits these figures, and more \
         units would narrow it."
            .into(),
    )
}

/// The difference and its interval, relative where that has a meaning.
fn change(contrast: &Contrast) -> (String, String, String) {
    let comparison = &contrast.comparison;
    match comparison.relative {
        Some(relative) => (percent(relative.value), percent(relative.low), percent(relative.high)),
        None => {
            let shown = |value: f64| format!("{value:+.4}");
            (shown(comparison.difference), shown(comparison.low), shown(comparison.high))
        }
    }
}

fn level(alpha: f64) -> String {
    let level = format!("{:.1}", 100.0 * (1.0 - alpha));
    format!("{} %", level.strip_suffix(".0").unwrap_or(&level))
}

/// A relative difference with its sign, in percent.
pub fn percent(value: f64) -> String {
    format!("{:+.2} %", 100.0 * value)
}

/// Four digits, or that it is less.
pub fn p_value(p: f64) -> String {
    if p < 1e-4 { format!("{p:.0e}") } else { format!("{p:.4}") }
}
