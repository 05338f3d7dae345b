//! What is seen of a candidate: one definition that training and judging share.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::aiqa::singular_words;
use crate::domain::Digest;
use crate::embed::{EmbedError, Memory, cosine};

/// A theme, and the candidates retrieved for it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub title: &'a str,
    /// At least one.
    pub concepts: &'a [String],
    pub candidates: &'a [String],
}

/// Name and meaning of what is measured of a candidate. The *nearest* concept is the one of the greatest cosine.
const MEASURES: [(&str, &str); 24] = [
    ("nearest", "cosine to the nearest concept"),
    ("second", "cosine to the second nearest concept; the nearest where there is one"),
    ("mean", "mean cosine to the concepts"),
    ("least", "cosine to the farthest concept"),
    ("margin", "nearest less second"),
    ("spread", "standard deviation of the cosines to the concepts"),
    ("share", "sum over concepts of its share of the candidates' exp(20 cosine)"),
    ("title", "cosine to the title"),
    ("title_place", "candidates nearer to the title"),
    ("place", "fewest candidates that are nearer to a concept, over the concepts"),
    ("mean_place", "the same, mean over the concepts"),
    ("behind", "cosine of the nearest concept's best candidate, less its own"),
    ("concept_title", "cosine of the nearest concept and the title"),
    ("concept_mean", "mean cosine of all candidates to the nearest concept"),
    ("crowd", "mean cosine to the other candidates"),
    ("company", "mean cosine to the five nearest other candidates"),
    ("leader", "greatest cosine to another candidate that is the best of a concept"),
    ("words", "words"),
    ("characters", "characters"),
    ("alike", "greatest Jaccard index of its words and a concept's"),
    ("of_concept", "share of its words that stand in the nearest concept"),
    ("concept_covered", "share of the nearest concept's words that stand in it"),
    ("of_title", "share of its words that stand in the title"),
    ("known", "share of its words that stand in the title or any concept"),
];

/// Leading coordinates of a vector that are looked at: some fixed directions tell goods apart, and which does not matter
/// (random projections and principal components did as well).
const COORDINATES: usize = 64;

/// The vectors whose coordinates are looked at.
const VECTORS: [(&str, &str); 3] = [
    ("candidate", "leading coordinates of its vector"),
    ("concept", "leading coordinates of the nearest concept's vector"),
    ("difference", "the former less the latter"),
];

/// Of the columns: the measures, then the coordinates of the candidate, of its nearest concept, and of the former less the latter.
pub(super) fn names() -> Vec<String> {
    let measures = MEASURES.iter().map(|(name, _)| (*name).to_owned());
    let of = |(what, _): &(&'static str, &str)| {
        let what = *what;
        (0..COORDINATES).map(move |at| format!("{what}_{at}"))
    };
    measures.chain(VECTORS.iter().flat_map(of)).collect()
}

/// Name and meaning of each measure and of each vector whose coordinates are looked at, with the number of its columns.
pub(super) fn parts() -> impl Iterator<Item = (&'static str, &'static str, usize)> {
    let measures = MEASURES.iter().map(|(name, meaning)| (*name, *meaning, 1));
    measures.chain(VECTORS.iter().map(|(name, meaning)| (*name, *meaning, COORDINATES)))
}

/// Of names, order and meanings. A model of other features is refused.
pub(super) fn schema() -> Digest {
    let parts: Vec<String> =
        parts().map(|(name, meaning, columns)| format!("{name}: {meaning} ({columns})")).collect();
    Digest::of_parts(parts.iter().map(String::as_bytes))
}

type Vectors = Vec<Arc<[f32]>>;

/// How near the candidates are to the concepts.
pub struct Nearness {
    concepts: Vectors,
    candidates: Vectors,
    /// Concept → candidate.
    cosines: Vec<Vec<f32>>,
    /// Concept → candidate → how many are nearer.
    places: Vec<Vec<usize>>,
}

