//! Training through its public doors: a random two-layer model learns, stops, and goes on as if it had never stopped.

use std::cell::Cell;
use std::path::Path;

use candle_core::Device;
use endcap::distill::dataset::{read_keywords, read_themes};
use endcap::domain::Digest;
use endcap::domain::training::Split;
use endcap::lm::{Adapter, Tokenizer, Weights};
use endcap::train::{Corpus, Curve, Event, Job, Recipe, TrainError, Trained, plot};

use crate::lm::tiny;
use crate::support;

fn recipe() -> Recipe {
    Recipe {
        rank: 4,
        alpha: 8.0,
        epochs: 2,
        batch: 2,
        pack_tokens: 4096,
        learning_rate: 2e-3,
        checkpoint_every: 1,
        validation: 1,
        ..Recipe::keywords()
    }
}

/// A few placements of the committed training set.
fn corpus(training: usize) -> Corpus {
    let path = support::project().join("models/training/keywords.parquet");
    let all = read_keywords(&path).expect("the committed training set");
    let (held_out, trained): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|example| example.split == Split::Validation);
    Corpus::Keywords(trained.into_iter().take(training).chain(held_out.into_iter().take(1)).collect())
}

struct Setting {
    weights: Weights,
    tokenizer: Tokenizer,
    corpus: Corpus,
    recipe: Recipe,
    stop_after: Option<usize>,
}

impl Setting {
    fn new(recipe: Recipe, examples: usize) -> Self {
        Self {
            weights: tiny::weights(1),
            tokenizer: tiny::tokenizer(),
            corpus: corpus(examples),
            recipe,
            stop_after: None,
        }
    }

    fn run(&self, checkpoints: &Path, tell: &dyn Fn(Event<'_>)) -> Result<Trained, TrainError> {
        let job = Job {
            recipe: &self.recipe,
            corpus: &self.corpus,
            weights: &self.weights,
            tokenizer: &self.tokenizer,
            device: &Device::Cpu,
            data: Digest::of(b"data"),
            base: ("tiny", Digest::of(b"tiny")),
            checkpoints: checkpoints.to_owned(),
            stop_after: self.stop_after,
        };
        job.run(tell)
    }
}

fn quietly(_: Event<'_>) {}

fn saved(trained: &Trained, weights: &Weights) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    trained.save_adapter(folder.path(), weights).unwrap();
    Adapter::load(folder.path(), &weights.config).expect("the decoder reads what training wrote");
    std::fs::read(folder.path().join("adapter_model.safetensors")).unwrap()
}

#[test]
fn a_batch_is_learnt_by_heart() {
    let setting = Setting::new(
        Recipe { epochs: 40, batch: 2, learning_rate: 1e-2, checkpoint_every: 1000, ..recipe() },
        2,
    );
    let folder = tempfile::tempdir().unwrap();
    let curve = setting.run(folder.path(), &quietly).unwrap().curve;
    let (first, last) = (curve.steps[0].loss, curve.steps[39].loss);
    assert!(last < 0.5 * first, "{first} -> {last}");
}

#[test]
fn a_training_that_was_killed_ends_with_the_same_curve_and_adapter() {
    let setting = Setting::new(recipe(), 5);
    let whole = tempfile::tempdir().unwrap();
    let expected = setting.run(whole.path(), &quietly).unwrap();
    assert_eq!(expected.curve.steps.len(), 6);
    for killed_after in [1, 3, 5] {
        let folder = tempfile::tempdir().unwrap();
        let left = Cell::new(killed_after);
        let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            setting.run(folder.path(), &|event| {
                if let Event::Stepped(_) = event {
                    left.set(left.get() - 1);
                    // After a step, before its checkpoint.
                    assert!(left.get() > 0, "killed");
                }
            })
        }));
        assert!(stopped.is_err());
        let resumed = Cell::new(0);
        let again = setting.run(folder.path(), &|event| {
            if let Event::Started { resumed: steps, .. } = event {
                resumed.set(steps);
            }
        });
        let again = again.unwrap();
        assert_eq!(resumed.get(), killed_after - 1);
        assert_eq!(again.curve, expected.curve);
        assert_eq!(saved(&again, &setting.weights), saved(&expected, &setting.weights));
    }
}

#[test]
fn a_training_that_was_asked_to_stop_goes_on_to_the_same_end() {
    let expected = Setting::new(recipe(), 5).run(tempfile::tempdir().unwrap().path(), &quietly).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (stop_after, steps) in [(Some(2), 2), (Some(2), 2), (Some(4), 4), (None, 6)] {
        let setting = Setting { stop_after, ..Setting::new(recipe(), 5) };
        let trained = setting.run(folder.path(), &quietly).unwrap();
        assert_eq!(trained.curve.steps.len(), steps);
        if stop_after.is_none() {
            assert_eq!(trained.curve, expected.curve);
        }
    }
}

#[test]
fn checkpoints_of_another_recipe_are_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    Setting::new(recipe(), 2).run(folder.path(), &quietly).unwrap();
    let other = Setting::new(Recipe { seed: 18, ..recipe() }, 2);
    let error = other.run(folder.path(), &quietly).err().expect("another seed is another job");
    assert!(matches!(error, TrainError::OtherJob { .. }), "{error}");
    assert!(error.to_string().contains("remove it"), "{error}");
}

#[test]
fn a_share_of_the_examples_keeps_every_held_out_one() {
    let path = support::project().join("models/training/themes.parquet");
    let all = read_themes(&path).expect("the committed training set");
    let held_out = all.iter().filter(|example| example.split == Split::Validation).count();
    let mut corpus = Corpus::Themes(all);
    corpus.keep(0.25);
    let tokenizer = tiny::tokenizer();
    let (quarter, kept) =
        (corpus.training(&tokenizer, 0).unwrap().len(), corpus.validation(&tokenizer).unwrap().len());
    assert_eq!(kept, held_out);
    assert!(quarter > 100 && quarter < 250, "{quarter}");
}

#[test]
fn candidates_stand_in_another_order_every_epoch() {
    let (corpus, tokenizer) = (corpus(3), tiny::tokenizer());
    let (first, second) = (corpus.training(&tokenizer, 1).unwrap(), corpus.training(&tokenizer, 2).unwrap());
    assert_ne!(first[0].prompt, second[0].prompt);
    assert_eq!(first[0].answer, second[0].answer);
    assert_eq!(first, corpus.training(&tokenizer, 1).unwrap());
}

#[test]
fn the_curve_is_drawn_and_tabled() {
    let setting = Setting::new(recipe(), 3);
    let folder = tempfile::tempdir().unwrap();
    let curve = setting.run(folder.path(), &quietly).unwrap().curve;
    assert_eq!(curve.validation.len(), 3);
    assert_eq!(curve.csv().lines().count(), 1 + curve.steps.len());
    let svg = plot(&curve).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("held out"), "{svg}");
    plot(&Curve::default()).expect("no step yet is no error");
}
