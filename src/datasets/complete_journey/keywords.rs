//! The keyword corpus: what a shopper may search for, with how much the shop has of it and how often it is bought.

use std::collections::BTreeMap;

use super::catalogue::Catalogue;
use super::journey::{Answer, Journey};
use super::taxonomy::Taxonomy;
use super::{DatasetError, id};
use crate::domain::{Digest, Keyword, KeywordId, KeywordKind, Product};

/// An attribute keyword ("organic juice") needs so many products.
const MIN_ATTRIBUTE_PRODUCTS: usize = 5;
/// Hex digits of a keyword's digest in its id.
const ID_DIGITS: usize = 10;

/// The corpus, in order of text: each text once, only texts that some product of the catalogue stands behind.
pub async fn keywords(
    journey: &Journey,
    taxonomy: &Taxonomy,
    catalogue: &Catalogue,
) -> Result<Vec<Keyword>, DatasetError> {
    let texts = texts(taxonomy, catalogue);
    let baskets = journey.ask("baskets", include_str!("sql/baskets.sql")).await?;
    let visits = journey.ask("visits", include_str!("sql/visits.sql")).await?.integers("visits")?;
    let all_visits = visits.values().first().copied().unwrap_or_default().max(1);
    let visits = visits_with(&texts, catalogue.products.len(), &baskets)?;
    texts
        .into_iter()
        .zip(visits)
        .map(|(text, visits)| text.keyword(visits as f64 / all_visits as f64))
        .collect()
}

/// A keyword and the positions of its products in the catalogue, in order.
struct Text {
    text: String,
    kind: KeywordKind,
    products: Vec<usize>,
}

impl Text {
    fn keyword(self, popularity: f64) -> Result<Keyword, DatasetError> {
        let digest = Digest::of(self.text.as_bytes()).to_hex();
        Ok(Keyword {
            keyword_id: id(format!("kw-{}", &digest[..ID_DIGITS]), KeywordId::parse)?,
            kind: self.kind,
            product_count: self.products.len() as u32,
            popularity: popularity as f32,
            text: self.text,
        })
    }
}

/// Every text with its products. One text from several sources is an aisle first, then a query, then an attribute.
fn texts(taxonomy: &Taxonomy, catalogue: &Catalogue) -> Vec<Text> {
    let mut found = BTreeMap::<String, (KeywordKind, Vec<usize>)>::new();
    let mut add = |text: String, kind: KeywordKind, product: usize| {
        let (kept, products) = found.entry(text).or_insert((kind, Vec::new()));
        if priority(kind) < priority(*kept) {
            *kept = kind;
        }
        if products.last() != Some(&product) {
            products.push(product);
        }
    };
    for (at, (product, row)) in catalogue.products.iter().zip(&catalogue.taxonomy_rows).enumerate() {
        for query in &taxonomy.rows[*row].keywords {
            add(query.clone(), KeywordKind::Query, at);
        }
        add(product.aisle.to_lowercase(), KeywordKind::Aisle, at);
        for text in attributes(product) {
            add(text, KeywordKind::Attribute, at);
        }
    }
    let texts = found.into_iter().map(|(text, (kind, products))| Text { text, kind, products });
    texts
        .filter(|text| text.kind != KeywordKind::Attribute || text.products.len() >= MIN_ATTRIBUTE_PRODUCTS)
        .collect()
}

fn priority(kind: KeywordKind) -> u8 {
    match kind {
        KeywordKind::Aisle => 0,
        KeywordKind::Query => 1,
        KeywordKind::Attribute => 2,
    }
}

/// What sets a product apart within its aisle, as a shopper would type it.
fn attributes(product: &Product) -> impl Iterator<Item = String> {
    let aisle = product.aisle.to_lowercase();
    let organic = (product.has_tag("organic") && !aisle.contains("organic")).then_some("organic");
    let own_brand = product.private_label.then_some("own brand");
    organic.into_iter().chain(own_brand).map(move |word| format!("{word} {aisle}"))
}

/// On how many visits each text's products were bought. `baskets` is ordered by basket.
fn visits_with(texts: &[Text], products: usize, baskets: &Answer) -> Result<Vec<u64>, DatasetError> {
    let mut texts_of = vec![Vec::new(); products];
    for (at, text) in texts.iter().enumerate() {
        for product in &text.products {
            texts_of[*product].push(at);
        }
    }
    let (basket, position) = (baskets.integers("basket_id")?, baskets.integers("position")?);
    let mut visits = vec![0; texts.len()];
    let mut last_basket = vec![None; texts.len()];
    for at in 0..baskets.len() {
        for text in &texts_of[position.value(at) as usize] {
            if last_basket[*text].replace(basket.value(at)) != Some(basket.value(at)) {
                visits[*text] += 1;
            }
        }
    }
    Ok(visits)
}
