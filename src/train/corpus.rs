//! Training examples as documents of tokens, epoch by epoch.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::TrainError;
use super::pack::Document;
use crate::domain::training::{KeywordExample, Split, ThemeExample};
use crate::lm::{Prompt, Tokenizer};
use crate::{keywords, themes};

/// What one stage learns from.
pub enum Corpus {
    Themes(Vec<ThemeExample>),
    Keywords(Vec<KeywordExample>),
}

impl Corpus {
    /// Documents of an epoch. Stage 2 sees its candidates in another order every time, so that it cannot learn their places.
    pub fn training(&self, tokenizer: &Tokenizer, seed: u64) -> Result<Vec<Document>, TrainError> {
        self.documents(tokenizer, Split::Train, Some(seed))
    }

    /// Held-out documents, candidates as they were retrieved.
    pub fn validation(&self, tokenizer: &Tokenizer) -> Result<Vec<Document>, TrainError> {
        self.documents(tokenizer, Split::Validation, None)
    }

    /// Keeps `share` (0..=1) of the training examples, spread evenly, and all held-out ones.
    pub fn keep(&mut self, share: f64) {
        fn thin<T>(examples: &mut Vec<T>, share: f64, split: impl Fn(&T) -> Split) {
            let mut seen = 0;
            examples.retain(|example| {
                seen += usize::from(split(example) == Split::Train);
                let kept = |count: usize| (count as f64 * share).floor();
                split(example) == Split::Validation || kept(seen) > kept(seen - 1)
            });
        }
        match self {
            Self::Themes(examples) => thin(examples, share, |example| example.split),
            Self::Keywords(examples) => thin(examples, share, |example| example.split),
        }
    }

    fn documents(
        &self,
        tokenizer: &Tokenizer,
        split: Split,
        seed: Option<u64>,
    ) -> Result<Vec<Document>, TrainError> {
        match self {
            Self::Themes(examples) => {
                let wanted = examples.iter().filter(|example| example.split == split);
                wanted.map(|example| page(example, tokenizer)).collect()
            }
            Self::Keywords(examples) => {
                let mut random = seed.map(Xoshiro256PlusPlus::seed_from_u64);
                let wanted = examples.iter().filter(|example| example.split == split);
                wanted.map(|example| choice(example, tokenizer, random.as_mut())).collect()
            }
        }
    }
}

fn page(example: &ThemeExample, tokenizer: &Tokenizer) -> Result<Document, TrainError> {
    let fail = |source| TrainError::Themes { example: example.example_id.clone(), source };
    let (prompt, answer) =
        themes::lesson(&example.context, &example.persona, &example.placements).map_err(fail)?;
    document(tokenizer, &example.example_id, &prompt, &[answer])
}

fn choice(
    example: &KeywordExample,
    tokenizer: &Tokenizer,
    random: Option<&mut Xoshiro256PlusPlus>,
) -> Result<Document, TrainError> {
    let mut candidates: Vec<String> =
        example.candidates.iter().map(|candidate| candidate.text.clone()).collect();
    if let Some(random) = random {
        candidates.shuffle(random);
    }
    let fail = |source| TrainError::Keywords { example: example.example_id.clone(), source };
    let (prompt, lines) =
        keywords::lesson(&example.title, &example.concepts, &candidates, &example.chosen).map_err(fail)?;
    document(tokenizer, &example.example_id, &prompt, &lines)
}

/// The answer's parts are tokenised one by one, as the decoder spells them.
fn document(
    tokenizer: &Tokenizer,
    example: &str,
    prompt: &Prompt,
    answer: &[String],
) -> Result<Document, TrainError> {
    let fail = |source| TrainError::Tokens { example: example.into(), source };
    let mut tokens = Vec::new();
    for part in answer {
        tokens.extend(tokenizer.encode_plain(part).map_err(fail)?);
    }
    tokens.push(tokenizer.eos());
    Ok(Document { prompt: tokenizer.encode(prompt).map_err(fail)?, answer: tokens })
}
