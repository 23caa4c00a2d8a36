//! `POST /reload`: has mqhook read its configuration file again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as AnswerBody;
use axum::extract::State;
use axum::http::{Response, StatusCode};

use super::control::{Refused, Wrong};
use super::{Api, Caller, Flaw, OptionalBody, Problem, answer, audit};

/// How long the data path may take.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) async fn reload(
    State(api): State<Arc<Api>>,
    caller: Caller,
    OptionalBody(body): OptionalBody,
) -> Result<Response<AnswerBody>, Problem> {
    body.end(|| Some(()))?;
    let reloading = tokio::time::timeout(DEADLINE, api.control.reload());
    let done = match reloading.await {
        Ok(done) => done.map_err(Problem::from),
        Err(_) => Err(Problem::busy(
            "the data path does not answer in time; whether it reloads is not known",
        )),
    };
    audit(&caller, "reload", "the configuration", &done);
    done.map(|reloaded| answer::json(StatusCode::OK, &reloaded))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = format!("cannot {refused}");
        match refused {
            Refused::Wrong(wrong) => {
                Self::configuration(detail).flaws(wrong.into_iter().map(Flaw::from).collect())
            }
            Refused::Restart { .. } => Self::conflict(detail),
            Refused::Unusable(_) => Self::configuration(detail),
            Refused::Closing => Self::busy(detail),
        }
    }
}

impl From<Wrong> for Flaw {
    fn from(wrong: Wrong) -> Self {
        Self {
            key: wrong.place,
            detail: wrong.what,
            help: wrong.help,
            ..Self::default()
        }
    }
}
