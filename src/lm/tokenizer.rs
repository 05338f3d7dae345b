//! Text to tokens and back, and the same vocabulary as the grammar engine wants it.
//!
//! Text on its way in is split at control tokens found in trusted text only; what lies between is tokenised as plain text, in
//! one go across the boundaries of parts, so that a prompt gives the tokens that the model saw in training.
//!
//! Two prompts tokenised apart give the tokens of their concatenation only where no token spans the cut. End a shared
//! prefix with a control token, or with a newline where what follows does not begin with white space.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::tokenizer::TokenizerFromGguf;
use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use llguidance::{ParserFactory, toktrie};
use serde_json::Value;
use tokenizers::AddedToken;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

use super::error::LmError;
use super::prompt::{Part, Prompt};
use super::weights::Gguf;

/// How Llama 3 splits text before it merges: words, up to three digits, punctuation, white space.
const LLAMA3_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A byte-level BPE vocabulary with its control tokens.
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    /// Control tokens by text, longest first, so that no token hides behind its prefix.
    control: Vec<(String, u32)>,
    eos: u32,
    grammars: Arc<ParserFactory>,
}

impl Tokenizer {
    /// From any byte-level BPE tokenizer; `eos` ends an answer.
    pub fn new(mut inner: tokenizers::Tokenizer, eos: u32) -> Result<Self, LmError> {
        // Every added token is a control token, such as Qwen's `<tool_call>` too, which its own tokenizer reads in any text.
        let added: BTreeMap<u32, AddedToken> = inner.get_added_tokens_decoder().into_iter().collect();
        let special = added.values().map(|token| token.clone().special(true));
        inner.add_special_tokens(special).map_err(|e| LmError::Tokenizer(e.to_string()))?;
        inner.set_encode_special_tokens(true);
        let mut control: Vec<(String, u32)> =
            added.into_iter().map(|(id, token)| (token.content, id)).collect();
        control.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.1.cmp(&b.1)));
        let inner = Arc::new(inner);
        let environment: TokEnv = Arc::new(GrammarVocabulary::new(inner.clone(), &control, eos)?);
        let grammars =
            ParserFactory::new_simple(&environment).map_err(|e| LmError::Tokenizer(e.to_string()))?;
        Ok(Self { inner, control, eos, grammars: Arc::new(grammars) })
    }

    /// Of a GGUF file, or of a Hugging Face folder.
    pub fn load(path: &Path) -> Result<Self, LmError> {
        if path.is_dir() { Self::from_folder(path) } else { Self::from_gguf(&Gguf::open(path)?) }
    }

    fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, LmError> {
        let mut inner = tokenizers::Tokenizer::from_gguf(&gguf.content)
            .map_err(|e| gguf.unusable(format!("tokenizer: {e}")))?;
        // What candle does not know it splits as GPT-2 does, and glues a space to the front.
        match gguf.text("tokenizer.ggml.pre")?.as_str() {
            "qwen2" => {}
            "smollm" => {
                let digits = Digits::new(true);
                let bytes = ByteLevel::new(false, true, true);
                inner.with_pre_tokenizer(Some(Sequence::new(vec![digits.into(), bytes.into()])));
            }
            "llama-bpe" => {
                let pattern = SplitPattern::Regex(LLAMA3_WORDS.into());
                let words = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                    .map_err(|e| gguf.unusable(e.to_string()))?;
                let bytes = ByteLevel::new(false, true, false);
                inner.with_pre_tokenizer(Some(Sequence::new(vec![words.into(), bytes.into()])));
            }
            "gpt-2" | "default" => {
                inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
            }
            other => return Err(gguf.unusable(format!("tokenizer.ggml.pre {other:?} is not supported"))),
        }
        let eos = gguf.count("tokenizer.ggml.eos_token_id")?;
        Self::new(inner, u32::try_from(eos).map_err(|e| gguf.unusable(e.to_string()))?)
    }

    /// Of a Hugging Face folder: `tokenizer.json`, and the end of an answer as `tokenizer_config.json`,
    /// `generation_config.json` or `config.json` names it, the first that does.
    fn from_folder(dir: &Path) -> Result<Self, LmError> {
        let path = dir.join("tokenizer.json");
        let unusable = |reason: String| LmError::Folder { path: path.clone(), reason };
        let mut inner = tokenizers::Tokenizer::from_file(&path).map_err(|e| unusable(e.to_string()))?;
        if !matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_))) {
            return Err(unusable("only byte-level BPE tokenizers are supported".into()));
        }
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| unusable(e.to_string()))?;
        let eos = end_of_answer(dir, &inner)?;
        let eos = eos.ok_or_else(|| unusable("no config beside it names an eos_token".into()))?;
        Self::new(inner, eos)
    }

    /// Tokens, all of them control tokens only where trusted text says so.
    pub fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>, LmError> {
        let mut tokens = Vec::new();
        let mut plain = String::new();
        for part in prompt.parts() {
            match part {
                Part::Data(text) => plain.push_str(text),
                Part::Trusted(text) => {
                    let mut rest = text.as_str();
                    while let Some((at, control, id)) = self.first_control(rest) {
                        plain.push_str(&rest[..at]);
                        tokens.extend(self.encode_plain(&plain)?);
                        tokens.push(id);
                        plain.clear();
                        rest = &rest[at + control.len()..];
                    }
                    plain.push_str(rest);
                }
            }
        }
        tokens.extend(self.encode_plain(&plain)?);
        Ok(tokens)
    }

    /// Tokens of text alone, never a control token.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, LmError> {
        encode_plain(&self.inner, text).map_err(|e| LmError::Tokenizer(e.to_string()))
    }

    /// Text without control tokens. Bytes that are not UTF-8 come out as U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, LmError> {
        self.inner.decode(tokens, true).map_err(|e| LmError::Tokenizer(e.to_string()))
    }

    /// The token that ends an answer.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    pub(super) fn grammars(&self) -> &ParserFactory {
        &self.grammars
    }

    fn first_control(&self, text: &str) -> Option<(usize, &str, u32)> {
        let found = self.control.iter().filter_map(|(control, id)| Some((text.find(control)?, control, id)));
        found.min_by_key(|(at, ..)| *at).map(|(at, control, id)| (at, control.as_str(), *id))
    }
}

