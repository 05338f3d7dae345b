//! One title or keyword against all text rules.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::garbled::Spelling;
use super::lexicon::Lexicon;
use super::restrictions::Restrictions;
use super::rules::*;
use super::season::Seasons;
use super::text::Text;
use super::vocabulary::Vocabulary;
use super::{AiqaError, Settings, demographics, form};
use crate::domain::SegmentContext;

/// A text to judge and what it is judged against.
#[derive(Debug, Clone, Copy)]
pub struct TitleCase<'a> {
    pub title: &'a str,
    /// Seasons and holidays are judged for this day.
    pub as_of: NaiveDate,
    /// Active rules as sentences ("no alcohol").
    pub rules: &'a [String],
    /// The segment's own; may be empty.
    pub demographics: &'a BTreeMap<String, String>,
}

impl<'a> TitleCase<'a> {
    /// A text for the page of `context`.
    pub fn of(context: &'a SegmentContext, title: &'a str) -> Self {
        let rules = &context.merchandising.rules;
        Self { title, as_of: context.as_of, rules, demographics: &context.demographics }
    }
}

/// Why a text may not be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One of [`rule_ids`](super::rule_ids).
    pub rule: &'static str,
    /// The offending words.
    pub text: String,
    /// For the merchandiser.
    pub reason: String,
}

/// All text rules, compiled once; shared by reference.
#[derive(Debug)]
pub struct TitlePolicy {
    settings: Settings,
    vocabulary: Vocabulary,
    spelling: Spelling,
    seasons: Seasons,
    lexicons: Lexicons,
}

#[derive(Debug)]
struct Lexicons {
    markup: Lexicon,
    debris: Lexicon,
    injected: Lexicon,
    health: Lexicon,
    price: Lexicon,
    offensive: Lexicon,
    clinical: Lexicon,
    brand: Lexicon,
    sensitive: Lexicon,
    alcohol: Lexicon,
    tobacco: Lexicon,
    adult: Lexicon,
    minors: Lexicon,
    meat: Lexicon,
}

impl Lexicons {
    fn load() -> Result<Self, AiqaError> {
        Ok(Self {
            markup: Lexicon::parse("markup.txt", include_str!("lexicons/markup.txt"))?,
            debris: Lexicon::parse("debris.txt", include_str!("lexicons/debris.txt"))?,
            injected: Lexicon::parse("injected.txt", include_str!("lexicons/injected.txt"))?,
            health: Lexicon::parse("health.txt", include_str!("lexicons/health.txt"))?,
            price: Lexicon::parse("price.txt", include_str!("lexicons/price.txt"))?,
            offensive: Lexicon::parse("offensive.txt", include_str!("lexicons/offensive.txt"))?,
            clinical: Lexicon::parse("clinical.txt", include_str!("lexicons/clinical.txt"))?,
            brand: Lexicon::parse("brand.txt", include_str!("lexicons/brand.txt"))?,
            sensitive: Lexicon::parse("sensitive.txt", include_str!("lexicons/sensitive.txt"))?,
            alcohol: Lexicon::parse("alcohol.txt", include_str!("lexicons/alcohol.txt"))?,
            tobacco: Lexicon::parse("tobacco.txt", include_str!("lexicons/tobacco.txt"))?,
            adult: Lexicon::parse("adult.txt", include_str!("lexicons/adult.txt"))?,
            minors: Lexicon::parse("minors.txt", include_str!("lexicons/minors.txt"))?,
            meat: Lexicon::parse("meat.txt", include_str!("lexicons/meat.txt"))?,
        })
    }
}

