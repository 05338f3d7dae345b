//! One table searched two ways: by vector and by full text. Fusing the lists is the caller's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use lancedb::expr::DfExpr;
use lancedb::index::scalar::{FtsQuery, FullTextSearchQuery, MatchQuery};
use lancedb::query::{ExecutableQuery, QueryBase, Select};
use lancedb::{DistanceType, Table};

use super::filter::ProductFilter;
use super::rows::{ID, Searchable, VECTOR, floats, strings, vectors};
use super::store::{Store, with_filter};
use super::{IndexError, lock, rrf};
use crate::embed::cosine;

/// Full-text queries under way at once for one call.
const CONCURRENT: usize = 4;

/// Partitions of a vector index that are read, and how many more candidates than asked for are compared exactly.
const PROBES: usize = 64;
const REFINE: u32 = 10;

/// BM25 scores closer than this are equal: their terms are summed in no fixed order.
const SCORE_STEP: f32 = 1e-3;

/// A row found for a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    pub id: String,
    pub label: String,
    /// To the query.
    pub cosine: f32,
    /// Within its list, from 1; equal scores share a rank.
    pub rank: u32,
}

/// What a query found, best first.
#[derive(Debug, Default)]
pub struct Matches {
    pub by_vector: Vec<Match>,
    pub by_words: Vec<Match>,
}

/// A row found for a query, by both lists together.
#[derive(Debug, Clone, Copy)]
pub struct Fused<'a> {
    pub id: &'a str,
    pub label: &'a str,
    /// Reciprocal-rank score over the two lists, times the cosine: where one list is long, its tail ranks well but is
    /// far from the query. > 0.
    pub score: f64,
}

/// Which matches count.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Rows a list, at most.
    pub pool: usize,
    pub min_cosine: f32,
    /// Of the query's best cosine.
    pub min_cosine_share: f32,
}

/// A query and its vector.
#[derive(Debug, Clone)]
pub struct Question {
    pub text: String,
    pub vector: Arc<[f32]>,
}

/// A searchable table and the answers it gave.
pub struct Hybrid {
    table: Table,
    label: &'static str,
    words: &'static str,
    is_empty: bool,
    answers: Mutex<BTreeMap<ProductFilter, BTreeMap<String, Arc<Matches>>>>,
}

/// A list as LanceDB returns it: matches with the score they are ranked by, in no particular order.
type Scored = Vec<(f32, Match)>;

impl Hybrid {
    pub async fn open<R: Searchable>(store: &Store) -> Result<Self, IndexError> {
        let table = store.vector_table::<R>().await?;
        let is_empty = store.count(&table).await? == 0;
        Ok(Self { table, label: R::LABEL, words: R::WORDS, is_empty, answers: Mutex::default() })
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The matches of every question, in order, among the rows that `filter` lets through. One table is always asked
    /// with the same `cut`: answers are kept by filter and text.
    pub async fn search(
        &self,
        store: &Store,
        questions: &[Question],
        filter: &ProductFilter,
        cut: Cut,
    ) -> Result<Vec<Arc<Matches>>, IndexError> {
        let mut missing: BTreeMap<String, &Question> = {
            let answers = lock(&self.answers);
            let known = |text: &String| answers.get(filter).is_some_and(|known| known.contains_key(text));
            questions.iter().filter(|one| !known(&one.text)).map(|one| (one.text.clone(), one)).collect()
        };
        if self.is_empty {
            missing.clear();
        }
        let new: Vec<&Question> = missing.into_values().collect();
        let found = self.ask(store, &new, filter.listings(), cut).await?;
        let mut answers = lock(&self.answers);
        let known = answers.entry(filter.clone()).or_default();
        known.extend(new.iter().map(|one| one.text.clone()).zip(found.into_iter().map(Arc::new)));
        Ok(questions.iter().map(|one| known.get(&one.text).cloned().unwrap_or_default()).collect())
    }

    async fn ask(
        &self,
        store: &Store,
        questions: &[&Question],
        filter: Option<DfExpr>,
        cut: Cut,
    ) -> Result<Vec<Matches>, IndexError> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let by_vector = self.by_vector(store, questions, filter.clone(), cut.pool).await?;
        let by_words: Vec<Scored> = futures::stream::iter(questions.to_vec())
            .map(|question| self.by_words(store, question, filter.clone(), cut.pool))
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        Ok(by_vector
            .into_iter()
            .zip(by_words)
            .map(|(vector, words)| Matches::new(vector, words, cut))
            .collect())
    }

