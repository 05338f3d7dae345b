//! The LLM judge: asks an endpoint to score pages that passed the rules.

use minijinja::value::Serde;
use minijinja::{Environment, Error};
use serde::Serialize;

use super::ratings::{Ratings, read_ratings};
use super::requests::{Message, Request, Role};
use super::{DistillError, Drafts, Gate, Judged, Settings, ThemeDraft};
use crate::domain::Digest;
use crate::domain::stage::PlacementDesign;
use crate::themes;

/// Version of the rubric.
pub const VERSION: &str = "judge-v1";
const RUBRIC: &str = include_str!("templates/v1/judge.txt");
const PAGE: &str = include_str!("templates/v1/page.txt");

/// What `page.txt` may use.
#[derive(Serialize)]
struct Variables<'a> {
    as_of: String,
    context: String,
    placements: &'a [PlacementDesign],
}

/// A request to score each page that passes the gate's rules, with the page's example id.
pub fn judge_requests(
    drafts: &Drafts,
    gate: &Gate<'_>,
    settings: &Settings,
) -> Result<Vec<(String, Request)>, DistillError> {
    let mut requests = Vec::new();
    for draft in &drafts.themes {
        if let Judged::Kept(page) | Judged::Repaired(page, _) = gate.page(draft.clone()) {
            requests.push((page.id(), judge_request(&page, settings)?));
        }
    }
    Ok(requests)
}

fn judge_request(page: &ThemeDraft, settings: &Settings) -> Result<Request, DistillError> {
    let variables = Variables {
        as_of: page.context.as_of.to_string(),
        context: themes::V2.render(&page.context)?,
        placements: &page.placements,
    };
    let asked = render(variables).map_err(|source| DistillError::Template { version: VERSION, source })?;
    let messages =
        vec![Message::new(Role::System, RUBRIC.trim_end()), Message::new(Role::User, asked.trim_end())];
    // A judge does not draw: the likeliest score is its score.
    let settings = Settings { temperature: 0.0, ..settings.clone() };
    // Another page of the same segment is another question.
    let text = Digest::of(asked.as_bytes()).to_hex();
    let custom_id = format!("judge/{}/{}", page.id(), &text[..12]);
    Ok(Request::new(custom_id, messages, &settings, true))
}

fn render(variables: Variables<'_>) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.add_template("page", PAGE)?;
    environment.get_template("page")?.render(Serde(variables))
}

/// The ratings in `answers` (by `custom_id`) to `requests`; unusable answers are left out, and so refuse their page.
pub fn ratings_of(
    requests: &[(String, Request)],
    answers: &std::collections::BTreeMap<String, String>,
    settings: &Settings,
) -> Ratings {
    let mut ratings = Ratings::new(format!("{} by {VERSION}", settings.model), settings.judge_floor);
    for (id, request) in requests {
        let answer = answers.get(&request.custom_id);
        let read = answer.and_then(|answer| read_ratings(answer).ok());
        if let Some(rated) = read.filter(|rated| rated.len() == settings.placements) {
            ratings.insert(id.clone(), rated);
        }
    }
    ratings
}
