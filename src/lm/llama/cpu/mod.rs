//! The forward pass on [`kernels`](crate::lm::kernels): f32, whole batch at a time, each row on its own.

mod adapter;

use std::ops::Range;

use candle_core::Tensor;

use super::{Chunk, Kv as AnyKv, foreign_kv, positions};
use crate::lm::error::LmError;
use crate::lm::kernels::{
    HeadShape, Isa, KvCache, LANES, Lanes, Panels, Rope, Span, attend, matmul, rms_norm, swiglu,
};
use crate::lm::weights::{self, Biases, LayerWeights, ModelConfig, Weights};

pub use adapter::Adapter;
use adapter::{AdaptedLayer, Thin};

pub type Kv = KvCache;

#[derive(Debug)]
pub struct Llama {
    config: ModelConfig,
    isa: Isa,
    shape: HeadShape,
    rope: Rope,
    /// `hidden × vocab`; a column is a token's embedding.
    embedding: Panels,
    layers: Vec<Layer>,
    output_norm: Vec<Lanes>,
    /// `hidden × vocab`; `None` where tied to the embedding.
    output: Option<Panels>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<Lanes>,
    /// Query, key and value side by side: one product for three.
    qkv: Panels,
    /// Of the three, side by side.
    qkv_bias: Option<Vec<Lanes>>,
    head_norms: Option<HeadNorms>,
    attention_out: Panels,
    ffn_norm: Vec<Lanes>,
    /// Gate and up side by side.
    gate_up: Panels,
    down: Panels,
}

/// One head's panels each.
#[derive(Debug)]
struct HeadNorms {
    query: Vec<Lanes>,
    key: Vec<Lanes>,
}

