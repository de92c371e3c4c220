//! Fault points of a cloud that runs in one thread: who simulates it decides at each point what happens there.

use crate::Struck;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    No,
    /// Goes no further. Whoever decides so ends what else is of that process.
    Dies,
    Delay(Duration),
    Repeat,
}

type Decide = Rc<RefCell<dyn FnMut(&str) -> Strike>>;

thread_local! {
    static DECIDE: RefCell<Option<Decide>> = const { RefCell::new(None) };
}

/// Strikes on this thread are decided by whoever has entered, until this is dropped.
pub struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        DECIDE.take();
    }
}

/// From now on `decide` is asked at each point that this thread passes.
pub fn enter(decide: impl FnMut(&str) -> Strike + 'static) -> Entered {
    DECIDE.set(Some(Rc::new(RefCell::new(decide))));
    Entered(())
}

/// `None`: nothing is simulated on this thread.
pub(crate) async fn at(name: &str) -> Option<Struck> {
    let strike = {
        let decide = DECIDE.with_borrow(Clone::clone)?;
        let mut decide = decide.borrow_mut();
        decide(name)
    };
    match strike {
        Strike::No => Some(Struck::No),
        Strike::Repeat => Some(Struck::Repeat),
        Strike::Delay(time) => {
            tokio::time::sleep(time).await;
            Some(Struck::No)
        }
        Strike::Dies => std::future::pending().await,
    }
}
