//! Grown trees as LightGBM writes them.

use std::fmt::Write as _;

use forust_ml::tree::Tree;

use super::bins::Bins;

/// LightGBM's text format, version 4. The base score goes into the first tree's leaves, as LightGBM does it.
pub(super) fn lightgbm(trees: &[Tree], base_score: f64, names: &[&str], bins: &Bins) -> String {
    let infos = vec!["[-1e+308:1e+308]"; names.len()];
    let base = |at: usize| if at == 0 { base_score } else { 0.0 };
    let mut sections: Vec<String> =
        trees.iter().enumerate().map(|(at, tree)| section(at, tree, base(at), bins)).collect();
    if sections.is_empty() {
        sections.push(format!(
            "Tree=0\nnum_leaves=1\nnum_cat=0\nleaf_value={base_score:e}\nis_linear=0\nshrinkage=1\n\n\n"
        ));
    }
    let sizes: Vec<String> = sections.iter().map(|section| section.len().to_string()).collect();
    format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx={}\nobjective=cross_entropy\n\
         feature_names={}\nfeature_infos={}\ntree_sizes={}\n\n{}end of trees\n\nparameters:\n\nend of parameters\n",
        names.len() - 1,
        names.join(" "),
        infos.join(" "),
        sizes.join(" "),
        sections.concat()
    )
}

/// Missing values are NaN (bits 2 and 3 of a decision hold 2); bit 1: they go left.
const MISSING_NAN: u8 = 2 << 2;
const DEFAULT_LEFT: u8 = 2;

/// One tree. LightGBM numbers inner nodes from 0 and leaves from -1 down; ours stand in one list, the root first.
fn section(number: usize, tree: &Tree, base_score: f64, bins: &Bins) -> String {
    let (mut inner, mut leaves) = (0, 0);
    let places: Vec<i64> = tree
        .nodes
        .iter()
        .map(|node| {
            let counter: &mut i64 = if node.is_leaf { &mut leaves } else { &mut inner };
            *counter += 1;
            if node.is_leaf { -*counter } else { *counter - 1 }
        })
        .collect();
    let mut text = format!("Tree={number}\nnum_leaves={leaves}\nnum_cat=0\n");
    let mut line = |name: &str, values: Vec<String>| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name}={}", values.join(" "));
    };
    let splits: Vec<_> = tree.nodes.iter().filter(|node| !node.is_leaf).collect();
    let ends: Vec<_> = tree.nodes.iter().filter(|node| node.is_leaf).collect();
    if !splits.is_empty() {
        let place = |child: usize| places[child].to_string();
        line("split_feature", splits.iter().map(|node| node.split_feature.to_string()).collect());
        line("split_gain", splits.iter().map(|node| format!("{:e}", node.split_gain)).collect());
        // Ours go left below the value, LightGBM's up to it.
        let threshold = |feature: usize, bin: f64| format!("{:e}", bins.value(feature, bin).next_down());
        line(
            "threshold",
            splits.iter().map(|node| threshold(node.split_feature, node.split_value)).collect(),
        );
        let decision = |to_left: bool| (MISSING_NAN | if to_left { DEFAULT_LEFT } else { 0 }).to_string();
        line(
            "decision_type",
            splits.iter().map(|node| decision(node.missing_node == node.left_child)).collect(),
        );
        line("left_child", splits.iter().map(|node| place(node.left_child)).collect());
        line("right_child", splits.iter().map(|node| place(node.right_child)).collect());
    }
    let value = |weight: f32| format!("{:e}", f64::from(weight) + base_score);
    line("leaf_value", ends.iter().map(|node| value(node.weight_value)).collect());
    text.push_str("is_linear=0\nshrinkage=1\n\n\n");
    text
}
