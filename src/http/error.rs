//! Why a webhook cannot be set up.

use thiserror::Error;

use super::auth::NotAHeader;
use crate::sign::SecretError;
use crate::tls;

/// Why a webhook cannot be set up. Nothing was changed; the operator must mend the file or key.
#[derive(Debug, Error)]
pub enum Error {
    /// Of `tls`.
    #[error("prepare TLS")]
    Tls(#[from] tls::Error),
    /// Of `sign`.
    #[error("sign requests")]
    Sign(#[from] SecretError),
    /// Of `auth`.
    #[error("authenticate requests")]
    Auth(#[from] NotAHeader),
}
