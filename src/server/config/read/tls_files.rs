//! The files that a `tls` block names: are they there, do they hold what they should?

use std::path::Path;

use super::Files;
use crate::server::base::pem;
use crate::server::config::key_pair;
use crate::server::config::options::Tls;

/// Checks all files of a block; the refusal is the reference's.
pub(super) fn check(tls: &Tls, files: &dyn Files) -> Result<(), String> {
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => return Err("missing 'key_file' in TLS configuration".into()),
        (None, Some(_)) => return Err("missing 'cert_file' in TLS configuration".into()),
        (Some(cert), Some(key)) => check_pair(cert, key, files)
            .map_err(|reason| format!("error parsing X509 certificate/key pair: {reason}"))?,
        (None, None) => {
            let count = tls.certs.len();
            for (at, pair) in tls.certs.iter().enumerate() {
                check_pair(&pair.cert_file, &pair.key_file, files).map_err(|reason| {
                    format!("error parsing X509 certificate/key pair {}/{count}: {reason}", at + 1)
                })?;
            }
        }
    }
    if let Some(path) = &tls.ca_file {
        let roots = files.read(&path.to_string_lossy())?;
        if !pem::certificates(&roots).any(|der| key_pair::is_certificate(&der)) {
            return Err("failed to parse root ca certificate".into());
        }
    }
    Ok(())
}

fn check_pair(cert: &Path, key: &Path, files: &dyn Files) -> Result<(), String> {
    let cert = files.read(&cert.to_string_lossy())?;
    let key = files.read(&key.to_string_lossy())?;
    key_pair::parse(&cert, &key).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::read::DirectoryState;
    use std::collections::HashMap;

    struct Memory(HashMap<&'static str, &'static str>);

    impl Files for Memory {
        fn read(&self, path: &str) -> Result<Vec<u8>, String> {
            let found = self.0.get(path).map(|text| text.as_bytes().to_vec());
            found.ok_or_else(|| format!("open {path}: no such file or directory"))
        }

        fn directory(&self, _: &str) -> DirectoryState {
            DirectoryState::Missing
        }

        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }

    const CERT: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    #[test]
    fn missing_files_are_named() {
        let files = Memory(HashMap::from([("cert", CERT)]));
        let tls = Tls { cert_file: Some("cert".into()), key_file: Some("no".into()), ..Tls::default() };
        let want = "error parsing X509 certificate/key pair: open no: no such file or directory";
        assert_eq!(check(&tls, &files).unwrap_err(), want);
        let tls = Tls { ca_file: Some("no".into()), ..Tls::default() };
        assert_eq!(check(&tls, &files).unwrap_err(), "open no: no such file or directory");
    }
}
