//! A proxy before the S3 server that harms requests by a rule, counts what it did, and hands on everything else byte for byte.
//!
//! A connection carries one request: `Connection: close`, which no signature covers, is added to it, so that an answer is whole
//! where its connection ends.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// By how much the server's clock seems to be ahead; S3 refuses more than a quarter of an hour.
const SKEW: TimeDelta = TimeDelta::minutes(20);

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    InternalError,
    SlowDown,
    /// Another conditional write is under way, says the server.
    Conflict,
    /// The server's clock is ahead of the one that signed.
    Skew,
    /// It never arrives, and the connection stays open.
    Stall,
    /// It never arrives, and the connection is reset.
    Reset,
    /// It is done, and the connection ends amid the answer's body.
    CutAnswer,
    /// Half of its body arrives, then both connections are reset.
    CutUpload,
    /// It is done, and the connection is reset before the answer.
    LostAnswer,
    /// It is done, and nobody is told: the connection stays open.
    NoAnswer,
}

impl Harm {
    /// Status, error code and `Date` of the answer that stands for the server's, if one does.
    fn answer(self) -> Option<(u16, &'static str, DateTime<Utc>)> {
        let now = Utc::now();
        match self {
            Self::InternalError => Some((500, "InternalError", now)),
            Self::SlowDown => Some((503, "SlowDown", now)),
            Self::Conflict => Some((409, "ConditionalRequestConflict", now)),
            Self::Skew => Some((403, "RequestTimeTooSkewed", now + SKEW)),
            _ => None,
        }
    }
}

/// A request as it came, without its body.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// How many of this method and target came before it, since the last [`Proxy::forget`].
    pub nth: usize,
    /// Whether it has an `If-Match` or `If-None-Match`.
    pub conditional: bool,
    /// Whether the AWS SDK sent it; else it is for an input.
    pub sdk: bool,
    signed_at: Option<NaiveDateTime>,
    harm: Option<Harm>,
}

impl Request {
    fn new(head: &str) -> Self {
        let mut line = head.split(' ').map(str::to_owned);
        let signed_at = header(head, "x-amz-date");
        Self {
            method: line.next().unwrap_or_default(),
            target: line.next().unwrap_or_default(),
            nth: 0,
            conditional: header(head, "if-match").or(header(head, "if-none-match")).is_some(),
            sdk: header(head, "user-agent").is_some_and(|agent| agent.starts_with("aws-sdk")),
            signed_at: signed_at.and_then(|text| NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()),
            harm: None,
        }
    }

    /// Whether it writes the object whose key ends so.
    pub fn writes(&self, key: &str) -> bool {
        self.method == "PUT" && self.path().ends_with(key)
    }

    /// Whether it reads the object whose key ends so.
    pub fn reads(&self, key: &str) -> bool {
        self.method == "GET" && self.path().ends_with(key)
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn is_again(&self, other: &Self) -> bool {
        (&self.method, &self.target) == (&other.method, &other.target)
    }
}

/// Says what becomes of a request.
pub type Rule = Box<dyn FnMut(&Request) -> Option<Harm> + Send>;

pub struct Proxy {
    pub endpoint: String,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

struct State {
    /// Host and port.
    server: String,
    book: Mutex<Book>,
}

struct Book {
    rule: Rule,
    seen: Vec<Request>,
    harmed: BTreeMap<Harm, usize>,
    /// The server's own answers, by status.
    answered: BTreeMap<u16, usize>,
    /// Requests that were told of the skew and came again with the server's time.
    corrected: usize,
}

impl Proxy {
    pub fn before(endpoint: &str, rule: Rule) -> Self {
        let server = endpoint.trim_start_matches("http://").to_owned();
        let (seen, harmed, answered) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let book = Mutex::new(Book { rule, seen, harmed, answered, corrected: 0 });
        let state = Arc::new(State { server, book });
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("bind");
        let endpoint = format!("http://{}", listener.local_addr().expect("address"));
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A client that has gone away is no failure of the test.
                let state = Arc::clone(&shared);
                tokio::spawn(async move { state.serve(client).await.ok() });
            }
        });
        Self { endpoint, state, _runtime: runtime }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.state.book.lock().expect("no rule panics")
    }

    /// Another rule, for requests that are all new.
    pub fn obey(&self, rule: Rule) {
        self.book().rule = rule;
        self.forget();
    }

    /// From now on every request is new.
    pub fn forget(&self) {
        self.book().seen.clear();
    }

    /// How often each harm was done.
    pub fn harmed(&self) -> BTreeMap<Harm, usize> {
        self.book().harmed.clone()
    }

    /// How often the server itself answered with this status.
    pub fn answered(&self, status: u16) -> usize {
        self.book().answered.get(&status).copied().unwrap_or_default()
    }

    /// How many requests that met [`Harm::Skew`] came again with the server's time.
    pub fn corrected(&self) -> usize {
        self.book().corrected
    }

    /// Requests since the last [`Proxy::forget`].
    pub fn count(&self, pick: impl Fn(&Request) -> bool) -> usize {
        self.book().seen.iter().filter(|request| pick(request)).count()
    }
}

