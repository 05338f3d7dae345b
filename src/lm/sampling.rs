//! The choice of the next token among those allowed.

use rand::RngCore;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::error::LmError;

/// How freely an answer is drawn. Applied in this order: repetition penalty, temperature, `top_k`, `top_p`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits; 0 or more. 0 always takes the likeliest token, the lowest id on a tie.
    pub temperature: f32,
    /// Draws among the likeliest tokens that together hold this share of the probability; above 0, up to 1 (off).
    pub top_p: f32,
    /// Draws among this many likeliest tokens; 0 is off.
    pub top_k: usize,
    /// Makes tokens of the answer's last `repetition_window` less likely: a positive logit is divided by this, a negative one
    /// multiplied (Keskar et al., arXiv 1909.05858). 1 (off) or more.
    pub repetition_penalty: f32,
    /// Tokens of the answer looked back on; 0 is none.
    pub repetition_window: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.7, top_p: 0.95, top_k: 40, repetition_penalty: 1.1, repetition_window: 64 }
    }
}

impl Sampling {
    /// Always the likeliest token, nothing else applied.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, top_p: 1.0, top_k: 0, repetition_penalty: 1.0, repetition_window: 0 }
    }

    /// Names the first setting out of its range.
    pub fn validate(&self) -> Result<(), String> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(format!("temperature = {} is not a number of 0 or more", self.temperature));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(format!("top_p = {} is not above 0 and up to 1", self.top_p));
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty >= 1.0) {
            return Err(format!(
                "repetition_penalty = {} is not a number of 1 or more",
                self.repetition_penalty
            ));
        }
        Ok(())
    }
}

/// Tokens less likely than e^-18 (one in 65 million) of the likeliest are never drawn: an f32 sum could not tell.
const LEAST_LOG_RATIO: f32 = -18.0;

/// The random choices of one answer, a function of its seed and logits alone.
#[derive(Debug)]
pub struct Sampler {
    settings: Sampling,
    random: Xoshiro256PlusPlus,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    token: u32,
    logit: f32,
}

impl Sampler {
    pub fn new(settings: Sampling, seed: u64) -> Result<Self, LmError> {
        settings.validate().map_err(LmError::Sampling)?;
        Ok(Self { settings, random: Xoshiro256PlusPlus::seed_from_u64(seed) })
    }

    /// One of `allowed` (ascending), given the answer so far. Logits of other tokens are not looked at; `bias` is added
    /// to those that are.
    pub fn pick(
        &mut self,
        logits: &[f32],
        allowed: &[u32],
        answer: &[u32],
        bias: impl Fn(u32) -> f32,
    ) -> Result<u32, LmError> {
        let mut candidates = candidates(logits, allowed);
        for candidate in &mut candidates {
            candidate.logit += bias(candidate.token);
        }
        self.penalise(&mut candidates, answer);
        let best = candidates.iter().copied().min_by(likelier).ok_or(LmError::NoCandidate)?;
        if self.settings.temperature == 0.0 {
            return Ok(best.token);
        }
        for candidate in &mut candidates {
            candidate.logit = (candidate.logit - best.logit) / self.settings.temperature;
        }
        candidates.retain(|candidate| candidate.logit >= LEAST_LOG_RATIO);
        self.draw(candidates)
    }

