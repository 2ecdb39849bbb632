//! The store over a simulated disk that loses power between any two steps, and over real directories.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::disk::Folder;
use super::super::pack;
use super::super::simulated::{Files, Simulated, keys, token};
use super::*;

const FULL: Policy = Policy { limit: usize::MAX, evicts: false, ttl: None };

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn open(files: Files, policy: Policy) -> (Store<Simulated>, Found) {
    Store::open(Simulated::with(files), policy, Deletion::Renames, at(0)).unwrap()
}

fn names(store: &Store<Simulated>) -> Vec<String> {
    store.disk.names().unwrap()
}

#[test]
fn claims_are_kept_under_the_accounts_name_and_come_back() {
    let [a, b] = keys();
    let (mut store, _) = open(Files::new(), FULL);
    let first = token(&a, "1", 1, 0);
    assert_eq!(store.save(&a, &first, at(0)), Ok(true));
    assert_eq!(store.save(&a, &first, at(0)), Ok(false));
    store.sync().unwrap();
    assert_eq!(names(&store), [format!("{a}.jwt")]);
    assert_eq!(store.load(&a, at(0)), Ok(first.clone()));
    assert_eq!(store.load(&b, at(0)), Err(LoadError::Missing(format!("/d/{b}.jwt"))));
    let (again, found) = open(store.disk.durable.clone(), FULL);
    assert_eq!((again.sum(), found.changed), (store.sum(), vec![a]));
    assert_eq!(again.sum(), sum_of(first.as_bytes()));
}

#[test]
fn what_is_no_token_of_the_account_is_not_kept() {
    let [a, b] = keys();
    let (mut store, _) = open(Files::new(), FULL);
    assert_eq!(store.save(&a, "", at(0)), Err(StoreError::NoToken));
    assert_eq!(store.save(&a, "a.b.c", at(0)), Err(StoreError::NoToken));
    assert_eq!(store.save(&a, &token(&b, "1", 1, 0), at(0)), Err(StoreError::Subject));
    assert!(names(&store).is_empty());
}

#[test]
fn of_two_tokens_the_one_issued_later_stays() {
    let [a] = keys();
    let (mut store, _) = open(Files::new(), FULL);
    for (id, iat, want) in [
        ("5", 5, Ok(true)),
        ("older", 4, Ok(false)),
        ("same time", 5, Ok(true)),
        ("same time", 9, Ok(false)),
        ("later", 6, Ok(true)),
    ] {
        assert_eq!(store.save_if_newer(&a, &token(&a, id, iat, 0), at(0)), want, "{id}");
    }
    assert_eq!(store.load(&a, at(0)), Ok(token(&a, "later", 6, 0)));
    // An update that was asked for is taken, however old.
    assert_eq!(store.save(&a, &token(&a, "older", 4, 0), at(0)), Ok(true));
}

#[test]
fn damaged_files_stay_where_they_are_and_are_not_seen() {
    let [a, b, c, d] = keys();
    let good = token(&a, "1", 1, 0);
    let files = Files::from([
        (format!("{a}.jwt"), good.clone().into_bytes()),
        (format!("{b}.jwt"), Vec::new()),
        (format!("{c}.jwt"), b"\xff\x00garbage".to_vec()),
        (format!("{d}.jwt"), good.clone().into_bytes()),
        ("notes.jwt".to_owned(), good.clone().into_bytes()),
        ("README".to_owned(), b"hello".to_vec()),
        (format!("deep/er/{b}.jwt"), good.clone().into_bytes()),
    ]);
    let (mut store, found) = open(files.clone(), FULL);
    assert_eq!(found.changed, [a]);
    assert_eq!(found.damaged.len(), 3, "{found:?}");
    assert_eq!((store.len(), store.sum()), (1, sum_of(good.as_bytes())));
    assert_eq!(store.disk.seen, files);
    assert_eq!(store.load(&b, at(0)), Err(LoadError::Damaged(format!("/d/{b}.jwt"))));
    assert_eq!(store.peek(&d), None);
    // Claims from elsewhere replace them.
    assert_eq!(store.save_if_newer(&b, &token(&b, "1", 1, 0), at(0)), Ok(true));
    assert_eq!(store.list(at(0)).len(), 2);
}

#[test]
fn claims_in_folders_by_the_end_of_their_keys_are_read_and_written_there() {
    let [a, b] = keys();
    let (inner, outer) = (token(&a, "1", 1, 0), token(&b, "1", 1, 0));
    let shard = sharded(&a);
    let files = Files::from([
        (shard.clone(), inner.clone().into_bytes()),
        (sharded(&b), inner.clone().into_bytes()),
        (flat(&b), outer.clone().into_bytes()),
    ]);
    let (mut store, _) = open(files, FULL);
    assert_eq!(store.load(&a, at(0)), Ok(inner));
    assert_eq!(store.load(&b, at(0)), Ok(outer));
    let new = token(&a, "2", 2, 0);
    assert_eq!(store.save(&a, &new, at(0)), Ok(true));
    assert_eq!(store.disk.seen.get(&shard), Some(&new.into_bytes()));
    assert_eq!(store.delete(&a), Ok(true));
    assert!(store.disk.seen.contains_key(&format!("{shard}.deleted")));
}

