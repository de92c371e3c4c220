//! What was found out about a token, by its text. Bounded, and cheap to ask.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten. What is in use
/// moves back to the young one. So at most twice `half` entries are kept, without a list to reorder at each look.
#[derive(Debug)]
pub struct TokenCache<V> {
    half: usize,
    generations: RwLock<Generations<V>>,
}

#[derive(Debug)]
struct Generations<V> {
    young: HashMap<Box<str>, V>,
    old: HashMap<Box<str>, V>,
}

impl<V: Clone> TokenCache<V> {
    pub fn new(half: usize) -> Self {
        Self { half, generations: RwLock::new(Generations { young: HashMap::new(), old: HashMap::new() }) }
    }

    pub fn get(&self, token: &str) -> Option<V> {
        let found = {
            let g = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(v) = g.young.get(token) {
                return Some(v.clone());
            }
            g.old.get(token).cloned()
        };
        if let Some(v) = &found {
            self.put(token, v.clone());
        }
        found
    }

    pub fn put(&self, token: &str, value: V) {
        let mut g = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if g.young.len() >= self.half && !g.young.contains_key(token) {
            g.old = std::mem::take(&mut g.young);
        }
        g.young.insert(token.into(), value);
    }

    pub fn forget(&self, token: &str) {
        let mut g = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        g.young.remove(token);
        g.old.remove(token);
    }

    pub fn len(&self) -> usize {
        let g = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        g.young.len() + g.old.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
