//! What the rules active on a page forbid its texts: read from rule sentences and from typed rules.

use super::AiqaError;
use super::lexicon::Lexicon;
use super::text::{Text, fold};
use crate::domain::merchandising::{Rule, RuleKind};

/// The restrictions of one page.
#[derive(Debug, Default)]
pub(super) struct Restrictions {
    pub alcohol: bool,
    pub meat: bool,
    /// The page speaks to children.
    pub kids: bool,
    phrases: Option<Lexicon>,
}

impl Restrictions {
    /// From sentences such as "no alcohol", "kids page", "never say cheap, junk". What cannot be checked on a text
    /// ("at most one snack placement") is left to other rooms.
    pub fn of_sentences(sentences: &[String]) -> Result<Self, AiqaError> {
        Self::build(sentences, &[])
    }

    /// From sentences and the typed rules behind them, whose own sentence may say it in other words.
    pub fn of_rules(sentences: &[String], rules: &[&Rule]) -> Result<Self, AiqaError> {
        Self::build(sentences, rules)
    }

    fn build(sentences: &[String], rules: &[&Rule]) -> Result<Self, AiqaError> {
        let mut this = Self::default();
        let mut phrases = Vec::new();
        for sentence in sentences {
            this.read(&fold(sentence), &mut phrases);
        }
        for rule in rules {
            match &rule.kind {
                RuleKind::ForbidTags { tags } => {
                    tags.iter().for_each(|tag| this.forbid(&fold(tag), &mut Vec::new()))
                }
                RuleKind::BannedPhrases { phrases: banned } => {
                    phrases.extend(banned.iter().map(|phrase| fold(phrase)))
                }
                _ => {}
            }
        }
        phrases.retain(|phrase| phrase.chars().any(char::is_alphanumeric));
        if !phrases.is_empty() {
            let reason = "a rule of this page forbids it";
            this.phrases =
                Some(Lexicon::of_terms("the page's rules", reason, phrases.iter().map(|p| literal(p)))?);
        }
        Ok(this)
    }

    fn read(&mut self, sentence: &str, phrases: &mut Vec<String>) {
        if ["kids page", "kid's page", "kids' page", "children's page", "page for kids", "page for children"]
            .iter()
            .any(|words| sentence.contains(words))
        {
            self.kids = true;
        }
        if let Some(said) =
            sentence.strip_prefix("never say ").or_else(|| sentence.strip_prefix("do not say "))
        {
            phrases.extend(
                said.split([',', ';']).map(|phrase| phrase.trim().trim_matches(['"', '\'']).to_owned()),
            );
            return;
        }
        for clause in sentence.split([',', ';']) {
            let subject =
                clause.trim().strip_prefix("no ").or_else(|| clause.trim().strip_prefix("without "));
            if let Some(subject) = subject {
                subject.split(" or ").for_each(|subject| self.forbid(subject.trim(), phrases));
            }
        }
    }

    /// Forbids what `subject` names. Claims and counts ("no discount claims", "no more than two …") are other rules'.
    fn forbid(&mut self, subject: &str, phrases: &mut Vec<String>) {
        let subject = subject.trim_end_matches('.').trim_end_matches(" products").trim_start_matches("no ");
        let other =
            ["claims", "more than", "fewer", "placement", "duplicate", "repeat", "tobacco", "discount"];
        match subject {
            "alcohol" | "alcoholic drinks" | "alcoholic beverages" | "booze" | "liquor" => {
                self.alcohol = true
            }
            "meat" | "meats" | "meat or poultry" => self.meat = true,
            subject if other.iter().any(|word| subject.contains(word)) => {}
            subject => phrases.push(subject.to_owned()),
        }
    }

    /// A phrase the page's rules forbid.
    pub fn banned_phrase(&self, text: &Text) -> Option<String> {
        self.phrases.as_ref()?.find(text).map(|hit| hit.text)
    }
}

/// A rule's phrase as a lexicon term: never taken for one of the lexicon's own signs.
fn literal(phrase: &str) -> &str {
    phrase.trim_start_matches(['!', '~', '=', '[', '#', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sentences: &[&str]) -> Restrictions {
        let sentences: Vec<String> = sentences.iter().map(ToString::to_string).collect();
        Restrictions::of_sentences(&sentences).expect("sentences")
    }

    #[test]
    fn sentences_become_restrictions() {
        let page = read(&[
            "no alcohol, no meat",
            "kids page",
            "at most one snack placement",
            "no discount claims in titles",
        ]);
        assert!(page.alcohol && page.meat && page.kids && page.phrases.is_none());
        let page = read(&["never say guilt, junk food", "no candy"]);
        let banned = |title| page.banned_phrase(&Text::read(title).expect("short"));
        assert_eq!(banned("Junk foods for all").as_deref(), Some("junk foods"));
        assert_eq!(banned("Candies and gum").as_deref(), Some("candies"));
        assert_eq!(banned("Crackers"), None);
    }

    #[test]
    fn a_phrase_is_never_a_pattern() {
        let page = read(&["never say ~ (, ! soda"]);
        assert_eq!(page.banned_phrase(&Text::read("Orange soda").expect("short")).as_deref(), Some("soda"));
    }
}
