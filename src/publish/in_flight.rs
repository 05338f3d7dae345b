//! Many requests, a bounded number at a time, each made when its turn comes: a run's requests need not fit in memory.

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};

use super::Settings;

/// What there is to do, one after the other. (Boxed, so that the caller's future stays `Send` for every lifetime.)
pub(super) type Requests<'a, R> = Box<dyn Iterator<Item = R> + Send + 'a>;

/// Runs `requests`, at most `settings.concurrency` at once; the answers in their order, or the first error, which drops
/// what is still in flight.
pub(super) async fn all<'a, T, E>(
    requests: Requests<'a, BoxFuture<'a, Result<T, E>>>,
    settings: &Settings,
) -> Result<Vec<T>, E> {
    stream::iter(requests).buffered(settings.concurrency.max(1)).try_collect().await
}

/// [`all`], where `take` is given each answer as it comes: a slow one holds up no other.
pub(super) async fn each<'a, T, E>(
    requests: Requests<'a, BoxFuture<'a, Result<T, E>>>,
    settings: &Settings,
    mut take: impl FnMut(T),
) -> Result<(), E> {
    let mut answers = stream::iter(requests).buffer_unordered(settings.concurrency.max(1));
    while let Some(answer) = answers.try_next().await? {
        take(answer);
    }
    Ok(())
}
