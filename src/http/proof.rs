//! What a request needs to be believed: a signature, and who it is from.
//!
//! Both are added last, to the request as it is sent, so that what is signed is what is sent. An
//! attempt that is made again later is signed again, with its own time.

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::auth::oauth2::Tokens;
use super::auth::{self, Token};
use super::connect::Connector;
use super::headers::{WEBHOOK_ID, WEBHOOK_TIMESTAMP};
use super::outcome::Answer;
use super::{Client, Config, Draft, Error, Version};
use crate::credential::{Secret, Watched};
use crate::sign::Signer;
use crate::sink::{Class, Failure};
use crate::tls;

/// What proves the requests of one webhook.
#[derive(Debug)]
pub(super) struct Proofs {
    signer: Option<Watched<Signer>>,
    /// A header that follows a file.
    header: Option<(HeaderName, Watched<HeaderValue>)>,
    tokens: Option<Tokens>,
}

/// What proves one request.
struct Proof {
    signer: Option<Arc<Signer>>,
    header: Option<(HeaderName, Arc<HeaderValue>)>,
    token: Option<Arc<Token>>,
}

impl Proofs {
    /// Returns `None` if requests need none, or none but a header that is always the same.
    pub(super) fn new(config: &Config) -> Result<Option<Self>, Error> {
        let signer = config.sign.clone().map(|sign| {
            Watched::of_secrets(sign.secrets, move |secrets| {
                Signer::new(sign.scheme, secrets.iter().map(Secret::expose))
            })
        });
        let watched = config.auth.watched()?;
        let tokens = match &config.auth {
            auth::Config::OAuth2(oauth2) => Some(Tokens::new(oauth2, endpoint(config, oauth2)?)),
            _ => None,
        };
        let proofs = Self {
            signer: signer.transpose()?,
            header: config.auth.header().zip(watched),
            tokens,
        };
        let is_needed =
            proofs.signer.is_some() || proofs.header.is_some() || proofs.tokens.is_some();
        Ok(is_needed.then_some(proofs))
    }

    /// Gets what proves the next request.
    async fn proof(&self, now: Instant, deadline: Instant) -> Result<Proof, Failure> {
        Ok(Proof {
            signer: match &self.signer {
                Some(signer) => Some(signer.current(now).await),
                None => None,
            },
            header: match &self.header {
                Some((name, value)) => Some((name.clone(), value.current(now).await)),
                None => None,
            },
            token: match &self.tokens {
                Some(tokens) => Some(tokens.token(now, deadline).await?),
                None => None,
            },
        })
    }

    /// Returns whether a file has changed since the proof was made of it, which explains a refusal.
    async fn have_changed(&self, proof: &Proof) -> bool {
        if let (Some(signer), Some(used)) = (&self.signer, &proof.signer)
            && signer.replaced(used).await.is_some()
        {
            return true;
        }
        match (&self.header, &proof.header) {
            (Some((_, header)), Some((_, used))) => header.replaced(used).await.is_some(),
            _ => false,
        }
    }

    /// Returns whether an answer says that the token was no longer good, so that the request should be
    /// made again with another one.
    fn is_outdated(&self, proof: &Proof, answer: &Answer) -> bool {
        let (Some(tokens), Some(token)) = (&self.tokens, &proof.token) else {
            return false;
        };
        if answer.is_unauthorized() {
            return tokens.refused(token);
        }
        token.accepted();
        false
    }
}

impl Proof {
    fn add_to(&self, headers: &mut HeaderMap, body: &Bytes) {
        if let Some((name, value)) = &self.header {
            headers.insert(name, HeaderValue::clone(value));
        }
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.header.clone());
        }
        if let Some(signer) = &self.signer {
            let value = |name| headers.get(name).map(HeaderValue::as_bytes);
            let id = value(WEBHOOK_ID).unwrap_or_default().to_owned();
            let timestamp = value(WEBHOOK_TIMESTAMP).unwrap_or_default().to_owned();
            signer.sign(&id, &timestamp, body, headers);
        }
    }
}

impl Client {
    /// Sends an event with what proves it; once more, if that is refused and there is another token, or
    /// a file has changed.
    pub(super) async fn send_proved(
        &self,
        proofs: &Proofs,
        draft: Draft,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let mut is_again = false;
        loop {
            let now = Instant::now();
            let proof = proofs.proof(now, deadline).await?;
            let mut request = self.request(draft.clone(), Instant::now());
            proof.add_to(request.headers_mut(), &draft.content.body.bytes);
            let answer = self.pool.send(request, now, deadline).await?;
            if !proofs.is_outdated(&proof, &answer) {
                if is_again || !answer.is_refusal() || !proofs.have_changed(&proof).await {
                    return Ok(answer);
                }
            } else if is_again {
                // A third token may do, so this is no rejection; but not in the same attempt.
                return Err(Class::Status(401).into());
            }
            is_again = true;
        }
    }
}

/// Returns what connects to the endpoint of tokens, by the rules for the receiver but for its name.
fn endpoint(config: &Config, oauth2: &auth::oauth2::Config) -> Result<Connector, tls::Error> {
    let mut config = config.clone();
    config.url = oauth2.token_url.clone();
    config.proxy.clone_from(&oauth2.proxy);
    config.tls.server_name = None;
    config.version = Version::Http11;
    Connector::new(&config)
}
