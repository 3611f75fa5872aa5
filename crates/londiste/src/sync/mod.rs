//! How a table gets from "registered" to "replayed by the worker": the states, and who moves between them.
//!
//! Two parties act. The **worker** replays the queue into all tables that are `ok`. A **copy** serves exactly one
//! table: it loads the rows, applies the table's events that were written meanwhile, and hands the table over. They
//! agree through `londiste.table_info.merge_state` alone; every move is one committed update, so either of them may
//! be killed in any state and goes on from the stored one. A move is made from the state that it was decided in, or not at
//! all: somebody may have asked for a new copy since.
//!
//! ```text
//!               worker: slot free,               copy: rows loaded,
//!               table ok on provider             snapshot stored
//!  ┌─────────┐                    ┌─────────┐                      ┌─────────────┐
//!  │ (NULL)  │ ─────────────────▶ │ in-copy │ ───────────────────▶ │ catching-up │ ◀─┐ copy: applies a batch,
//!  └─────────┘                    └─────────┘                      └─────────────┘ ──┘ own table only
//!       ▲                              │                                  │
//!       │ copy: its position on the    │                                  │ copy: found no batch, then one that
//!       │ provider is gone             │                                  │ ends at T (not applied yet)
//!       └──────────────────────────────┴────────────────┐                 ▼
//!                                                       │         ┌──────────────┐ ◀─┐ worker: batches before T,
//!  ┌─────────┐  copy: stands at T', all before    ┌─────┴──────┐  │ wanna-sync:T │ ──┘ the table still left out
//!  │   ok    │ ◀───────────────────────────────── │ do-sync:T' │◀─└──────────────┘
//!  └─────────┘  T' is applied, T' itself is not   └────────────┘   worker: stands at its batch that ends at T' ≥ T
//!       ▲  │                                       worker: does not move until the table is ok
//!       └──┘ worker: applies every batch from T' on
//! ```
//!
//! The copy applies every batch that ends before T', the worker every batch from T' on; the snapshot of the load
//! filters what the loaded rows contain already. So each change is applied exactly once.
//!
//! This module decides and does nothing: [`next`] is a total function, tested without a server.

mod bell;
mod slots;
mod store;

pub use bell::{Bell, Listener, ring_worker};
pub use slots::{Candidate, choose_copies};
pub use store::{forget_snapshot, move_state, set_missing};

use crate::table::MergeState;

/// What one of the two parties observes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The worker has a free slot for this table and the provider's own copy is complete.
    SlotFree,
    /// The worker stands before its batch that ends at this tick.
    WorkerAt(i64),
    /// The copy has loaded the rows.
    Loaded,
    /// The copy had found no further batch, and now stands before one that ends at this tick.
    CaughtUpAt(i64),
    /// The copy stands before its batch that ends at this tick.
    CopyAt(i64),
    /// The copy's position on the provider is gone: events after it may be lost.
    PositionLost,
}

/// What the observing party does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Stores this state (and commits), then looks again.
    Become(MergeState),
    /// Applies the table's events of the batch.
    Apply,
    /// Goes on with the batch but leaves out the table's events.
    Leave,
    /// Does nothing until the other party has moved.
    Hold,
    /// Loads the rows.
    Load,
    /// Ends: the table is no longer (or not yet) the copy's business.
    Retire,
    /// Stops with an error: the stored state cannot have come about by the protocol.
    Refuse(Contradiction),
}

/// Why [`Step::Refuse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contradiction {
    /// The copy is past the tick at which it should have handed the table over.
    CopyPastHandOver {
        /// The tick of `do-sync`.
        agreed: i64,
        /// The tick of the copy's batch.
        at: i64,
    },
    /// The worker is past the tick at which it should have waited for the table.
    WorkerPastHandOver {
        /// The tick of `do-sync`.
        agreed: i64,
        /// The tick of the worker's batch.
        at: i64,
    },
}

