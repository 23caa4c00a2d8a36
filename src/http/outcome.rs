//! What an answer, or the lack of one, means.

use std::error::Error;
use std::io;

use http::StatusCode;

use super::connect::LookUpError;
use crate::causes::chain;
use crate::sink::{Class, Failure, Outcome};

/// Returns what a status code means for the delivery.
pub(super) fn of_status(status: StatusCode) -> Outcome {
    let failure = Failure::from(Class::Status(status.as_u16()));
    match status.as_u16() {
        200..300 => Outcome::Delivered,
        408 | 425 | 429 | 500.. => Outcome::Retry(failure),
        _ => Outcome::Rejected(failure),
    }
}

/// Returns what kind of failure an error of the connection is, by its type and those of its causes.
pub(super) fn of_exchange(error: &hyper::Error) -> Failure {
    let class = if error.is_parse() {
        Class::Protocol
    } else {
        Class::Closed
    };
    Failure::because(class, error)
}

/// Returns why no connection could be made.
pub(super) fn of_connect(error: &(dyn Error + 'static)) -> Failure {
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
    use super::*;

    #[test]
    fn only_2xx_is_success() {
        let check = |code: u16, expected: &str| {
            let status = StatusCode::from_u16(code).expect("a status code");
            let outcome = match of_status(status) {
                Outcome::Delivered => "delivered",
                Outcome::Retry(_) => "retry",
                Outcome::Rejected(_) => "rejected",
            };
            assert_eq!(outcome, expected, "{code}");
        };
        for code in [200, 201, 204, 299] {
            check(code, "delivered");
        }
        for code in [408, 425, 429, 500, 502, 503, 504, 599, 999] {
            check(code, "retry");
        }
        for code in [301, 302, 307, 400, 401, 403, 404, 410, 413, 422] {
            check(code, "rejected");
        }
    }
}
