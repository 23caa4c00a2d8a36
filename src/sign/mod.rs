//! Signatures of requests: that they come from here, and are as they were sent.
//!
//! | scheme | what is signed | headers |
//! |---|---|---|
//! | Standard Webhooks 1.0.0 | `{id}.{timestamp}.{body}` | `webhook-signature: v1,{base64}`, one per secret |
//! | Mender | the body | `x-men-signature-payload: {hex}`, as its documentation says; `x-men-signature: {hex}` and `x-men-algorithm`, as its server does |
//! | GitHub | the body | `x-hub-signature-256: sha256={hex}` |
//!
//! All are HMAC-SHA256. Nothing here reads a file or a clock: the bytes that are signed are those that
//! the caller sends.

mod key;

use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::credential::Secret;

pub use key::SecretError;

const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const MENDER_DOCUMENTED: HeaderName = HeaderName::from_static("x-men-signature-payload");
const MENDER: HeaderName = HeaderName::from_static("x-men-signature");
const MENDER_ALGORITHM: HeaderName = HeaderName::from_static("x-men-algorithm");
const GITHUB: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// How a request says that it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Standard Webhooks, with symmetric keys; id and time are signed, too.
    #[default]
    StandardWebhooks,
    /// That of Mender's webhooks.
    Mender,
    /// That of GitHub's webhooks, which many receivers check.
    GitHub,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::StandardWebhooks, Self::Mender, Self::GitHub];

    /// Returns the name that the configuration uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StandardWebhooks => "standard-webhooks",
            Self::Mender => "mender",
            Self::GitHub => "github",
        }
    }

    /// Returns whether a request can carry the signatures of several secrets, so that one can take
    /// another's place while receivers know either.
    #[must_use]
    pub const fn takes_several(self) -> bool {
        matches!(self, Self::StandardWebhooks)
    }

    /// Returns the headers that a signature is put into.
    #[must_use]
    pub fn headers(self) -> Vec<HeaderName> {
        match self {
            Self::StandardWebhooks => vec![SIGNATURE],
            Self::Mender => vec![MENDER_DOCUMENTED, MENDER, MENDER_ALGORITHM],
            Self::GitHub => vec![GITHUB],
        }
    }

    /// Returns why a secret is not one of this scheme's, if it is not.
    ///
    /// # Errors
    /// It is not.
    pub fn check(self, secret: &str) -> Result<(), SecretError> {
        key::read(self, secret).map(drop)
    }
}

/// How a webhook's requests are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What signatures look like.
    pub scheme: Scheme,
    /// At least one; what more than one means says [`Scheme::takes_several`].
    pub secrets: Vec<Secret>,
}

/// What a request is signed with; `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Signer {
    scheme: Scheme,
    /// Ready to be used: making one of a secret costs as much as signing a small body.
    keys: Vec<hmac::Key>,
}

impl Signer {
    /// Returns what signs with each of these secrets, of which only
    /// [some schemes](Scheme::takes_several) use more than the first.
    ///
    /// # Errors
    /// One of them is none of the scheme's.
    pub fn new<'a>(
        scheme: Scheme,
        secrets: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SecretError> {
        let keys = secrets.into_iter().map(|secret| key::read(scheme, secret));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(SecretError::None);
        }
        Ok(Self { scheme, keys })
    }

    /// Adds the signature of a body to the headers that it is sent with; id and timestamp are those
    /// that the headers say.
    pub fn sign(&self, id: &[u8], timestamp: &[u8], body: &[u8], headers: &mut HeaderMap) {
        match self.scheme {
            Scheme::StandardWebhooks => {
                let parts = [id, b".", timestamp, b".", body];
                headers.insert(SIGNATURE, self.standard(&parts));
            }
            Scheme::Mender => {
                let signature = value(hex(&self.first(body)));
                headers.insert(MENDER_DOCUMENTED, signature.clone());
                headers.insert(MENDER, signature);
                let algorithm = HeaderValue::from_static("MEN-HMAC-SHA256-Payload");
                headers.insert(MENDER_ALGORITHM, algorithm);
            }
            Scheme::GitHub => {
                let signature = hex(&self.first(body));
                headers.insert(GITHUB, value([b"sha256=", &*signature].concat()));
            }
        }
    }

    /// Returns `v1,{base64}` for each key, with spaces between them.
    fn standard(&self, parts: &[&[u8]]) -> HeaderValue {
        const LENGTH: usize = "v1,".len() + 44 + " ".len();
        let mut signatures = String::with_capacity(self.keys.len() * LENGTH);
        for key in &self.keys {
            if !signatures.is_empty() {
                signatures.push(' ');
            }
            signatures.push_str("v1,");
            let mut context = hmac::Context::with_key(key);
            for part in parts {
                context.update(part);
            }
            STANDARD.encode_string(context.sign(), &mut signatures);
        }
        value(signatures.into_bytes())
    }

    /// Signs with the only key that counts.
    fn first(&self, body: &[u8]) -> hmac::Tag {
        hmac::sign(&self.keys[0], body)
    }
}

