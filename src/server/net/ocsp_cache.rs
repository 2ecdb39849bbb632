//! Responders' answers about peers' certificates, kept for as long as they hold, and their file.
//!
//! Pure but for its lock: who reads and writes the file is elsewhere. The file is the reference's
//! `cache.json`: by the certificate's SHA-256 in base 64, the answer as an S2 stream.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::ocsp::{Answer, Status};
use crate::server::base::base64::Base64;
use crate::server::base::clock::Timestamp;
use crate::server::net::staple::date;

/// An answer has a few kilobytes; one that unpacks to more is none.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Answers kept: one a certificate. Beyond, any goes; it is asked for again when needed. Revocations go last.
const ANSWERS_MAX: usize = 100_000;

/// The answers. Leaf lock, held for a look-up, an insertion, or writing all of them into a buffer.
#[derive(Debug, Default)]
pub struct OcspCache {
    /// Revoked certificates stay known beyond the time of the answer.
    preserves_revoked: bool,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: BTreeMap<String, Entry>,
    /// Something is not in the file yet.
    dirty: bool,
}

/// One answer, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    subject: String,
    cached_at: String,
    resp_status: String,
    #[serde(default)]
    resp_expires: String,
    resp: String,
}

impl OcspCache {
    /// An empty cache.
    pub fn new(preserves_revoked: bool) -> Self {
        Self { preserves_revoked, entries: Mutex::default() }
    }

    /// The answer about the certificate with this key.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let packed = self.entries.lock().by_key.get(key)?.resp.clone();
        unpack(&packed)
    }

    /// Keeps an answer.
    pub fn put(&self, key: &str, subject: &str, raw: &[u8], answer: &Answer, now: Timestamp) {
        let Some(packed) = pack(raw) else { return };
        let now = i64::try_from(now.nanos() / 1_000_000_000).ok();
        let entry = Entry {
            subject: subject.to_owned(),
            cached_at: date(now),
            resp_status: answer.status.text().to_owned(),
            resp_expires: date(answer.next_update),
            resp: packed,
        };
        let mut entries = self.entries.lock();
        if entries.by_key.len() >= ANSWERS_MAX && !entries.by_key.contains_key(key) {
            let mut kept = entries.by_key.iter();
            let gone = kept.find(|(_, entry)| entry.resp_status != Status::Revoked.text());
            match gone.map(|(key, _)| key.clone()) {
                Some(key) => entries.by_key.remove(&key),
                None => entries.by_key.pop_first().map(|(_, entry)| entry),
            };
        }
        entries.by_key.insert(key.to_owned(), entry);
        entries.dirty = true;
    }

    /// Forgets an answer that holds no more; says whether it stays all the same.
    pub fn forget(&self, key: &str) -> bool {
        let mut entries = self.entries.lock();
        let revoked =
            entries.by_key.get(key).is_some_and(|entry| entry.resp_status == Status::Revoked.text());
        if revoked && self.preserves_revoked {
            return true;
        }
        if entries.by_key.remove(key).is_some() {
            entries.dirty = true;
        }
        false
    }

    /// Takes over what a file holds.
    ///
    /// # Errors
    /// It is none of these files.
    pub fn load(&self, file: &[u8]) -> Result<(), String> {
        let by_key = serde_json::from_slice(file).map_err(|error| error.to_string())?;
        *self.entries.lock() = Entries { by_key, dirty: false };
        Ok(())
    }

    /// What the file is to hold, if that has changed since the last call.
    pub fn save(&self) -> Option<Vec<u8>> {
        let mut entries = self.entries.lock();
        if !std::mem::replace(&mut entries.dirty, false) {
            return None;
        }
        let mut file = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut file, formatter);
        entries.by_key.serialize(&mut serializer).ok()?;
        Some(file)
    }

    /// It was not written after all.
    pub fn not_saved(&self) {
        self.entries.lock().dirty = true;
    }
}

fn pack(raw: &[u8]) -> Option<String> {
    let mut writer = minlz::Writer::new(Vec::new());
    writer.write_all(raw).ok()?;
    writer.flush().ok()?;
    Some(Base64::Standard.encode(writer.get_ref()))
}

fn unpack(packed: &str) -> Option<Vec<u8>> {
    let packed = Base64::Standard.decode(packed.as_bytes()).ok()?;
    let mut raw = Vec::new();
    let limit = u64::try_from(ANSWER_BYTES_MAX).ok()?;
    minlz::Reader::with_max_block_size(packed.as_slice(), ANSWER_BYTES_MAX)
        .take(limit + 1)
        .read_to_end(&mut raw)
        .ok()?;
    (raw.len() <= ANSWER_BYTES_MAX).then_some(raw)
}

/// For the fuzzer: any bytes are a file or none.
pub fn fuzz_ocsp_cache(data: &[u8]) {
    let cache = OcspCache::default();
    if cache.load(data).is_ok() {
        let keys: Vec<String> = cache.entries.lock().by_key.keys().cloned().collect();
        keys.iter().for_each(|key| drop(cache.get(key)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: Status) -> Answer {
        Answer { status, this_update: 1, next_update: Some(2), signer_may_sign: true }
    }

    #[test]
    fn what_is_put_is_there_until_it_is_forgotten_and_revocations_may_stay() {
        for preserves in [false, true] {
            let cache = OcspCache::new(preserves);
            cache.put("a", "CN=a", b"good", &answer(Status::Good), Timestamp::default());
            cache.put("b", "CN=b", &[7; 3000], &answer(Status::Revoked), Timestamp::default());
            assert_eq!(cache.get("a").as_deref(), Some(&b"good"[..]));
            assert_eq!((cache.forget("a"), cache.get("a")), (false, None));
            assert_eq!(cache.forget("b"), preserves);
            assert_eq!(cache.get("b").is_some(), preserves);
        }
    }

    #[test]
    fn file_is_written_once_and_read_back() {
        let cache = OcspCache::new(false);
        assert_eq!(cache.save(), None);
        cache.put("a", "CN=a", b"good", &answer(Status::Good), Timestamp::default());
        let file = cache.save().unwrap();
        assert_eq!(cache.save(), None);
        let text = String::from_utf8(file.clone()).unwrap();
        let head = "{\n \"a\": {\n  \"subject\": \"CN=a\",\n  \"cached_at\": \"1970-01-01T00:00:00Z\",\n  \
                    \"resp_status\": \"good\",\n  \"resp_expires\": \"1970-01-01T00:00:02Z\",\n  \"resp\": \"";
        assert!(text.starts_with(head), "{text}");
        let other = OcspCache::new(false);
        assert_eq!(other.load(&file), Ok(()));
        assert_eq!(other.get("a").as_deref(), Some(&b"good"[..]));
        assert!(other.load(b"[]").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_file_or_none(data: Vec<u8>) {
            fuzz_ocsp_cache(&data);
            let packed = Base64::Standard.encode(&data);
            let _ = unpack(&packed);
        }
    }
}
