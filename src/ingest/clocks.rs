//! Where the time of a run goes: every second of every place of every step is put down to one cause.
//!
//! A step has places: what can be at work in it at once. A place that is taken is *working*, on the *wire*, in a *retry*, waits for
//! the *quota* or for a *place* in flight, or holds what the next step has not taken (*blocked*). A place that is free waits for
//! input (*starved*), unless the next step asks for nothing (*blocked*), or a batch is ready and may not leave (*quota*, *places*).
//! So the seconds of a step sum up to its places times the wall time, by construction; that they go to the right cause is what the
//! tests look at. ("Blocked" and "starved" are apart since a step that waits for the next one must not look busy.)
//!
//! A step changes its state some times a batch, behind a lock of its own that is held for some ten nanoseconds; reading it takes
//! no more.

mod board;
mod cpu;
mod place;
mod sample;
mod step;
mod times;

pub use self::board::Clocks;
pub(super) use self::cpu::cores;
pub use self::place::{Asking, Place, Wanted};
pub use self::sample::Latencies;
pub use self::step::{Doing, Free, Step};
pub use self::times::{EmbedTimes, HeldBack, StepTimes, Times};

#[cfg(test)]
mod tests;