impl Book {
    fn enter(&mut self, mut request: Request) -> Option<Harm> {
        let before: Vec<&Request> = self.seen.iter().filter(|one| one.is_again(&request)).collect();
        request.nth = before.len();
        if before.last().is_some_and(|last| last.harm == Some(Harm::Skew)) {
            let ahead = request.signed_at.map(|signed| signed - Utc::now().naive_utc());
            self.corrected += usize::from(ahead.is_some_and(|ahead| ahead > SKEW / 2));
        }
        request.harm = (self.rule)(&request);
        if let Some(harm) = request.harm {
            *self.harmed.entry(harm).or_default() += 1;
        }
        let harm = request.harm;
        self.seen.push(request);
        harm
    }
}

impl State {
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let Some((head, body)) = read_request(&mut client).await? else { return Ok(()) };
        let request = Request::new(&head);
        let bare = request.method == "HEAD";
        // In a statement of its own: the lock is not held while the request is served.
        let harm = self.book.lock().expect("no rule panics").enter(request);
        if let Some(answer) = harm.and_then(Harm::answer) {
            return client.write_all(refusal(answer, bare).as_bytes()).await;
        }
        match harm {
            Some(Harm::Stall) => client.read(&mut [0]).await.map(drop),
            Some(Harm::Reset) => client.set_zero_linger(),
            Some(Harm::CutUpload) => {
                let mut server = self.send(&head, &body[..body.len() / 2]).await?;
                server.flush().await?;
                server.set_zero_linger()?;
                client.set_zero_linger()
            }
            Some(Harm::LostAnswer) => {
                self.answer(&head, &body).await?;
                client.set_zero_linger()
            }
            Some(Harm::NoAnswer) => {
                self.answer(&head, &body).await?;
                client.read(&mut [0]).await.map(drop)
            }
            Some(Harm::CutAnswer) => {
                let answer = self.answer(&head, &body).await?;
                let begins = find_body(&answer).unwrap_or(answer.len());
                client.write_all(&answer[..begins + (answer.len() - begins) / 2]).await
            }
            _ => client.write_all(&self.answer(&head, &body).await?).await,
        }
    }

    async fn send(&self, head: &str, body: &[u8]) -> io::Result<TcpStream> {
        let mut server = TcpStream::connect(&self.server).await?;
        let lines = head.trim_end().lines();
        let own = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
        let head: String = lines.filter(own).flat_map(|line| [line, "\r\n"]).collect();
        server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await?;
        server.write_all(body).await?;
        Ok(server)
    }

    /// The server's answer, whole.
    async fn answer(&self, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        self.send(head, body).await?.read_to_end(&mut answer).await?;
        let status = std::str::from_utf8(answer.get(9..12).unwrap_or_default()).unwrap_or_default();
        let mut book = self.book.lock().expect("no rule panics");
        *book.answered.entry(status.parse().unwrap_or_default()).or_default() += 1;
        Ok(answer)
    }
}

/// Head and body of a connection's request, `None` where it ends without one.
async fn read_request(client: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let begins = loop {
        if let Some(begins) = find_body(&bytes) {
            break begins;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let mut body = bytes.split_off(begins);
    let head = String::from_utf8(bytes).map_err(io::Error::other)?;
    assert!(header(&head, "transfer-encoding").is_none(), "a body of unknown length: {head}");
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((head, body)))
}

fn find_body(message: &[u8]) -> Option<usize> {
    let blank = b"\r\n\r\n";
    message.windows(blank.len()).position(|bytes| bytes == blank).map(|at| at + blank.len())
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(field, _)| field.trim().eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim())
}

/// An error as S3 says it; `bare` where the answer has no body.
fn refusal((status, code, date): (u16, &str, DateTime<Utc>), bare: bool) -> String {
    let error = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>injected</Message></Error>"
    );
    let (date, length) = (date.format("%a, %d %b %Y %H:%M:%S GMT"), error.len());
    let head = format!(
        "HTTP/1.1 {status} {code}\r\nDate: {date}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n"
    );
    format!("{head}Connection: close\r\n\r\n{}", if bare { "" } else { &error })
}
