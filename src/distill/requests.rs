//! Teacher requests in the OpenAI batch format: a JSON object a line, with `custom_id`, `method`, `url` and `body`.
//!
//! The prompts are the students' own templates as chat messages: system text, the worked examples as pairs of turns,
//! and the turn to answer. `custom_id` is `themes/<segment>`, `keywords/<segment>/<placement>` or `judge/<segment>/<page>`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lines;
use super::recorded::{Contexts, read_contexts};
use super::{DistillError, Settings, Source, write_whole};
use crate::domain::{Digest, SegmentContext, SegmentId};
use crate::{keywords, themes};

/// Most tokens of a list of keywords.
const KEYWORDS_TOKENS: u32 = 400;

/// One line of a batch file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Says what is asked; unique in a file.
    pub custom_id: String,
    pub method: String,
    /// Of the endpoint; `/v1/chat/completions`.
    pub url: String,
    pub body: Body,
}

/// A chat completion's parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    pub model: String,
    pub messages: Vec<Message>,
    pub temperature: f32,
    pub max_tokens: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
}

/// `{"type": "json_object"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseFormat {
    #[serde(rename = "type")]
    pub kind: String,
}

impl Request {
    /// A chat in JSON or, without `json`, in plain lines.
    pub(super) fn new(custom_id: String, messages: Vec<Message>, settings: &Settings, json: bool) -> Self {
        let max_tokens = if json { settings.max_tokens } else { settings.max_tokens.min(KEYWORDS_TOKENS) };
        let body = Body {
            model: settings.model.clone(),
            messages,
            temperature: settings.temperature,
            max_tokens,
            response_format: json.then(|| ResponseFormat { kind: "json_object".into() }),
        };
        Self { custom_id, method: "POST".into(), url: "/v1/chat/completions".into(), body }
    }

    /// Digest of everything sent.
    pub fn digest(&self) -> Digest {
        Digest::of(self.body_json().as_bytes())
    }

    /// The body as sent.
    pub fn body_json(&self) -> String {
        // No map with other keys than text in it, so writing it cannot fail.
        serde_json::to_string(&self.body).unwrap_or_default()
    }
}

impl Message {
    pub(super) fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

fn chat(system: &str, examples: Vec<(String, String)>, asked: String) -> Vec<Message> {
    let mut messages = vec![Message::new(Role::System, system)];
    for (asked, answered) in examples {
        messages.push(Message::new(Role::User, asked));
        messages.push(Message::new(Role::Assistant, answered.trim_end()));
    }
    messages.push(Message::new(Role::User, asked));
    messages
}

/// Stage 1: asks for a context's page.
pub fn themes_request(context: &SegmentContext, settings: &Settings) -> Result<Request, DistillError> {
    let template = &themes::V2;
    let messages = chat(template.system(), template.examples()?, template.render(context)?);
    Ok(Request::new(format!("themes/{}", context.segment_id.as_str()), messages, settings, true))
}

/// A placement of stage 2 as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub segment: SegmentId,
    /// Its place on the page, 0-based.
    pub placement: usize,
    pub title: String,
    pub concepts: Vec<String>,
    /// In retrieval order.
    pub candidates: Vec<String>,
}

impl Asked {
    pub fn id(&self) -> String {
        format!("{}/{}", self.segment.as_str(), self.placement)
    }
}

/// Stage 2: asks for a placement's keywords.
pub fn keywords_request(asked: &Asked, settings: &Settings) -> Result<Request, DistillError> {
    let template = &keywords::V1;
    let turn = template.render(&asked.title, &asked.concepts, &asked.candidates)?;
    let messages = chat(template.system(), template.examples()?, turn);
    Ok(Request::new(format!("keywords/{}", asked.id()), messages, settings, false))
}

/// Requests of stage 1 for every context of a file, by segment.
pub fn themes_requests(contexts: &Path, settings: &Settings) -> Result<Vec<Request>, DistillError> {
    let (contexts, _): (Contexts, Source) = read_contexts(contexts)?;
    contexts.values().map(|context| themes_request(context, settings)).collect()
}

/// Requests of stage 2 for every placement of a file, by segment and place.
pub fn keywords_requests(placements: &Path, settings: &Settings) -> Result<Vec<Request>, DistillError> {
    let (placements, _) = read_placements(placements)?;
    placements.values().map(|asked| keywords_request(asked, settings)).collect()
}

/// Reads placements with their candidates, a JSON object a line (`choices.jsonl` has these fields and more).
pub fn read_placements(path: &Path) -> Result<(BTreeMap<String, Asked>, Source), DistillError> {
    let (lines, source) = lines::read(path)?;
    let mut placements = BTreeMap::new();
    for line in lines {
        let asked = Asked {
            segment: line.need("segment_id")?,
            placement: line.need("placement")?,
            title: line.need("title")?,
            concepts: line.need("concepts")?,
            candidates: line.need("candidates")?,
        };
        let id = asked.id();
        if placements.insert(id.clone(), asked).is_some() {
            return Err(line.refuse("placement", format!("{id} stands in the file already")));
        }
    }
    Ok((placements, source))
}

/// Writes a batch file.
pub fn write_requests(path: &Path, requests: &[Request]) -> Result<(), DistillError> {
    let mut text = String::new();
    for request in requests {
        text.push_str(&serde_json::to_string(request).unwrap_or_default());
        text.push('\n');
    }
    write_whole(path, text.as_bytes())
}

/// Reads a batch file; a `custom_id` that stands twice is an error.
pub fn read_requests(path: &Path) -> Result<Vec<Request>, DistillError> {
    let (lines, _) = lines::read(path)?;
    let mut seen = BTreeSet::new();
    let mut requests = Vec::new();
    for line in lines {
        let custom_id: String = line.need("custom_id")?;
        line.need::<Body>("body")?;
        if !seen.insert(custom_id.clone()) {
            return Err(line.refuse("custom_id", format!("{custom_id:?} stands in the file already")));
        }
        requests.push(line.whole()?);
    }
    Ok(requests)
}
