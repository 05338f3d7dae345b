//! `endcap serve`: the published storefront in a browser, as a shopper sees it and as its merchandiser judges it.
//!
//! The published tree is served under its own keys with the cache headers, validators and compression of a CDN, so that
//! the page in front of it is an ordinary shop front: it reads `current.json`, then the run's index, then one immutable
//! page. That page ([`document`]) is one HTML document of our own that asks nothing of any other host.
//!
//! The merchandiser's view shows private data (persona, score parts, rejected texts). It is read from the work root,
//! never from the published one, and leaves this process only through `/api/story/…`, uncached.

mod document;
mod reply;
mod router;
mod stories;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::net::TcpListener;

use crate::publish;

pub use router::{ServeState, router};
pub use stories::Stories;

/// Shows the published storefront in a browser.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  endcap serve --root out/storefronts --listen 127.0.0.1:8080")]
pub struct ServeArgs {
    /// Published root: a directory or s3://bucket/prefix [default: the config's publish root]
    #[arg(long, value_name = "ROOT")]
    root: Option<String>,
    /// Private work root, for the merchandiser's view [default: the config's work root]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Leave the merchandiser's view and its private data out
    #[arg(long)]
    no_merchandiser: bool,
}

impl ServeArgs {
    /// Fills in what the command line leaves to the configuration.
    pub fn options(self, publish_root: &str, work_root: Option<&Path>) -> ServeOptions {
        let work = self.work.or_else(|| work_root.map(Path::to_path_buf));
        let stories = match (self.no_merchandiser, work) {
            (true, _) => Stories::Hidden,
            (false, None) => Stories::Unknown,
            (false, Some(work)) => Stories::Under(work),
        };
        ServeOptions {
            root: self.root.unwrap_or_else(|| publish_root.to_owned()),
            stories,
            listen: self.listen,
            publish: publish::Settings::default(),
        }
    }
}

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// A directory or `s3://bucket/prefix`.
    pub root: String,
    pub stories: Stories,
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// How the tree is published: its cache headers are served as they stand on the objects.
    pub publish: publish::Settings,
}

impl ServeOptions {
    pub fn with_publish(mut self, settings: publish::Settings) -> Self {
        self.publish = settings;
        self
    }
}

/// Serves until `shutdown` resolves, then finishes the requests in flight. Prints the address once it listens.
pub async fn serve(
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let ServeOptions { root, stories, listen, publish } = options;
    let store = publish::open(&root, &publish).await?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; choose another with --listen"))?;
    let address = listener.local_addr()?;
    println!("{root} is shown at http://{address}/ (Ctrl-C stops)");
    if matches!(stories, Stories::Under(_)) && !address.ip().is_loopback() {
        eprintln!(
            "warning: private data of the merchandiser's view can be read by whoever reaches {address}; \
             --no-merchandiser leaves it out"
        );
    }
    let app = router(ServeState::new(store, publish, stories));
    axum::serve(listener, app).with_graceful_shutdown(shutdown).await?;
    Ok(())
}

/// Resolves on Ctrl-C or SIGTERM.
pub async fn shutdown_signal() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "cannot listen for Ctrl-C");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminate() => {}
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}
