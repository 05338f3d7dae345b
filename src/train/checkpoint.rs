//! Training's state on disk: a folder a checkpoint, complete once it has its name.
//!
//! ```text
//! checkpoint-000120/state.json           step, curve, and digests of what it belongs to
//! checkpoint-000120/tensors.safetensors  the adapter's matrices and AdamW's moments
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::curve::Curve;
use super::optimizer::AdamW;
use crate::domain::Digest;

const PREFIX: &str = "checkpoint-";

/// Everything but the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Of recipe, data and base: training goes on only where they are the same.
    pub job: Digest,
    pub steps: usize,
    pub curve: Curve,
}

/// Writes a checkpoint and removes the ones before it.
pub fn save(folder: &Path, state: &State, variables: &[&Var], optimizer: &AdamW) -> Result<(), TrainError> {
    let done = folder.join(format!("{PREFIX}{:06}", state.steps));
    let fail = |source| TrainError::Checkpoint { path: done.clone(), source };
    std::fs::create_dir_all(folder).map_err(fail)?;
    let temporary = tempfile::tempdir_in(folder).map_err(fail)?;
    let json = serde_json::to_vec_pretty(state).map_err(|source| fail(source.into()))?;
    std::fs::write(temporary.path().join("state.json"), json).map_err(fail)?;
    let tensors = temporary.path().join("tensors.safetensors");
    candle_core::safetensors::save(&named(variables, optimizer), &tensors)?;
    std::fs::File::open(&tensors).and_then(|file| file.sync_all()).map_err(fail)?;
    let older = list(folder)?;
    std::fs::rename(temporary.keep(), &done).map_err(fail)?;
    for (_, path) in older.into_iter().filter(|(_, path)| *path != done) {
        std::fs::remove_dir_all(&path).map_err(|source| TrainError::Checkpoint { path, source })?;
    }
    Ok(())
}

/// The newest checkpoint's state with its tensors put in place; `None` where there is none.
pub fn load(folder: &Path, variables: &[&Var], optimizer: &mut AdamW) -> Result<Option<State>, TrainError> {
    let Some((_, path)) = list(folder)?.pop() else { return Ok(None) };
    let fail = |source| TrainError::Checkpoint { path: path.clone(), source };
    let json = std::fs::read(path.join("state.json")).map_err(fail)?;
    let state: State = serde_json::from_slice(&json).map_err(|source| fail(source.into()))?;
    let tensors = candle_core::safetensors::load(path.join("tensors.safetensors"), &Device::Cpu)?;
    let find = |name: String| {
        let tensor = tensors.get(&name).cloned();
        tensor.ok_or_else(|| fail(std::io::Error::other(format!("tensors.safetensors has no {name}"))))
    };
    for (i, var) in variables.iter().enumerate() {
        let device = var.device();
        var.set(&find(format!("variable.{i}"))?.to_device(device)?)?;
        optimizer.first[i] = find(format!("first.{i}"))?.to_device(device)?;
        optimizer.second[i] = find(format!("second.{i}"))?.to_device(device)?;
    }
    optimizer.steps = state.steps;
    Ok(Some(state))
}

fn named(variables: &[&Var], optimizer: &AdamW) -> HashMap<String, Tensor> {
    let mut tensors = HashMap::new();
    for (i, var) in variables.iter().enumerate() {
        tensors.insert(format!("variable.{i}"), var.as_tensor().clone());
        tensors.insert(format!("first.{i}"), optimizer.first[i].clone());
        tensors.insert(format!("second.{i}"), optimizer.second[i].clone());
    }
    tensors
}

/// Checkpoints by step.
fn list(folder: &Path) -> Result<Vec<(usize, PathBuf)>, TrainError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(TrainError::Checkpoint { path: folder.into(), source }),
    };
    let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix(PREFIX)?.parse().ok();
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((step(&path)?, path)))
        .collect();
    found.sort();
    Ok(found)
}
