//! Made-up pages of the size and shape of real ones, each made from its number alone.

use anyhow::Context as _;
use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::domain::manifest::{
    ManifestPlacement, ManifestProduct, PageStatus, Provenance, STOREFRONT_SCHEMA, StorefrontManifest,
    Variants,
};
use crate::domain::merchandising::Merchandising;
use crate::domain::stage::Source;
use crate::domain::{Catalog, Digest, PlacementId, Product, ProductId, RunId, SegmentId};
use crate::fuse::{self, Checklist};

/// How many products there are to show: a prime, so that every stride leads past all of them.
const PRODUCTS: u64 = 4_999;

const KINDS: [&str; 24] = [
    "apple juice",
    "bagels",
    "brownie mix",
    "butter",
    "canned tuna",
    "cheddar cheese",
    "chicken breast",
    "coffee creamer",
    "corn chips",
    "cream cheese",
    "dinner rolls",
    "dog food",
    "frozen pizza",
    "ground beef",
    "ice cream",
    "laundry detergent",
    "margarine",
    "orange juice",
    "paper towels",
    "pasta sauce",
    "salsa and dips",
    "sandwich bread",
    "white flour",
    "yogurt",
];
const MANNERS: [&str; 7] = ["Classic", "Family size", "Fresh", "Light", "Organic", "Roasted", "Original"];
const OCCASIONS: [&str; 5] =
    ["for the weekend", "for busy weekdays", "to stock up on", "and more for the table", "for the pantry"];

/// A shop of [`PRODUCTS`] products without rules, and a run over it.
pub struct Shop {
    pub run_id: RunId,
    pub started_at: DateTime<Utc>,
    catalog: Catalog,
    merchandising: Merchandising,
    provenance: Provenance,
}

impl Shop {
    /// `segments` is part of the run's id.
    pub fn new(segments: u64) -> anyhow::Result<Self> {
        let as_of = NaiveDate::from_ymd_opt(2017, 11, 20).context("a date")?;
        let started_at = as_of.and_hms_opt(2, 0, 0).context("a time")?.and_utc();
        let digest = |of: &str| Digest::of(of.as_bytes());
        let models = ["encoder", "keywords-adapter", "student", "themes-adapter"];
        let provenance = Provenance {
            models: models.map(|name| (name.to_owned(), digest(name))).into(),
            inputs: digest("inputs"),
            config: digest("config"),
            engine_version: env!("CARGO_PKG_VERSION").into(),
        };
        let run_id = RunId::new(as_of, &Digest::of_parts([&b"bench"[..], &segments.to_le_bytes()]));
        let products = (0..PRODUCTS).map(product).collect::<anyhow::Result<_>>()?;
        let merchandising = Merchandising::default();
        Ok(Self { run_id, started_at, catalog: Catalog::new(products), merchandising, provenance })
    }

    pub fn page(&self, number: u64) -> anyhow::Result<StorefrontManifest> {
        let seed = Digest::of(&number.to_le_bytes()).seed();
        let placements = (0..self.merchandising.page.placements).map(|at| self.placement(seed, at));
        Ok(StorefrontManifest {
            schema: STOREFRONT_SCHEMA.into(),
            segment_id: SegmentId::parse(format!("seg-{number:07}"))?,
            run_id: self.run_id.clone(),
            as_of: self.run_id.as_of(),
            generated_at: self.started_at,
            valid_until: self.started_at + Days::new(7),
            source: Source::Cascade,
            placements: placements.collect(),
            variants: Variants::default(),
            provenance: self.provenance.clone(),
        })
    }

    /// The night's own check of a page's bytes before it is published.
    pub fn inspect(&self, segment: &SegmentId, status: PageStatus, bytes: &[u8]) -> Result<(), String> {
        let (catalog, merchandising) = (&self.catalog, &self.merchandising);
        let list = Checklist { catalog, merchandising, segment, as_of: self.run_id.as_of() };
        fuse::inspect(bytes, status == PageStatus::New, &list).map_err(|error| error.to_string())
    }

    fn placement(&self, seed: u64, at: usize) -> ManifestPlacement {
        let kind = |n: u64| one_of(&KINDS, seed.rotate_left(8 * at as u32) / 2 + n);
        let title = format!("{} and {} {}", capital(kind(0)), kind(5), one_of(&OCCASIONS, seed >> at));
        let each = self.merchandising.page.products_per_placement;
        // No product stands twice on a page: a stride below a prime meets each place once.
        let stride = 1 + (seed >> 32) % (PRODUCTS - 1);
        let place = |n: usize| (seed % PRODUCTS + (at * each + n) as u64 * stride) % PRODUCTS;
        let products = self.catalog.iter().as_slice();
        let products = (0..each).filter_map(|n| products.get(place(n) as usize)).map(card);
        ManifestPlacement {
            placement_id: PlacementId::new(at, &title),
            position: at as u32 + 1,
            title,
            source: Source::Cascade,
            keywords: (0..4).map(|n| kind(5 * n).to_owned()).collect(),
            campaign: (at == 0).then(|| "Holiday baking".to_owned()),
            products: products.collect(),
        }
    }
}

fn product(number: u64) -> anyhow::Result<Product> {
    let (manner, kind) = (one_of(&MANNERS, number), one_of(&KINDS, number));
    Ok(Product {
        product_id: ProductId::parse((800_000 + 37 * number).to_string())?,
        title: format!("{manner} {kind}"),
        brand: number.is_multiple_of(3).then(|| "Own brand".to_owned()),
        department: "GROCERY".into(),
        aisle: kind.into(),
        product_type: kind.into(),
        package_size: Some(format!("{} oz", 4 + number % 60)),
        price: 0.5 + (number % 40) as f32 * 0.25,
        margin: None,
        units_28d: 0,
        in_stock: true,
        private_label: number.is_multiple_of(3),
        tags: Default::default(),
        image_url: None,
    })
}

fn card(product: &Product) -> ManifestProduct {
    ManifestProduct {
        product_id: product.product_id.clone(),
        title: product.title.clone(),
        brand: product.brand.clone(),
        price: f64::from(product.price),
        package_size: product.package_size.clone(),
        image_url: product.image_url.clone(),
    }
}

fn one_of<'a>(words: &[&'a str], n: u64) -> &'a str {
    words[(n % words.len() as u64) as usize]
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::manifest::to_bytes;

    #[test]
    fn a_page_is_fit_to_be_published_and_as_large_as_a_real_one() {
        let shop = Shop::new(200).expect("shop");
        let mut titles = BTreeSet::new();
        for number in 0..200 {
            let page = shop.page(number).expect("page");
            let bytes = to_bytes(&page).expect("bytes");
            shop.inspect(&page.segment_id, PageStatus::New, &bytes).expect("fit");
            assert!((9_000..13_000).contains(&bytes.len()), "{} bytes", bytes.len());
            titles.insert(page.placements[0].title.clone());
        }
        assert!(titles.len() > 20, "{titles:?}");
    }
}
