//! Exit codes, as the contract gives them.

/// All well.
pub(super) const OK: u8 = 0;
/// The run finished and something in it failed, or nothing was found.
pub(super) const SOME_FAILED: u8 = 1;
/// The run could not be done.
pub(super) const FAILED: u8 = 2;
/// Interrupted after an orderly drain.
pub(super) const INTERRUPTED: u8 = 130;
