//! Gradients and steps, against finite differences, candle's own operations and PyTorch.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};

use super::Recipe;
use super::dropout::Dropout;
use super::loss::cross_entropy;
use super::model::{Student, fresh_adapter};
use super::ops::{self, Angles, Frozen, Lora, composed};
use super::optimizer::{AdamW, clip};
use super::pack::{Document, Pack, packed};
use super::trainer::{batch_gradient, mean_loss};
use crate::lm::{Adapter, LoraConfig, LoraPair, Target, Weights};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn base() -> Weights {
    Weights::from_safetensors(&fixture("peft/base")).expect("tests/fixtures/peft/base")
}

fn adapter(weights: &Weights) -> Adapter {
    Adapter::load(&fixture("peft/adapter"), &weights.config).expect("tests/fixtures/peft/adapter")
}

fn student(weights: &Weights) -> Student {
    Student::new(weights, &adapter(weights), &Device::Cpu).expect("student")
}

fn no_dropout(_: usize) -> Dropout {
    Dropout::off()
}

/// Numbers in -0.5..0.5 without a pattern.
fn numbers(shape: (usize, usize), salt: usize) -> Var {
    let value = |i: usize| ((i + salt) * 7919 % 1009) as f32 / 1009.0 - 0.5;
    let values: Vec<f32> = (0..shape.0 * shape.1).map(value).collect();
    Var::from_vec(values, shape, &Device::Cpu).expect("tensor")
}

fn flat(x: &Tensor) -> Vec<f32> {
    x.flatten_all().and_then(|x| x.to_vec1()).expect("values")
}

/// Greatest difference, in units of the greatest magnitude.
fn distance(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (flat(a), flat(b));
    let most = b.iter().fold(1e-6f32, |most, b| most.max(b.abs()));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / most
}

/// Compares an operation with its composed twin: values, and gradients of a sum with uneven weights.
fn same(
    name: &str,
    variables: &[&Var],
    fused: candle_core::Result<Tensor>,
    composed: candle_core::Result<Tensor>,
) {
    let (fused, composed) = (fused.expect(name), composed.expect(name));
    assert!(distance(&fused, &composed) < 1e-5, "{name}: {}", distance(&fused, &composed));
    let weights = numbers(fused.dims2().expect("rows"), 77);
    let gradients =
        |out: &Tensor| (out * weights.as_tensor()).and_then(|x| x.sum_all()?.backward()).expect(name);
    let (mine, theirs) = (gradients(&fused), gradients(&composed));
    for (at, var) in variables.iter().enumerate() {
        let (mine, theirs) = (mine.get(var).expect(name), theirs.get(var).expect(name));
        // Sums of a few hundred products in another order.
        assert!(distance(mine, theirs) < 1e-4, "{name}, operand {at}: {}", distance(mine, theirs));
    }
}

#[test]
fn fused_operations_and_their_gradients_equal_composed_ones() {
    let (x, weight) = (numbers((70, 64), 1), numbers((96, 64), 2));
    let lora = Lora {
        a: numbers((5, 64), 3).as_tensor().clone(),
        b: numbers((96, 5), 4).as_tensor().clone(),
        scale: 2.0,
    };
    let (a, b) = (Var::from_tensor(&lora.a).expect("a"), Var::from_tensor(&lora.b).expect("b"));
    let lora = Lora { a: a.as_tensor().clone(), b: b.as_tensor().clone(), ..lora };
    let frozen = Arc::new(Frozen::new(&weight.as_detached_tensor()).expect("frozen"));
    same(
        "frozen linear",
        &[&x],
        ops::linear(&x, &frozen, None),
        composed::linear(&x, &weight.as_detached_tensor(), None),
    );
    same(
        "adapted linear",
        &[&x, &a, &b],
        ops::linear(&x, &frozen, Some(&lora)),
        composed::linear(&x, &weight.as_detached_tensor(), Some(&lora)),
    );
    let norm = numbers((1, 64), 5).as_detached_tensor().squeeze(0).expect("norm");
    same("rms norm", &[&x], ops::rms_norm(&x, &norm, 1e-5), composed::rms_norm(&x, &norm, 1e-5));
    let up = numbers((70, 64), 6);
    same("gated", &[&x, &up], ops::gated(&x, &up), composed::gated(&x, &up));
    let positions: Vec<usize> = (0..50).chain(0..20).collect();
    let angles = Arc::new(Angles::new(&positions, 32, 10_000.0));
    same("rope", &[&x], ops::rope(&x, &angles), composed::rope(&x, &angles));
    let (k, v) = (numbers((70, 32), 7), numbers((70, 32), 8));
    let documents = Arc::new(vec![0..50, 50..70]);
    same(
        "attention",
        &[&x, &k, &v],
        ops::attention(&x, &k, &v, &documents, 32),
        composed::attention(&x, &k, &v, &documents, 32),
    );
}

