//! JSON lines, read field by field, so that an error can name file, line and field.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{DistillError, Source};
use crate::domain::Digest;

/// One line: a JSON object.
pub(super) struct Line {
    file: String,
    number: usize,
    fields: Map<String, Value>,
}

/// The non-empty lines of a file, and the file's digest.
pub(super) fn read(path: &Path) -> Result<(Vec<Line>, Source), DistillError> {
    let bytes = std::fs::read(path).map_err(|source| DistillError::Read { path: path.into(), source })?;
    let file = path.display().to_string();
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        DistillError::Line { file: file.clone(), line, field: "".into(), problem: "is not UTF-8".into() }
    })?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let lines: Vec<Line> =
        lines.map(|(at, line)| Line::parse(&file, at + 1, line)).collect::<Result<_, _>>()?;
    let name = path.file_name().map_or_else(|| file.clone(), |name| name.to_string_lossy().into_owned());
    let source = Source { name, lines: lines.len(), sha256: Digest::of(&bytes) };
    Ok((lines, source))
}

impl Line {
    pub fn parse(file: &str, number: usize, text: &str) -> Result<Self, DistillError> {
        let refuse = |problem: String| DistillError::Line {
            file: file.into(),
            line: number,
            field: "(whole line)".into(),
            problem,
        };
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self { file: file.into(), number, fields }),
            Ok(_) => Err(refuse("is JSON, but not an object".into())),
            Err(error) => Err(refuse(format!("is not JSON ({error})"))),
        }
    }

    pub fn refuse(&self, field: &str, problem: impl ToString) -> DistillError {
        let problem = problem.to_string();
        DistillError::Line { file: self.file.clone(), line: self.number, field: field.into(), problem }
    }

    /// A field that must be there.
    pub fn need<T: DeserializeOwned>(&self, field: &str) -> Result<T, DistillError> {
        let value = self.fields.get(field).ok_or_else(|| self.refuse(field, "is missing"))?;
        T::deserialize(value).map_err(|error| self.refuse(field, error))
    }

    /// A field that may be missing or null.
    pub fn may<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>, DistillError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.need(field).map(Some),
        }
    }

    /// The whole line as one value; call it once the fields are checked.
    pub fn whole<T: DeserializeOwned>(&self) -> Result<T, DistillError> {
        T::deserialize(&self.fields).map_err(|error| self.refuse("(whole line)", error))
    }
}