    /// One scan of the table for all questions.
    async fn by_vector(
        &self,
        store: &Store,
        questions: &[&Question],
        filter: Option<DfExpr>,
        pool: usize,
    ) -> Result<Vec<Scored>, IndexError> {
        let action = "search by vector";
        let mut lists = vec![Scored::new(); questions.len()];
        let Some((first, others)) = questions.split_first() else { return Ok(lists) };
        let mut query = store.check(action, self.table.query().nearest_to(&*first.vector))?;
        for question in others {
            query = store.check(action, query.add_query_vector(&*question.vector))?;
        }
        let columns = Select::columns(&[ID, self.label, "_distance"]);
        let query = query.column(VECTOR).distance_type(DistanceType::Dot).refine_factor(REFINE);
        let query = store.check(action, query.nprobes(PROBES))?.limit(pool).select(columns);
        let stream = store.check(action, with_filter(query, filter).execute().await)?;
        let batches: Vec<RecordBatch> = store.check(action, stream.try_collect().await)?;
        for batch in &batches {
            let (ids, labels) = (strings(batch, ID)?, strings(batch, self.label)?);
            let distances = floats(batch, "_distance")?;
            let asked =
                batch.column_by_name("query_index").and_then(|column| column.as_primitive_opt::<Int32Type>());
            for at in 0..batch.num_rows() {
                let list = asked.map_or(0, |asked| asked.value(at) as usize);
                // LanceDB's dot distance is 1 - dot product.
                let cosine = 1.0 - distances.value(at);
                if let Some(list) = lists.get_mut(list) {
                    list.push((cosine, Match::new(ids.value(at), labels.value(at), cosine)));
                }
            }
        }
        Ok(lists.into_iter().map(|list| cut_ties(list, pool)).collect())
    }

    async fn by_words(
        &self,
        store: &Store,
        question: &Question,
        filter: Option<DfExpr>,
        pool: usize,
    ) -> Result<Scored, IndexError> {
        // A structured query: its terms are tokenized, never parsed.
        let terms = MatchQuery::new(question.text.clone()).with_column(Some(self.words.into()));
        let words = FullTextSearchQuery::new_query(FtsQuery::Match(terms));
        let columns = Select::columns(&[ID, self.label, VECTOR, "_score"]);
        let query = self.table.query().full_text_search(words).limit(pool).select(columns);
        let mut list = Scored::new();
        for batch in store.collect("search by words", with_filter(query, filter)).await? {
            let (ids, labels) = (strings(&batch, ID)?, strings(&batch, self.label)?);
            let (scores, vectors) = (floats(&batch, "_score")?, vectors(&batch)?);
            for (at, vector) in vectors.into_iter().enumerate() {
                let score = (scores.value(at) / SCORE_STEP).round();
                list.push((
                    score,
                    Match::new(ids.value(at), labels.value(at), cosine(&question.vector, vector)),
                ));
            }
        }
        Ok(cut_ties(list, pool))
    }
}

impl Match {
    fn new(id: &str, label: &str, cosine: f32) -> Self {
        Self { id: id.into(), label: label.into(), cosine, rank: 0 }
    }
}

impl Matches {
    /// Ranks what is close enough to the query.
    fn new(by_vector: Scored, by_words: Scored, cut: Cut) -> Self {
        let best = by_vector.iter().chain(&by_words).map(|(_, found)| found.cosine).fold(0.0, f32::max);
        let floor = cut.min_cosine.max(cut.min_cosine_share * best);
        Self { by_vector: ranked(by_vector, floor), by_words: ranked(by_words, floor) }
    }