    fn penalise(&self, candidates: &mut [Candidate], answer: &[u32]) {
        let penalty = self.settings.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        let recent = &answer[answer.len().saturating_sub(self.settings.repetition_window)..];
        let mut recent = recent.to_vec();
        recent.sort_unstable();
        recent.dedup();
        for token in recent {
            if let Ok(at) = candidates.binary_search_by_key(&token, |candidate| candidate.token) {
                let logit = &mut candidates[at].logit;
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    fn draw(&mut self, mut candidates: Vec<Candidate>) -> Result<u32, LmError> {
        let top_k = self.settings.top_k;
        if top_k > 0 && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, likelier);
            candidates.truncate(top_k);
        }
        candidates.sort_unstable_by(likelier);
        let weights: Vec<f64> = candidates.iter().map(|candidate| f64::from(candidate.logit).exp()).collect();
        let total: f64 = weights.iter().sum();
        let kept = nucleus(&weights, total * f64::from(self.settings.top_p));
        let mut left = self.unit() * weights[..kept].iter().sum::<f64>();
        for (candidate, weight) in candidates[..kept].iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return Ok(candidate.token);
            }
        }
        candidates[..kept].last().map(|candidate| candidate.token).ok_or(LmError::NoCandidate)
    }

    /// Uniform in 0..1, with 53 random bits.
    fn unit(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How many of the weights, largest first, it takes to reach `share`; at least one.
fn nucleus(weights: &[f64], share: f64) -> usize {
    let mut sum = 0.0;
    let reached = weights.iter().position(|weight| {
        sum += weight;
        sum >= share
    });
    reached.map_or(weights.len(), |last| last + 1)
}

fn candidates(logits: &[f32], allowed: &[u32]) -> Vec<Candidate> {
    let candidate = |token: &u32| Some(Candidate { token: *token, logit: *logits.get(*token as usize)? });
    allowed.iter().filter_map(candidate).filter(|candidate| candidate.logit.is_finite()).collect()
}

/// Likelier first, lower ids first among equals.
fn likelier(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(seed: u64) -> Sampler {
        let settings = Sampling { temperature: 1.0, ..Sampling::greedy() };
        Sampler::new(settings, seed).unwrap()
    }

    #[test]
    fn greedy_takes_the_best_allowed_and_the_lowest_id_on_a_tie() {
        let mut sampler = Sampler::new(Sampling::greedy(), 0).unwrap();
        assert_eq!(sampler.pick(&[9.0, 1.0, 3.0, 3.0], &[1, 2, 3], &[], |_| 0.0).unwrap(), 2);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        // softmax of ln 1, ln 3 is 1/4, 3/4; 4000 draws have a standard deviation of 27.
        let logits = [0.0, 50.0, 3f32.ln()];
        let mut sampler = free(7);
        let drawn = (0..4000).filter(|_| sampler.pick(&logits, &[0, 2], &[], |_| 0.0).unwrap() == 2).count();
        assert!((2880..=3120).contains(&drawn), "{drawn} of 4000");
    }

    #[test]
    fn top_k_and_top_p_leave_only_the_likeliest() {
        let logits = [1.0, 5.0, 4.9, 1.0];
        for settings in
            [Sampling { top_k: 2, ..Sampling::default() }, Sampling { top_p: 0.6, ..Sampling::default() }]
        {
            let mut sampler = Sampler::new(settings, 3).unwrap();
            for _ in 0..200 {
                assert!(matches!(sampler.pick(&logits, &[0, 1, 2, 3], &[], |_| 0.0).unwrap(), 1 | 2));
            }
        }
    }

    #[test]
    fn the_penalty_looks_back_no_further_than_its_window() {
        let settings = Sampling { repetition_penalty: 2.0, repetition_window: 2, ..Sampling::greedy() };
        let mut sampler = Sampler::new(settings, 0).unwrap();
        assert_eq!(sampler.pick(&[3.0, 2.0], &[0, 1], &[0, 9], |_| 0.0).unwrap(), 1);
        assert_eq!(sampler.pick(&[3.0, 2.0], &[0, 1], &[0, 9, 9], |_| 0.0).unwrap(), 0);
        assert_eq!(sampler.pick(&[-2.0, -3.0], &[0, 1], &[0], |_| 0.0).unwrap(), 1);
    }

    #[test]
    fn nothing_to_draw_from_is_an_error() {
        for logits in [[f32::NEG_INFINITY; 2], [f32::NAN; 2]] {
            assert!(matches!(free(0).pick(&logits, &[0, 1], &[], |_| 0.0), Err(LmError::NoCandidate)));
        }
        assert!(matches!(free(0).pick(&[1.0], &[], &[], |_| 0.0), Err(LmError::NoCandidate)));
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let named = |sampling: Sampling| sampling.validate().unwrap_err();
        assert!(named(Sampling { temperature: f32::NAN, ..Sampling::default() }).contains("temperature"));
        assert!(named(Sampling { top_p: 0.0, ..Sampling::default() }).contains("top_p"));
        assert!(
            named(Sampling { repetition_penalty: 0.5, ..Sampling::default() }).contains("repetition_penalty")
        );
    }
}
