//! Answers under a Lark grammar or a JSON schema, by llguidance.

use std::sync::Arc;

use llguidance::Matcher;
use llguidance::api::TopLevelGrammar;

use super::Constraint;
use crate::lm::error::LmError;
use crate::lm::tokenizer::Tokenizer;

/// A grammar checked against a vocabulary. Cheap to clone; each answer starts from a copy of its fresh matcher.
#[derive(Clone)]
pub struct CompiledGrammar {
    fresh: Arc<Matcher>,
}

impl CompiledGrammar {
    /// From llguidance's dialect of Lark.
    pub fn lark(tokenizer: &Tokenizer, grammar: &str) -> Result<Self, LmError> {
        Self::compile(tokenizer, TopLevelGrammar::from_lark(grammar.to_owned()))
    }

    /// From a JSON schema. The JSON is compact: left free to, a small model fills an answer with tabs.
    pub fn json_schema(tokenizer: &Tokenizer, schema: &serde_json::Value) -> Result<Self, LmError> {
        let mut schema = schema.clone();
        let fields = schema.as_object_mut().ok_or_else(|| refused("the schema is not a JSON object"))?;
        fields.insert("x-guidance".into(), serde_json::json!({ "whitespace_flexible": false }));
        Self::compile(tokenizer, TopLevelGrammar::from_json_schema(schema))
    }

    fn compile(tokenizer: &Tokenizer, grammar: TopLevelGrammar) -> Result<Self, LmError> {
        let mut matcher = Matcher::new(tokenizer.grammars().create_parser(grammar));
        // A first mask finds what only shows once the lexer runs, such as a limit exceeded.
        matcher.deep_clone().compute_mask_or_eos().map_err(refused)?;
        match matcher.grammar_warnings().as_slice() {
            [] => {}
            warnings => tracing::warn!(?warnings, "grammar"),
        }
        Ok(Self { fresh: Arc::new(matcher) })
    }

    pub(super) fn start(&self) -> GrammarState {
        GrammarState { matcher: self.fresh.deep_clone() }
    }
}

impl std::fmt::Debug for CompiledGrammar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledGrammar").finish_non_exhaustive()
    }
}

pub struct GrammarState {
    matcher: Matcher,
}

impl Constraint for GrammarState {
    fn forced(&mut self) -> Result<Vec<u32>, LmError> {
        if self.matcher.is_stopped() {
            return Ok(Vec::new());
        }
        let tokens = self.matcher.compute_ff_tokens();
        self.matcher.consume_tokens(&tokens).map_err(refused)?;
        Ok(tokens)
    }

    fn allowed(&mut self) -> Result<Vec<u32>, LmError> {
        let mask = self.matcher.compute_mask_or_eos().map_err(refused)?;
        Ok(mask.to_list())
    }

    fn commit(&mut self, token: u32) -> Result<(), LmError> {
        self.matcher.consume_token(token).map_err(refused)
    }

    fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }
}

fn refused(error: impl std::fmt::Display) -> LmError {
    LmError::Grammar(error.to_string())
}