fn value(text: Vec<u8>) -> HeaderValue {
    let text = bytes::Bytes::from(text);
    HeaderValue::from_maybe_shared(text).expect("hexadecimal and base64 are ASCII")
}

/// Returns the digits of a signature, in lower case.
fn hex(tag: &hmac::Tag) -> Vec<u8> {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digits = |byte: &u8| {
        [
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]
    };
    tag.as_ref().iter().flat_map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn signed(scheme: Scheme, secrets: &[&str], body: &str) -> HeaderMap {
        let signer = Signer::new(scheme, secrets.iter().copied()).expect("they are secrets");
        let mut headers = HeaderMap::new();
        let id = b"msg_p5jXN8AQM9LWM0D4loKWxJek";
        signer.sign(id, b"1614265330", body.as_bytes(), &mut headers);
        let names: Vec<&HeaderName> = headers.keys().collect();
        assert!(
            names.iter().all(|name| scheme.headers().contains(name)),
            "{names:?}"
        );
        headers
    }

    /// The vector of Svix's and Standard Webhooks' own libraries.
    #[test]
    fn standard_webhooks_vector() {
        let headers = signed(Scheme::StandardWebhooks, &[WHSEC], "{\"test\": 2432232314}");
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers["webhook-signature"], expected);
    }

    #[test]
    fn every_live_secret_signs() {
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let body = "{\"test\": 2432232314}";
        let both = signed(Scheme::StandardWebhooks, &[WHSEC, other], body);
        let alone = [WHSEC, other].map(|secret| {
            let headers = signed(Scheme::StandardWebhooks, &[secret], body);
            headers["webhook-signature"]
                .to_str()
                .expect("ASCII")
                .to_owned()
        });
        assert_eq!(both["webhook-signature"], alone.join(" "));
        assert_ne!(alone[0], alone[1]);
    }

    /// The vector of GitHub's documentation.
    #[test]
    fn github_vector() {
        let headers = signed(
            Scheme::GitHub,
            &["It's a Secret to Everybody"],
            "Hello, World!",
        );
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(headers["x-hub-signature-256"], expected);
    }

    /// There is no vector of Mender's; this is what its rule gives with Python's hmac.
    #[test]
    fn mender_signs_as_documented_and_as_its_server_does() {
        let headers = signed(Scheme::Mender, &["deadbeef"], "{\"id\":\"x\"}");
        let expected = "7b61160a5382b43707d5fd086fecf6d9523aaf23055c8651a07f49267f43ee2f";
        assert_eq!(headers["x-men-signature-payload"], expected);
        assert_eq!(headers["x-men-signature"], expected);
        assert_eq!(headers["x-men-algorithm"], "MEN-HMAC-SHA256-Payload");
    }

    #[test]
    fn a_signer_shows_no_secret() {
        let signer = Signer::new(Scheme::GitHub, ["hunter2"]).expect("it is a secret");
        let shown = format!("{signer:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
