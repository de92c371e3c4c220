//! What is in the cache, what is being fetched, what is queued: values, no files.

use super::entry::Name;
use super::fetch::Fetch;
use super::folder::{Found, State, Use};
use base::{ImageId, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Fetches at once; each holds a few chunks in memory and a connection to a store.
const AT_ONCE: usize = 8;

/// A copy that is there to its end.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub(super) name: Name,
    pub(super) size: u64,
    pub(super) written: Timestamp,
    pub(super) used: Timestamp,
    /// Reads that it served.
    pub(super) hits: u64,
    /// It has been hashed since the process started.
    pub(super) proven: bool,
}

pub(super) struct Index {
    most: u64,
    copies: HashMap<ImageId, Cached>,
    fetches: HashMap<ImageId, Arc<Fetch>>,
    queue: VecDeque<ImageId>,
}

/// What has left the index, and whose files are to be deleted.
#[derive(Default)]
pub(super) struct Gone {
    /// Something was there, if only half of it.
    pub(super) had: bool,
    pub(super) files: Vec<Name>,
    pub(super) bytes: u64,
}

impl Gone {
    fn add(&mut self, copy: Cached) {
        self.had = true;
        self.bytes += copy.size;
        self.files.push(copy.name);
    }
}

/// Why nothing is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotNow {
    /// It is there.
    Kept,
    /// It will never fit.
    TooLarge,
    /// Others are fetched.
    Busy,
}

impl Index {
    pub(super) fn new(most: u64) -> Self {
        Self { most, copies: HashMap::new(), fetches: HashMap::new(), queue: VecDeque::new() }
    }

    /// Takes note of a file that was there at the start.
    pub(super) fn found(&mut self, found: Found, used: Option<&Use>, now: Timestamp) {
        let copy = Cached {
            size: found.size,
            written: found.written,
            used: used.map_or(found.written.min(now), |u| Timestamp(u.used_us)),
            hits: used.map_or(0, |u| u.hits),
            proven: false,
            name: found.name,
        };
        self.copies.insert(copy.name.image, copy);
    }

    /// The copy to read, if it is proven: it counts as used.
    pub(super) fn hit(&mut self, name: &Name, now: Timestamp) -> bool {
        match self.copies.get_mut(&name.image).filter(|c| c.proven && c.name == *name) {
            Some(copy) => {
                copy.hits += 1;
                copy.used = copy.used.max(now);
                true
            }
            None => false,
        }
    }

    pub(super) fn fetch_of(&self, name: &Name) -> Option<Arc<Fetch>> {
        self.fetches.get(&name.image).filter(|f| f.name == *name).cloned()
    }

    /// Makes room for it, and has it fetched from now on. What had to go comes back, too.
    pub(super) fn begin(&mut self, fetch: &Arc<Fetch>) -> Result<Gone, NotNow> {
        let image = fetch.name.image;
        match self.copies.get(&image) {
            // one that is not proven yet may still turn out to be good
            Some(copy) if copy.name == fetch.name => return Err(NotNow::Kept),
            _ if self.fetches.contains_key(&image) || self.fetches.len() >= AT_ONCE => return Err(NotNow::Busy),
            _ => {}
        }
        if fetch.size > self.most {
            return Err(NotNow::TooLarge);
        }
        let Some(for_copies) = self.most.checked_sub(self.fetching() + fetch.size) else { return Err(NotNow::Busy) };
        let mut gone = self.shrink(for_copies);
        if let Some(other) = self.copies.remove(&image) {
            gone.add(other);
        }
        self.fetches.insert(image, fetch.clone());
        Ok(gone)
    }

    /// Whether the fetch still counts: nobody has dropped its image.
    pub(super) fn is_current(&self, fetch: &Arc<Fetch>) -> bool {
        self.fetches.get(&fetch.name.image).is_some_and(|f| Arc::ptr_eq(f, fetch))
    }

    /// What was fetched is kept. `false`: its image was dropped meanwhile.
    pub(super) fn keep(&mut self, fetch: &Arc<Fetch>, now: Timestamp) -> bool {
        if !self.is_current(fetch) {
            return false;
        }
        self.fetches.remove(&fetch.name.image);
        let (name, size) = (fetch.name.clone(), fetch.size);
        self.unqueue(name.image);
        self.copies.insert(name.image, Cached { name, size, written: now, used: now, hits: 0, proven: true });
        true
    }

