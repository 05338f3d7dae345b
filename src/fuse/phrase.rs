//! Whether a text holds a banned phrase.

/// True when the words of `phrase` stand in `text` one after the other, letter case and punctuation aside:
/// "on sale" is in "Now ON SALE!" and not in "salesman". A phrase without a letter or digit ("$$") is looked
/// for as it is.
pub(super) fn holds(text: &str, phrase: &str) -> bool {
    let wanted = words(phrase);
    if wanted.is_empty() {
        let sign = phrase.trim();
        return !sign.is_empty() && text.contains(sign);
    }
    words(text).windows(wanted.len()).any(|window| window == wanted)
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
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
