//! Why an error happened: the errors behind it, by type and not by text.

use std::error::Error;
use std::io;

/// Returns an error and its causes, the outermost first.
///
/// An I/O error that wraps another passes its inner error's source off as its own, so the inner
/// error is asked for.
pub fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// Returns what an error and its causes say, in one line.
#[must_use]
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let said = chain(error).map(ToString::to_string);
    said.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_io_errors_wrap_is_found() {
        let inner = io::Error::other(rustls::Error::HandshakeNotComplete);
        let error = io::Error::other(inner);
        assert!(chain(&error).any(<dyn Error>::is::<rustls::Error>));
        assert_eq!(chain(&error).count(), 3);
    }
}