#[test]
fn the_loss_and_its_gradient_equal_composed_ones() {
    let (hidden, weight) = (numbers((130, 64), 1), numbers((75, 64), 2).as_detached_tensor());
    let labels: Vec<u32> = (0..130).map(|i| i * 31 % 75).collect();
    let fused = cross_entropy(&hidden, &Frozen::new(&weight).expect("head"), &labels, true).expect("fused");
    let composed = cross_entropy(&hidden, &Frozen::Tensor(weight), &labels, true).expect("composed");
    assert!((fused.loss - composed.loss).abs() < 1e-3, "{} {}", fused.loss, composed.loss);
    let distance = distance(&fused.gradient.expect("gradient"), &composed.gradient.expect("gradient"));
    assert!(distance < 1e-5, "{distance}");
}

fn documents() -> Vec<Document> {
    let step: serde_json::Value = read_json("training/step.json");
    let tokens =
        |value: &serde_json::Value| -> Vec<u32> { serde_json::from_value(value.clone()).expect("tokens") };
    let documents = step["documents"].as_array().expect("documents");
    documents
        .iter()
        .map(|one| Document { prompt: tokens(&one["prompt"]), answer: tokens(&one["answer"]) })
        .collect()
}

fn read_json(name: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(fixture(name)).expect(name);
    serde_json::from_str(&text).expect(name)
}

#[test]
fn gradients_equal_finite_differences() {
    let weights = base();
    let student = student(&weights);
    let documents = documents();
    let packs = packed(&documents.iter().collect::<Vec<_>>(), 64);
    let (_, gradients) = batch_gradient(&student, &packs, &no_dropout).expect("gradient");
    let step = 2e-3f32;
    for (at, (var, gradient)) in student.variables().into_iter().zip(&gradients).enumerate() {
        let (values, gradient) = (flat(var), flat(gradient));
        let steepest = (0..gradient.len()).max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs()));
        let entry = steepest.expect("a matrix has entries");
        let loss = |by: f32| {
            let mut moved = values.clone();
            moved[entry] += by;
            var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).expect("values")).expect("set");
            mean_loss(&student, &packs).expect("loss")
        };
        let slope = (loss(step) - loss(-step)) / f64::from(2.0 * step);
        loss(0.0);
        let relative =
            (slope - f64::from(gradient[entry])).abs() / f64::from(gradient[entry].abs()).max(1e-3);
        // Rounding of an f32 loss near 5 is 5e-7, over a step of 4e-3, and the curvature along it.
        assert!(relative < 2e-2, "variable {at}, entry {entry}: {slope} and {}", gradient[entry]);
    }
}

/// Tensors in the order of the student's variables under PEFT's names, rows in Hugging Face's order.
fn as_peft(weights: &Weights, student: &Student, tensors: &[Tensor]) -> HashMap<String, Tensor> {
    let mut adapter = student.adapter().expect("adapter");
    let mut pairs = tensors.chunks(2);
    for pair in adapter.layers.iter_mut().flat_map(|layer| layer.values_mut()) {
        let tensors = pairs.next().expect("a pair a target");
        *pair = LoraPair { a: tensors[0].clone(), b: tensors[1].clone() };
    }
    let folder = tempfile::tempdir().expect("folder");
    adapter.save(folder.path(), DType::F32, &weights.config).expect("saved");
    candle_core::safetensors::load(folder.path().join("adapter_model.safetensors"), &Device::Cpu)
        .expect("read")
}

fn near(found: &HashMap<String, Tensor>, prefix: &str, tolerance: f32) {
    let recorded = candle_core::safetensors::load(fixture("training/step.safetensors"), &Device::Cpu);
    let recorded = recorded.expect("tests/fixtures/training/step.safetensors");
    assert_eq!(found.len(), recorded.keys().filter(|key| key.starts_with(prefix)).count());
    for (key, tensor) in found {
        let expected = flat(&recorded[&format!("{prefix}{key}")]);
        let most = flat(tensor).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most < tolerance, "{prefix}{key}: {most}");
    }
}

