//! Standard base64 with padding, as byte fields have it.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn to_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| (group << 8) | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (group >> (18 - 6 * place)) & 0x3f;
            let character = BASE64.get(digit as usize).copied().unwrap_or(b'=');
            out.push(if place <= chunk.len() { character } else { b'=' });
        }
    }
}

/// Standard base64 with padding; line ends are skipped. The error is the place of the wrong byte.
pub(super) fn from_base64(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut count, mut padding) = (0_u32, 0_u32, 0_u32);
    for (at, &byte) in text.iter().enumerate() {
        if matches!(byte, b'\r' | b'\n') {
            continue;
        }
        let digit = BASE64.iter().position(|&known| known == byte);
        match digit {
            Some(digit) if padding == 0 => group = (group << 6) | u32::try_from(digit).unwrap_or(0),
            None if byte == b'=' && count >= 2 && padding < 2 => {
                group <<= 6;
                padding += 1;
            }
            _ => return Err(at),
        }
        count += 1;
        if count == 4 {
            let [_, bytes @ ..] = group.to_be_bytes();
            out.extend_from_slice(bytes.get(..3 - padding as usize).unwrap_or_default());
            if padding > 0 {
                let rest = text.iter().skip(at + 1).position(|byte| !matches!(byte, b'\r' | b'\n'));
                return rest.map_or(Ok(out), |more| Err(at + 1 + more));
            }
            (group, count) = (0, 0);
        }
    }
    if count == 0 { Ok(out) } else { Err(text.len()) }
}
