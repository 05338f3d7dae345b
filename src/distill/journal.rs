//! The answers file: a batch output that grows, line by line, each synced to disk before the next step.
//!
//! Besides answers it holds what was set aside before an attempt and what the attempt cost, so that a process that is killed
//! and started again neither pays twice for an answer nor forgets what it spent. An attempt that was begun and never
//! settled counts with all that was set aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DistillError;
use super::lines::Line;
use super::requests::Request;
use crate::domain::Digest;

/// A line: an answer or a failure as a batch output has it, or money set aside or spent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub custom_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Set aside for an attempt that begins now, US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_usd: Option<f64>,
    /// What the attempt cost, US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_usd: Option<f64>,
    /// Digest of the request's body, with an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_sha256: Option<Digest>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    pub status_code: u16,
    pub body: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub message: String,
}

impl Response {
    /// The assistant's text, where the response is a whole chat completion.
    pub fn content(&self) -> Option<&str> {
        self.body.pointer("/choices/0/message/content")?.as_str()
    }

    /// True where the answer stopped at `max_tokens`.
    pub fn cut_off(&self) -> bool {
        self.body.pointer("/choices/0/finish_reason").and_then(Value::as_str) == Some("length")
    }

    /// Tokens read and written.
    pub fn usage(&self) -> Option<(u64, u64)> {
        let tokens = |name: &str| self.body.pointer(name)?.as_u64();
        Some((tokens("/usage/prompt_tokens")?, tokens("/usage/completion_tokens")?))
    }
}

/// What a journal held when it was opened.
#[derive(Debug, Default)]
pub struct Ledger {
    answered: BTreeMap<String, Option<Digest>>,
    failed: BTreeSet<String>,
    /// US dollars, unsettled attempts included.
    pub spent_usd: f64,
}

/// The file, opened for appending and locked.
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens or begins `path`. A last line cut off by a kill is taken away; any other bad line is an error.
    pub fn open(path: &Path) -> Result<(Self, Ledger), DistillError> {
        let refuse = |source| DistillError::Write { path: path.into(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(refuse)?;
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(path).map_err(refuse)?;
        file.try_lock().map_err(|_| DistillError::Busy { path: path.into() })?;
        let Lines { entries, bytes, unended } = read(path)?;
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::End(0))).map_err(refuse)?;
        if unended {
            file.write_all(b"\n").map_err(refuse)?;
        }
        Ok((Self { file, path: path.into() }, ledger(entries)))
    }

    /// Appends a line and waits until it is on disk.
    pub fn append(&mut self, entry: &Entry) -> Result<(), DistillError> {
        let mut line = serde_json::to_string(entry).unwrap_or_default();
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|source| DistillError::Write { path: self.path.clone(), source })
    }
}

/// The sound lines of an answers file.
pub(super) struct Lines {
    pub entries: Vec<Entry>,
    /// How far they go.
    bytes: u64,
    /// The last one lacks its line feed.
    unended: bool,
}

/// Reads an answers file, ours or a downloaded batch output. A last line that a kill cut off is left out.
pub(super) fn read(path: &Path) -> Result<Lines, DistillError> {
    let bytes = std::fs::read(path).map_err(|source| DistillError::Read { path: path.into(), source })?;
    let file = path.display().to_string();
    let mut lines = Lines { entries: Vec::new(), bytes: 0, unended: false };
    for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let unended = !line.ends_with(b"\n");
        match entry(&file, at + 1, line) {
            Err(_) if unended => break,
            entry => lines.entries.extend(entry?),
        }
        lines.bytes += line.len() as u64;
        lines.unended = unended;
    }
    Ok(lines)
}

fn entry(file: &str, number: usize, line: &[u8]) -> Result<Option<Entry>, DistillError> {
    let text = String::from_utf8_lossy(line);
    if text.trim().is_empty() {
        return Ok(None);
    }
    let line = Line::parse(file, number, &text)?;
    line.need::<String>("custom_id")?;
    line.may::<Response>("response")?;
    line.may::<Failure>("error")?;
    line.whole().map(Some)
}

fn ledger(entries: Vec<Entry>) -> Ledger {
    let mut ledger = Ledger::default();
    // An attempt settles what was set aside last; what an earlier, killed one set aside stays spent.
    let mut open: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for entry in entries {
        if let Some(reserved) = entry.reserved_usd {
            open.entry(entry.custom_id.clone()).or_default().push(reserved);
        }
        if let Some(spent) = entry.spent_usd {
            if let Some(reserved) = open.get_mut(&entry.custom_id) {
                reserved.pop();
            }
            ledger.spent_usd += spent;
        }
        if entry.response.as_ref().is_some_and(|response| response.content().is_some()) {
            ledger.failed.remove(&entry.custom_id);
            ledger.answered.insert(entry.custom_id, entry.request_sha256);
        } else if entry.error.is_some() {
            ledger.failed.insert(entry.custom_id);
        }
    }
    ledger.spent_usd += open.values().flatten().sum::<f64>();
    ledger
}

impl Ledger {
    /// True where the request needs no sending again.
    ///
    /// # Errors
    /// The journal's answer belongs to another request of that id.
    pub fn answered(&self, request: &Request) -> Result<bool, DistillError> {
        match self.answered.get(&request.custom_id) {
            None => Ok(false),
            Some(Some(digest)) if *digest != request.digest() => {
                Err(DistillError::OtherRequest { custom_id: request.custom_id.clone() })
            }
            Some(_) => Ok(true),
        }
    }

    /// True where the request failed for good.
    pub fn failed(&self, request: &Request) -> bool {
        self.failed.contains(&request.custom_id)
    }
}
