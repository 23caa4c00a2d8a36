//! TLS for both sides: towards the broker and towards receivers.
//!
//! The keys are `NanoMQ`'s. Without `cacertfile` the operating system's trust store counts.
//! The cryptography is ring's, chosen here and nowhere else.

mod unverified;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Whom to trust and how to introduce ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// PEM file of the authorities to trust; `None`: the operating system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate and its chain; goes with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file of our own private key; goes with `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Whether the other side must prove who it is; default true.
    pub verify: bool,
    /// The name that the other side must have, and that it is told is wanted; `None`: that of the URL.
    /// Counts for receivers only.
    pub server_name: Option<ServerName<'static>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ca_file: None,
            cert_file: None,
            key_file: None,
            verify: true,
            server_name: None,
        }
    }
}

/// Why TLS cannot be set up. Nothing was changed; the operator must mend the file or key.
#[derive(Debug, Error)]
pub enum Error {
    /// Of `cacertfile`.
    #[error("read the certificates in {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Of `certfile`.
    #[error("read the certificates in {}", path.display())]
    CertFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Of `keyfile`.
    #[error("read the private key in {}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// An authority's certificate is not one that can be trusted.
    #[error("trust the certificates in {}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// `certfile` without `keyfile`, or the other way round.
    #[error("use a client certificate without both `certfile` and `keyfile`")]
    HalfIdentity,
    /// The certificate and the key do not fit together.
    #[error("use the client certificate with its key")]
    Identity(#[source] rustls::Error),
}

impl Error {
    /// Returns the key of the configuration that the operator must look at.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::CaFile { .. } | Self::Authority { .. } => "cacertfile",
            Self::CertFile { .. } | Self::HalfIdentity | Self::Identity(_) => "certfile",
            Self::KeyFile { .. } => "keyfile",
        }
    }
}

impl Config {
    /// Returns the files that [`client`](Self::client) reads.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        files.into_iter().flatten().cloned().collect()
    }

    /// Reads the files and returns what a TLS client needs.
    ///
    /// # Errors
    /// A file is missing or does not hold what it should.
    pub fn client(&self) -> Result<Arc<ClientConfig>, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions");
        let builder = if self.verify {
            builder.with_root_certificates(self.roots()?)
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(unverified::AnyServer::new(provider)))
        };
        let config = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(certificates(cert)?, private_key(key)?)
                .map_err(Error::Identity)?,
            (None, None) => builder.with_no_client_auth(),
            _ => return Err(Error::HalfIdentity),
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca_file else {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
            return Ok(roots);
        };
        let authorities = read_certificates(path).map_err(|source| Error::CaFile {
            path: path.clone(),
            source,
        })?;
        for authority in authorities {
            roots.add(authority).map_err(|source| Error::Authority {
                path: path.clone(),
                source,
            })?;
        }
        Ok(roots)
    }
}

/// Makes ring the provider of every TLS connection of this process; may be called again.
pub fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // Losing the race against another thread leaves the same provider installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    read_certificates(path).map_err(|source| Error::CertFile {
        path: path.to_owned(),
        source,
    })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path)?.collect::<Result<_, pem::Error>>()?;
    if certificates.is_empty() {
        return Err(pem::Error::NoItemsFound);
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| Error::KeyFile {
        path: path.to_owned(),
        source,
    })
}
