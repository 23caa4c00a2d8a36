//! What an answer, or the lack of one, means.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};

use super::policy::Denied;
use super::proxy::ProxyError;
use super::resolver::LookUpError;
use super::retry_after;
use crate::causes::chain;
use crate::sink::{Class, Failure, Outcome, Report};

/// What matters of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    /// The beginning of its body.
    pub(super) beginning: Bytes,
}

impl Answer {
    pub(super) fn of<Body>(response: &Response<Body>) -> Self {
        let status = response.status();
        let retry_after = if status.is_success() {
            None
        } else {
            retry_after::read(response.headers(), SystemTime::now())
        };
        Self {
            status,
            retry_after,
            beginning: Bytes::new(),
        }
    }

    /// Returns whether the receiver does not believe who the request is from (RFC 9110, 15.5.2).
    pub(super) fn is_unauthorized(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// Returns whether the receiver does not believe what the request shows, or not enough.
    pub(super) fn is_refusal(&self) -> bool {
        self.is_unauthorized() || self.status == StatusCode::FORBIDDEN
    }

    /// Returns what it means for the delivery, if these status codes, too, are worth another attempt.
    pub(super) fn report(self, retry_statuses: &[StatusCode]) -> Report {
        Report {
            outcome: self.outcome(retry_statuses),
            status: Some(self.status.as_u16()),
            response: self.beginning,
        }
    }

    fn outcome(&self, retry_statuses: &[StatusCode]) -> Outcome {
        let failure = Failure::from(Class::Status(self.status.as_u16()));
        if self.status.is_success() {
            Outcome::Delivered
        } else if is_temporary(self.status) || retry_statuses.contains(&self.status) {
            Outcome::Retry(Failure {
                retry_after: self.retry_after,
                ..failure
            })
        } else {
            Outcome::Rejected(failure)
        }
    }
}

/// Returns whether another attempt may get another answer, whatever is configured.
#[must_use]
pub fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500..)
}

/// Returns what kind of failure an error of the connection is, by its type and those of its causes.
pub(super) fn of_exchange(error: &hyper::Error) -> Failure {
    let class = if error.is_parse() {
        Class::Protocol
    } else {
        Class::Closed
    };
    said_by(class, error)
}

/// Returns a failure with what an error says; but what a receiver adds to its GOAWAY may be anything,
/// and reaches no log.
pub(super) fn said_by(class: Class, error: &hyper::Error) -> Failure {
    let http2 = chain(error).find_map(|error| error.downcast_ref::<h2::Error>());
    match http2.and_then(|error| error.reason().filter(|_| error.is_go_away())) {
        Some(reason) => Failure {
            detail: format!("the HTTP/2 connection ended: {reason}"),
            ..class.into()
        },
        None => Failure::because(class, error),
    }
}

/// Returns why an HTTP/2 receiver took no request, or no more of them, if that is what it said.
pub(super) fn refusal(error: &hyper::Error) -> Option<h2::Reason> {
    let error = chain(error).find_map(|error| error.downcast_ref::<h2::Error>())?;
    error.reason().filter(|_| error.is_remote())
}

/// Returns why no connection could be made.
pub(super) fn of_connect(error: &(dyn Error + 'static)) -> Failure {
    let denied = chain(error).find_map(|error| error.downcast_ref::<Denied>());
    if let Some(failed) = chain(error).find_map(|error| error.downcast_ref::<ProxyError>()) {
        // What failed is not the receiver.
        let class = denied.map_or(Class::Proxy, |_| Class::Address);
        return Failure::because(class, failed);
    }
    if let Some(denied) = denied {
        return Failure::because(Class::Address, denied);
    }
    let class = if chain(error).any(<dyn Error>::is::<LookUpError>) {
        Class::Dns
    } else if chain(error).any(<dyn Error>::is::<rustls::Error>) {
        Class::Tls
    } else if chain(error).any(is_time_out) {
        Class::Timeout
    } else {
        Class::Connect
    };
    Failure::because(class, error)
}

fn is_time_out(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;

    fn outcome(code: u16, retry_statuses: &[u16]) -> Outcome {
        let status = |code| StatusCode::from_u16(code).expect("a status code");
        let response = Response::builder()
            .status(status(code))
            .header(RETRY_AFTER, "7");
        let answer = Answer::of(&response.body(()).expect("a response"));
        let retry_statuses: Vec<_> = retry_statuses.iter().copied().map(status).collect();
        answer.outcome(&retry_statuses)
    }

    fn check(code: u16, retry_statuses: &[u16], expected: &str) {
        let outcome = match outcome(code, retry_statuses) {
            Outcome::Delivered => "delivered",
            Outcome::Retry(_) => "retry",
            Outcome::Rejected(_) => "rejected",
        };
        assert_eq!(outcome, expected, "{code} {retry_statuses:?}");
    }

    #[test]
    fn only_2xx_is_success() {
        for code in [200, 201, 204, 299] {
            check(code, &[], "delivered");
        }
        for code in [408, 425, 429, 500, 502, 503, 504, 599, 999] {
            check(code, &[], "retry");
        }
        for code in [301, 302, 307, 400, 401, 403, 404, 410, 413, 422] {
            check(code, &[], "rejected");
        }
    }

    #[test]
    fn what_is_listed_is_retried_too() {
        check(404, &[302, 404], "retry");
        check(302, &[302, 404], "retry");
        check(410, &[410], "retry");
        check(400, &[302, 404], "rejected");
        check(503, &[404], "retry");
        check(200, &[200], "delivered");
    }

    #[test]
    fn retry_after_comes_with_what_is_retried_and_a_rejection_keeps_its_code() {
        let asked = |class, retry_after| Failure {
            retry_after,
            ..Failure::from(class)
        };
        let seven = Some(Duration::from_secs(7));
        for code in [408, 429, 500, 503] {
            let expected = Outcome::Retry(asked(Class::Status(code), seven));
            assert_eq!(outcome(code, &[]), expected, "{code}");
        }
        let expected = Outcome::Retry(asked(Class::Status(302), seven));
        assert_eq!(outcome(302, &[302]), expected);
        let expected = Outcome::Rejected(asked(Class::Status(410), None));
        assert_eq!(outcome(410, &[]), expected);
    }
}
