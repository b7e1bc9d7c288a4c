//! Whether the passages that were found hold the answer: a probability, before a model is asked and paid.
//!
//! ```text
//! rankings ─▶ evidence (margins, agreement) ─▶ model (weights of all corpora, calibration of this one) ─▶ gate ─▶ ask, or say so
//!              corpus's own passages ─▶ questions ─▶ calibrate (with and without their document) ─▶ kept
//! ```
//!
//! A score says little by itself: a cosine of .6 is much with one model and nothing with another, and where all documents are alike
//! every question finds something. So [`evidence`] looks at how far the best passage stands out from those behind it, and
//! [`calibrate`] learns on the index itself what that means there: it makes [`questions`] of passages and asks each twice, once with
//! its document and once as if that was not there. What all corpora have in common is fixed in [`model`]; two numbers are the
//! corpus's own, and [`kept`] keeps them beside the index. No model is asked for any of it that is paid for.
//!
//! Invariants: more evidence never makes an answer less probable; a question on which nothing certain can be said has no
//! probability, and is asked; of itself nothing is refused where the corpus's own questions could not be told apart.

pub mod calibrate;
pub mod evidence;
mod frequencies;
mod gate;
pub mod kept;
pub mod model;
mod questions;

pub use self::evidence::Evidence;
pub(crate) use self::gate::refuses;
pub use self::gate::{AnswerabilityPlan, THRESHOLD, joint};
pub(super) use self::gate::{probability, refusal, sharpened};
pub use self::kept::{Answerability, Known};
pub use self::model::{Calibration, Judgement};
