//! PEM: blocks of base 64 between lines that name their kind; anything between blocks is comment.

use super::base64::Base64;

/// One PEM block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// `CERTIFICATE`, `EC PRIVATE KEY`, …
    pub kind: String,
    /// What it holds, mostly DER.
    pub contents: Vec<u8>,
}

/// The kind of certificates.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// The kind of keys in their modern form; older ones say what for in front of it.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";

impl Block {
    /// Whether it holds a private key of any kind.
    pub fn is_private_key(&self) -> bool {
        self.kind == PRIVATE_KEY || self.kind.ends_with(" PRIVATE KEY")
    }
}

/// All well-formed blocks of a file.
pub fn blocks(file: &[u8]) -> Vec<Block> {
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

/// The certificates of a file, in their order.
pub fn certificates(file: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    blocks(file).into_iter().filter(|block| block.kind == CERTIFICATE).map(|block| block.contents)
}

/// A certificate as a block.
pub fn write_certificate(der: &[u8]) -> String {
    /// Characters of a line.
    const LINE: usize = 64;
    let mut text = format!("-----BEGIN {CERTIFICATE}-----\n");
    let body = Base64::Standard.encode(der);
    for line in body.as_bytes().chunks(LINE) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {CERTIFICATE}-----\n"));
    text
}

/// For the fuzzer: any bytes are blocks or none.
pub fn fuzz_pem(data: &[u8]) {
    for block in blocks(data) {
        let _ = block.is_private_key();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_stands_between_blocks_is_comment() {
        let file = b"x\n-----BEGIN A-----\nMAA=\n-----END A-----\ny\n-----BEGIN EC PRIVATE KEY-----\r\n\
                     Proc-Type: 4\r\nMA\r\nA=\r\n-----END EC PRIVATE KEY-----";
        let found = blocks(file);
        let kinds: Vec<_> = found.iter().map(|block| (&*block.kind, block.is_private_key())).collect();
        assert_eq!(kinds, [("A", false), ("EC PRIVATE KEY", true)]);
        assert!(found.iter().all(|block| block.contents == [0x30, 0]));
    }

    #[test]
    fn blocks_that_do_not_end_are_none() {
        assert_eq!(blocks(b"-----BEGIN A-----\nMAA=\n-----END B-----\n"), []);
    }

    #[test]
    fn written_certificate_is_read_back() {
        let der: Vec<u8> = (0..200).collect();
        let text = write_certificate(&der);
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
        assert_eq!(certificates(text.as_bytes()).collect::<Vec<_>>(), [der]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_blocks_or_none(data: Vec<u8>) {
            fuzz_pem(&data);
        }
    }
}
