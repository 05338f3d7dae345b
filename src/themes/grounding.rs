//! Why a theme stands on a page, for the merchandiser: the segment's signals that its concepts echo. Students do not write
//! intents, so this is read off, not made up.

use crate::domain::SegmentContext;

/// Most signals named of each kind.
const NAMED: usize = 3;

/// "Distinctive: asparagus. Rising: red cherries." Empty where no signal shares a word with a concept.
pub fn intent(context: &SegmentContext, concepts: &[String]) -> String {
    let echoed = |names: Vec<&str>| -> Vec<String> {
        let named =
            names.into_iter().filter(|name| concepts.iter().any(|concept| share_a_word(name, concept)));
        named.take(NAMED).map(str::to_lowercase).collect()
    };
    let campaign = context.merchandising.campaign.as_ref();
    let kinds = [
        (
            "Campaign",
            campaign.map(|one| one.feature.iter().map(String::as_str).collect()).unwrap_or_default(),
        ),
        ("Distinctive", context.distinctive.iter().map(|item| item.name.as_str()).collect()),
        ("Rising", context.rising.iter().map(String::as_str).collect()),
        ("Staples", context.staples.iter().map(String::as_str).collect()),
    ];
    let sentences = kinds.into_iter().filter_map(|(kind, names)| {
        let names = echoed(names);
        (!names.is_empty()).then(|| format!("{kind}: {}.", names.join(", ")))
    });
    sentences.collect::<Vec<_>>().join(" ")
}

fn share_a_word(a: &str, b: &str) -> bool {
    words(a).any(|word| words(b).any(|other| word == other))
}

/// Words of four letters or more, in lower case, without a plural's s.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 3);
    words.map(|word| {
        let word = word.to_lowercase();
        word.strip_suffix('s').map_or_else(|| word.clone(), str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_concepts_echo_are_named_by_kind() {
        let context: SegmentContext = serde_json::from_str(
            r#"{"segment_id":"s","as_of":"2017-07-17","households":1,"shopping":{"visits_per_week":1,"basket_value":2,"private_label_share":0,"on_promotion_share":0,"evening_share":0,"weekend_share":0},"distinctive":[{"name":"Asparagus","aisle":"Fresh vegetables","households":0.2,"lift":3},{"name":"Toothpaste","aisle":"Oral care","households":0.2,"lift":3}],"staples":["White milk"],"rising":["Red cherries"]}"#,
        )
        .expect("context");
        let concepts = ["asparagus spears", "cherries", "lemons"].map(str::to_owned);
        assert_eq!(intent(&context, &concepts), "Distinctive: asparagus. Rising: red cherries.");
        assert_eq!(intent(&context, &["sushi".to_owned()]), "");
    }
}
