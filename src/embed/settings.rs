use serde::{Deserialize, Serialize};

/// `[embed]` of the config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Longest text in word pieces, `[CLS]` and `[SEP]` counted; the rest of a longer one is not read. 8..=512; the
    /// default is what all-MiniLM-L6-v2 was trained with.
    pub max_word_pieces: usize,
    /// Word pieces a forward pass, at most; bounds memory (about 60 KB each). 256..=65,536.
    pub batch_tokens: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_word_pieces: 256, batch_tokens: 1_024 }
    }
}

impl Settings {
    /// Names the first key out of its range.
    pub fn validate(&self) -> Result<(), String> {
        if !(8..=512).contains(&self.max_word_pieces) {
            return Err(format!("max_word_pieces is {}, not in 8..=512", self.max_word_pieces));
        }
        if !(256..=65_536).contains(&self.batch_tokens) {
            return Err(format!("batch_tokens is {}, not in 256..=65536", self.batch_tokens));
        }
        Ok(())
    }
}