fn end_of_answer(dir: &Path, inner: &tokenizers::Tokenizer) -> Result<Option<u32>, LmError> {
    for (file, key) in [
        ("tokenizer_config.json", "eos_token"),
        ("generation_config.json", "eos_token_id"),
        ("config.json", "eos_token_id"),
    ] {
        let path = dir.join(file);
        let Ok(text) = std::fs::read(&path) else { continue };
        let config: Value = serde_json::from_slice(&text)
            .map_err(|error| LmError::Folder { path, reason: error.to_string() })?;
        // A text, a token with its `content`, an id, or several ids of which the first is the usual one.
        let value = &config[key];
        let content = value.as_str().or_else(|| value["content"].as_str());
        let id = value.as_u64().or_else(|| value[0].as_u64()).and_then(|id| u32::try_from(id).ok());
        if let Some(id) = content.and_then(|text| inner.token_to_id(text)).or(id) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocab_size", &self.vocab_size()).field("eos", &self.eos).finish()
    }
}

fn encode_plain(inner: &tokenizers::Tokenizer, text: &str) -> tokenizers::Result<Vec<u32>> {
    Ok(inner.encode_fast(text, false)?.get_ids().to_vec())
}

/// The vocabulary as llguidance walks it: a trie over token bytes.
struct GrammarVocabulary {
    inner: Arc<tokenizers::Tokenizer>,
    trie: TokTrie,
}

impl GrammarVocabulary {
    fn new(inner: Arc<tokenizers::Tokenizer>, control: &[(String, u32)], eos: u32) -> Result<Self, LmError> {
        let vocab_size = inner.get_vocab_size(true);
        let mut words = vec![Vec::new(); vocab_size];
        for (text, id) in inner.get_vocab(true) {
            let word = words.get_mut(id as usize);
            *word
                .ok_or_else(|| LmError::Tokenizer(format!("token ids have gaps: {id} of {vocab_size}")))? =
                token_bytes(&text);
        }
        for (text, id) in control {
            let marked = std::iter::once(TokTrie::SPECIAL_TOKEN_MARKER).chain(text.bytes());
            words[*id as usize] = marked.collect();
        }
        let info = TokRxInfo::new(vocab_size as u32, eos);
        Ok(Self { inner, trie: TokTrie::from(&info, &words) })
    }
}

impl TokenizerEnv for GrammarVocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let encode = |text: &str| {
            encode_plain(&self.inner, text).unwrap_or_else(|_| self.trie.greedy_tokenize(text.as_bytes()))
        };
        toktrie::TokTrie::tokenize_with_greedy_fallback(&self.trie, bytes, encode)
    }
}

/// Bytes of a token written in GPT-2's alphabet, where each byte has a printable character of its own.
fn token_bytes(text: &str) -> Vec<u8> {
    let byte = |c: char| match c {
        '!'..='~' | '\u{A1}'..='\u{AC}' | '\u{AE}'..='\u{FF}' => u8::try_from(u32::from(c)).ok(),
        '\u{100}'..='\u{120}' => u8::try_from(u32::from(c) - 0x100).ok(),
        '\u{121}'..='\u{142}' => u8::try_from(u32::from(c) - 0x121 + 0x7F).ok(),
        '\u{143}' => Some(0xAD),
        _ => None,
    };
    text.chars().map(byte).collect::<Option<_>>().unwrap_or_else(|| text.as_bytes().to_vec())
}
