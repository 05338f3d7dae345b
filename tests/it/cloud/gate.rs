//! A proxy before the emulator that lets every request through but the pointer's write: there it stops, before or after the write
//! is done, and never answers. So a publisher can be killed between the index and the pointer, to the request.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;

/// Where the publisher is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The pointer's write was sent and never arrived.
    BeforeThePointer,
    /// It arrived, and its answer was lost.
    AfterThePointer,
}

pub struct Gate {
    pub endpoint: String,
    caught: Receiver<()>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct Proxy {
    client: reqwest::Client,
    endpoint: String,
    moment: Moment,
    caught: Sender<()>,
}

impl Gate {
    pub fn before(endpoint: &str, moment: Moment) -> Self {
        let (sender, caught) = channel();
        let proxy =
            Proxy { client: reqwest::Client::new(), endpoint: endpoint.into(), moment, caught: sender };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("bind");
        let endpoint = format!("http://{}", listener.local_addr().expect("address"));
        let app = Router::new().fallback(pass).with_state(proxy);
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { endpoint, caught, _runtime: runtime }
    }

    /// Until the pointer's write came.
    pub fn wait(&self) {
        self.caught.recv_timeout(Duration::from_secs(300)).expect("the pointer's write comes");
    }
}

async fn pass(
    State(proxy): State<Proxy>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let stops = method == Method::PUT && uri.path().ends_with("/current.json");
    if !stops {
        return proxy.forward(method, &uri, headers, body).await;
    }
    if proxy.moment == Moment::AfterThePointer {
        proxy.forward(method, &uri, headers, body).await;
    }
    let _ = proxy.caught.send(());
    std::future::pending().await
}

impl Proxy {
    async fn forward(&self, method: Method, uri: &Uri, mut headers: HeaderMap, body: Bytes) -> Response {
        // These are of one connection.
        headers.remove(header::HOST);
        headers.remove(header::CONNECTION);
        headers.remove(header::TRANSFER_ENCODING);
        let request =
            self.client.request(method, format!("{}{uri}", self.endpoint)).headers(headers).body(body);
        let Ok(answer) = request.send().await else { return status(StatusCode::BAD_GATEWAY) };
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if *name != header::TRANSFER_ENCODING && *name != header::CONNECTION {
                response = response.header(name, value);
            }
        }
        let Ok(body) = answer.bytes().await else { return status(StatusCode::BAD_GATEWAY) };
        response.body(Body::from(body)).unwrap_or_else(|_| status(StatusCode::BAD_GATEWAY))
    }
}

fn status(code: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}
