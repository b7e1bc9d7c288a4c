//! How far another machine's clock is from this one's, and whether it was set.
//!
//! A clock that is set back is seen by times that have not come yet. One that is set forward makes everything look older than it is:
//! what was sent a moment ago would not count any more. Between the sending of a question and the coming of its answer that clock said
//! what the answer says, so each visit bounds how far both are apart, whatever the way to the database took; bounds that exclude each
//! other are proof.

use tokio::time::Instant;

/// Clocks run apart by no more than this part of the time.
const DRIFT: i64 = 1000;

/// Less is not worth a word: a window is a second longer than a minute.
const SMALL: i64 = 100_000;

/// Bounds, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Offset(Option<Known>);

#[derive(Debug, Clone, Copy)]
struct Known {
    /// What this machine's times are counted from.
    from: Instant,
    at: Instant,
    least: i64,
    most: i64,
}

impl Offset {
    /// Takes in that the other clock said `micros` some time between `asked` and `now`. Returns by how much it was set forward since
    /// the last time, at least.
    pub(super) fn seen(&mut self, asked: Instant, now: Instant, micros: i64) -> i64 {
        let from = self.0.map_or(asked, |known| known.from);
        let since = |at: Instant| i64::try_from(at.saturating_duration_since(from).as_micros()).unwrap_or(i64::MAX);
        let (least, most) = (micros.saturating_sub(since(now)), micros.saturating_sub(since(asked)));
        let new = Known { from, at: now, least, most };
        let Some(known) = self.0.replace(new) else { return 0 };
        let drift = i64::try_from(now.saturating_duration_since(known.at).as_micros()).unwrap_or(i64::MAX) / DRIFT;
        let (known_least, known_most) = (known.least.saturating_sub(drift), known.most.saturating_add(drift));
        if least <= known_most && most >= known_least {
            self.0 = Some(Known { least: least.max(known_least), most: most.min(known_most), ..new });
        }
        Some(least.saturating_sub(known_most)).filter(|jump| *jump > SMALL).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_slow_way_is_no_jump_and_a_jump_is_seen(
            visits in prop::collection::vec((0_u64..3_000_000, 0_u64..2_000_000, 0_u64..2_000_000), 2..60),
            at in 1_usize..59,
            jump in 0_i64..100_000_000,
        ) {
            let start = Instant::now();
            let (mut offset, mut clock, mut seen, mut loosest) = (Offset::default(), 0, 0, 0);
            let mut jumped = 0;
            for (index, (pause, there, back)) in visits.iter().enumerate() {
                clock += pause;
                let asked = start + Duration::from_micros(clock);
                clock += there;
                if index == at {
                    jumped = jump;
                }
                let micros = 1_800_000_000_000_000 + clock as i64 + jumped;
                clock += back;
                let found = offset.seen(asked, start + Duration::from_micros(clock), micros);
                seen += found;
                prop_assert!(seen <= jumped, "{seen} of {jumped}");
                loosest = loosest.max(there + back);
            }
            // What is not proven is less than the longest way there and back.
            if at < visits.len() {
                prop_assert!(seen + loosest as i64 * 2 + SMALL + 200_000 >= jump, "{seen} of {jump}");
            }
        }
    }
}
