//! Answers that are a list of given items (KW-1): the decoder can spell nothing else.
//!
//! A trie over the tokens of each item and its separator holds what is still to choose from. Because every item ends
//! with the separator, which no item contains, "soup" and "soup mix" part after their common tokens.

use std::collections::{BTreeMap, BTreeSet};

use super::Constraint;
use crate::lm::error::LmError;
use crate::lm::tokenizer::Tokenizer;

/// `min..=max` distinct items, each written out and followed by `separator`. The answer ends with the model's end token or at
/// `max`, or when no item is left. Items of equal text count once, as the first of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Choices {
    pub items: Vec<String>,
    pub min: usize,
    pub max: usize,
    pub separator: String,
    /// Log-weight of each item, natural, finite; empty is uniform. The model's probability of spelling an item is
    /// multiplied by its weight (a product of experts, Hinton 2002), and renormalised at every token.
    pub prior: Vec<f32>,
    /// Added to the end token's logit where the list may end; above 0 makes it shorter.
    pub ending: f32,
}

impl Choices {
    /// Items a line, none preferred.
    pub fn lines(items: Vec<String>, min: usize, max: usize) -> Self {
        Self { items, min, max, separator: "\n".into(), prior: Vec::new(), ending: 0.0 }
    }

    pub(super) fn start(&self, tokenizer: &Tokenizer) -> Result<ChoicesState, LmError> {
        self.check()?;
        let mut trie = Trie::default();
        let mut seen = BTreeSet::new();
        for (item, text) in self.items.iter().enumerate() {
            if seen.insert(text) {
                let tokens = tokenizer.encode_plain(&format!("{text}{}", self.separator))?;
                let weight = self.prior.get(item).map_or(0.0, |weight| f64::from(*weight));
                trie.insert(&tokens, item, weight);
            }
        }
        trie.weigh_all();
        if trie.remaining() < self.min {
            return Err(LmError::Choices(format!(
                "{} distinct items, but at least {} are to be chosen",
                trie.remaining(),
                self.min
            )));
        }
        trie.check_ends().map_err(|item| self.ambiguous(item))?;
        let whole = trie.nodes[ROOT].weight;
        Ok(ChoicesState {
            whole,
            trie,
            at: ROOT,
            path: Vec::new(),
            chosen: Vec::new(),
            spec: self.bounds(),
            eos: tokenizer.eos(),
            ended: false,
        })
    }

    fn check(&self) -> Result<(), LmError> {
        let refuse = |reason: String| Err(LmError::Choices(reason));
        if self.max == 0 || self.min > self.max {
            return refuse(format!("{}..={} items cannot be chosen", self.min, self.max));
        }
        let weighed =
            self.prior.len() == self.items.len() && self.prior.iter().all(|weight| weight.is_finite());
        if !(self.prior.is_empty() || weighed) {
            return refuse(format!("{} items need as many finite log-weights, or none", self.items.len()));
        }
        if self.separator.is_empty() {
            return refuse("the separator is empty".into());
        }
        for (i, item) in self.items.iter().enumerate() {
            if item.trim() != item || item.is_empty() {
                return refuse(format!("item {i} {item:?} is empty or has white space at an end"));
            }
            if item.contains(char::is_control) || item.contains(&self.separator) {
                return refuse(format!("item {i} {item:?} holds a control character or the separator"));
            }
        }
        Ok(())
    }

    fn bounds(&self) -> Bounds {
        Bounds { min: self.min, max: self.max, ending: self.ending }
    }

    fn ambiguous(&self, item: usize) -> LmError {
        LmError::Choices(format!("item {item} {:?} is the beginning of another item", self.items[item]))
    }
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    min: usize,
    max: usize,
    ending: f32,
}

const ROOT: usize = 0;

/// Token sequences of the items not yet chosen.
#[derive(Debug)]
struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<u32, usize>,
    /// Items below that are still to be had.
    remaining: usize,
    /// Log of the sum of their weights; minus infinity where there are none.
    weight: f64,
    /// The item that ends here.
    item: Option<usize>,
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    fn insert(&mut self, tokens: &[u32], item: usize, weight: f64) {
        let mut at = ROOT;
        self.nodes[at].remaining += 1;
        for token in tokens {
            let next = self.nodes.len();
            at = *self.nodes[at].children.entry(*token).or_insert(next);
            if at == next {
                self.nodes.push(Node::default());
            }
            self.nodes[at].remaining += 1;
        }
        self.nodes[at].item = Some(item);
        self.nodes[at].weight = weight;
    }

    /// Weighs every node; children stand after their parents.
    fn weigh_all(&mut self) {
        for at in (0..self.nodes.len()).rev() {
            self.weigh(at);
        }
    }

    /// Sums the children's weights, the greatest taken out, so that items far lighter than others keep their differences.
    /// An item's own node has none, and keeps its weight.
    fn weigh(&mut self, at: usize) {
        let node = &self.nodes[at];
        if node.item.is_some() && node.remaining > 0 {
            return;
        }
        let children = || node.children.values().map(|child| self.nodes[*child].weight);
        let greatest = children().fold(f64::NEG_INFINITY, f64::max);
        let weight = match greatest.is_finite() {
            true => greatest + children().map(|weight| (weight - greatest).exp()).sum::<f64>().ln(),
            false => f64::NEG_INFINITY,
        };
        self.nodes[at].weight = weight;
    }

    /// An item whose tokens begin another's, if there is one.
    fn check_ends(&self) -> Result<(), usize> {
        let inner = self.nodes.iter().find(|node| !node.children.is_empty() && node.item.is_some());
        inner.and_then(|node| node.item).map_or(Ok(()), Err)
    }

    fn remaining(&self) -> usize {
        self.nodes[ROOT].remaining
    }

    /// Tokens that lead from `at` to items still to be had, ascending.
    fn next(&self, at: usize) -> impl Iterator<Item = u32> + '_ {
        let open = self.nodes[at].children.iter().filter(|(_, child)| self.nodes[**child].remaining > 0);
        open.map(|(token, _)| *token)
    }
}

