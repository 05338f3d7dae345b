//! The data card: what a training set is made of, for whoever trains on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::NaiveDate;

use super::set::Figures;
use super::{Tally, TrainingSet, dataset};
use crate::domain::Digest;
use crate::domain::training::Split;
use crate::{keywords, themes};

/// The card in Markdown; `files` are name, bytes and digest.
pub(super) fn render(set: &TrainingSet, files: &[(&str, usize, Digest)]) -> String {
    let mut text = String::new();
    let summary = set.summary();
    // Writing into a String cannot fail.
    let _ = write!(
        text,
        "# Training set of the students\n\n\
         Written by `endcap distill import`; do not edit. Version {} of the columns (`src/distill/dataset`), prompts by the\n\
         templates `{}` and `{}`. The same sources give the same bytes.\n\n## Files\n\n| file | bytes | sha256 |\n| --- | --- | --- |\n",
        dataset::VERSION,
        themes::V2.version,
        keywords::VERSION
    );
    for (name, bytes, digest) in files {
        let _ = writeln!(text, "| `{name}` | {bytes} | `{}` |", digest.to_hex());
    }
    text.push_str("\n## Sources\n\n| source | lines | sha256 |\n| --- | --- | --- |\n");
    for source in &set.sources {
        let _ = writeln!(text, "| `{}` | {} | `{}` |", source.name, source.lines, source.sha256.to_hex());
    }
    text.push_str("\n## Rows\n\n");
    text.push_str(
        "Validation is the last `as_of`, not a random draw: households recur from date to date.\n\n\
         | as_of | split | pages (stage 1) | choices (stage 2) |\n| --- | --- | --- | --- |\n",
    );
    for ((as_of, split), [pages, choices]) in by_date(set) {
        let _ = writeln!(text, "| {as_of} | {} | {pages} | {choices} |", split.as_str());
    }
    let Figures { train, validation, .. } = &summary.themes;
    let _ = writeln!(text, "\nStage 1: {train} train, {validation} validation.");
    let Figures { train, validation, .. } = &summary.keywords;
    let _ = writeln!(text, "Stage 2: {train} train, {validation} validation.");
    let _ = write!(text, "\n## Gate\n\nJudged by {}.\n", set.judge);
    tally(&mut text, "Pages", &set.themes_tally);
    tally(&mut text, "Choices", &set.keywords_tally);
    text.truncate(text.trim_end().len());
    text.push_str(LIMITS);
    text
}

type Dates = BTreeMap<(NaiveDate, Split), [usize; 2]>;

fn by_date(set: &TrainingSet) -> Dates {
    let mut dates = Dates::new();
    for row in &set.themes {
        dates.entry((row.as_of, row.split)).or_default()[0] += 1;
    }
    for row in &set.keywords {
        dates.entry((row.as_of, row.split)).or_default()[1] += 1;
    }
    dates
}

fn tally(text: &mut String, what: &str, tally: &Tally) {
    let Tally { kept, repaired, repairs, dropped } = tally;
    let _ = writeln!(text, "\n{what}: {kept} kept, {repaired} repaired, {} dropped.\n", dropped.len());
    for (repair, count) in repairs {
        let _ = writeln!(text, "- repaired, {repair}: {count}");
    }
    for (reason, count) in tally.reasons() {
        let _ = writeln!(text, "- dropped, {reason}: {count}");
    }
}

const LIMITS: &str = "

## Licence

The teacher's recorded answers; ours to use and commit. Contexts of the Complete Journey (2017) are derived from data made
available for education and exploration; no transaction of it is in here.

## Limits

- One shop, and only the dates above: what is bought, and said, at other times of the year is not in here.
- The teacher is one language model. Nobody clicked or bought: a grade is its opinion.
- Where choices were answered through `endcap distill send`, a chosen keyword counts as grade 2 and any other as 0;
  recorded choices have all three grades.
- Repaired pages are not the teacher's to the letter: a concept it named in two placements stands in one.
- Contexts hold demographics where the data has them. No title or concept gives them away (QA-2); personas and intents,
  which are never published, are not judged for that.
";
