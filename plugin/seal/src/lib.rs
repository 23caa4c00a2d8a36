//! Seals: who published a message, written so that only mqhook can read it and nobody can forge it.
//!
//! The broker's plugin adds a seal to each message, as the MQTT 5 user property
//! [`PROPERTY`], with which it travels to every subscriber. A seal is base64 (URL-safe, no
//! padding) of
//!
//! ```text
//! salt 8 | counter 8 | ChaCha20-Poly1305 of the publisher, padded to n * 32 | tag 16
//! ```
//!
//! - The key of the cipher is HMAC-SHA-256 of a label and the salt under the shared [`Key`]; the
//!   salt is drawn anew whenever a broker starts, and the counter is the nonce, so no nonce is used twice.
//! - Topic and payload are authenticated with it (by their SHA-256), so that a seal is of no use with
//!   another message. Whoever can read a message can publish it word for word with its seal, but
//!   the plugin adds one of its own behind that, and the last one counts. Where it cannot make one it adds
//!   what opens as none.
//! - Padding hides how long names are, within 32 bytes.

mod publisher;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hmac};
use thiserror::Error;

pub use publisher::Publisher;

/// The name of the user property that a seal is the value of.
pub const PROPERTY: &str = "mqhook-publisher";

/// The fewest bytes of a shared key's text.
pub const MIN_KEY_BYTES: usize = 16;

/// The longest text that fits into a user property (MQTT 5, 1.5.4).
const MAX_TEXT: usize = u16::MAX as usize;

/// Goes into every key of a cipher: another format has another one.
const LABEL: &[u8] = b"mqhook publisher 1\0";

const SALT: usize = 8;
const HEAD: usize = SALT + size_of::<u64>();
const BLOCK: usize = 32;

/// How many broker starts are remembered by one who opens; more are derived again.
const CIPHERS: usize = 4;

type Salt = [u8; SALT];

/// What plugin and mqhook share.
#[derive(Clone)]
pub struct Key(hmac::Key);

/// A text is too short for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key must have {MIN_KEY_BYTES} bytes or more")]
pub struct WeakKey;

/// Why there is no seal on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// The names are longer than fits into a property.
    #[error("the client's names are too long")]
    TooLong,
    /// Nothing random is to be had, or all numbers are used; the broker must start again.
    #[error("there is no number left to seal with")]
    Exhausted,
}

/// Why a seal says nothing. It was made with another key or for another message, or by a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the seal does not go with the key and the message")]
pub struct Broken;

impl Key {
    /// Returns the key that a text is.
    ///
    /// # Errors
    /// It is too short.
    pub fn new(text: &str) -> Result<Self, WeakKey> {
        if text.len() < MIN_KEY_BYTES {
            return Err(WeakKey);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())))
    }

    /// Returns the key in a file with this text: all of it, but for a line end.
    ///
    /// # Errors
    /// It is too short.
    pub fn in_file(text: &str) -> Result<Self, WeakKey> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        Self::new(line.strip_suffix('\r').unwrap_or(line))
    }

    fn cipher(&self, salt: Salt) -> LessSafeKey {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(LABEL);
        context.update(&salt);
        let secret = context.sign();
        let key = UnboundKey::new(&CHACHA20_POLY1305, secret.as_ref());
        LessSafeKey::new(key.expect("an HMAC-SHA-256 is as long as the key"))
    }
}

impl PartialEq for Key {
    /// Returns whether both sign alike.
    fn eq(&self, other: &Self) -> bool {
        let tag = |key: &Self| hmac::sign(&key.0, &[]);
        tag(self).as_ref() == tag(other).as_ref()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A message that a seal goes with.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its topic name.
    pub topic: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
}

impl Message<'_> {
    fn aad(self) -> Aad<digest::Digest> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.topic);
        // No topic name has it.
        context.update(b"\0");
        context.update(self.payload);
        Aad::from(context.finish())
    }
}

