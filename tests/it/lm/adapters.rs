//! LoRA adapters: others' files, merged into a model, and kept beside one.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device};
use endcap::lm::{
    Adapter, Answer, Decoder, LmError, Model, Preamble, Prompt, Request, Settings, Target, Weights,
};
use serde_json::{Value, json};

use super::tiny::{self, Family};
use super::{choose, distance, mixed_requests, sequences, slices};
use crate::support;

/// Several of a fused product, some alone, some not at all.
const SOME: [Target; 4] = [Target::Query, Target::Value, Target::Up, Target::Down];

fn model(weights: Weights) -> Model {
    Model::from_weights(weights, tiny::tokenizer(), &Device::Cpu).unwrap()
}

fn merged(mut weights: Weights, adapter: &Adapter) -> Model {
    weights.merge(adapter).unwrap();
    model(weights)
}

fn with(weights: Weights, adapters: &[(&str, &Adapter)]) -> Model {
    let adapters = adapters.iter().map(|(name, adapter)| (name.to_string(), (*adapter).clone()));
    model(weights).with_adapters(adapters.collect()).unwrap()
}

fn decode(decoder: &mut Decoder, adapter: Option<&str>, requests: &[Request]) -> Vec<Answer> {
    let preamble =
        Preamble { adapter: adapter.map(str::to_owned), prompt: Prompt::from("You are a shop.\n") };
    let answers = decoder.decode(preamble, requests, &|_| {}).unwrap();
    answers.into_iter().map(|answer| answer.unwrap()).collect()
}

