//! Keys out of secrets, as each scheme writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use thiserror::Error;

use super::Scheme;

/// What a secret of Standard Webhooks begins with.
const PREFIX: &str = "whsec_";

/// Why a text is not the secret of a scheme; says nothing of the secret but how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SecretError {
    /// Nothing can be signed without one.
    #[error("there is no secret")]
    None,
    /// Anybody could sign with it.
    #[error("it is empty")]
    Empty,
    /// Of Standard Webhooks: a secret says by this what it is.
    #[error("a secret of Standard Webhooks begins with `whsec_`")]
    Prefix,
    /// Of Standard Webhooks: the version is part of signatures, not of secrets.
    #[error("a secret of Standard Webhooks begins with `whsec_`, and not with `v1,`")]
    Version,
    /// Of Standard Webhooks: these keys are for signatures that mqhook does not make.
    #[error("it is an asymmetric key, and mqhook signs with symmetric ones only")]
    Asymmetric,
    /// Of Standard Webhooks.
    #[error("what follows `whsec_` is not base64")]
    Base64,
    /// Of Standard Webhooks: 24 to 64 bytes.
    #[error("it holds {0} bytes, and Standard Webhooks wants 24 to 64")]
    Length(usize),
    /// Of Mender: an API secret is written in hexadecimal digits.
    #[error("a secret of Mender is an even number of hexadecimal digits")]
    Hex,
}

impl SecretError {
    /// Returns what to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::None | Self::Empty => "put the secret there that the receiver knows",
            Self::Version => "remove `v1,`",
            Self::Prefix | Self::Asymmetric | Self::Base64 | Self::Length(_) => {
                "`echo \"whsec_$(openssl rand -base64 32)\"` makes one"
            }
            Self::Hex => "`openssl rand -hex 32` makes one",
        }
    }
}

/// Returns the key that a secret stands for.
pub(super) fn read(scheme: Scheme, secret: &str) -> Result<hmac::Key, SecretError> {
    if secret.is_empty() {
        return Err(SecretError::Empty);
    }
    let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
    match scheme {
        Scheme::StandardWebhooks => standard(secret).map(|bytes| key(&bytes)),
        Scheme::Mender => hex(secret).map(|bytes| key(&bytes)),
        Scheme::GitHub => Ok(key(secret.as_bytes())),
    }
}

fn standard(secret: &str) -> Result<Vec<u8>, SecretError> {
    let Some(encoded) = secret.strip_prefix(PREFIX) else {
        return Err(if secret.starts_with("v1,") {
            SecretError::Version
        } else if secret.starts_with("whsk_") || secret.starts_with("whpk_") {
            SecretError::Asymmetric
        } else {
            SecretError::Prefix
        });
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
    if (24..=64).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(SecretError::Length(bytes.len()))
    }
}

fn hex(secret: &str) -> Result<Vec<u8>, SecretError> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, []) = secret.as_bytes().as_chunks::<2>() else {
        return Err(SecretError::Hex);
    };
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.ok_or(SecretError::Hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret_of_its_scheme_is_refused() {
        let check = |scheme, secret: &str, expected| {
            assert_eq!(read(scheme, secret).map(drop), expected, "{secret}");
        };
        let standard = Scheme::StandardWebhooks;
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        check(standard, "", Err(SecretError::Empty));
        check(standard, "hunter2", Err(SecretError::Prefix));
        check(
            standard,
            &format!("v1,{}", of(32)),
            Err(SecretError::Version),
        );
        check(standard, "whsk_x", Err(SecretError::Asymmetric));
        check(standard, "whsec_hunter2!", Err(SecretError::Base64));
        check(standard, &(of(32) + "\n"), Err(SecretError::Base64));
        check(standard, "whsec_", Err(SecretError::Length(0)));
        check(standard, &of(23), Err(SecretError::Length(23)));
        check(standard, &of(24), Ok(()));
        check(standard, &of(64), Ok(()));
        check(standard, &of(65), Err(SecretError::Length(65)));
        check(Scheme::Mender, "", Err(SecretError::Empty));
        check(Scheme::Mender, "abc", Err(SecretError::Hex));
        check(Scheme::Mender, "+1", Err(SecretError::Hex));
        check(Scheme::Mender, "zürich", Err(SecretError::Hex));
        check(Scheme::Mender, "DEADbeef", Ok(()));
        check(Scheme::GitHub, "", Err(SecretError::Empty));
        check(Scheme::GitHub, "anything", Ok(()));
    }
}