impl Nearness {
    pub fn new(asked: &Asked<'_>, encoder: &Memory) -> Result<Self, EmbedError> {
        let vectors =
            |texts: &[String]| encoder.vectors(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(Self::of(vectors(asked.concepts)?, vectors(asked.candidates)?))
    }

    fn of(concepts: Vectors, candidates: Vectors) -> Self {
        let to = |concept: &Arc<[f32]>| cosines(concept, &candidates);
        let cosines: Vec<Vec<f32>> = concepts.iter().map(to).collect();
        let places = cosines.iter().map(|cosines| places(cosines)).collect();
        Self { concepts, candidates, cosines, places }
    }

    /// A candidate's cosine to its nearest concept, -1..=1.
    pub fn cosine(&self, candidate: usize) -> f32 {
        self.cosines.iter().map(|cosines| cosines[candidate]).fold(f32::NEG_INFINITY, f32::max)
    }

    /// How many candidates are nearer to a concept than this one; the fewest over the concepts.
    pub fn place(&self, candidate: usize) -> usize {
        self.places.iter().map(|places| places[candidate]).min().unwrap_or(0)
    }
}

fn cosines(to: &[f32], candidates: &[Arc<[f32]>]) -> Vec<f32> {
    candidates.iter().map(|candidate| cosine(to, candidate)).collect()
}

/// How many scores are greater; of equal ones the earlier counts as greater.
fn places(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let mut places = vec![0; scores.len()];
    for (place, at) in order.into_iter().enumerate() {
        places[at] = place;
    }
    places
}

/// A row a candidate, of as many finite numbers as there are [`names`].
pub(super) fn rows(asked: &Asked<'_>, near: &Nearness, title: &[f32]) -> Vec<Vec<f32>> {
    let theme = Theme::new(asked, near, title);
    (0..asked.candidates.len()).map(|at| theme.row(at)).collect()
}

/// What all candidates of a theme are held against.
struct Theme<'a> {
    near: &'a Nearness,
    texts: &'a [String],
    /// Cosines to the title, and the places by it.
    title: (Vec<f32>, Vec<usize>),
    concept_title: Vec<f32>,
    /// Concept → sum over candidates of exp(20 cosine).
    mass: Vec<f32>,
    /// The best candidate of each concept.
    leaders: BTreeSet<usize>,
    words: Vec<BTreeSet<String>>,
    concept_words: Vec<BTreeSet<String>>,
    title_words: BTreeSet<String>,
}

fn weight(cosine: f32) -> f32 {
    (20.0 * cosine).exp()
}

impl<'a> Theme<'a> {
    fn new(asked: &Asked<'a>, near: &'a Nearness, title: &[f32]) -> Self {
        let to_title = cosines(title, &near.candidates);
        let words = |texts: &[String]| texts.iter().map(|text| singular_words(text)).collect();
        let leader = |places: &Vec<usize>| places.iter().position(|place| *place == 0);
        Self {
            near,
            texts: asked.candidates,
            title: (to_title.clone(), places(&to_title)),
            concept_title: cosines(title, &near.concepts),
            mass: near.cosines.iter().map(|cosines| cosines.iter().copied().map(weight).sum()).collect(),
            leaders: near.places.iter().filter_map(leader).collect(),
            words: words(asked.candidates),
            concept_words: words(asked.concepts),
            title_words: singular_words(asked.title),
        }
    }

    fn row(&self, at: usize) -> Vec<f32> {
        let own: Vec<f32> = self.near.cosines.iter().map(|cosines| cosines[at]).collect();
        let nearest = self.nearest(&own);
        let mut row = Vec::with_capacity(MEASURES.len() + 3 * COORDINATES);
        row.extend(self.to_concepts(at, &own, nearest));
        row.extend(self.to_candidates(at));
        row.extend(self.shared_words(at, nearest));
        let leading = |vector: &[f32]| -> [f32; COORDINATES] {
            std::array::from_fn(|at| vector.get(at).copied().unwrap_or(0.0))
        };
        let (candidate, concept) =
            (leading(&self.near.candidates[at]), leading(&self.near.concepts[nearest]));
        row.extend(candidate);
        row.extend(concept);
        row.extend(candidate.iter().zip(concept).map(|(candidate, concept)| candidate - concept));
        row
    }

    /// The first of the nearest concepts.
    fn nearest(&self, own: &[f32]) -> usize {
        let nearer = |best: usize, at: usize| if own[at] > own[best] { at } else { best };
        (0..own.len()).fold(0, nearer)
    }

    fn to_concepts(&self, at: usize, own: &[f32], nearest: usize) -> [f32; 14] {
        let Self { near, title, .. } = self;
        let count = own.len() as f32;
        let mut ordered = own.to_vec();
        ordered.sort_by(|a, b| b.total_cmp(a));
        let second = ordered.get(1).copied().unwrap_or(ordered[0]);
        let mean = own.iter().sum::<f32>() / count;
        let variance = own.iter().map(|cosine| (cosine - mean) * (cosine - mean)).sum::<f32>() / count;
        let share = own.iter().zip(&self.mass).map(|(cosine, mass)| weight(*cosine) / mass).sum();
        let of_nearest = &near.cosines[nearest];
        let best = of_nearest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mean_place = near.places.iter().map(|places| places[at] as f32).sum::<f32>() / count;
        [
            ordered[0],
            second,
            mean,
            ordered[own.len() - 1],
            ordered[0] - second,
            variance.sqrt(),
            share,
            title.0[at],
            title.1[at] as f32,
            near.place(at) as f32,
            mean_place,
            best - ordered[0],
            self.concept_title[nearest],
            of_nearest.iter().sum::<f32>() / of_nearest.len() as f32,
        ]
    }