#[test]
fn two_adapters_over_one_base_equal_two_merged_models() {
    let sequences = sequences(&[1, 3, 40, 90], 280);
    let sequences = slices(&sequences);
    for family in Family::ALL {
        let weights = family.weights(8);
        let (a, b) =
            (tiny::adapter(1, &weights.config, &Target::ALL), tiny::adapter(2, &weights.config, &SOME));
        let both = with(weights.clone(), &[("a", &a), ("b", &b)]);
        let adapters = BTreeMap::from([("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())]);
        let plain = Model::reference(&weights, tiny::tokenizer(), &Device::Cpu).unwrap();
        let plain = plain.with_adapters(adapters).unwrap();
        let base = both.logits(&[], &sequences).unwrap();
        for (name, adapter) in [("a", &a), ("b", &b)] {
            let expected = merged(weights.clone(), adapter).logits(&[], &sequences).unwrap();
            for ours in [&both, &plain].map(|model| model.logits_with(Some(name), &[], &sequences).unwrap()) {
                for ((ours, expected), base) in ours.iter().zip(&expected).zip(&base) {
                    let (apart, effect) = (distance(ours, expected), distance(expected, base));
                    assert!(apart < 1e-4 && effect > 0.1, "{family:?} {name}: {apart} against {effect}");
                }
            }
        }
    }
}

/// DET-1: alone, in ragged company, and behind a shared prefix.
#[test]
fn bits_with_an_adapter_do_not_depend_on_the_batch() {
    let weights = tiny::weights(1);
    let model = with(weights.clone(), &[("a", &tiny::adapter(1, &weights.config, &Target::ALL))]);
    let all = sequences(&[12, 33, 250, 5, 12, 12, 1, 1], 280);
    let logits = |prefix: &[u32], batch: &[&[u32]]| model.logits_with(Some("a"), prefix, batch).unwrap();
    let alone: Vec<Vec<f32>> = all.iter().map(|s| logits(&[], &[s]).remove(0)).collect();
    assert_eq!(logits(&[], &slices(&all)), alone);
    let (prefix, rest) = all[2].split_at(70);
    assert_eq!(logits(prefix, &[&all[0], rest, &all[1]])[1], alone[2], "behind a shared prefix");
}

#[test]
fn each_job_is_answered_by_its_own_adapter() {
    let weights = tiny::weights(1);
    let (a, b) = (tiny::adapter(1, &weights.config, &Target::ALL), tiny::adapter(2, &weights.config, &SOME));
    let mut bare = tiny::decoder(Settings::default());
    let requests = mixed_requests(&bare);
    let base = decode(&mut bare, None, &requests);
    let mut shared = Decoder::new(with(weights.clone(), &[("a", &a), ("b", &b)]), Settings::default());
    let first = decode(&mut shared, Some("a"), &requests);
    assert_eq!(decode(&mut shared, None, &requests), base, "without an adapter, after a job with one");
    assert_eq!(decode(&mut shared, Some("a"), &requests), first, "its kept prefix is its own");
    let second = decode(&mut shared, Some("b"), &requests);
    assert!(first != base && second != base && first != second);
    let alone = with(weights, &[("b", &b)]);
    assert_eq!(decode(&mut Decoder::new(alone, Settings::default()), Some("b"), &requests), second);
}

#[test]
fn an_unknown_adapter_is_named_with_the_known_ones() {
    let weights = tiny::weights(1);
    let a = tiny::adapter(1, &weights.config, &SOME);
    let mut decoder = Decoder::new(with(weights, &[("keywords", &a), ("themes", &a)]), Settings::default());
    let preamble = Preamble { adapter: Some("theme".into()), prompt: Prompt::from("Shop.\n") };
    let error = decoder.decode(preamble, &[choose(&["tea"], 1, 1, 1)], &|_| {}).unwrap_err();
    assert!(error.to_string().contains("no adapter \"theme\"; it has: keywords, themes"), "{error}");
}

type Rows = Vec<Vec<f32>>;

fn pairs(adapter: &Adapter) -> Vec<(Target, Rows, Rows)> {
    let pairs = adapter.layers.iter().flatten();
    pairs.map(|(target, pair)| (*target, pair.a.to_vec2().unwrap(), pair.b.to_vec2().unwrap())).collect()
}

#[test]
fn an_adapter_is_saved_and_loaded_unchanged_and_byte_for_byte() {
    let temp = tempfile::tempdir().unwrap();
    let config = tiny::config();
    let adapter = tiny::adapter(3, &config, &Target::ALL);
    let (one, two) = (temp.path().join("new/one"), temp.path().join("two"));
    adapter.save(&one, DType::F32, &config).unwrap();
    let loaded = Adapter::load(&one, &config).unwrap();
    assert_eq!(loaded.config, adapter.config);
    assert_eq!(pairs(&loaded), pairs(&adapter));
    loaded.save(&two, DType::F32, &config).unwrap();
    for file in Adapter::FILES {
        assert_eq!(std::fs::read(one.join(file)).unwrap(), std::fs::read(two.join(file)).unwrap(), "{file}");
    }
    for dtype in [DType::BF16, DType::F16] {
        loaded.save(&two, dtype, &config).unwrap();
        let rounded = Adapter::load(&two, &config).unwrap();
        for ((_, a, _), (_, exact, _)) in pairs(&rounded).iter().zip(pairs(&adapter)) {
            let furthest = distance(&a.concat(), &exact.concat());
            // Half of bf16's last place at 0.1.
            assert!(furthest > 0.0 && furthest < 0.1 / 256.0, "{dtype:?}: {furthest}");
        }
    }
    assert!(adapter.save(&two, DType::F64, &config).is_err());
}

/// Saves `adapter`, lets `edit` change its config file, and loads it.
fn edited(dir: &Path, edit: impl Fn(&mut Value)) -> Result<Adapter, LmError> {
    let config = tiny::config();
    tiny::adapter(4, &config, &SOME).save(dir, DType::F32, &config).unwrap();
    let path = dir.join("adapter_config.json");
    let mut settings: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut settings);
    std::fs::write(&path, settings.to_string()).unwrap();
    Adapter::load(dir, &config)
}

#[test]
fn variants_of_lora_are_refused_by_name() {
    let temp = tempfile::tempdir().unwrap();
    for (key, value) in [
        ("use_dora", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("rank_pattern", json!({ "q_proj": 8 })),
        ("alpha_pattern", json!({ "q_proj": 8 })),
        ("bias", json!("all")),
        ("fan_in_fan_out", json!(true)),
        ("layers_to_transform", json!([0])),
        ("peft_type", json!("IA3")),
        ("init_lora_weights", json!("pissa")),
        ("target_modules", json!(["q_proj", "v_proj", "up_proj", "down_proj", "lm_head"])),
        ("target_modules", json!(".*proj")),
    ] {
        let error = edited(temp.path(), |settings| settings[key] = value.clone()).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains("adapter_config.json"), "{key}: {error}");
    }
    for (key, value) in
        [("rank_pattern", json!({})), ("init_lora_weights", json!("gaussian")), ("revision", json!(null))]
    {
        edited(temp.path(), |settings| settings[key] = value.clone()).unwrap();
    }
}

#[test]
fn rank_stabilised_scaling_is_honoured() {
    let temp = tempfile::tempdir().unwrap();
    let adapter = edited(temp.path(), |settings| settings["use_rslora"] = json!(true)).unwrap();
    assert_eq!(adapter.config.scale(), 6.0 / 2.0, "alpha 6 over the root of rank 4");
}

#[test]
fn an_adapter_of_another_base_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (tiny, wide) = (tiny::config(), Family::Qwen3.weights(1).config);
    let adapter = tiny::adapter(5, &wide, &Target::ALL);
    adapter.save(temp.path(), DType::F32, &wide).unwrap();
    let error = Adapter::load(temp.path(), &tiny).unwrap_err().to_string();
    assert!(error.contains("layer 0 q_proj") && error.contains("another base (it says \"tiny\")"), "{error}");
    let adapters = BTreeMap::from([("themes".to_owned(), adapter.clone())]);
    let error = tiny::model().with_adapters(adapters).unwrap_err().to_string();
    assert!(error.contains("themes: layer 0 q_proj"), "{error}");
    assert!(matches!(tiny::weights(1).merge(&adapter), Err(LmError::Lora(_))));

    let deeper = endcap::lm::ModelConfig { layers: 3, ..tiny.clone() };
    tiny::adapter(5, &deeper, &SOME).save(temp.path(), DType::F32, &deeper).unwrap();
    let error = Adapter::load(temp.path(), &tiny).unwrap_err().to_string();
    assert!(error.contains("layers.2.") && error.contains("a model of 2 layers"), "{error}");
    let error = edited(temp.path(), |settings| settings["target_modules"] = json!(["q_proj"])).unwrap_err();
    assert!(error.to_string().contains("target_modules"), "{error}");
    let error = edited(temp.path(), |settings| settings["r"] = json!(8)).unwrap_err().to_string();
    assert!(error.contains("rank 8"), "{error}");
}

/// tests/fixtures/peft: a base by transformers, an adapter by PEFT, and their logits.
#[test]
fn an_adapter_made_by_peft_gives_pefts_logits() {
    let dir = support::project().join("tests/fixtures/peft");
    let expected: Value = serde_json::from_slice(&std::fs::read(dir.join("expected.json")).unwrap()).unwrap();
    let vector = |key: &str| serde_json::from_value::<Vec<f32>>(expected[key].clone()).unwrap();
    let prompt: Vec<u32> = serde_json::from_value(expected["prompt"].clone()).unwrap();
    let mut weights = Weights::from_safetensors(&dir.join("base")).unwrap();
    let adapter = Adapter::load(&dir.join("adapter"), &weights.config).unwrap();
    let kept = BTreeMap::from([("peft".to_owned(), adapter.clone())]);
    let model = tiny::bare(weights.clone()).with_adapters(kept).unwrap();
    weights.merge(&adapter).unwrap();
    for (what, ours, key) in [
        ("base", model.logits(&[], &[&prompt]), "base"),
        ("kept apart", model.logits_with(Some("peft"), &[], &[&prompt]), "adapted"),
        ("merged", tiny::bare(weights).logits(&[], &[&prompt]), "adapted"),
    ] {
        let distance = distance(&ours.unwrap()[0], &vector(key));
        assert!(distance < 1e-4, "{what}: {distance}");
    }
}
