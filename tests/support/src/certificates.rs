//! A throw-away certificate authority with a server and a client certificate, as PEM files.
//!
//! The server certificate names `localhost`, `127.0.0.1` and `::1`. Faulty variants (expired, for another
//! host) are signed by the same authority, so that only the named fault can make a client refuse.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;

/// A certificate authority and what it signed; the files live as long as this value.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificates {
    /// Creates the authority and signs every certificate; takes a few milliseconds.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let authority = authority();
        fs::write(directory.path().join("ca.pem"), authority.pem()).expect("write the authority");
        let sign = |name: &str, params: &CertificateParams| {
            sign(directory.path(), name, params, &authority);
        };
        sign("server", &leaf(&["localhost", "127.0.0.1", "::1"]));
        sign("client", &leaf(&["test-client"]));
        sign("other-host", &leaf(&["elsewhere.invalid"]));
        let mut expired = leaf(&["localhost", "127.0.0.1"]);
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2021, 1, 1);
        sign("expired", &expired);
        Self { directory }
    }

    /// Returns the authority's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// Returns the certificate for `localhost`, `127.0.0.1` and `::1`.
    #[must_use]
    pub fn server_certificate(&self) -> PathBuf {
        self.file("server.pem")
    }

    /// Returns the private key of `server_certificate`.
    #[must_use]
    pub fn server_key(&self) -> PathBuf {
        self.file("server.key")
    }

    /// Returns a client certificate with the common name `test-client`.
    #[must_use]
    pub fn client_certificate(&self) -> PathBuf {
        self.file("client.pem")
    }

    /// Returns the private key of `client_certificate`.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.file("client.key")
    }

    /// Returns a server's settings that ask for no client certificate.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.anonymous_server("server")
    }

    /// Returns settings whose certificate expired in 2021.
    #[must_use]
    pub fn expired_server_config(&self) -> Arc<ServerConfig> {
        self.anonymous_server("expired")
    }

    /// Returns settings whose certificate is for `elsewhere.invalid` only.
    #[must_use]
    pub fn other_host_server_config(&self) -> Arc<ServerConfig> {
        self.anonymous_server("other-host")
    }

    /// Returns settings that demand a client certificate signed by this authority.
    #[must_use]
    pub fn mutual_server_config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider)
                .build()
                .expect("the authority is a valid root");
        let config = server_builder().with_client_cert_verifier(verifier);
        Arc::new(
            config
                .with_single_cert(self.chain("server"), self.key("server"))
                .expect("a matching pair"),
        )
    }

    /// Returns a client's settings that trust this authority and show no certificate.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::new(
            client_builder()
                .with_root_certificates(self.roots())
                .with_no_client_auth(),
        )
    }

    /// Returns a client's settings that trust this authority and show the client certificate.
    #[must_use]
    pub fn mutual_client_config(&self) -> Arc<ClientConfig> {
        let config = client_builder().with_root_certificates(self.roots());
        let pair = config.with_client_auth_cert(self.chain("client"), self.key("client"));
        Arc::new(pair.expect("a matching pair"))
    }

    fn anonymous_server(&self, name: &str) -> Arc<ServerConfig> {
        let config = server_builder().with_no_client_auth();
        Arc::new(
            config
                .with_single_cert(self.chain(name), self.key(name))
                .expect("a matching pair"),
        )
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(self.ca()).expect("written by new");
        roots.add(authority).expect("the authority is a valid root");
        roots
    }

    fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        vec![
            CertificateDer::from_pem_file(self.file(&format!("{name}.pem")))
                .expect("written by new"),
        ]
    }

    fn key(&self, name: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).expect("written by new")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "mqhook test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().expect("a key pair");
    CertifiedIssuer::self_signed(params, key).expect("a self-signed authority")
}

fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names.clone()).expect("valid names");
    params
        .distinguished_name
        .push(DnType::CommonName, names[0].as_str());
    params.use_authority_key_identifier_extension = true;
    params
}

fn sign(
    directory: &Path,
    name: &str,
    params: &CertificateParams,
    authority: &CertifiedIssuer<'static, KeyPair>,
) {
    let key = KeyPair::generate().expect("a key pair");
    let certificate = params
        .signed_by(&key, authority)
        .expect("a signed certificate");
    fs::write(directory.join(format!("{name}.pem")), certificate.pem())
        .expect("write the certificate");
    fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).expect("write the key");
}

fn server_builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions")
}

fn client_builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions")
}