    /// To the others; 0 where there are none.
    fn to_candidates(&self, at: usize) -> [f32; 3] {
        let mut others = cosines(&self.near.candidates[at], &self.near.candidates);
        let leader = self.leaders.iter().filter(|leader| **leader != at).map(|leader| others[*leader]);
        let leader = leader.reduce(f32::max).unwrap_or(0.0);
        others.remove(at);
        let mean = |cosines: &[f32]| cosines.iter().sum::<f32>() / cosines.len().max(1) as f32;
        let crowd = mean(&others);
        others.sort_by(|a, b| b.total_cmp(a));
        [crowd, mean(&others[..others.len().min(5)]), leader]
    }

    fn shared_words(&self, at: usize, nearest: usize) -> [f32; 7] {
        let (own, concept) = (&self.words[at], &self.concept_words[nearest]);
        let share = |part: usize, all: usize| part as f32 / all.max(1) as f32;
        let common = own.intersection(concept).count();
        let alike =
            |concept: &BTreeSet<String>| share(own.intersection(concept).count(), own.union(concept).count());
        let is_known = |word: &&String| {
            self.title_words.contains(*word) || self.concept_words.iter().any(|words| words.contains(*word))
        };
        [
            own.len() as f32,
            self.texts[at].chars().count() as f32,
            self.concept_words.iter().map(alike).fold(0.0, f32::max),
            share(common, own.len()),
            share(common, concept.len()),
            share(own.intersection(&self.title_words).count(), own.len()),
            share(own.iter().filter(is_known).count(), own.len()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(all: &[[f32; 2]]) -> Vectors {
        all.iter().map(|vector| Arc::from(&vector[..])).collect()
    }

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    /// Concepts and candidates on a circle.
    fn row_of(at: usize) -> Vec<f32> {
        let concepts = texts(&["fresh peaches", "milk"]);
        let candidates = texts(&["peach", "canned peaches", "soap"]);
        let near =
            Nearness::of(vectors(&[[1.0, 0.0], [0.0, 1.0]]), vectors(&[[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]]));
        let asked = Asked { title: "Peaches and cream", concepts: &concepts, candidates: &candidates };
        let rows = rows(&asked, &near, &[0.6, 0.8]);
        assert!(
            rows.iter().all(|row| row.len() == names().len() && row.iter().all(|value| value.is_finite()))
        );
        rows[at].clone()
    }

    #[track_caller]
    fn assert_measure(at: usize, name: &str, expected: f32) {
        let column = names().iter().position(|known| known == name).unwrap();
        let found = row_of(at)[column];
        assert!((found - expected).abs() < 1e-5, "{name} of {at}: {found}, expected {expected}");
    }

    #[test]
    fn a_candidate_is_measured_against_concepts_title_and_rivals() {
        for (name, expected) in [
            ("nearest", 0.8),
            ("second", 0.6),
            ("margin", 0.2),
            ("spread", 0.1),
            ("title", 0.96),
            ("title_place", 0.0),
            ("place", 0.0),
            ("mean_place", 0.5),
            ("behind", 0.2),
            ("concept_title", 0.6),
            ("crowd", 0.0),
            ("leader", 0.8),
            ("candidate_1", 0.6),
            ("candidate_2", 0.0),
            ("difference_0", -0.2),
        ] {
            assert_measure(1, name, expected);
        }
    }

    #[test]
    fn words_are_shared_in_the_singular() {
        for (name, expected) in [
            ("words", 2.0),
            ("characters", 14.0),
            ("alike", 1.0 / 3.0),
            ("of_concept", 0.5),
            ("concept_covered", 0.5),
            ("of_title", 0.5),
            ("known", 0.5),
        ] {
            assert_measure(1, name, expected);
        }
        assert_measure(0, "known", 1.0);
        assert_measure(2, "known", 0.0);
    }

    #[test]
    fn names_are_unique_and_without_white_space() {
        let names = names();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().flat_map(|name| name.bytes()).all(|byte| !byte.is_ascii_whitespace()));
    }
}
