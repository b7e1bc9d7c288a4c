//! The accounts at providers that several pipelines of one process use.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::limits::{self, Limiter, Limits};

/// One limiter for each account, an address with a key: a provider has one quota for all who use it.
///
/// Only where the same limits are declared. Whoever declares others is taken at their word and has a limiter apart, so that the account
/// is asked for the sum of both; a pipeline whose file was changed so begins anew with what it declares now. An account is kept for as
/// long as the process runs, so that what was sent counts on when a pipeline is read again.
#[derive(Debug, Default)]
pub struct Accounts(Mutex<HashMap<(String, Limits), Limiter>>);

impl Accounts {
    /// The limiter of the account, for one more who uses it; `own` where nobody does yet.
    pub(super) fn limiter(&self, address: &str, key: &str, own: &Limiter) -> Limiter {
        let account = (limits::fingerprint("", address, key), own.declared());
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.entry(account).or_insert_with(|| own.clone()).beside()
    }
}
