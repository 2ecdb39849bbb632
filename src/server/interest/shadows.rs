//! Shadows: what subscriptions to imported streams stand for in the exporting accounts.
//!
//! A subscription that an import concerns gets one in the exporter's interest, so that a message there
//! finds it with the one look-up it makes anyhow. Shadows come and go with their subscription, and with
//! the imports when a reload changes them. They count for it: its maximum is for all of its messages.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::detour::Detour;
use super::import::StreamImport;
use super::shared::SharedInterest;
use super::subscription::Subscription;

/// What a shadow is of.
#[derive(Debug)]
pub struct Shadow {
    original: Subscription,
    import: Arc<StreamImport>,
    /// The importing account's; holding it would keep a deleted account alive.
    home: Weak<SharedInterest>,
}

impl Shadow {
    /// The importer's subscription.
    pub fn original(&self) -> &Subscription {
        &self.original
    }

    /// Why it is there.
    pub fn import(&self) -> &StreamImport {
        &self.import
    }

    /// Takes the importer's subscription out, and all of its shadows.
    pub fn end(&self) {
        if let Some(home) = self.home.upgrade() {
            home.remove(&self.original);
        }
    }
}

/// One shadow, and how to find it.
#[derive(Debug)]
struct Cast {
    shadow: Subscription,
    import: Arc<StreamImport>,
}

impl Cast {
    fn withdraw(&self) {
        self.import.exporter().remove_here(std::slice::from_ref(&self.shadow));
    }
}

#[derive(Debug, Default)]
struct Table {
    imports: Vec<Arc<StreamImport>>,
    home: Weak<SharedInterest>,
    /// By the address of the importer's subscription, which is held by its shadows.
    cast: HashMap<usize, Vec<Cast>, foldhash::fast::RandomState>,
}

impl Table {
    /// The shadows that `original` should have; `kept` gives those that it has and may keep.
    fn cast(&self, original: &Subscription, mut kept: Vec<Cast>) -> Vec<Cast> {
        let mut all = Vec::new();
        for import in &self.imports {
            let Some(subject) = import.wanted(original.subject()) else { continue };
            let still = |cast: &Cast| cast.import.same(import) && cast.shadow.subject() == subject;
            if let Some(at) = kept.iter().position(still) {
                all.push(kept.swap_remove(at));
                continue;
            }
            let shadow = Shadow {
                original: original.clone(),
                import: Arc::clone(import),
                home: Weak::clone(&self.home),
            };
            let shadow = Subscription::with_detour(
                Arc::clone(original.target()),
                Detour::Stream(shadow),
                &subject,
                original.queue(),
                original.sid(),
            );
            // What cannot be subscribed to, nobody can publish to.
            if import.exporter().insert_here(&shadow).is_ok() {
                all.push(Cast { shadow, import: Arc::clone(import) });
            }
        }
        kept.iter().for_each(Cast::withdraw);
        all
    }
}

/// The stream imports of one account, and the shadows they have cast.
#[derive(Debug, Default)]
pub(super) struct Shadows {
    /// Whether there are imports or shadows. Most accounts have none, and pay this look.
    any: AtomicBool,
    /// Held while one subscription's shadows are cast; takes the exporters' locks, one at a time.
    table: Mutex<Table>,
}

impl Shadows {
    /// Casts the shadows of a subscription that was inserted.
    pub(super) fn cast(&self, original: &Subscription) {
        if !self.any.load(Ordering::SeqCst) || !may_have_shadows(original) {
            return;
        }
        let mut table = self.table.lock();
        // A change of the imports may have come before, or the end of the subscription.
        if original.is_closed() || table.cast.contains_key(&original.address()) {
            return;
        }
        let all = table.cast(original, Vec::new());
        if !all.is_empty() {
            table.cast.insert(original.address(), all);
        }
    }

    /// Takes out the shadows of a subscription that was removed.
    pub(super) fn withdraw(&self, original: &Subscription) {
        if !self.any.load(Ordering::SeqCst) {
            return;
        }
        // Closed first: who casts meanwhile sees it, or has cast before this looks.
        original.close();
        let cast = self.table.lock().cast.remove(&original.address());
        cast.iter().flatten().for_each(Cast::withdraw);
    }

    /// The subjects of a subscription's shadows, with the account that each is in.
    pub(super) fn of(&self, original: &Subscription) -> Vec<(Subscription, Arc<StreamImport>)> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let table = self.table.lock();
        let cast = table.cast.get(&original.address());
        cast.into_iter().flatten().map(|cast| (cast.shadow.clone(), Arc::clone(&cast.import))).collect()
    }

    /// Puts other imports in force; `subscriptions` lists those that are there.
    pub(super) fn set_imports(
        &self,
        imports: Vec<StreamImport>,
        home: Weak<SharedInterest>,
        subscriptions: impl FnOnce() -> Vec<Subscription>,
    ) {
        let mut table = self.table.lock();
        let stays = |import: &StreamImport, at: usize| {
            table.imports.get(at).is_some_and(|present| present.same(import))
        };
        if table.imports.len() == imports.len()
            && imports.iter().enumerate().all(|(at, import)| stays(import, at))
        {
            return;
        }
        table.imports = imports.into_iter().map(Arc::new).collect();
        table.home = home;
        self.any.store(true, Ordering::SeqCst);
        let mut old = std::mem::take(&mut table.cast);
        for original in subscriptions() {
            if original.is_closed() || !may_have_shadows(&original) {
                continue;
            }
            let kept = old.remove(&original.address()).unwrap_or_default();
            let all = table.cast(&original, kept);
            if !all.is_empty() {
                table.cast.insert(original.address(), all);
            }
        }
        old.values().flatten().for_each(Cast::withdraw);
        self.any.store(!table.imports.is_empty() || !table.cast.is_empty(), Ordering::SeqCst);
    }
}

/// Subscriptions of other servers get what they want from their own; shadows have no shadows.
fn may_have_shadows(subscription: &Subscription) -> bool {
    !subscription.is_remote() && subscription.detour().is_none_or(Detour::follows_imports)
}