/// The step that the stored state and an observation lead to.
pub fn next(state: MergeState, input: Input) -> Step {
    use MergeState::{CatchingUp, DoSync, InCopy, Missing, Ok, WannaSync};
    match (state, input) {
        (Missing, Input::SlotFree) => Step::Become(InCopy),
        (InCopy | CatchingUp | WannaSync(_) | DoSync(_), Input::SlotFree) => Step::Hold,
        (Ok, Input::SlotFree) => Step::Apply,

        (Missing | InCopy | CatchingUp, Input::WorkerAt(_)) => Step::Leave,
        (WannaSync(wanted), Input::WorkerAt(at)) if at < wanted => Step::Leave,
        (WannaSync(_), Input::WorkerAt(at)) => Step::Become(DoSync(at)),
        (DoSync(agreed), Input::WorkerAt(at)) if at == agreed => Step::Hold,
        // Only after the worker's position was moved back by hand.
        (DoSync(agreed), Input::WorkerAt(at)) if at < agreed => Step::Leave,
        (DoSync(agreed), Input::WorkerAt(at)) => {
            Step::Refuse(Contradiction::WorkerPastHandOver { agreed, at })
        }
        (Ok, Input::WorkerAt(_)) => Step::Apply,

        (InCopy, Input::Loaded) => Step::Become(CatchingUp),
        // Somebody reset the table while it was loaded: what was loaded is void.
        (Missing | Ok, Input::Loaded) => Step::Retire,
        (CatchingUp | WannaSync(_) | DoSync(_), Input::Loaded) => Step::Hold,

        (CatchingUp, Input::CaughtUpAt(at)) => Step::Become(WannaSync(at)),
        (InCopy, Input::CaughtUpAt(_) | Input::CopyAt(_)) => Step::Load,
        (CatchingUp, Input::CopyAt(_)) => Step::Apply,
        (WannaSync(_), Input::CaughtUpAt(_) | Input::CopyAt(_)) => Step::Hold,
        (DoSync(agreed), Input::CaughtUpAt(at) | Input::CopyAt(at)) => match at.cmp(&agreed) {
            std::cmp::Ordering::Less => Step::Apply,
            std::cmp::Ordering::Equal => Step::Become(Ok),
            std::cmp::Ordering::Greater => Step::Refuse(Contradiction::CopyPastHandOver { agreed, at }),
        },
        (Missing | Ok, Input::CaughtUpAt(_) | Input::CopyAt(_) | Input::PositionLost) => Step::Retire,

        // Nothing has been applied on top of the load yet: a new position serves as well.
        (InCopy, Input::PositionLost) => Step::Load,
        (CatchingUp | WannaSync(_) | DoSync(_), Input::PositionLost) => Step::Become(Missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MergeState::{CatchingUp, DoSync, InCopy, Missing, Ok, WannaSync};

    /// Worker and copy over a queue of ticks, each killed and restarted at will: whatever the interleaving, every
    /// batch after the load is applied exactly once and in order.
    struct World {
        state: MergeState,
        newest: i64,
        worker_done: i64,
        copy_done: i64,
        copy_was_idle: bool,
        applied: Vec<i64>,
        loaded_at: i64,
    }

    impl World {
        fn worker(&mut self) {
            if self.state == Missing
                && let Step::Become(state) = next(self.state, Input::SlotFree)
            {
                self.state = state;
                self.copy_done = self.newest;
                return;
            }
            let at = self.worker_done + 1;
            if at > self.newest {
                return;
            }
            match next(self.state, Input::WorkerAt(at)) {
                Step::Become(state) => self.state = state,
                Step::Apply => {
                    self.applied.push(at);
                    self.worker_done = at;
                }
                Step::Leave => self.worker_done = at,
                Step::Hold => {}
                other => panic!("worker at {at} in {}: {other:?}", self.state),
            }
        }

        fn copy(&mut self) {
            if !self.state.is_copying() {
                return;
            }
            if self.state == InCopy {
                self.loaded_at = self.copy_done;
                let Step::Become(state) = next(self.state, Input::Loaded) else {
                    panic!("load has no successor")
                };
                self.state = state;
                return;
            }
            let at = self.copy_done + 1;
            if at > self.newest {
                self.copy_was_idle = true;
                return;
            }
            let input = if self.copy_was_idle { Input::CaughtUpAt(at) } else { Input::CopyAt(at) };
            match next(self.state, input) {
                Step::Become(state) => self.state = state,
                Step::Apply => {
                    self.applied.push(at);
                    self.copy_done = at;
                    self.copy_was_idle = false;
                }
                Step::Hold => {}
                other => panic!("copy at {at} in {}: {other:?}", self.state),
            }
        }
    }

    #[test]
    fn every_interleaving_applies_each_batch_once() {
        let mut seed: u64 = 7;
        let mut random = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for run in 0..2000 {
            let mut world = World {
                state: Missing,
                newest: 5,
                worker_done: 3,
                copy_done: 0,
                copy_was_idle: false,
                applied: Vec::new(),
                loaded_at: 0,
            };
            for _ in 0..200 {
                match random(10) {
                    0..=3 => world.worker(),
                    4..=7 => world.copy(),
                    8 => world.newest += 1,
                    // The copy was killed: it forgets that it had been idle, the stored state stays.
                    _ => world.copy_was_idle = false,
                }
            }
            for _ in 0..50 {
                world.newest += 1;
                for _ in 0..3 {
                    world.copy();
                    world.worker();
                }
            }
            assert_eq!(world.state, Ok, "run {run}");
            let expected: Vec<i64> = (world.loaded_at + 1..=world.worker_done).collect();
            assert_eq!(world.applied, expected, "run {run}");
        }
    }

    #[test]
    fn function_is_total_and_never_leaves_the_drawing() {
        let states = [Missing, InCopy, CatchingUp, WannaSync(5), DoSync(5), Ok];
        let drawn =
            [(Missing, InCopy), (InCopy, CatchingUp), (CatchingUp, WannaSync(4)), (CatchingUp, WannaSync(5))];
        for state in states {
            for tick in [4, 5, 6] {
                for input in [
                    Input::SlotFree,
                    Input::WorkerAt(tick),
                    Input::Loaded,
                    Input::CaughtUpAt(tick),
                    Input::CopyAt(tick),
                    Input::PositionLost,
                ] {
                    if let Step::Become(to) = next(state, input) {
                        let allowed = drawn.contains(&(state, to))
                            || matches!((state, to), (CatchingUp, WannaSync(t)) if t == tick)
                            || matches!((state, to), (WannaSync(w), DoSync(t)) if t >= w)
                            || matches!((state, input, to), (DoSync(t), Input::CopyAt(c) | Input::CaughtUpAt(c), Ok) if t == c)
                            || (input == Input::PositionLost && to == Missing);
                        assert!(allowed, "{state} on {input:?} became {to}");
                    }
                }
            }
        }
    }

    #[test]
    fn only_the_worker_names_the_hand_over_tick() {
        assert_eq!(next(WannaSync(10), Input::WorkerAt(9)), Step::Leave);
        assert_eq!(next(WannaSync(10), Input::WorkerAt(12)), Step::Become(DoSync(12)));
        assert_eq!(next(DoSync(12), Input::CopyAt(11)), Step::Apply);
        assert_eq!(next(DoSync(12), Input::CopyAt(12)), Step::Become(Ok));
        assert_eq!(
            next(DoSync(12), Input::CopyAt(13)),
            Step::Refuse(Contradiction::CopyPastHandOver { agreed: 12, at: 13 })
        );
    }
}