/// The numbers are PyTorch's, recorded by `tests/fixtures/training/make_step.py`; they differ from f64 by 6e-7 at most.
#[test]
fn steps_equal_pytorchs() {
    let weights = base();
    let student = student(&weights);
    let documents = documents();
    let step = read_json("training/step.json");
    let packs = [Pack::new(&documents.iter().collect::<Vec<_>>())];
    let mut optimizer = AdamW::new(&student.variables()).expect("optimizer");

    let (loss, mut gradients) = batch_gradient(&student, &packs, &no_dropout).expect("gradient");
    assert!((loss - step["step"]["loss"].as_f64().expect("loss")).abs() < 2e-6, "{loss}");
    near(&as_peft(&weights, &student, &gradients), "gradient.", 1e-5);
    let norm = clip(&mut gradients, 1.0).expect("clipped");
    assert!((norm - step["step"]["gradient_norm"].as_f64().expect("norm")).abs() < 1e-5, "{norm}");
    optimizer.step(&student.variables(), &gradients, 1e-3, 0.01).expect("step");
    let values: Vec<Tensor> = student.variables().iter().map(|var| var.as_tensor().clone()).collect();
    near(&as_peft(&weights, &student, &values), "after.", 1e-6);
    let after = mean_loss(&student, &packs).expect("loss");
    assert!((after - step["step"]["loss_after"].as_f64().expect("loss")).abs() < 5e-6, "{after}");
}

#[test]
fn a_schedule_of_steps_equals_pytorchs() {
    let weights = base();
    let student = student(&weights);
    let documents = documents();
    let schedule = &read_json("training/step.json")["schedule"];
    let recipe = Recipe { learning_rate: 1e-3, warmup: 0.2, ..Recipe::themes() };
    let packs = packed(&documents.iter().collect::<Vec<_>>(), 1);
    let mut optimizer = AdamW::new(&student.variables()).expect("optimizer");
    for (at, expected) in schedule["losses"].as_array().expect("losses").iter().enumerate() {
        let (loss, mut gradients) = batch_gradient(&student, &packs, &no_dropout).expect("gradient");
        assert!((loss - expected.as_f64().expect("loss")).abs() < 1e-5, "step {at}: {loss}, not {expected}");
        clip(&mut gradients, 1.0).expect("clipped");
        let rate = recipe.rate(at, 10);
        assert!((rate - schedule["lr"][at].as_f64().expect("rate")).abs() < 1e-12, "{rate}");
        optimizer.step(&student.variables(), &gradients, rate, 0.01).expect("step");
    }
}

#[test]
fn a_gradient_does_not_depend_on_the_number_of_threads() {
    let weights = base();
    let student = student(&weights);
    let documents = documents();
    let packs = packed(&documents.iter().collect::<Vec<_>>(), 1);
    assert_eq!(packs.len(), 2);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
        let (loss, gradients) =
            pool.install(|| batch_gradient(&student, &packs, &no_dropout)).expect("gradient");
        (loss, gradients.iter().flat_map(flat).collect::<Vec<f32>>())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn dropout_changes_the_adapters_share_alone_and_follows_from_its_seed() {
    let weights = base();
    let fresh = |rank| LoraConfig {
        rank,
        alpha: 8.0,
        targets: [Target::Query, Target::Down].into(),
        base: "tiny".into(),
    };
    let untouched = fresh_adapter(fresh(4), &weights.config, 3).expect("adapter");
    let documents = documents();
    let packs = packed(&documents.iter().collect::<Vec<_>>(), 64);
    let loss = |adapter: &Adapter, share: f32, seed: u64| {
        let student = Student::new(&weights, adapter, &Device::Cpu).expect("student");
        batch_gradient(&student, &packs, &|_| Dropout::new(share, seed)).expect("gradient").0
    };
    // A fresh adapter adds nothing, whatever is dropped of its input.
    assert!((loss(&untouched, 0.5, 1) - loss(&untouched, 0.0, 1)).abs() < 1e-6);
    let trained = adapter(&weights);
    assert_eq!(loss(&trained, 0.5, 1), loss(&trained, 0.5, 1));
    assert!((loss(&trained, 0.5, 1) - loss(&trained, 0.5, 2)).abs() > 1e-4);
}
