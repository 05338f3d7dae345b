//! Distillation: asking a difficult teacher, importing its answers, the training set on disk.

mod import;
mod teacher;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use endcap::distill::client::{Client, Event, Hooks, Key, Outcome};
use endcap::distill::journal::Journal;
use endcap::distill::requests::{Request, themes_request};
use endcap::distill::{DistillError, Settings, check_answer, read_answers};
use endcap::domain::SegmentContext;
use serde_json::json;

use teacher::{Mood, TOKENS, Teacher};

/// A context whose prompt is like no other's.
pub(crate) fn context(number: usize, as_of: &str) -> SegmentContext {
    let shopping = json!({
        "visits_per_week": 1.0, "basket_value": 30.0, "private_label_share": 0.1, "on_promotion_share": 0.1,
        "evening_share": 0.2, "weekend_share": 0.3,
    });
    let context = json!({
        "segment_id": format!("seg-{number:03}"), "as_of": as_of, "households": 12, "shopping": shopping,
        "distinctive": [{"name": "Rye bread", "aisle": "Bread", "households": 0.3, "lift": 3.5}],
        "staples": [format!("White milk {number}")], "rising": ["Bagels"],
        "merchandising": {"objective": "engagement", "campaign": null, "rules": ["no alcohol"]},
    });
    serde_json::from_value(context).expect("a context")
}

fn settings() -> Settings {
    Settings {
        max_tokens: 100,
        concurrency: 4,
        timeout_ms: 2_000,
        base_delay_ms: 1,
        max_delay_ms: 4,
        input_usd_per_million: 0.0,
        output_usd_per_million: 1000.0,
        cost_cap_usd: 100.0,
        ..Settings::default()
    }
}

fn requests(count: usize, settings: &Settings) -> Vec<Request> {
    (0..count).map(|at| themes_request(&context(at, "2017-09-18"), settings).expect("a request")).collect()
}

async fn send(
    teacher: &Teacher,
    settings: &Settings,
    requests: &[Request],
    journal: &Path,
) -> Result<Outcome, DistillError> {
    let hooks = Hooks { check: &check_answer, progress: &|_| (), retry_failed: false };
    let client = Client::new(&teacher.url, Some(Key::new("secret")), settings)?;
    client.send(requests, Journal::open(journal)?, &hooks).await
}

/// Every trouble once, by the request's number; the second attempt is answered.
fn troubled(request: usize, attempt: usize) -> Mood {
    const TROUBLES: [Mood; 7] = [
        Mood::Limits,
        Mood::Stalls,
        Mood::Cuts,
        Mood::BreaksBody,
        Mood::BreaksAnswer,
        Mood::Fails,
        Mood::Answers,
    ];
    if attempt == 0 { TROUBLES[request % TROUBLES.len()] } else { Mood::Answers }
}

#[tokio::test]
async fn every_answer_arrives_in_spite_of_all_trouble() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let journal = folder.path().join("answers.jsonl");
    let (teacher, settings) = (Teacher::start(troubled).await, settings());
    let requests = requests(21, &settings);
    let outcome = send(&teacher, &settings, &requests, &journal).await.expect("sent");
    assert_eq!(outcome.answered, 21, "{outcome:?}");
    assert!(outcome.retries >= 18, "{outcome:?}");
    assert!(outcome.failed.is_empty() && outcome.unreachable.is_empty());
    let answers = read_answers(&journal).expect("a journal");
    assert_eq!(answers.len(), 21);
    assert!(answers.values().all(|answer| answer == teacher::PAGE));
    let most = teacher.most_under_way();
    assert!(most <= 4, "{most} requests at once, at most 4 are allowed");
    // Stalls, cuts and broken bodies count in full, as they may have been billed.
    let (worst, answer) = (0.1, TOKENS as f64 / 1000.0);
    let least = 9.0 * worst + (21.0 + 3.0) * answer;
    assert!(outcome.spent_usd >= least - 1e-9, "{} is less than {least}", outcome.spent_usd);
}