    pub(super) fn give_up(&mut self, fetch: &Arc<Fetch>) {
        if self.is_current(fetch) {
            self.fetches.remove(&fetch.name.image);
        }
    }

    /// Of copies used least recently, as many as it takes until the others have at most `bytes`.
    fn shrink(&mut self, bytes: u64) -> Gone {
        let mut gone = Gone::default();
        let mut left: u64 = self.copies.values().map(|c| c.size).sum();
        while left > bytes {
            let Some(copy) = self.oldest() else { break };
            left -= copy.size;
            gone.add(copy);
        }
        gone
    }

    /// Takes out the copy that was used least recently.
    fn oldest(&mut self) -> Option<Cached> {
        let image = self.copies.values().min_by_key(|c| (c.used, c.name.image)).map(|c| c.name.image)?;
        self.copies.remove(&image)
    }

    /// One copy less, for a disk that is full.
    pub(super) fn evict(&mut self) -> Option<Gone> {
        let copy = self.oldest()?;
        let mut gone = Gone::default();
        gone.add(copy);
        Some(gone)
    }

    /// Back to what is allowed.
    pub(super) fn prune(&mut self) -> Gone {
        self.shrink(self.most.saturating_sub(self.fetching()))
    }

    /// Bytes that are being fetched.
    fn fetching(&self) -> u64 {
        self.fetches.values().map(|f| f.size).sum()
    }

    /// The copy of an image; one that is being fetched is not kept.
    pub(super) fn drop_image(&mut self, image: ImageId) -> Gone {
        let mut gone = Gone::default();
        if let Some(fetch) = self.fetches.remove(&image) {
            fetch.cancel();
            gone.had = true;
        }
        if let Some(copy) = self.copies.remove(&image) {
            gone.add(copy);
        }
        gone
    }

    /// A copy that is not what it should be.
    pub(super) fn drop_copy(&mut self, name: &Name) -> Gone {
        let mut gone = Gone::default();
        if self.copies.get(&name.image).is_some_and(|c| c.name == *name)
            && let Some(copy) = self.copies.remove(&name.image)
        {
            gone.add(copy);
        }
        gone
    }

    /// Images whose copies are served, in order.
    pub(super) fn proven(&self) -> Vec<ImageId> {
        let mut images: Vec<ImageId> = self.copies.values().filter(|c| c.proven).map(|c| c.name.image).collect();
        images.sort_unstable();
        images
    }

    pub(super) fn prove(&mut self, name: &Name) {
        if let Some(copy) = self.copies.get_mut(&name.image).filter(|c| c.name == *name) {
            copy.proven = true;
        }
    }

    /// A copy to be hashed, of those used most recently first.
    pub(super) fn unproven(&self) -> Option<Cached> {
        self.copies.values().filter(|c| !c.proven).max_by_key(|c| (c.used, c.name.image)).cloned()
    }

    /// `false`: it is there, or on its way, or queued.
    pub(super) fn queue(&mut self, image: ImageId) -> bool {
        let has = self.has(image);
        if !has {
            self.queue.push_back(image);
        }
        !has
    }

    pub(super) fn unqueue(&mut self, image: ImageId) -> bool {
        let before = self.queue.len();
        self.queue.retain(|queued| *queued != image);
        self.queue.len() < before
    }

    /// There, on its way, or queued.
    pub(super) fn has(&self, image: ImageId) -> bool {
        self.copies.contains_key(&image) || self.fetches.contains_key(&image) || self.queue.contains(&image)
    }

    pub(super) fn clear_queue(&mut self) -> usize {
        std::mem::take(&mut self.queue).len()
    }

    pub(super) fn clear_copies(&mut self) -> Gone {
        let mut gone = Gone::default();
        let images: Vec<ImageId> = self.copies.keys().chain(self.fetches.keys()).copied().collect();
        for image in images {
            let dropped = self.drop_image(image);
            gone.bytes += dropped.bytes;
            gone.files.extend(dropped.files);
        }
        gone
    }

    /// In the order in which they came.
    pub(super) fn queued(&self) -> Vec<ImageId> {
        self.queue.iter().copied().collect()
    }

    /// By image.
    pub(super) fn copies(&self) -> Vec<Cached> {
        let mut copies: Vec<Cached> = self.copies.values().cloned().collect();
        copies.sort_by_key(|c| c.name.image);
        copies
    }

    /// Names of the files that fetches write.
    pub(super) fn partial(&self) -> Vec<String> {
        self.fetches.values().map(|f| f.partial.clone()).collect()
    }

