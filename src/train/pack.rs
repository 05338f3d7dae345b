//! Documents side by side up to a budget of tokens, without padding.

use std::ops::Range;
use std::sync::Arc;

/// A prompt with its answer, in tokens; the loss is on the answer alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub prompt: Vec<u32>,
    /// Ends with the token that ends a turn.
    pub answer: Vec<u32>,
}

impl Document {
    pub fn tokens(&self) -> usize {
        self.prompt.len() + self.answer.len()
    }
}

/// One forward pass.
#[derive(Debug)]
pub struct Pack {
    pub tokens: Vec<u32>,
    /// Rows of each document.
    pub documents: Arc<Vec<Range<usize>>>,
    /// Rows whose next token is part of an answer.
    pub predicting: Vec<u32>,
    /// Those next tokens.
    pub labels: Vec<u32>,
}

impl Pack {
    /// The last token of a document predicts nothing and is left out. A prompt has at least one token.
    pub fn new(documents: &[&Document]) -> Self {
        let mut pack = Self {
            tokens: Vec::new(),
            documents: Arc::default(),
            predicting: Vec::new(),
            labels: Vec::new(),
        };
        let mut ranges = Vec::with_capacity(documents.len());
        for document in documents {
            let first = pack.tokens.len();
            let (_, read) = document.answer.split_last().unwrap_or((&0, &[]));
            pack.tokens.extend(document.prompt.iter().chain(read));
            let last_of_prompt = first + document.prompt.len() - 1;
            pack.predicting.extend((0..document.answer.len()).map(|i| (last_of_prompt + i) as u32));
            pack.labels.extend(&document.answer);
            ranges.push(first..pack.tokens.len());
        }
        pack.documents = Arc::new(ranges);
        pack
    }

    /// Each token's place in its document.
    pub fn positions(&self) -> Vec<usize> {
        self.documents.iter().flat_map(|rows| 0..rows.len()).collect()
    }
}

/// Splits `documents` into packs of at most `budget` tokens, longest first into the fullest pack it fits (best-fit decreasing), so that
/// little is wasted. A document over the budget has a pack of its own. The packs' order follows from the documents'.
pub fn packed(documents: &[&Document], budget: usize) -> Vec<Pack> {
    let mut order: Vec<usize> = (0..documents.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(documents[*at].tokens()), *at));
    let mut bins: Vec<(usize, Vec<usize>)> = Vec::new();
    for at in order {
        let tokens = documents[at].tokens();
        let fullest =
            bins.iter_mut().filter(|(used, _)| used + tokens <= budget).max_by_key(|(used, _)| *used);
        match fullest {
            Some((used, members)) => {
                *used += tokens;
                members.push(at);
            }
            None => bins.push((tokens, vec![at])),
        }
    }
    let pack = |(_, members): &(usize, Vec<usize>)| {
        Pack::new(&members.iter().map(|at| documents[*at]).collect::<Vec<_>>())
    };
    bins.iter().map(pack).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(prompt: usize, answer: usize) -> Document {
        Document { prompt: vec![1; prompt], answer: (0..answer as u32).map(|i| 10 + i).collect() }
    }

    #[test]
    fn each_answer_token_is_predicted_by_the_row_before_it() {
        let (first, second) = (document(3, 2), document(2, 3));
        let pack = Pack::new(&[&first, &second]);
        assert_eq!(pack.tokens, [1, 1, 1, 10, 1, 1, 10, 11]);
        assert_eq!(*pack.documents, [0..4, 4..8]);
        assert_eq!(pack.predicting, [2, 3, 5, 6, 7]);
        assert_eq!(pack.labels, [10, 11, 10, 11, 12]);
        assert_eq!(pack.positions(), [0, 1, 2, 3, 0, 1, 2, 3]);
    }

    proptest! {
        #[test]
        fn packs_hold_every_document_once_and_keep_to_the_budget(
            sizes in prop::collection::vec((1usize..40, 1usize..40), 1..30), budget in 20usize..120,
        ) {
            let documents: Vec<Document> = sizes.iter().map(|(p, a)| document(*p, *a)).collect();
            let packs = packed(&documents.iter().collect::<Vec<_>>(), budget);
            let labels: usize = packs.iter().map(|pack| pack.labels.len()).sum();
            prop_assert_eq!(labels, sizes.iter().map(|(_, answer)| answer).sum::<usize>());
            prop_assert_eq!(packs.iter().map(|pack| pack.documents.len()).sum::<usize>(), sizes.len());
            for pack in packs {
                prop_assert!(pack.documents.len() == 1 || pack.tokens.len() <= budget);
            }
        }
    }
}
