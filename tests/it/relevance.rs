//! The model of relevance through its public doors: the committed grades, the real encoder, the shipped model.

use std::path::Path;

use endcap::config::registry::{Kind, Registry};
use endcap::distill::dataset::read_keywords;
use endcap::domain::Digest;
use endcap::domain::training::{KeywordExample, Split};
use endcap::embed::Memory;
use endcap::relevance::{Asked, Lessons, Nearness, RelevanceError, RelevanceModel, train};
use endcap::trees::Growth;

use crate::{embed, support};

fn examples(training: usize, held_out: usize) -> Vec<KeywordExample> {
    let path = support::project().join("models/training/keywords.parquet");
    let all = read_keywords(&path).expect("the committed training set");
    let (held, trained): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|example| example.split == Split::Validation);
    trained.into_iter().take(training).chain(held.into_iter().take(held_out)).collect()
}

fn other_encoder() -> Digest {
    Digest::of(b"another encoder")
}

fn learn(examples: &[KeywordExample], encoder: &Memory) -> Result<RelevanceModel, RelevanceError> {
    let lessons =
        Lessons { examples, data: Digest::of(b"data"), encoder, encoder_digest: Digest::of(b"encoder") };
    train(&lessons, &Growth { trees: 40, ..Growth::default() }, &|_| ())
}

fn log_odds(model: &RelevanceModel, encoder: &Memory, concepts: &[&str], candidates: &[&str]) -> Vec<f32> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    let (concepts, candidates) = (owned(concepts), owned(candidates));
    let asked = Asked { title: "Taco night", concepts: &concepts, candidates: &candidates };
    let near = Nearness::new(&asked, encoder).expect("vectors");
    model.log_odds(&asked, &near, encoder).expect("judged")
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    RelevanceModel::FILES.map(|name| std::fs::read(folder.join(name)).expect(name)).into()
}

#[test]
fn grades_teach_more_than_cosines_and_the_same_grades_the_same_bytes() {
    let encoder = Memory::new(embed::encoder());
    let examples = examples(120, 60);
    let model = learn(&examples, &encoder).expect("learned");
    let found = model.description.validation;
    assert_eq!((found.placements, model.description.placements), (60, 120));
    assert!(found.learned > found.cosine && found.learned <= 1.0, "{found:?}");

    let (first, second) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    model.save(first.path()).expect("saved");
    learn(&examples, &encoder).expect("learned again").save(second.path()).expect("saved");
    assert_eq!(files(first.path()), files(second.path()));

    let again = RelevanceModel::load(first.path(), Digest::of(b"encoder")).expect("loaded");
    let candidates = ["taco shells", "shampoo", "corn tortillas"];
    let judged = log_odds(&again, &encoder, &["taco shells", "salsa"], &candidates);
    assert_eq!(judged, log_odds(&model, &encoder, &["taco shells", "salsa"], &candidates));
}

#[test]
fn a_folder_that_does_not_fit_is_refused_and_says_what_to_do() {
    let encoder = Memory::new(embed::encoder());
    let model = learn(&examples(20, 5), &encoder).expect("learned");
    let folder = tempfile::tempdir().expect("folder");
    let (own, path) = (Digest::of(b"encoder"), folder.path());
    model.save(path).expect("saved");
    let refused = |encoder| RelevanceModel::load(path, encoder).expect_err("refused").to_string();
    let message = refused(other_encoder());
    assert!(message.contains("relevance.json") && message.contains("endcap train relevance"), "{message}");

    let change = |name: &str, from: &str, to: &str| {
        let file = path.join(name);
        let text = std::fs::read_to_string(&file).expect("text");
        assert!(text.contains(from), "{name} has {from:?}");
        std::fs::write(file, text.replacen(from, to, 1)).expect("changed");
    };
    change("model.txt", "version=v4", "version=v3");
    assert!(refused(own).contains("model.txt is not the model"), "{}", refused(own));
    change("relevance.json", "endcap.relevance/v1", "endcap.relevance/v9");
    assert!(refused(own).contains("other features"), "{}", refused(own));
    std::fs::remove_file(path.join("relevance.json")).expect("removed");
    assert!(refused(own).contains("relevance.json"), "{}", refused(own));
}

#[test]
fn nothing_to_learn_from_is_an_error() {
    let encoder = Memory::new(embed::encoder());
    for (training, held_out, missing) in [(0, 3, "train"), (3, 0, "validation")] {
        let error = learn(&examples(training, held_out), &encoder).expect_err("nothing").to_string();
        assert!(error.contains(&format!("no {missing} placement")), "{error}");
    }
}

/// The model in `models/` is of the committed grades and the registry's encoder, and knows tacos from shampoo.
#[test]
fn the_shipped_model_is_of_the_committed_grades() {
    let project = support::project();
    let registry = Registry::load(&project.join("models/registry.toml")).expect("registry");
    let encoder = registry.pinned("all-minilm-l6-v2", Kind::Encoder).expect("pinned");
    let model = RelevanceModel::load(&project.join("models/minilm-relevance"), encoder).expect("loaded");
    let data = std::fs::read(project.join("models/training/keywords.parquet")).expect("training set");
    assert_eq!(model.description.data, Digest::of(&data));
    assert_eq!(model.description.recipe, Growth::default(), "made by the recipe that is documented");
    let memory = Memory::new(embed::encoder());
    let candidates = ["taco shells", "baby shampoo", "corn tortillas", "motor oil", "hot salsa"];
    let judged = log_odds(&model, &memory, &["taco shells", "salsa", "tortillas"], &candidates);
    let least = judged[0].min(judged[2]).min(judged[4]);
    assert!(least > judged[1].max(judged[3]) && judged.iter().all(|odds| odds.is_finite()), "{judged:?}");
    assert!(log_odds(&model, &memory, &["milk"], &[]).is_empty());
    assert_eq!(log_odds(&model, &memory, &["milk"], &["a candidate without rivals"]).len(), 1);
}
