//! Publishing, over a directory and over a real S3 server: one suite for both.

mod conformance;
mod faults;
mod listing;
pub mod place;
mod publishing;
mod races;
mod retention;
mod s3_only;

/// Makes each `async fn test(place: Place)` a test on both stores.
macro_rules! on_both_stores {
    ($($test:ident),* $(,)?) => {
        mod on_a_directory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::publish::place::Place::directory()).await;
            })*
        }
        mod on_s3 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let bucket = concat!(module_path!(), "-", stringify!($test));
                super::$test(crate::publish::place::Place::bucket(bucket).await).await;
            })*
        }
    };
}
use on_both_stores;
