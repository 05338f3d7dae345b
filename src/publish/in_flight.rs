//! Many requests, a bounded number at a time.

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};

use super::Settings;

/// Runs `requests`, at most `settings.concurrency` at once; the answers in their order, or the first error, which drops
/// what is still in flight. (Boxed, so that the caller's future stays `Send` for every lifetime.)
pub(super) async fn all<T, E>(
    requests: Vec<BoxFuture<'_, Result<T, E>>>,
    settings: &Settings,
) -> Result<Vec<T>, E> {
    stream::iter(requests).buffered(settings.concurrency.max(1)).try_collect().await
}
