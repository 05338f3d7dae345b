//! What an LLM judge said of pages.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Scores of one placement, each 1 (poor) to 5 (excellent), by the rubric of `templates/v1/judge.txt`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rating {
    pub relevance: u8,
    pub specificity: u8,
    pub season: u8,
    pub policy: u8,
    /// One sentence.
    #[serde(default)]
    pub reason: String,
}

impl Rating {
    fn scores(&self) -> [(&'static str, u8); 4] {
        [
            ("relevance", self.relevance),
            ("specificity", self.specificity),
            ("season", self.season),
            ("policy", self.policy),
        ]
    }
}

/// The judge's answer of one page: a rating a placement, in order.
#[derive(Debug, Deserialize)]
struct Answer {
    placements: Vec<Rating>,
}

/// Every page's ratings.
#[derive(Debug, Clone, Default)]
pub struct Ratings {
    judge: String,
    floor: u8,
    pages: BTreeMap<String, Vec<Rating>>,
}

/// The ratings in a judge's answer.
///
/// # Errors
/// Why it cannot be used: not the JSON asked for, nothing rated, a score out of range.
pub fn read_ratings(answer: &str) -> Result<Vec<Rating>, String> {
    let answer: Answer = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    if answer.placements.is_empty() {
        return Err("no placement is rated".into());
    }
    let scores = answer.placements.iter().flat_map(Rating::scores);
    if let Some((name, score)) = scores.into_iter().find(|(_, score)| !(1..=5).contains(score)) {
        return Err(format!("{name} is {score}, not 1 to 5"));
    }
    Ok(answer.placements)
}

impl Ratings {
    /// By a judge of that name; a page with a score under `floor` is refused.
    pub fn new(judge: impl Into<String>, floor: u8) -> Self {
        Self { judge: judge.into(), floor, pages: BTreeMap::new() }
    }

    pub fn insert(&mut self, example_id: impl Into<String>, ratings: Vec<Rating>) {
        self.pages.insert(example_id.into(), ratings);
    }

    pub fn judge(&self) -> &str {
        &self.judge
    }

    /// Why the page may not pass, and of what: its lowest score under the floor, or that it was not judged.
    pub fn refuse(&self, example_id: &str) -> Option<(String, String)> {
        let Some(ratings) = self.pages.get(example_id) else {
            return Some(("judge: no answer".into(), String::new()));
        };
        let scores = ratings.iter().flat_map(|rating| rating.scores().map(|score| (score, &rating.reason)));
        let ((name, score), reason) = scores.min_by_key(|((_, score), _)| *score)?;
        (score < self.floor).then(|| (format!("judge: {name}"), format!("{score} of 5: {reason}")))
    }
}