impl Llama {
    /// Takes the weights by value, so that each tensor is freed as soon as it is laid out in panels.
    pub fn new(weights: Weights) -> Result<Self, LmError> {
        let config = weights.config;
        let shape = HeadShape { heads: config.heads, kv_heads: config.kv_heads, head_dim: config.head_dim };
        let layers = weights.layers.into_iter().map(Layer::new).collect::<Result<_, _>>()?;
        Ok(Self {
            isa: Isa::detect(),
            shape,
            rope: Rope::new(shape.head_dim, config.rope_base, config.context_length),
            embedding: panels(&[weights.embedding])?,
            layers,
            output_norm: lanes(&weights.output_norm)?,
            output: weights.output.map(|output| panels(&[output])).transpose()?,
            config,
        })
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub fn new_kv(&self) -> Kv {
        KvCache::new(self.shape, self.config.layers)
    }

    pub fn forward(
        &self,
        chunks: &mut [Chunk<'_>],
        adapter: Option<&Adapter>,
    ) -> Result<Vec<Vec<f32>>, LmError> {
        let batch = Batch::new(chunks);
        let mut x = self.embed(&batch.tokens);
        for index in 0..self.layers.len() {
            let layer = LayerView::new(self, adapter, index);
            let attended = self.attention(&layer, &x, &batch, chunks)?;
            x.add(&self.linear(&attended, &layer.base.attention_out, layer.thin(|a| &a.attention_out)));
            let normed = rms_norm(&x, &layer.base.ffn_norm, self.config.rms_norm_eps);
            let gate_up = self.linear(&normed, &layer.base.gate_up, layer.thin(|a| &a.gate_up));
            let gated = swiglu(self.isa, gate_up);
            x.add(&self.linear(&gated, &layer.base.down, layer.thin(|a| &a.down)));
        }
        for chunk in chunks.iter_mut() {
            own(chunk.kv)?.advance(chunk.tokens.len());
        }
        Ok(self.logits(&x.select(&batch.last_rows(chunks))))
    }

    fn embed(&self, tokens: &[u32]) -> Panels {
        let hidden = self.config.hidden_size;
        let mut x = Panels::zeros(tokens.len(), hidden);
        for (panel, rows) in x.panels_mut().enumerate() {
            for (row, token) in rows.iter_mut().zip(tokens) {
                let (column, lane) = (*token as usize / LANES, *token as usize % LANES);
                let dims = &self.embedding.panel(column)[panel * LANES..][..LANES];
                for (x, dim) in row.iter_mut().zip(dims) {
                    *x = dim[lane];
                }
            }
        }
        x
    }

    /// What the heads of one layer gather for every row, before the output projection.
    fn attention(
        &self,
        layer: &LayerView<'_>,
        x: &Panels,
        batch: &Batch,
        chunks: &mut [Chunk<'_>],
    ) -> Result<Panels, LmError> {
        let normed = rms_norm(x, &layer.base.attention_norm, self.config.rms_norm_eps);
        let mut q = self.linear(&normed, &layer.base.qkv, layer.thin(|a| &a.qkv));
        if let Some(bias) = &layer.base.qkv_bias {
            q.add_to_rows(bias);
        }
        let mut k = q.split_off(self.config.query_size() / LANES);
        let v = k.split_off(k.width() / 2);
        if let Some(norms) = &layer.base.head_norms {
            q = rms_norm(&q, &norms.query, self.config.rms_norm_eps);
            k = rms_norm(&k, &norms.key, self.config.rms_norm_eps);
        }
        self.rope.apply(&mut q, &batch.positions);
        self.rope.apply(&mut k, &batch.positions);
        for (chunk, rows) in chunks.iter_mut().zip(&batch.rows) {
            own(chunk.kv)?.append(layer.index, rows.clone(), &k, &v);
        }
        let spans = chunks.iter().zip(&batch.rows).map(span).collect::<Result<Vec<_>, _>>()?;
        Ok(attend(self.isa, self.shape, layer.index, &q, &spans))
    }

    fn linear(&self, x: &Panels, weight: &Panels, thin: Option<&Thin>) -> Panels {
        let mut y = matmul(self.isa, x, weight);
        if let Some(thin) = thin {
            y.add(&thin.apply(self.isa, x));
        }
        y
    }

    fn logits(&self, x: &Panels) -> Vec<Vec<f32>> {
        let normed = rms_norm(x, &self.output_norm, self.config.rms_norm_eps);
        let logits = matmul(self.isa, &normed, self.output.as_ref().unwrap_or(&self.embedding));
        (0..logits.rows()).map(|row| logits.row(row).take(self.config.vocab_size).collect()).collect()
    }
}

/// A layer with what the adapter in use adds to it.
struct LayerView<'a> {
    index: usize,
    base: &'a Layer,
    adapted: Option<&'a AdaptedLayer>,
}

impl<'a> LayerView<'a> {
    fn new(model: &'a Llama, adapter: Option<&'a Adapter>, index: usize) -> Self {
        let adapted = adapter.and_then(|adapter| adapter.layers.get(index));
        Self { index, base: &model.layers[index], adapted }
    }

    fn thin(&self, of: impl Fn(&'a AdaptedLayer) -> &'a Option<Thin>) -> Option<&'a Thin> {
        self.adapted.and_then(|adapted| of(adapted).as_ref())
    }
}

impl Layer {
    fn new(weights: LayerWeights) -> Result<Self, LmError> {
        Ok(Self {
            attention_norm: lanes(&weights.attention_norm)?,
            qkv: panels(&[weights.query, weights.key, weights.value])?,
            qkv_bias: weights.biases.map(side_by_side).transpose()?,
            head_norms: weights.head_norms.map(HeadNorms::new).transpose()?,
            attention_out: panels(&[weights.attention_out])?,
            ffn_norm: lanes(&weights.ffn_norm)?,
            gate_up: panels(&[weights.gate, weights.up])?,
            down: panels(&[weights.down])?,
        })
    }
}

impl HeadNorms {
    fn new(weights: weights::HeadNorms) -> Result<Self, LmError> {
        Ok(Self { query: lanes(&weights.query)?, key: lanes(&weights.key)? })
    }
}

/// All chunks' rows, one behind another, without padding.
struct Batch {
    tokens: Vec<u32>,
    positions: Vec<usize>,
    /// Each chunk's rows.
    rows: Vec<Range<usize>>,
}

impl Batch {
    fn new(chunks: &[Chunk<'_>]) -> Self {
        let mut batch = Self { tokens: Vec::new(), positions: Vec::new(), rows: Vec::new() };
        for chunk in chunks {
            let first = batch.tokens.len();
            batch.tokens.extend(chunk.tokens);
            batch.positions.extend(positions(chunk));
            batch.rows.push(first..batch.tokens.len());
        }
        batch
    }

    fn last_rows(&self, chunks: &[Chunk<'_>]) -> Vec<usize> {
        let wanted =
            chunks.iter().zip(&self.rows).filter(|(chunk, rows)| chunk.wants_logits && !rows.is_empty());
        wanted.map(|(_, rows)| rows.end - 1).collect()
    }
}

fn own(kv: &mut AnyKv) -> Result<&mut KvCache, LmError> {
    match kv {
        AnyKv::Cpu(kv) => Ok(kv),
        AnyKv::Tensors(_) => Err(foreign_kv()),
    }
}

fn span<'a>((chunk, rows): (&'a Chunk<'_>, &Range<usize>)) -> Result<Span<'a>, LmError> {
    let cache = |kv: &'a AnyKv| match kv {
        AnyKv::Cpu(kv) => Ok(kv),
        AnyKv::Tensors(_) => Err(foreign_kv()),
    };
    Ok(Span { rows: rows.clone(), prefix: chunk.prefix.map(cache).transpose()?, own: cache(chunk.kv)? })
}

/// `[out, in]` weights with the same `in`, as one `in × out` matrix.
fn panels(weights: &[Tensor]) -> Result<Panels, LmError> {
    let joined = Tensor::cat(weights, 0)?;
    let (columns, rows) = joined.dims2()?;
    Ok(Panels::from_transposed(rows, columns, &joined.flatten_all()?.to_vec1::<f32>()?))
}

fn side_by_side(biases: Biases) -> Result<Vec<Lanes>, LmError> {
    lanes(&Tensor::cat(&[biases.query, biases.key, biases.value], 0)?)
}

fn lanes(weights: &Tensor) -> Result<Vec<Lanes>, LmError> {
    Ok(weights.to_vec1::<f32>()?.as_chunks::<LANES>().0.to_vec())
}
