//! What a client offers in its first message: looked at only to tell the log why nothing could be agreed on.

/// Versions and cipher suites by their registered numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ClientHello {
    /// Newest first.
    pub(super) versions: Vec<u16>,
    /// In the client's order.
    pub(super) suites: Vec<u16>,
}

/// `supported_versions`.
const SUPPORTED_VERSIONS: u16 = 43;

/// Versions that were ever spoken, newest first.
const VERSIONS: [u16; 4] = [0x0304, 0x0303, 0x0302, 0x0301];

impl ClientHello {
    /// Reads a record that holds a whole hello; `None` where it holds none.
    pub(super) fn read(record: &[u8]) -> Option<Self> {
        const HEADERS: usize = 5 + 4;
        const RANDOM: usize = 32;
        let mut rest = Bytes(record.get(HEADERS..)?);
        let version = rest.u16()?;
        rest.take(RANDOM)?;
        rest.short_vector()?;
        let suites = rest.vector()?.numbers();
        rest.short_vector()?;
        let versions = rest.vector().and_then(|extensions| versions(extensions));
        let spoken = || VERSIONS.into_iter().filter(|known| *known <= version.min(0x0303)).collect();
        Some(Self { versions: versions.unwrap_or_else(spoken), suites })
    }
}

fn versions(mut extensions: Bytes<'_>) -> Option<Vec<u16>> {
    loop {
        let kind = extensions.u16()?;
        let mut content = extensions.vector()?;
        if kind == SUPPORTED_VERSIONS {
            return Some(content.short_vector()?.numbers());
        }
    }
}

/// Numbers as the reference shows them: `[303 302]`.
pub(super) fn shown(numbers: &[u16]) -> String {
    let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:x}")).collect();
    format!("[{}]", numbers.join(" "))
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn vector(&mut self) -> Option<Self> {
        let count = self.u16()?;
        self.take(count.into()).map(Self)
    }

    fn short_vector(&mut self) -> Option<Self> {
        let [count] = self.take(1)? else { return None };
        self.take((*count).into()).map(Self)
    }

    fn numbers(&self) -> Vec<u16> {
        self.0.as_chunks::<2>().0.iter().map(|number| u16::from_be_bytes(*number)).collect()
    }
}

/// For the fuzzer: any bytes are a hello or none.
pub fn fuzz_client_hello(data: &[u8]) {
    if let Some(hello) = ClientHello::read(data) {
        let _ = (shown(&hello.versions), shown(&hello.suites));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record with a hello of this version, these suites and extensions.
    fn hello(version: u16, suites: &[u16], extensions: &[u8]) -> Vec<u8> {
        let number = |number: usize| u16::try_from(number).unwrap().to_be_bytes();
        let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        let parts: [&[u8]; 9] = [
            &[22, 3, 1, 0, 0, 1, 0, 0, 0],
            &version.to_be_bytes(),
            &[7; 32],
            &[0],
            &number(suites.len()),
            &suites,
            &[1, 0],
            &number(extensions.len()),
            extensions,
        ];
        parts.concat()
    }

    #[test]
    fn versions_come_from_the_extension_or_the_field() {
        let read =
            |version, extensions: &[u8]| ClientHello::read(&hello(version, &[0xc02b], extensions)).unwrap();
        assert_eq!(shown(&read(0x0303, &[]).versions), "[303 302 301]");
        assert_eq!(shown(&read(0x0301, &[]).versions), "[301]");
        let extension = [0, 1, 0, 0, 0, 43, 0, 3, 2, 3, 4];
        assert_eq!(shown(&read(0x0303, &extension).versions), "[304]");
        assert_eq!(shown(&read(0x0303, &extension).suites), "[c02b]");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_hello_or_none(data: Vec<u8>, cut in 0_usize..80) {
            fuzz_client_hello(&data);
            let whole = hello(0x0303, &[1, 2], &[0, 43, 0, 3, 2, 3, 4]);
            fuzz_client_hello(&whole[..cut.min(whole.len())]);
        }
    }
}
