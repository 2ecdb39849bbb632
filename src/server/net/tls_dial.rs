//! The connecting side of TLS: which servers are believed, and what is shown to them.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::cipher;
use super::tls_setup::{Reader, TlsSetupError};
use crate::server::config::key_pair;
use crate::server::config::options::Tls;
use crate::server::config::read::Files;

/// How connections are made with a `tls` block, or without one: then the roots of the system count, and
/// no certificate is shown.
///
/// # Errors
/// A file cannot be read or holds something else, or a choice is none of the TLS library's.
pub fn client_config(tls: Option<&Tls>, files: &dyn Files) -> Result<ClientConfig, TlsSetupError> {
    let library = |error: rustls::Error| TlsSetupError::Library(error.to_string());
    let default = Tls::default();
    let tls = tls.unwrap_or(&default);
    let mut reader = Reader::new(files);
    let provider = Arc::new(cipher::provider(tls)?);
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&cipher::versions(tls))
        .map_err(library)?;
    let config = if tls.insecure {
        config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        let mut roots = RootCertStore::empty();
        // Roots that the library cannot read are as good as absent, as they are for the reference.
        roots.add_parsable_certificates(reader.roots(tls.ca_file.as_deref())?);
        config.with_root_certificates(roots)
    };
    let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) else {
        return Ok(config.with_no_client_auth());
    };
    let refused = |reason| TlsSetupError::Files(format!("error parsing X509 certificate/key pair: {reason}"));
    let mut read = |path: &Path| reader.read(path).map_err(refused);
    let pair = key_pair::parse(&read(certificate)?, &read(key)?).map_err(refused)?;
    let file = key.to_string_lossy().into_owned();
    let key = pair.key.map_err(|error| TlsSetupError::Key { file, error })?;
    let own = rustls::sign::CertifiedKey::new(pair.chain, key);
    Ok(config.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own))))
}

/// `insecure`: whoever answers is believed, as long as it has the key of the certificate that it shows.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
