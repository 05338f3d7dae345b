//! `endcap-lambda`: the bootstrap of the cloud's Lambda functions. The handlers are [`endcap::lambda`]'s.

use endcap::config::env::Variables;
use endcap::lambda::{self, Event, LambdaError};
use endcap::trace::{self, Tracer};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let variables = Variables::read();
    let filter = EnvFilter::new(variables.log.as_deref().unwrap_or("warn,endcap=info"));
    let log = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
    let tracer = trace::start(log, filter, variables.traces());
    lambda_runtime::run(service_fn(|event| answer(event, &variables, &tracer))).await
}

async fn answer(
    event: LambdaEvent<Value>,
    variables: &Variables,
    tracer: &Tracer,
) -> Result<Value, Diagnostic> {
    let event: Event = serde_json::from_value(event.payload)
        .map_err(|error| diagnostic("Endcap.Config", &format!("the event is not one of ours: {error}")))?;
    let answered = lambda::handle(event, variables).await;
    // Once it has answered, the process is frozen.
    tracer.flush().await;
    let answered = answered.map_err(refused)?;
    if let Some(line) = answered.metrics {
        println!("{line}");
    }
    serde_json::to_value(answered.answer).map_err(|error| diagnostic("Endcap.Store", &error.to_string()))
}

fn refused(error: LambdaError) -> Diagnostic {
    tracing::error!(%error, kind = error.name(), "the event was not done");
    diagnostic(error.name(), &error.to_string())
}

fn diagnostic(kind: &str, message: &str) -> Diagnostic {
    Diagnostic { error_type: kind.into(), error_message: message.into() }
}