    /// Every row found, best first, ties by id.
    pub fn fused(&self) -> Vec<Fused<'_>> {
        let all = self.by_words.iter().chain(&self.by_vector);
        let rows: BTreeMap<&str, &Match> = all.map(|found| (found.id.as_str(), found)).collect();
        let lists = [&self.by_vector, &self.by_words];
        let ranks = lists.map(|list| list.iter().map(|found| (found.id.as_str(), found.rank)).collect());
        let fused = rrf::fuse(ranks).into_iter().filter_map(|(id, score)| {
            let found = rows.get(id)?;
            Some(Fused { id, label: &found.label, score: score * f64::from(found.cosine) })
        });
        let mut fused: Vec<Fused> = fused.filter(|found| found.score > 0.0).collect();
        fused.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(b.id)));
        fused
    }
}

/// Sorts a list, best first, ties by id. One of full length may have been cut amid rows of equal score, which of them
/// being chance: such rows go.
fn cut_ties(mut list: Scored, pool: usize) -> Scored {
    list.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
    if list.len() >= pool
        && let Some(last) = list.last().map(|(score, _)| *score)
    {
        list.retain(|(score, _)| *score > last);
    }
    list
}

fn ranked(list: Scored, floor: f32) -> Vec<Match> {
    let close: Scored = list.into_iter().filter(|(_, found)| found.cosine >= floor).collect();
    let scores: Vec<f32> = close.iter().map(|(score, _)| *score).collect();
    close.into_iter().zip(rrf::ranks(&scores)).map(|((_, found), rank)| Match { rank, ..found }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(scores: &[(&str, f32)]) -> Scored {
        scores.iter().map(|(id, score)| (*score, Match::new(id, "label", *score))).collect()
    }

    fn ids(matches: &[Match]) -> Vec<(&str, u32)> {
        matches.iter().map(|found| (found.id.as_str(), found.rank)).collect()
    }

    #[test]
    fn a_full_list_gives_up_the_ties_at_its_end() {
        let full = list(&[("c", 0.5), ("a", 0.9), ("b", 0.5)]);
        assert_eq!(ids(&ranked(cut_ties(full.clone(), 3), 0.0)), [("a", 1)]);
        assert_eq!(ids(&ranked(cut_ties(full, 4), 0.0)), [("a", 1), ("b", 2), ("c", 2)]);
    }

    #[test]
    fn lists_are_fused_by_rank_and_weighed_by_cosine() {
        let matched = |id: &str, cosine, rank| Match { rank, ..Match::new(id, "label", cosine) };
        let matches = Matches {
            by_vector: vec![matched("a", 0.9, 1), matched("b", 0.6, 2)],
            by_words: vec![matched("b", 0.6, 1), matched("c", 0.5, 2)],
        };
        // a: 0.9/61; b: 0.6 * (1/62 + 1/61); c: 0.5/62
        let expected = [("b", 0.6 * (1.0 / 62.0 + 1.0 / 61.0)), ("a", 0.9 / 61.0), ("c", 0.5 / 62.0)];
        for (found, (id, score)) in matches.fused().iter().zip(expected) {
            assert_eq!(found.id, id);
            assert!((found.score - score).abs() < 1e-8, "{id}: {}", found.score);
        }
    }

    #[test]
    fn the_floor_is_the_higher_of_the_two() {
        let cut = |min_cosine, min_cosine_share| Cut { pool: 9, min_cosine, min_cosine_share };
        let found = list(&[("a", 0.8), ("b", 0.6), ("c", 0.4)]);
        let kept = |cut| ids(&Matches::new(found.clone(), Vec::new(), cut).by_vector).len();
        assert_eq!(kept(cut(0.5, 0.0)), 2);
        assert_eq!(kept(cut(0.0, 0.9)), 1, "0.9 of 0.8 is 0.72");
        assert_eq!(kept(cut(0.0, 0.0)), 3);
    }
}
