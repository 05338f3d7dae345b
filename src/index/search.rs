//! The two questions the night asks: which keywords suit a placement, and which products suit its keywords.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use lancedb::Table;

use super::filter::ProductFilter;
use super::hybrid::{Cut, Fused, Hybrid, Question};
use super::rows::{KeywordRow, ListingRow, ProductRow, TypeRow};
use super::shelf::{Pick, Shelf};
use super::store::Store;
use super::{Index, IndexError, lock, rrf};
use crate::domain::stage::{Candidate, ProductHit};
use crate::domain::{Digest, KeywordId, ProductId};

/// What one finished update left, open for searching, with the answers given so far.
pub struct Searcher {
    pub content: Digest,
    keywords: Hybrid,
    listings: Hybrid,
    products: Table,
    types: Table,
    shelves: Mutex<BTreeMap<ProductFilter, Arc<Shelf>>>,
}

impl Searcher {
    pub async fn open(store: &Store, content: Digest) -> Result<Self, IndexError> {
        Ok(Self {
            content,
            keywords: Hybrid::open::<KeywordRow>(store).await?,
            listings: Hybrid::open::<ListingRow>(store).await?,
            products: store.plain_table::<ProductRow>().await?,
            types: store.vector_table::<TypeRow>().await?,
            shelves: Mutex::default(),
        })
    }

    /// The products that `filter` lets through, `depth` a listing; read once a filter.
    async fn shelf(
        &self,
        store: &Store,
        filter: &ProductFilter,
        depth: usize,
    ) -> Result<Arc<Shelf>, IndexError> {
        if let Some(shelf) = lock(&self.shelves).get(filter) {
            return Ok(Arc::clone(shelf));
        }
        let products = store.rows::<ProductRow>(&self.products, filter.products()).await?;
        let shelf = Arc::new(Shelf::new(products.into_values(), depth));
        lock(&self.shelves).insert(filter.clone(), Arc::clone(&shelf));
        Ok(shelf)
    }
}

impl Index {
    /// Keywords near to any of `queries` (a placement's concepts, then its title), at most `limit`, each text once. Every
    /// query fuses its vector and its full-text list; the queries take turns, so that each is represented.
    pub async fn search_keywords(
        &self,
        queries: &[String],
        limit: usize,
    ) -> Result<Vec<Candidate>, IndexError> {
        let searcher = self.searcher()?;
        let questions = self.questions(queries).await?;
        let cut = Cut {
            pool: self.settings.pool,
            min_cosine: self.settings.candidate_min_cosine,
            min_cosine_share: 0.0,
        };
        let everything = ProductFilter::default();
        let found = searcher.keywords.search(&self.store, &questions, &everything, cut).await?;
        let fused: Vec<Vec<Fused>> = found.iter().map(|matches| matches.fused()).collect();
        let texts: BTreeMap<&str, &str> =
            fused.iter().flatten().map(|found| (found.id, found.label)).collect();
        let lists: Vec<_> =
            fused.iter().map(|list| (1..).zip(list).map(|(rank, one)| (one.id, rank)).collect()).collect();
        let mut seen = BTreeSet::new();
        let candidates = rrf::in_turns(&lists).into_iter().filter_map(|(id, score)| {
            let text = texts.get(id).copied()?;
            // An id of the table was parsed when it came in.
            let keyword_id = KeywordId::parse(id).ok()?;
            let is_new = seen.insert(text.to_lowercase());
            is_new.then(|| Candidate { keyword_id, text: text.to_owned(), score: score as f32 })
        });
        Ok(candidates.take(limit).collect())
    }

    /// Products for `keywords` that `filter` lets through, at most `limit`, most relevant first, ties by units sold.
    ///
    /// Keywords take turns in choosing. Relevance is relative to the placement's closest product, which has 1.
    pub async fn search_products(
        &self,
        keywords: &[String],
        filter: &ProductFilter,
        limit: usize,
    ) -> Result<Vec<ProductHit>, IndexError> {
        let searcher = self.searcher()?;
        let questions = self.questions(keywords).await?;
        let cut = Cut {
            pool: self.settings.pool,
            min_cosine: self.settings.min_cosine,
            min_cosine_share: self.settings.min_cosine_share,
        };
        let found = searcher.listings.search(&self.store, &questions, filter, cut).await?;
        let shelf = searcher.shelf(&self.store, filter, self.settings.max_per_type).await?;
        let listings: Vec<Vec<Fused>> = found.iter().map(|matches| matches.fused()).collect();
        let picks = shelf.pick(&listings, limit, self.settings.max_per_type);
        let best = picks.first().map_or(1.0, |pick| pick.score);
        let hit = |pick: &Pick| {
            let keyword = questions.get(pick.keyword)?.text.clone();
            let product_id = ProductId::parse(pick.product).ok()?;
            Some(ProductHit { product_id, relevance: (pick.score / best) as f32, keyword })
        };
        Ok(picks.iter().filter_map(hit).collect())
    }

    /// The vectors of those of `texts` that are keywords of the corpus, as the encoder made them.
    pub async fn keyword_vectors(
        &self,
        texts: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Vec<f32>>, IndexError> {
        let texts: Vec<&str> = texts.iter().copied().collect();
        self.store.vectors_of(self.searcher()?.keywords.table(), &texts).await
    }

    /// The catalogue's product types with their vectors, as the encoder made them.
    pub async fn product_types(&self) -> Result<Vec<(String, Vec<f32>)>, IndexError> {
        self.store.vectors(&self.searcher()?.types, None).await
    }

    /// `texts` with their vectors, each once.
    async fn questions(&self, texts: &[String]) -> Result<Vec<Question>, IndexError> {
        let mut seen = BTreeSet::new();
        let texts: Vec<String> = texts.iter().filter(|text| seen.insert(text.as_str())).cloned().collect();
        let vectors = self.queries.vectors(&self.memory, &texts).await?;
        Ok(texts.into_iter().zip(vectors).map(|(text, vector)| Question { text, vector }).collect())
    }
}