#[tokio::test]
async fn a_killed_sending_goes_on_and_pays_for_no_answer_twice() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let journal = folder.path().join("answers.jsonl");
    let (teacher, settings) = (Teacher::start(troubled).await, settings());
    let requests = requests(21, &settings);
    {
        let (done, enough) = (AtomicUsize::new(0), tokio::sync::Notify::new());
        let tell = |event| {
            if event == Event::Done && done.fetch_add(1, Ordering::Relaxed) == 4 {
                enough.notify_one();
            }
        };
        let hooks = Hooks { check: &check_answer, progress: &tell, retry_failed: false };
        let client = Client::new(&teacher.url, None, &settings).expect("a client");
        let opened = Journal::open(&journal).expect("a journal");
        tokio::select! {
            outcome = client.send(&requests, opened, &hooks) => panic!("not killed: {outcome:?}"),
            () = enough.notified() => {}
        }
    }
    let before = read_answers(&journal).expect("a journal");
    assert!((5..21).contains(&before.len()), "{} answers", before.len());
    let attempts = |request: &Request| teacher.attempts(&request.body_json());
    let kept: Vec<&Request> = requests.iter().filter(|r| before.contains_key(&r.custom_id)).collect();
    let seen: Vec<usize> = kept.iter().map(|request| attempts(request)).collect();
    let mut file = std::fs::OpenOptions::new().append(true).open(&journal).expect("the journal");
    file.write_all(b"{\"custom_id\":\"themes/seg-0").expect("a torn line");
    drop(file);

    let outcome = send(&teacher, &settings, &requests, &journal).await.expect("sent");
    assert_eq!(outcome.resumed, before.len());
    assert_eq!(outcome.resumed + outcome.answered, 21, "{outcome:?}");
    assert_eq!(read_answers(&journal).expect("a journal").len(), 21);
    assert_eq!(kept.iter().map(|request| attempts(request)).collect::<Vec<_>>(), seen, "paid twice");
    let paid = teacher.all_answers() as f64 * TOKENS as f64 / 1000.0;
    assert!(outcome.spent_usd >= paid - 1e-9, "{} of {paid} remembered", outcome.spent_usd);

    let total = teacher.all_attempts();
    let again = send(&teacher, &settings, &requests, &journal).await.expect("nothing to send");
    assert_eq!((again.resumed, teacher.all_attempts()), (21, total));
    assert!((again.spent_usd - outcome.spent_usd).abs() < 1e-9, "the journal keeps the account");
}

#[tokio::test]
async fn the_cost_cap_holds_over_all_starts() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let journal = folder.path().join("answers.jsonl");
    let teacher = Teacher::start(|_, _| Mood::Answers).await;
    let settings = Settings { cost_cap_usd: 0.51, ..settings() };
    let requests = requests(30, &settings);
    for _ in 0..2 {
        let outcome = send(&teacher, &settings, &requests, &journal).await.expect("sent");
        // 0.04 an answer, and 0.1 must be left before each: eleven fit, a twelfth would not be sure to.
        assert_eq!((outcome.answered + outcome.resumed, outcome.unsent), (11, 19), "{outcome:?}");
        assert!(outcome.spent_usd <= 0.51, "{outcome:?}");
    }
    assert_eq!(teacher.all_attempts(), 11);
}

#[tokio::test]
async fn an_answer_that_stays_broken_fails_with_its_reason_and_is_left_alone() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let journal = folder.path().join("answers.jsonl");
    let teacher =
        Teacher::start(|_, attempt| if attempt < 5 { Mood::BreaksAnswer } else { Mood::Answers }).await;
    let settings = Settings { broken_attempts: 3, ..settings() };
    let requests = requests(1, &settings);
    let first = send(&teacher, &settings, &requests, &journal).await.expect("sent");
    assert!(first.failed[0].reason.contains("not a page"), "{first:?}");
    let second = send(&teacher, &settings, &requests, &journal).await.expect("nothing to send");
    assert_eq!((second.failed.len(), teacher.all_attempts()), (1, 3));
    let hooks = Hooks { check: &check_answer, progress: &|_| (), retry_failed: true };
    let client = Client::new(&teacher.url, None, &settings).expect("a client");
    let third =
        client.send(&requests, Journal::open(&journal).expect("a journal"), &hooks).await.expect("sent");
    assert_eq!((third.answered, teacher.all_attempts()), (1, 6), "{third:?}");
}

#[tokio::test]
async fn a_teacher_that_stays_away_is_given_up_until_the_next_start() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let journal = folder.path().join("answers.jsonl");
    let teacher = Teacher::start(|_, attempt| if attempt < 2 { Mood::Fails } else { Mood::Answers }).await;
    let settings = Settings { attempts: 2, ..settings() };
    let requests = requests(1, &settings);
    let first = send(&teacher, &settings, &requests, &journal).await.expect("sent");
    assert!(first.unreachable[0].reason.contains("500"), "{first:?}");
    assert_eq!(first.spent_usd, 0.0);
    let second = send(&teacher, &settings, &requests, &journal).await.expect("sent");
    assert_eq!(second.answered, 1);
}

#[tokio::test]
async fn a_wrong_key_a_changed_request_and_a_second_sender_stop_at_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let journal = folder.path().join("answers.jsonl");
    let settings = settings();
    let asked = requests(1, &settings);
    let teacher = Teacher::start(|_, _| Mood::Refuses).await;
    let refused = send(&teacher, &settings, &asked, &journal).await.expect_err("a wrong key");
    assert!(refused.to_string().contains("401"), "{refused}");
    assert!(!refused.to_string().contains("secret"), "{refused}");

    let teacher = Teacher::start(|_, _| Mood::Answers).await;
    send(&teacher, &settings, &asked, &journal).await.expect("sent");
    let changed = requests(1, &Settings { temperature: 0.1, ..settings.clone() });
    let error = send(&teacher, &settings, &changed, &journal).await.expect_err("another request");
    assert!(error.to_string().contains("themes/seg-000"), "{error}");

    let _held = Journal::open(&journal).expect("a journal");
    let busy = send(&teacher, &settings, &asked, &journal).await.expect_err("locked");
    assert!(matches!(busy, DistillError::Busy { .. }), "{busy}");
}
