//! `[distill]` of the config.

use serde::{Deserialize, Serialize};

/// How the teacher is asked, and how much that may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The teacher's name at the endpoint.
    pub model: String,
    /// 0..=2.
    pub temperature: f32,
    /// Most tokens of one answer; 64..=32000. Also the worst case that is reserved before a request is sent.
    pub max_tokens: u32,
    /// Placements of a page; 1..=12.
    pub placements: usize,
    /// Requests under way at once; 1..=256.
    pub concurrency: usize,
    /// An attempt that takes longer is given up, milliseconds; ≥ 10.
    pub timeout_ms: u64,
    /// Attempts a request on 429, 5xx, cut connections and stalls; 1..=20.
    pub attempts: u32,
    /// Attempts a request on answers that cannot be used (broken JSON, cut off); 1..=10.
    pub broken_attempts: u32,
    /// Upper bound of the first wait, doubled with each attempt, milliseconds.
    pub base_delay_ms: u64,
    /// Upper bound of any wait, `Retry-After` included, milliseconds; ≥ `base_delay_ms`.
    pub max_delay_ms: u64,
    /// Seed of the waits' jitter.
    pub seed: u64,
    /// Most a journal's requests may cost together, US dollars; ≥ 0.
    pub cost_cap_usd: f64,
    /// US dollars a million tokens; ≥ 0.
    pub input_usd_per_million: f64,
    /// US dollars a million tokens; ≥ 0.
    pub output_usd_per_million: f64,
    /// A page with a score below this is dropped by the LLM judge; 1..=5.
    pub judge_floor: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "teacher".into(),
            temperature: 0.7,
            max_tokens: 2000,
            placements: 6,
            concurrency: 8,
            timeout_ms: 120_000,
            attempts: 6,
            broken_attempts: 3,
            base_delay_ms: 1_000,
            max_delay_ms: 60_000,
            seed: 7,
            cost_cap_usd: 10.0,
            input_usd_per_million: 5.0,
            output_usd_per_million: 25.0,
            judge_floor: 3,
        }
    }
}

impl Settings {
    /// # Errors
    /// A sentence naming the key and its range.
    pub fn validate(&self) -> Result<(), String> {
        let within = |key: &str, value: u64, low: u64, high: u64| {
            let fits = (low..=high).contains(&value);
            fits.then_some(()).ok_or_else(|| format!("{key} = {value} is not within {low}..={high}"))
        };
        if self.model.is_empty() {
            return Err("model is empty; name the teacher as the endpoint does".into());
        }
        if !(0.0..=2.0).contains(&self.temperature) {
            return Err(format!("temperature = {} is not within 0..=2", self.temperature));
        }
        within("max_tokens", self.max_tokens.into(), 64, 32_000)?;
        within("placements", self.placements as u64, 1, 12)?;
        within("concurrency", self.concurrency as u64, 1, 256)?;
        within("timeout_ms", self.timeout_ms, 10, 3_600_000)?;
        within("attempts", self.attempts.into(), 1, 20)?;
        within("broken_attempts", self.broken_attempts.into(), 1, 10)?;
        within("max_delay_ms", self.max_delay_ms, self.base_delay_ms, 3_600_000)?;
        within("judge_floor", self.judge_floor.into(), 1, 5)?;
        for (key, usd) in [
            ("cost_cap_usd", self.cost_cap_usd),
            ("input_usd_per_million", self.input_usd_per_million),
            ("output_usd_per_million", self.output_usd_per_million),
        ] {
            if !(usd.is_finite() && usd >= 0.0) {
                return Err(format!("{key} = {usd} must be 0 or more"));
            }
        }
        Ok(())
    }
}
