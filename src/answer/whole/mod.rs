//! Questions about all documents: "list every incident", 总结全部. They are answered by a pass over all of them (map and reduce), never
//! by some passages that pretend to be all.
//!
//! ```text
//! question ─▶ given: recognise, plan (offer, or read) ─▶ reading ─▶ parts ─▶ estimate ─▶ pass: reader (a request a part) ─▶ notes ─▶ answer
//!                                                                                          └─▶ kept
//! ```
//!
//! [`recognise`] tells such a question by its form, and [`plan`] what is done about it; [`given`] makes the pass. [`reading`] has all
//! passages that pass the filter in order, and [`parts`] packs them into what one request reads. [`forecast`] says what that takes
//! before it is paid for ([`estimate`]), and [`allowance`] that it takes no more. In the [`pass`], a [`reader`] notes what is in each
//! part for the question ([`prompts`]); [`notes`] are put together on a [`shelf`] until they fit into the last request, whose answer is
//! streamed and checked like any other. What was paid for is [`kept`].
//!
//! Invariants: every passage reaches a model once (twice or more where its part had too much for one reader); nothing is paid for before
//! the estimate is told, and no request is made beyond those of its "at most"; a part that could not be read is always told; no more is
//! in memory than a document, the parts under way and notes of a few requests.

mod allowance;
mod estimate;
mod forecast;
mod given;
mod kept;
mod notes;
mod parts;
mod pass;
mod plan;
mod prompts;
mod reader;
mod reading;
mod recognise;
mod shelf;

pub use self::estimate::{Estimate, WholeSummary};
pub(super) use self::given::{Asked, Given, SEVERAL};
pub(super) use self::pass::{Pass, Quota};
pub use self::plan::{WholeMode, WholePlan};
pub(super) use self::reading::Library;
pub use self::recognise::is_about_all;