    /// How many copies there are, and their bytes.
    pub(super) fn sums(&self) -> (usize, u64) {
        (self.copies.len(), self.copies.values().map(|c| c.size).sum())
    }

    pub(super) fn state(&self) -> State {
        let used = |c: &Cached| (c.name.image, Use { used_us: c.used.0, hits: c.hits });
        State { queue: self.queued(), used: self.copies.values().map(used).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::HashAlgo;

    fn name() -> Name {
        Name { image: ImageId::random(), algo: HashAlgo::Md5, hash: "0".repeat(32) }
    }
    fn kept(index: &mut Index, size: u64, at: i64) -> Name {
        let fetch = Arc::new(Fetch::new(name(), size));
        index.begin(&fetch).unwrap();
        assert!(index.keep(&fetch, Timestamp(at)));
        fetch.name.clone()
    }

    #[test]
    fn what_was_used_least_recently_makes_room() {
        let mut index = Index::new(100);
        let (one, two, three) = (kept(&mut index, 40, 1), kept(&mut index, 30, 2), kept(&mut index, 30, 3));
        assert!(index.hit(&one, Timestamp(4)));
        let four = Arc::new(Fetch::new(name(), 50));
        let gone = index.begin(&four).unwrap();
        assert_eq!((gone.files, gone.bytes), (vec![two.clone(), three.clone()], 60));
        assert!(index.hit(&one, Timestamp(5)) && !index.hit(&two, Timestamp(5)));
        // what is being fetched counts, and never makes room
        let large = Arc::new(Fetch::new(name(), 60));
        assert_eq!(index.begin(&large).err(), Some(NotNow::Busy));
        assert_eq!(index.begin(&Arc::new(Fetch::new(name(), 101))).err(), Some(NotNow::TooLarge));
        index.give_up(&four);
        assert_eq!(index.begin(&large).unwrap().files, [] as [Name; 0]);
        assert_eq!(index.sums(), (1, 40));
    }

    #[test]
    fn one_fetch_of_an_image_and_so_many_in_all() {
        let mut index = Index::new(1000);
        let first = Arc::new(Fetch::new(name(), 1));
        index.begin(&first).unwrap();
        assert_eq!(index.begin(&Arc::new(Fetch::new(first.name.clone(), 1))).err(), Some(NotNow::Busy));
        assert!(index.fetch_of(&first.name).is_some());
        for _ in 1..AT_ONCE {
            index.begin(&Arc::new(Fetch::new(name(), 1))).unwrap();
        }
        assert_eq!(index.begin(&Arc::new(Fetch::new(name(), 1))).err(), Some(NotNow::Busy));
        assert!(index.keep(&first, Timestamp(1)));
        assert_eq!(index.begin(&Arc::new(Fetch::new(first.name.clone(), 1))).err(), Some(NotNow::Kept));
    }

    #[test]
    fn what_is_dropped_while_it_is_fetched_is_not_kept() {
        let mut index = Index::new(1000);
        let fetch = Arc::new(Fetch::new(name(), 1));
        index.begin(&fetch).unwrap();
        assert!(index.drop_image(fetch.name.image).had);
        // fetched anew, the old one does not count any more
        let again = Arc::new(Fetch::new(fetch.name.clone(), 1));
        index.begin(&again).unwrap();
        assert!(!index.keep(&fetch, Timestamp(1)));
        assert!(index.keep(&again, Timestamp(1)));
    }

    #[test]
    fn queued_once_and_not_what_is_there() {
        let mut index = Index::new(1000);
        let there = kept(&mut index, 1, 1);
        let other = ImageId::random();
        assert!(!index.queue(there.image));
        assert!(index.queue(other) && !index.queue(other));
        assert_eq!(index.queued(), [other]);
        assert!(index.unqueue(other) && !index.unqueue(other));
    }

    #[test]
    fn what_was_there_at_the_start_is_not_believed() {
        let mut index = Index::new(1000);
        let found = Found { name: name(), size: 7, written: Timestamp(3) };
        index.found(found.clone(), Some(&Use { used_us: 9, hits: 2 }), Timestamp(10));
        assert!(!index.hit(&found.name, Timestamp(11)));
        assert_eq!(index.unproven().map(|c| c.name), Some(found.name.clone()));
        index.prove(&found.name);
        assert!(index.hit(&found.name, Timestamp(12)) && index.unproven().is_none());
        assert_eq!(index.copies()[0].hits, 3);
    }
}
