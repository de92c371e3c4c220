//! Threads that finish in any order, and a place where they pass one by one in theirs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

struct State<T> {
    next: u64,
    stopped: bool,
    value: T,
}

pub(crate) struct Turnstile<T> {
    state: Mutex<State<T>>,
    moved: Condvar,
}

impl<T> Turnstile<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { state: Mutex::new(State { next: 0, stopped: false, value }), moved: Condvar::new() }
    }
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Waits until all before `number` have passed. `None`: one of them never will.
    pub(crate) fn pass<R>(&self, number: u64, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut state = self.lock();
        while state.next != number && !state.stopped {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped {
            return None;
        }
        let result = f(&mut state.value);
        state.next += 1;
        self.moved.notify_all();
        Some(result)
    }
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.moved.notify_all();
    }
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }
    pub(crate) fn into_inner(self) -> T {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).value
    }
}

/// Lets the others go when a thread ends for any reason but that there is nothing left to do.
pub(crate) struct StopUnlessDone<'a, T> {
    pub turnstile: &'a Turnstile<T>,
    pub done: bool,
}

impl<T> Drop for StopUnlessDone<'_, T> {
    fn drop(&mut self) {
        if !self.done {
            self.turnstile.stop();
        }
    }
}
