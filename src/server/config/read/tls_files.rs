//! The files that a `tls` block names: are they there, do they hold what they should?
//!
//! Looked at as far as `-t` must tell: PEM blocks of the right kind with sound contents. Whether a
//! key belongs to its certificate is found when `net` builds the sessions.

use std::path::Path;

use super::Files;
use crate::server::base::base64::Base64;
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
        let roots = blocks(&files.read(&path.to_string_lossy())?);
        if !roots.iter().any(|block| block.kind == CERTIFICATE && is_sequence(&block.contents)) {
            return Err("failed to parse root ca certificate".into());
        }
    }
    Ok(())
}

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

fn check_pair(cert: &Path, key: &Path, files: &dyn Files) -> Result<(), String> {
    let cert = files.read(&cert.to_string_lossy())?;
    let key = files.read(&key.to_string_lossy())?;
    let certs = blocks(&cert);
    let Some(leaf) = certs.iter().find(|block| block.kind == CERTIFICATE) else {
        return Err(match certs.as_slice() {
            [] => "tls: failed to find any PEM data in certificate input".into(),
            [only] if only.kind.ends_with(PRIVATE_KEY) => {
                "tls: failed to find certificate PEM data in certificate input, but did find a private key; \
                 PEM inputs may have been switched"
                    .into()
            }
            others => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks \
                 of the following types: {}",
                kinds(others)
            ),
        });
    };
    let keys = blocks(&key);
    let is_key = |block: &&Block| block.kind == PRIVATE_KEY || block.kind.ends_with(" PRIVATE KEY");
    let Some(key) = keys.iter().find(is_key) else {
        return Err(match keys.as_slice() {
            [] => "tls: failed to find any PEM data in key input".into(),
            [only] if only.kind == CERTIFICATE => {
                "tls: found a certificate rather than a key in the PEM for the private key".into()
            }
            others => format!(
                "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping \
                 PEM blocks of the following types: {}",
                kinds(others)
            ),
        });
    };
    if !is_sequence(&leaf.contents) {
        return Err("x509: malformed certificate".into());
    }
    if !is_sequence(&key.contents) {
        return Err("tls: failed to parse private key".into());
    }
    Ok(())
}

/// One PEM block.
struct Block {
    kind: String,
    contents: Vec<u8>,
}

fn kinds(blocks: &[Block]) -> String {
    let kinds: Vec<&str> = blocks.iter().map(|block| block.kind.as_str()).collect();
    format!("[{}]", kinds.join(" "))
}

/// All well-formed PEM blocks; anything between them is comment.
fn blocks(file: &[u8]) -> Vec<Block> {
    let text = String::from_utf8_lossy(file);
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        let kind = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        let Some(kind) = kind else { continue };
        let end = format!("-----END {kind}-----");
        let mut body = String::new();
        let mut ended = false;
        for line in lines.by_ref() {
            if line == end {
                ended = true;
                break;
            }
            // Headers of old encrypted keys are no part of the contents.
            if !line.contains(':') {
                body.push_str(line.trim());
            }
        }
        if ended && let Ok(contents) = Base64::Standard.decode(body.as_bytes()) {
            found.push(Block { kind: kind.to_owned(), contents });
        }
    }
    found
}

/// True for DER that is one sequence filling all bytes: what certificates and keys are.
fn is_sequence(der: &[u8]) -> bool {
    let Some((0x30, rest)) = der.split_first().map(|(tag, rest)| (*tag, rest)) else { return false };
    let Some((&first, rest)) = rest.split_first() else { return false };
    if first < 0x80 {
        return usize::from(first) == rest.len();
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return false;
    }
    let Some((length, body)) = rest.split_at_checked(count) else { return false };
    length.iter().fold(0, |sum: usize, byte| sum << 8 | usize::from(*byte)) == body.len()
}

/// For the fuzzer: any bytes are blocks or none.
pub fn fuzz_pem(data: &[u8]) {
    for block in blocks(data) {
        let _ = is_sequence(&block.contents);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::read::DirectoryState;
    use proptest::prelude::*;
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
    const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n";
    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nMAE=\n-----END CERTIFICATE-----\n";

    #[track_caller]
    fn check_pair_text(cert: &'static str, key: &'static str, want: Result<(), &str>) {
        let files = Memory(HashMap::from([("cert", cert), ("key", key), ("ca", cert)]));
        let got = check_pair(Path::new("cert"), Path::new("key"), &files);
        assert_eq!(got, want.map_err(str::to_owned));
    }

    #[test]
    fn pairs_need_a_certificate_and_a_key() {
        check_pair_text(CERT, KEY, Ok(()));
        check_pair_text("", KEY, Err("tls: failed to find any PEM data in certificate input"));
        check_pair_text(CERT, "x", Err("tls: failed to find any PEM data in key input"));
        check_pair_text(
            CERT,
            CERT,
            Err("tls: found a certificate rather than a key in the PEM for the private key"),
        );
        check_pair_text(BROKEN, KEY, Err("x509: malformed certificate"));
    }

    #[test]
    fn missing_files_are_named() {
        let files = Memory(HashMap::from([("cert", CERT)]));
        let tls = Tls { cert_file: Some("cert".into()), key_file: Some("no".into()), ..Tls::default() };
        let want = "error parsing X509 certificate/key pair: open no: no such file or directory";
        assert_eq!(check(&tls, &files).unwrap_err(), want);
        let tls = Tls { ca_file: Some("no".into()), ..Tls::default() };
        assert_eq!(check(&tls, &files).unwrap_err(), "open no: no such file or directory");
    }

    proptest! {
        #[test]
        fn any_bytes_are_blocks_or_none(data: Vec<u8>) {
            fuzz_pem(&data);
        }
    }
}
