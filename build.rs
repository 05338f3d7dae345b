//! Links the Lambda with GNU ld. LLD keeps the unwind tables of every function that it throws away (rustc does not mark them as
//! belonging to one), and this library has the models' and the index's engines to throw away: 18 MB of tables nobody can reach,
//! 8 MB of the zipped package.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bin=endcap-lambda=-fuse-ld=bfd");
}