impl TitlePolicy {
    /// Compiles every lexicon; `vocabulary` says which words name what the shop sells.
    ///
    /// # Errors
    /// A setting out of range, or a lexicon that does not compile.
    pub fn new(settings: &Settings, vocabulary: Vocabulary) -> Result<Self, AiqaError> {
        settings.validate().map_err(AiqaError::Settings)?;
        Ok(Self {
            settings: settings.clone(),
            vocabulary,
            spelling: Spelling::load()?,
            seasons: Seasons::load()?,
            lexicons: Lexicons::load()?,
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn seasons(&self) -> &Seasons {
        &self.seasons
    }

    /// The words of a text that name something the shop sells, in the singular.
    pub fn named_words(&self, text: &str) -> BTreeSet<String> {
        Text::read(text).map(|text| self.vocabulary.named(&text.words).collect()).unwrap_or_default()
    }

    /// The occasions that may be named on `date`: all that a verdict takes from the date.
    pub fn occasions(&self, date: NaiveDate) -> Vec<&str> {
        self.seasons.near(date).collect()
    }

    /// Whether a catalogue tag (`seasonal-christmas`) stands for an occasion that is near `date`.
    pub fn tag_in_season(&self, tag: &str, date: NaiveDate) -> bool {
        self.seasons.tag_in_season(tag, date)
    }

    /// Everything wrong with a title, at most one finding a rule, in the order of the rules; none means accepted.
    pub fn judge_title(&self, case: &TitleCase<'_>) -> Vec<Finding> {
        self.with_restrictions(case, Self::title_findings)
    }

    /// The same for a search keyword: a short phrase of the corpus, so form, spelling and generic words are not judged.
    pub fn judge_keyword(&self, case: &TitleCase<'_>) -> Vec<Finding> {
        self.with_restrictions(case, Self::keyword_findings)
    }

    /// Whether a phrase that need not read like a title may stand on the page of `context`.
    pub fn admits(&self, context: &SegmentContext, phrase: &str) -> bool {
        self.judge_keyword(&TitleCase::of(context, phrase)).is_empty()
    }

    fn with_restrictions(
        &self,
        case: &TitleCase<'_>,
        judge: impl Fn(&Self, &TitleCase<'_>, &Restrictions) -> Vec<Finding>,
    ) -> Vec<Finding> {
        match Restrictions::of_sentences(case.rules) {
            Ok(restrictions) => judge(self, case, &restrictions),
            // A rule that cannot be read is a rule that cannot be kept: nothing passes under it.
            Err(error) => {
                let text = case.rules.join("; ");
                vec![Finding { rule: FORBIDDEN_BY_RULE, text, reason: error.to_string() }]
            }
        }
    }

    pub(super) fn title_findings(&self, case: &TitleCase<'_>, page: &Restrictions) -> Vec<Finding> {
        let Some(text) = Text::read(case.title) else { return vec![form::unread(case.title)] };
        let mut findings = form::check(&text, &self.settings);
        let damage = self.spelling.damage(&text, &self.vocabulary);
        findings.extend(damage.map(|(text, reason)| Finding { rule: GARBLED, text, reason }));
        findings.extend(self.generic(&text));
        findings.extend(self.content(&text, case, page));
        findings
    }

    pub(super) fn keyword_findings(&self, case: &TitleCase<'_>, page: &Restrictions) -> Vec<Finding> {
        match Text::read(case.title) {
            Some(text) => self.content(&text, case, page),
            None => vec![form::unread(case.title)],
        }
    }

    /// What may not stand in a product's title. A catalogue may name brands and medicines; it may not command, nor
    /// reveal the shopper, nor say what a rule of the page bans.
    pub(super) fn product_findings(
        &self,
        title: &str,
        case: &TitleCase<'_>,
        page: &Restrictions,
    ) -> Vec<Finding> {
        let Some(text) =
            Text::read(title).filter(|_| title.chars().count() <= self.settings.max_product_title_chars)
        else {
            return vec![form::unread(title)];
        };
        let hidden = form::check(&text, &self.settings)
            .into_iter()
            .filter(|finding| finding.rule == HIDDEN_CHARACTERS);
        let lexicons = [(MARKUP, &self.lexicons.markup), (INJECTED_INSTRUCTION, &self.lexicons.injected)];
        let mut findings: Vec<Finding> = hidden.chain(lexicon_findings(&text, lexicons)).collect();
        findings.extend(self.demographics(&text, case));
        findings.extend(page.banned_phrase(&text).map(banned));
        findings
    }

    fn content(&self, text: &Text, case: &TitleCase<'_>, page: &Restrictions) -> Vec<Finding> {
        let lexicons = &self.lexicons;
        let everywhere = [
            (MARKUP, &lexicons.markup),
            (PROMPT_DEBRIS, &lexicons.debris),
            (INJECTED_INSTRUCTION, &lexicons.injected),
            (HEALTH_CLAIM, &lexicons.health),
            (PRICE_CLAIM, &lexicons.price),
            (OFFENSIVE, &lexicons.offensive),
            (CLINICAL, &lexicons.clinical),
            (BRAND_MENTION, &lexicons.brand),
            (SENSITIVE_INFERENCE, &lexicons.sensitive),
            (RESTRICTED_TOBACCO, &lexicons.tobacco),
        ];
        let mut findings: Vec<Finding> = lexicon_findings(text, everywhere).collect();
        findings.extend(self.season(text, case.as_of));
        findings.extend(self.demographics(text, case));
        findings.extend(self.restricted(text, page));
        findings.extend(page.banned_phrase(text).map(banned));
        findings
    }

    fn generic(&self, text: &Text) -> Option<Finding> {
        if self.vocabulary.names_something(&text.words) {
            return None;
        }
        let reason = "names nothing the shop sells".to_owned();
        Some(Finding { rule: GENERIC_TITLE, text: text.shown.clone(), reason })
    }

    fn season(&self, text: &Text, as_of: NaiveDate) -> Option<Finding> {
        let (words, occasion) = self.seasons.out_of_season(text, as_of)?;
        Some(Finding { rule: OFF_SEASON, text: words, reason: format!("{occasion} is not near {as_of}") })
    }

    fn demographics(&self, text: &Text, case: &TitleCase<'_>) -> Option<Finding> {
        let (name, value) = demographics::revealed(text, case.demographics, &self.vocabulary)?;
        let reason = format!("gives away the segment's {name} ({value})");
        Some(Finding { rule: DEMOGRAPHIC_VALUE, text: text.shown.clone(), reason })
    }

    fn restricted(&self, text: &Text, page: &Restrictions) -> Vec<Finding> {
        let lexicons = &self.lexicons;
        let minors = lexicons.minors.find(text);
        let finding = |rule, lexicon: &Lexicon, why: &str| {
            let hit = lexicon.find(text)?;
            Some(Finding { rule, text: hit.text, reason: format!("{} {why}", hit.reason) })
        };
        let alcohol = page
            .alcohol
            .then(|| finding(RESTRICTED_ALCOHOL, &lexicons.alcohol, "where the rules say no alcohol"));
        let to_minors = (page.kids || minors.is_some()).then(|| {
            let why = if page.kids { "on a kids page" } else { "in a title that speaks to minors" };
            finding(RESTRICTED_MINORS, &lexicons.alcohol, why)
                .or_else(|| finding(RESTRICTED_MINORS, &lexicons.adult, why))
        });
        let meat =
            page.meat.then(|| finding(FORBIDDEN_BY_RULE, &lexicons.meat, "where the rules say no meat"));
        [alcohol, to_minors, meat].into_iter().flatten().flatten().collect()
    }
}

fn banned(text: String) -> Finding {
    Finding { rule: FORBIDDEN_BY_RULE, text, reason: "a rule of this page forbids it".into() }
}

fn lexicon_findings<'a>(
    text: &'a Text,
    lexicons: impl IntoIterator<Item = (&'static str, &'a Lexicon)> + 'a,
) -> impl Iterator<Item = Finding> + 'a {
    lexicons.into_iter().filter_map(move |(rule, lexicon)| {
        let hit = lexicon.find(text)?;
        Some(Finding { rule, text: hit.text, reason: hit.reason.to_owned() })
    })
}