/// How far an answer has come.
#[derive(Debug)]
pub struct ChoicesState {
    trie: Trie,
    /// Log-weight of all items before the first was chosen.
    whole: f64,
    at: usize,
    /// Nodes from the root to `at`, the root left out.
    path: Vec<usize>,
    chosen: Vec<usize>,
    spec: Bounds,
    eos: u32,
    ended: bool,
}

impl ChoicesState {
    fn may_end(&self) -> bool {
        self.at == ROOT && self.chosen.len() >= self.spec.min
    }

    fn take(&mut self, item: usize) {
        self.chosen.push(item);
        for node in self.path.drain(..).rev().chain(std::iter::once(ROOT)) {
            self.trie.nodes[node].remaining -= 1;
            self.trie.weigh(node);
        }
        self.at = ROOT;
    }
}

impl Constraint for ChoicesState {
    fn forced(&mut self) -> Result<Vec<u32>, LmError> {
        let mut forced = Vec::new();
        while !self.is_complete() {
            let allowed = self.allowed()?;
            let [only] = allowed[..] else { break };
            self.commit(only)?;
            forced.push(only);
        }
        Ok(forced)
    }

    fn allowed(&mut self) -> Result<Vec<u32>, LmError> {
        let mut tokens: Vec<u32> = self.trie.next(self.at).collect();
        if self.may_end() {
            tokens.push(self.eos);
            tokens.sort_unstable();
        }
        Ok(tokens)
    }

    fn commit(&mut self, token: u32) -> Result<(), LmError> {
        if token == self.eos && self.may_end() {
            self.ended = true;
            return Ok(());
        }
        let child = self.trie.nodes[self.at].children.get(&token).copied();
        let open = child.filter(|child| self.trie.nodes[*child].remaining > 0);
        let child = open.ok_or_else(|| LmError::Choices(format!("token {token} leads to no item")))?;
        self.at = child;
        self.path.push(child);
        if let Some(item) = self.trie.nodes[child].item {
            self.take(item);
        }
        Ok(())
    }

    /// The log of the share of weight that lies behind `token`. Between items the whole list is the measure, so that
    /// ending grows likelier as the heavy items are used up.
    fn bias(&self, token: u32) -> f32 {
        if token == self.eos && self.may_end() {
            return self.spec.ending;
        }
        let behind =
            self.trie.nodes[self.at].children.get(&token).map(|child| self.trie.nodes[*child].weight);
        let all = if self.at == ROOT { self.whole } else { self.trie.nodes[self.at].weight };
        behind.map_or(0.0, |behind| (behind - all) as f32)
    }

    fn is_complete(&self) -> bool {
        let full = self.chosen.len() == self.spec.max || self.trie.remaining() == 0;
        self.ended || (self.at == ROOT && full)
    }

    fn choices(&self) -> &[usize] {
        &self.chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_far_lighter_than_the_heaviest_keep_their_differences() {
        let mut trie = Trie::default();
        for (item, (tokens, weight)) in
            [([1, 2], 0.0), ([1, 3], -200.0), ([4, 5], -201.0), ([4, 6], -203.0)].into_iter().enumerate()
        {
            trie.insert(&tokens, item, weight);
        }
        trie.weigh_all();
        let mut state = ChoicesState {
            whole: trie.nodes[ROOT].weight,
            trie,
            at: ROOT,
            path: Vec::new(),
            chosen: Vec::new(),
            spec: Bounds { min: 1, max: 4, ending: 0.0 },
            eos: 0,
            ended: false,
        };
        assert!(state.bias(1).abs() < 1e-6 && state.bias(4) < -200.0);
        for token in [1, 2] {
            state.commit(token).unwrap();
        }
        let both = (-201f64).exp() + (-203f64).exp();
        assert!((state.bias(1) + 200.0).abs() < 1e-3, "{}", state.bias(1));
        assert!((f64::from(state.bias(4)) - both.ln()).abs() < 1e-3, "{}", state.bias(4));
        state.commit(4).unwrap();
        assert!((state.bias(5) - state.bias(6) - 2.0).abs() < 1e-5);
        state.commit(6).unwrap();
        assert!((state.bias(4) + 201.0).abs() < 1e-3, "one is left of the two");
        assert_eq!(state.choices(), [0, 3]);
    }
}