#[test]
fn deleting_renames_removes_or_is_refused() {
    let [a] = keys();
    for (deletion, want, left) in [
        (Deletion::Refused, Err(StoreError::Deletion), format!("{a}.jwt")),
        (Deletion::Renames, Ok(true), format!("{a}.jwt.deleted")),
        (Deletion::Removes, Ok(true), String::new()),
    ] {
        let (mut store, _) = Store::open(Simulated::default(), FULL, deletion, at(0)).unwrap();
        store.save(&a, &token(&a, "1", 1, 0), at(0)).unwrap();
        assert_eq!(store.delete(&a), want);
        assert_eq!(names(&store).join(" "), left);
        if want.is_ok() {
            assert_eq!((store.delete(&a), store.len(), store.sum()), (Ok(false), 0, Sum::default()));
        }
    }
}

#[test]
fn claims_that_are_over_lose_their_file() {
    let [a, b, c] = keys();
    let (mut store, _) = open(Files::new(), FULL);
    store.save(&a, &token(&a, "1", 1, 10), at(0)).unwrap();
    store.save(&b, &token(&b, "1", 1, 20), at(0)).unwrap();
    store.save(&c, &token(&c, "1", 1, 0), at(0)).unwrap();
    // Whose file somebody removed holds up nobody. (The reference stops there.)
    store.disk.remove(&flat(&a)).unwrap();
    assert!(store.expire(at(9)).is_empty() && store.expire(at(20)).is_empty());
    assert_eq!(names(&store), [flat(&c)]);
    assert_eq!(store.list(at(20)), [c]);
}

#[test]
fn a_cache_forgets_what_nobody_used_for_its_time() {
    let [a, b] = keys();
    let ttl = Some(Duration::from_secs(10));
    let (mut store, _) = open(Files::new(), Policy { limit: 10, evicts: true, ttl });
    store.save(&a, &token(&a, "1", 1, 0), at(0)).unwrap();
    store.save(&b, &token(&b, "1", 1, 0), at(0)).unwrap();
    store.load(&b, at(5)).unwrap();
    store.expire(at(10));
    assert_eq!(names(&store), [flat(&b)]);
    store.expire(at(15));
    assert!(names(&store).is_empty());
}

#[test]
fn a_full_store_refuses_and_a_full_cache_gives_up_the_least_used() {
    let [a, b, c] = keys();
    for (evicts, want, left) in
        [(false, Err(StoreError::Full), [flat(&a), flat(&b)]), (true, Ok(true), [flat(&a), flat(&c)])]
    {
        let (mut store, _) = open(Files::new(), Policy { limit: 2, evicts, ttl: None });
        store.save(&a, &token(&a, "1", 1, 0), at(0)).unwrap();
        store.save(&b, &token(&b, "1", 1, 0), at(0)).unwrap();
        store.load(&a, at(0)).unwrap();
        assert_eq!(store.save(&c, &token(&c, "1", 1, 0), at(0)), want);
        assert_eq!(names(&store), left);
        assert_eq!(store.save(&a, &token(&a, "2", 2, 0), at(0)), Ok(true));
    }
}

#[test]
fn files_changed_by_hand_are_read_as_they_are_and_counted_at_a_reload() {
    let [a, b, c] = keys();
    let (mut store, _) = open(Files::new(), FULL);
    for key in [&a, &b] {
        store.save(key, &token(key, "1", 1, 0), at(0)).unwrap();
    }
    let by_hand = token(&a, "2", 2, 0);
    store.disk.write(&flat(&a), by_hand.as_bytes()).unwrap();
    assert_eq!(store.load(&a, at(0)), Ok(by_hand.clone()));
    store.disk.write(&flat(&c), token(&c, "1", 1, 0).as_bytes()).unwrap();
    store.disk.remove(&flat(&b)).unwrap();
    assert_eq!(store.reload(at(0)).unwrap().changed, [c]);
    assert_eq!(store.list(at(0)), [a, c]);
    store.disk.write(&flat(&a), token(&a, "3", 3, 0).as_bytes()).unwrap();
    assert_eq!(store.reload(at(0)).unwrap().changed, [a]);
}

#[test]
fn a_disk_that_refuses_leaves_what_was_there() {
    let [a] = keys();
    let (mut store, _) = open(Files::new(), FULL);
    let old = token(&a, "1", 1, 0);
    store.save(&a, &old, at(0)).unwrap();
    for left in [0, 1] {
        store.disk.left = Some(left);
        let refused = store.save(&a, &token(&a, "2", 2, 0), at(0)).unwrap_err();
        assert_eq!(refused.to_string(), format!("open /d/{a}.jwt: power"));
        assert_eq!(store.load(&a, at(0)), Ok(old.clone()));
        assert_eq!(store.sum(), sum_of(old.as_bytes()));
    }
}

