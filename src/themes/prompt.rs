//! Renders a segment's context as the model reads it: numbers bucketed and holidays by distance class, so that a night's
//! small drift leaves the bytes, and with them the cached answer, unchanged.

use minijinja::Environment;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};

use crate::domain::segment::ActiveCampaign;
use crate::domain::stage::PlacementDesign;
use crate::domain::{SegmentContext, calendar};
use crate::lm::Prompt;

use super::ThemesError;
use super::phrases::Wording;

/// A versioned set of template files.
pub struct Template {
    pub version: &'static str,
    system: &'static str,
    context: &'static str,
    examples: &'static str,
    phrases: &'static str,
    /// Whether answers hold them.
    intents: bool,
}

/// For anchored answers: with intents, composed under the grammar.
pub const V1: Template = Template {
    version: "themes-v1",
    system: include_str!("templates/v1/system.txt"),
    context: include_str!("templates/v1/context.txt"),
    examples: include_str!("templates/v1/examples.jsonl"),
    phrases: include_str!("templates/v1/phrases.toml"),
    intents: true,
};

/// For free answers, as students are trained on: without intents, whose figures the prompt does not show.
pub const V2: Template =
    Template { version: "themes-v2", system: include_str!("templates/v2/system.txt"), intents: false, ..V1 };

/// A worked example: a recorded context and its page.
#[derive(Serialize, Deserialize)]
struct Example {
    context: SegmentContext,
    page: Page,
}

/// A page as the model writes it.
#[derive(Serialize, Deserialize)]
pub struct Page {
    pub persona: String,
    pub placements: Vec<PlacementDesign>,
}

impl Template {
    pub(super) fn wording(&self) -> Result<Wording, ThemesError> {
        Wording::parse(self.phrases).map_err(|source| self.broken(source))
    }

    pub fn system(&self) -> &'static str {
        self.system.trim_end()
    }

    /// What all prompts begin with.
    pub fn prefix(&self, examples: bool) -> Result<Prompt, ThemesError> {
        let mut prefix =
            Prompt::new().trusted("<|im_start|>system\n").trusted(self.system()).trusted("<|im_end|>\n");
        for (asked, answered) in if examples { self.examples()? } else { Vec::new() } {
            prefix = prefix.trusted("<|im_start|>user\n").data(asked).trusted("<|im_end|>\n");
            prefix = prefix.trusted("<|im_start|>assistant\n").data(answered).trusted("<|im_end|>\n");
        }
        Ok(prefix)
    }

    /// One segment's turn, up to where the answer begins.
    pub fn turn(&self, context: &SegmentContext) -> Result<Prompt, ThemesError> {
        let asked = self.render(context)?;
        Ok(Prompt::new()
            .trusted("<|im_start|>user\n")
            .data(asked)
            .trusted("<|im_end|>\n<|im_start|>assistant\n"))
    }

    /// A page as the model is to write it: compact JSON.
    pub fn answer(&self, persona: &str, placements: &[PlacementDesign]) -> Result<String, ThemesError> {
        let mut page = Page { persona: persona.into(), placements: placements.to_vec() };
        if !self.intents {
            page.placements.iter_mut().for_each(|placement| placement.intent.clear());
        }
        serde_json::to_string(&page).map_err(|source| self.broken(source))
    }

    /// The user's turn for one segment. Data: it may hold anything a catalogue holds.
    pub fn render(&self, context: &SegmentContext) -> Result<String, ThemesError> {
        let mut environment = Environment::new();
        environment.add_template("context", self.context).map_err(|source| self.broken(source))?;
        let template = environment.get_template("context").map_err(|source| self.broken(source))?;
        let text = template.render(Serde(variables(context))).map_err(|source| self.broken(source))?;
        Ok(text.trim_end().to_owned())
    }

    /// Worked examples as (user's turn, answer) pairs, part of the prefix all prompts share.
    pub fn examples(&self) -> Result<Vec<(String, String)>, ThemesError> {
        let example = |line: &str| {
            let example: Example = serde_json::from_str(line).map_err(|source| self.broken(source))?;
            let answer = self.answer(&example.page.persona, &example.page.placements)?;
            Ok((self.render(&example.context)?, answer))
        };
        self.examples.lines().filter(|line| !line.is_empty()).map(example).collect()
    }

    fn broken(&self, source: impl std::error::Error + Send + Sync + 'static) -> ThemesError {
        ThemesError::Template { version: self.version, source: Box::new(source) }
    }
}

/// What `context.txt` may use.
#[derive(Serialize)]
struct Variables<'a> {
    season: &'static str,
    upcoming: Vec<String>,
    visits: &'static str,
    basket: &'static str,
    habits: Vec<&'static str>,
    distinctive: Vec<Strength<'a>>,
    staples: &'a [String],
    rising: &'a [String],
    session: Vec<String>,
    objective: &'a str,
    campaign: Option<&'a ActiveCampaign>,
    rules: &'a [String],
}

#[derive(Serialize)]
struct Strength<'a> {
    name: &'a str,
    strength: &'static str,
}

fn variables(segment: &SegmentContext) -> Variables<'_> {
    let upcoming: Vec<String> = calendar::upcoming(segment.as_of)
        .iter()
        .map(|next| format!("{} {}", next.holiday.name(), next.distance_class()))
        .collect();
    let distinctive = segment
        .distinctive
        .iter()
        .map(|item| Strength { name: &item.name, strength: strength(item.lift) })
        .collect();
    let merchandising = &segment.merchandising;
    Variables {
        season: segment.season().name(),
        upcoming,
        visits: visits(segment.shopping.visits_per_week),
        basket: basket(segment.shopping.basket_value),
        habits: habits(segment),
        distinctive,
        staples: &segment.staples,
        rising: &segment.rising,
        session: segment.session.iter().map(|(key, value)| format!("{key}: {value}")).collect(),
        objective: &merchandising.objective,
        campaign: merchandising.campaign.as_ref(),
        rules: &merchandising.rules,
    }
}

fn strength(lift: f32) -> &'static str {
    match lift {
        lift if lift >= 5.0 => "far above others",
        lift if lift >= 2.5 => "well above others",
        _ => "above others",
    }
}

fn visits(per_week: f32) -> &'static str {
    match per_week {
        rate if rate < 0.75 => "less than weekly",
        rate if rate < 1.5 => "about weekly",
        rate if rate < 2.5 => "about twice a week",
        _ => "several times a week",
    }
}

fn basket(value: f32) -> &'static str {
    match value {
        value if value < 20.0 => "small",
        value if value < 45.0 => "middling",
        _ => "large",
    }
}

fn habits(segment: &SegmentContext) -> Vec<&'static str> {
    let shopping = &segment.shopping;
    let habits = [
        (shopping.private_label_share >= 0.3, "often the shop's own brand"),
        (shopping.on_promotion_share >= 0.2, "often on promotion"),
        (shopping.evening_share >= 0.5, "mostly in the evening"),
        (shopping.weekend_share >= 0.4, "often at weekends"),
    ];
    habits.into_iter().filter(|(holds, _)| *holds).map(|(_, habit)| habit).collect()
}
