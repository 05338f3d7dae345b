//! A hand-made shop of sixty products, and its index in a folder of its own.

use std::collections::{BTreeMap, BTreeSet};

use endcap::domain::stage::{Candidate, ProductHit};
use endcap::domain::{Catalog, Keyword, KeywordId, KeywordKind, Product, ProductId};
use endcap::index::{Index, ProductFilter, Settings, UpdateReport};
use tempfile::TempDir;

use crate::embed::memory;

/// Title, aisle, tags. Each is stocked in two sizes; titles are types.
pub const SHOP: &[(&str, &str, &[&str])] = &[
    ("White milk", "Milk and cream", &[]),
    ("Organic milk", "Milk and cream", &["organic"]),
    ("Butter", "Milk and cream", &[]),
    ("Greek yogurt", "Yogurt", &[]),
    ("Shredded cheese", "Cheese", &[]),
    ("Protein bars", "Health food", &[]),
    ("Granola bars", "Breakfast", &[]),
    ("Breakfast cereal", "Breakfast", &[]),
    ("Bar soap", "Bath and body", &["beauty"]),
    ("Liquid laundry detergent", "Cleaning", &[]),
    ("Glass cleaner", "Cleaning", &[]),
    ("Bananas", "Fresh fruit", &[]),
    ("Strawberries", "Fresh fruit", &[]),
    ("Asparagus", "Fresh vegetables", &[]),
    ("Fresh garlic", "Fresh vegetables", &[]),
    ("Lean ground beef", "Meat", &[]),
    ("Pork chops", "Meat", &[]),
    ("Atlantic salmon fillets", "Seafood", &[]),
    ("Spaghetti", "Pasta", &[]),
    ("Pasta sauce", "Pasta", &[]),
    ("Potato chips", "Snacks", &[]),
    ("Pretzels", "Snacks", &[]),
    ("Chocolate chip cookies", "Snacks", &[]),
    ("Cola", "Soft drinks", &[]),
    ("Sparkling water", "Soft drinks", &[]),
    ("Orange juice", "Juice", &[]),
    ("Red wine", "Wine", &["alcohol"]),
    ("Craft beer", "Beer", &["alcohol"]),
    ("Dry dog food", "Pets", &[]),
    ("Diapers", "Baby", &["baby"]),
];

pub fn product(id: &str, title: &str, aisle: &str, tags: &[&str]) -> Product {
    Product {
        product_id: ProductId::parse(id).expect("id"),
        title: title.into(),
        brand: None,
        department: "Grocery".into(),
        aisle: aisle.into(),
        product_type: title.into(),
        package_size: None,
        price: 2.5,
        margin: None,
        units_28d: 10,
        in_stock: true,
        private_label: false,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        image_url: None,
    }
}

/// Products `white-milk-1`, `white-milk-2` (the better seller) and so on.
pub fn products() -> Vec<Product> {
    let sizes = |(title, aisle, tags): &(&str, &str, &[&str])| {
        [1, 2].map(|size| {
            let id = format!("{}-{size}", title.to_lowercase().replace(' ', "-"));
            Product { units_28d: 10 * size, ..product(&id, title, aisle, tags) }
        })
    };
    SHOP.iter().flat_map(sizes).collect()
}

pub fn keyword(id: &str, text: &str) -> Keyword {
    Keyword {
        keyword_id: KeywordId::parse(id).expect("id"),
        text: text.into(),
        kind: KeywordKind::Query,
        product_count: 2,
        popularity: 0.1,
    }
}

/// Titles in lower case, their aisles, and some things a shopper would say.
pub fn keywords() -> Vec<Keyword> {
    let said = ["laundry soap", "fizzy drinks", "quick breakfast", "grilling meat", "salty snacks", "dairy"];
    let titles = SHOP.iter().map(|(title, ..)| title.to_lowercase());
    let aisles: BTreeSet<String> = SHOP.iter().map(|(_, aisle, _)| aisle.to_lowercase()).collect();
    let texts = titles.chain(aisles).chain(said.map(str::to_owned));
    texts.enumerate().map(|(at, text)| keyword(&format!("k{at:03}"), &text)).collect()
}

pub struct Shop {
    pub dir: TempDir,
    pub index: Index,
}

impl Shop {
    pub async fn empty() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let index = open(&dir).await;
        Self { dir, index }
    }

    pub async fn stocked() -> Self {
        let shop = Self::empty().await;
        shop.update(&keywords(), &products()).await;
        shop
    }

    pub async fn update(&self, keywords: &[Keyword], products: &[Product]) -> UpdateReport {
        self.index.update(keywords, &Catalog::new(products.to_vec()), &|_| ()).await.expect("update")
    }

    pub async fn products(&self, keywords: &[&str], filter: &ProductFilter) -> Vec<String> {
        let hits = self.index.search_products(&texts(keywords), filter, 12).await.expect("search");
        hits.iter().map(|hit| hit.product_id.to_string()).collect()
    }

    pub async fn keywords(&self, queries: &[&str]) -> Vec<String> {
        let found = self.index.search_keywords(&texts(queries), 40).await.expect("search");
        found.into_iter().map(|candidate| candidate.text).collect()
    }

    pub async fn product_types(&self) -> BTreeMap<String, Vec<f32>> {
        self.index.product_types().await.expect("types").into_iter().collect()
    }

    /// Everything that these questions find, scores and all.
    pub async fn answers(&self) -> (Vec<Candidate>, Vec<ProductHit>) {
        let queries = texts(&["protein bars", "milk", "something for breakfast", "drinks"]);
        let filter = ProductFilter::default();
        let candidates = self.index.search_keywords(&queries, 40).await.expect("keywords");
        (candidates, self.index.search_products(&queries, &filter, 20).await.expect("products"))
    }
}

pub async fn open(dir: &TempDir) -> Index {
    let uri = dir.path().join("index").display().to_string();
    Index::open(&uri, memory(), Settings::default()).await.expect("open")
}

pub fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub fn everything() -> ProductFilter {
    ProductFilter::default()
}
