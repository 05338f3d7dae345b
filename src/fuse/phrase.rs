//! Whether a text holds a banned phrase.

/// True when the words of `phrase` stand in `text` one after the other, letter case and punctuation aside:
/// "on sale" is in "Now ON SALE!" and not in "salesman". A phrase without a letter or digit ("$$") is looked
/// for as it is.
pub(super) fn holds(text: &str, phrase: &str) -> bool {
    let wanted = words(phrase);
    if wanted.clone().next().is_none() {
        let sign = phrase.trim();
        return !sign.is_empty() && text.contains(sign);
    }
    let mut from = words(text);
    loop {
        let mut ahead = from.clone();
        if wanted.clone().all(|word| ahead.next().is_some_and(|found| is_same(found, word))) {
            return true;
        }
        if from.next().is_none() {
            return false;
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Every product's texts are held against every phrase, so nothing is allocated.
fn is_same(a: &str, b: &str) -> bool {
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn phrases_are_whole_words_in_a_row() {
        assert!(holds("Now ON SALE!", "on sale"));
        assert!(holds("Half-price snacks", "half price"));
        assert!(holds("big $$ days", "$$"));
        assert!(!holds("salesman on duty", "on sale"));
        assert!(!holds("sale on", "on sale"));
        assert!(!holds("anything", " "));
    }
}