/// Makes seals.
pub struct Sealer {
    cipher: LessSafeKey,
    salt: Salt,
    counter: u64,
    buffer: Vec<u8>,
    text: String,
}

impl Sealer {
    /// Returns one that numbers its seals from 0 under a new salt.
    ///
    /// # Errors
    /// The operating system has nothing random.
    pub fn new(key: &Key) -> Result<Self, SealError> {
        let mut salt = Salt::default();
        let filled = SystemRandom::new().fill(&mut salt);
        filled.map_err(|_| SealError::Exhausted)?;
        Ok(Self {
            cipher: key.cipher(salt),
            salt,
            counter: 0,
            buffer: Vec::new(),
            text: String::new(),
        })
    }

    /// Returns the seal of a message.
    ///
    /// # Errors
    /// The publisher's names are too long, or there is no number left.
    pub fn seal(
        &mut self,
        publisher: Publisher<'_>,
        message: Message<'_>,
    ) -> Result<&str, SealError> {
        let next = self.counter.checked_add(1).ok_or(SealError::Exhausted)?;
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.salt);
        self.buffer.extend_from_slice(&self.counter.to_be_bytes());
        publisher.write(&mut self.buffer)?;
        let padding = (self.buffer.len() - HEAD).next_multiple_of(BLOCK);
        self.buffer.resize(HEAD + padding, 0);
        let length = self.buffer.len() + CHACHA20_POLY1305.tag_len();
        if length.div_ceil(3) * 4 > MAX_TEXT {
            return Err(SealError::TooLong);
        }
        let tag = self.cipher.seal_in_place_separate_tag(
            nonce(self.counter),
            message.aad(),
            &mut self.buffer[HEAD..],
        );
        self.counter = next;
        let tag = tag.map_err(|_| SealError::TooLong)?;
        self.buffer.extend_from_slice(tag.as_ref());
        self.text.clear();
        URL_SAFE_NO_PAD.encode_string(&self.buffer, &mut self.text);
        Ok(&self.text)
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; aead::NONCE_LEN];
    nonce[aead::NONCE_LEN - size_of::<u64>()..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Opens seals.
#[derive(Debug, Clone)]
pub struct Opener {
    key: Key,
    /// Those that opened something, the latest at the end.
    ciphers: Vec<(Salt, LessSafeKey)>,
    buffer: Vec<u8>,
}

impl Opener {
    /// Returns one for the seals that were made with this key.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self {
            key,
            ciphers: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Returns who published a message, by its seal.
    ///
    /// # Errors
    /// The seal says nothing about this message; anybody may have written it.
    pub fn open(&mut self, seal: &str, message: Message<'_>) -> Result<Publisher<'_>, Broken> {
        self.buffer.clear();
        let decoded = URL_SAFE_NO_PAD.decode_vec(seal, &mut self.buffer);
        decoded.map_err(|_| Broken)?;
        let (salt, rest) = self.buffer.split_first_chunk_mut().ok_or(Broken)?;
        let (counter, sealed) = rest.split_first_chunk_mut().ok_or(Broken)?;
        let nonce = nonce(u64::from_be_bytes(*counter));
        let known = self.ciphers.iter().find(|(known, _)| known == salt);
        let plain = if let Some((_, cipher)) = known {
            cipher.open_in_place(nonce, message.aad(), sealed)
        } else {
            // Strangers' salts are not remembered: they would drive out the broker's.
            let cipher = self.key.cipher(*salt);
            let opened = cipher.open_in_place(nonce, message.aad(), sealed);
            if opened.is_ok() {
                if self.ciphers.len() == CIPHERS {
                    self.ciphers.remove(0);
                }
                self.ciphers.push((*salt, cipher));
            }
            opened
        };
        Publisher::read(plain.map_err(|_| Broken)?).ok_or(Broken)
    }
}

#[cfg(test)]
mod tests;