#[test]
fn a_real_directory_holds_what_was_saved() {
    let [a, b] = keys();
    let temp = tempfile::tempdir().unwrap();
    let open = || Store::open(Folder::open(temp.path()).unwrap(), FULL, Deletion::Renames, at(0)).unwrap();
    let (mut store, _) = open();
    store.save(&a, &token(&a, "1", 1, 0), at(0)).unwrap();
    store.save(&b, &token(&b, "1", 1, 0), at(0)).unwrap();
    store.delete(&b).unwrap();
    store.sync().unwrap();
    let (mut again, found) = open();
    assert_eq!(found, Found { changed: vec![a], damaged: Vec::new() });
    assert_eq!(again.load(&a, at(0)), store.load(&a, at(0)));
    assert_eq!(
        Folder::open(temp.path()).unwrap().names().unwrap(),
        [flat(&a), format!("{}.deleted", flat(&b))]
    );
}

/// All claims of one store, as it sends them to another that has others.
fn packed(store: &Store<Simulated>) -> String {
    let keys = store.list(at(0));
    keys.iter().map(|key| pack::line(key, &store.peek(key).unwrap())).collect::<Vec<_>>().join("\n")
}

fn merge(store: &mut Store<Simulated>, packed: &str) {
    for line in pack::lines(packed) {
        let (key, token) = line.unwrap();
        store.save_if_newer(&key, token, at(0)).unwrap();
    }
}

proptest! {
    #[test]
    fn after_a_power_cut_an_account_has_its_last_synced_claims_or_later_ones(
        operations in proptest::collection::vec((0_usize..3, 0_u8..4), 1..25),
        power in 0_usize..40,
        kept in 0_usize..12,
    ) {
        let keys: [AccountKey; 3] = keys();
        let (mut store, _) = open(Files::new(), FULL);
        store.disk.left = Some(power);
        // What each account may have: claims as of the last sync, then whatever came after.
        let mut may: BTreeMap<AccountKey, Vec<Option<String>>> = keys.iter().map(|key| (*key, vec![None])).collect();
        for (version, (which, kind)) in operations.into_iter().enumerate() {
            let key = keys[which];
            let done = match kind {
                0 => store.sync().map(|()| may.values_mut().for_each(|values| {
                    values.drain(..values.len() - 1);
                })).is_ok(),
                1 => {
                    may.get_mut(&key).unwrap().push(None);
                    store.delete(&key).is_ok()
                }
                _ => {
                    let token = token(&key, &version.to_string(), version as i64, 0);
                    may.get_mut(&key).unwrap().push(Some(token.clone()));
                    store.save(&key, &token, at(0)).is_ok()
                }
            };
            if !done {
                break;
            }
        }
        let (mut after, found) = open(store.disk.after_power_cut(kept), FULL);
        prop_assert_eq!(found.damaged, Vec::<String>::new());
        for (key, values) in may {
            prop_assert!(values.contains(&after.load(&key, at(0)).ok()));
        }
        prop_assert!(names(&after).iter().all(|name| !name.ends_with(UNFINISHED)));
    }

    #[test]
    fn stores_that_hand_each_other_packs_end_up_equal_with_the_latest_of_each(
        left in proptest::collection::vec((0_usize..4, 1_i64..6), 0..12),
        right in proptest::collection::vec((0_usize..4, 6_i64..12), 0..12),
    ) {
        let keys: [AccountKey; 4] = keys();
        let fill = |versions: &[(usize, i64)]| {
            let (mut store, _) = open(Files::new(), FULL);
            for (which, iat) in versions {
                let key = keys[*which];
                store.save_if_newer(&key, &token(&key, &iat.to_string(), *iat, 0), at(0)).unwrap();
            }
            store
        };
        let (mut a, mut b) = (fill(&left), fill(&right));
        let (from_a, from_b) = (packed(&a), packed(&b));
        merge(&mut a, &from_b);
        merge(&mut b, &from_a);
        prop_assert_eq!(a.sum(), b.sum());
        let mut want: BTreeMap<AccountKey, i64> = BTreeMap::new();
        for (which, iat) in left.iter().chain(&right) {
            let latest = want.entry(keys[*which]).or_default();
            *latest = (*iat).max(*latest);
        }
        for (key, iat) in want {
            prop_assert_eq!(a.load(&key, at(0)).unwrap(), token(&key, &iat.to_string(), iat, 0));
        }
    }
}

#[test]
fn claims_that_are_there_already_are_not_written_again() {
    let [a] = keys();
    let (mut store, _) = open(Files::new(), FULL);
    let same = token(&a, "1", 1, 0);
    store.save(&a, &same, at(0)).unwrap();
    store.sync().unwrap();
    store.disk.left = Some(0);
    assert_eq!(store.save(&a, &same, at(0)), Ok(false));
    store.sync().unwrap();
    // Unless somebody removed the file.
    store.disk.left = None;
    store.disk.remove(&flat(&a)).unwrap();
    assert_eq!(store.save(&a, &same, at(0)), Ok(true));
}
