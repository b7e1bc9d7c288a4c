//! One pace a machine: several names may lead to it, and it is as busy by whichever it is asked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use url::Url;

use super::address::{self, Reach};
use super::pace::{Pace, PacePlan};

/// Between two requests to a host, and requests at once, unless the plan or robots.txt says otherwise.
const DELAY: Duration = Duration::from_millis(250);
const CONCURRENCY: usize = 2;
/// The same, to this machine.
const CONCURRENCY_HERE: usize = 8;

/// Origins, and machines, that are told apart. All that are met beyond them share one pace.
const MOST: usize = 1000;

/// What is polite, as far as the plan says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    pub(super) delay: Option<Duration>,
    pub(super) concurrency: Option<usize>,
    pub(super) patience: Duration,
}

/// How fast each machine is asked.
#[derive(Debug)]
pub(super) struct Paces {
    manners: Manners,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// By origin: a name is looked up once.
    origins: HashMap<String, Arc<Pace>>,
    machines: HashMap<Machine, Arc<Pace>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Machine {
    /// Of several addresses the first: names of one machine share them all.
    At(IpAddr),
    /// A server of this machine, or what is made to look like one: each port may be another.
    Here(Option<u16>),
    /// A name without an address.
    Unknown(String),
    /// More than are told apart.
    Other,
}

impl Paces {
    pub(super) fn new(manners: Manners) -> Self {
        Self { manners, table: Mutex::default() }
    }

    /// The pace of whoever answers at an address.
    pub(super) async fn of(&self, url: &Url) -> Arc<Pace> {
        let origin = url.origin().ascii_serialization();
        if let Some(pace) = self.table().origins.get(&origin) {
            return Arc::clone(pace);
        }
        let machine = machine(url).await;
        let mut table = self.table();
        let machine =
            if table.machines.len() < MOST || table.machines.contains_key(&machine) { machine } else { Machine::Other };
        let here = matches!(machine, Machine::Here(_));
        let pace = Arc::clone(table.machines.entry(machine).or_insert_with(|| Arc::new(Pace::new(self.manners.plan(here)))));
        if table.origins.len() < MOST {
            table.origins.insert(origin, Arc::clone(&pace));
        }
        pace
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manners {
    fn plan(self, here: bool) -> PacePlan {
        let (delay, concurrency) = if here { (Duration::ZERO, CONCURRENCY_HERE) } else { (DELAY, CONCURRENCY) };
        PacePlan {
            delay: self.delay.unwrap_or(delay),
            concurrency: self.concurrency.unwrap_or(concurrency),
            patience: self.patience,
        }
    }
}

async fn machine(url: &Url) -> Machine {
    let found = address::addresses_of(url).await.unwrap_or_default();
    match found.iter().map(IpAddr::to_canonical).min() {
        Some(first) if Reach::of(first) == Reach::Loopback => Machine::Here(url.port_or_known_default()),
        Some(first) => Machine::At(first),
        None => Machine::Unknown(url.host_str().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    fn paces() -> Paces {
        Paces::new(Manners { delay: None, concurrency: None, patience: Duration::from_secs(30) })
    }

    async fn same(paces: &Paces, one: &str, other: &str) -> bool {
        Arc::ptr_eq(&paces.of(&one.parse().unwrap()).await, &paces.of(&other.parse().unwrap()).await)
    }

    #[tokio::test]
    async fn names_of_one_machine_share_what_is_polite() {
        let paces = paces();
        assert!(same(&paces, "http://localhost:8000/a", "http://127.0.0.1:8000/b").await);
        assert!(!same(&paces, "http://localhost:8000/a", "http://127.0.0.1:9000/").await, "another server of one's own");
        for other in ["https://1.1.1.1/", "http://1.1.1.1:8080/x", "http://[::ffff:1.1.1.1]/"] {
            assert!(same(&paces, "http://1.1.1.1/", other).await, "{other}");
        }
        assert!(!same(&paces, "http://1.1.1.1/", "http://1.0.0.1/").await);
        assert!(!same(&paces, "http://one.invalid/", "http://two.invalid/").await);
        assert_eq!(paces.of(&"http://1.1.1.1/".parse().unwrap()).await.concurrency(), CONCURRENCY);
        assert_eq!(paces.of(&"http://localhost:8000/".parse().unwrap()).await.concurrency(), CONCURRENCY_HERE);
    }

    #[tokio::test(start_paused = true)]
    async fn two_names_are_asked_no_faster_than_one() {
        let paces = paces();
        let names = ["http://1.1.1.1/", "https://1.1.1.1/"].map(|name| name.parse::<Url>().unwrap());
        let began = tokio::time::Instant::now();
        for n in 0..20 {
            let pace = paces.of(names.get(n % 2).unwrap()).await;
            pace.admit().await.settle(Some(200), Duration::from_millis(10), None);
        }
        assert!(began.elapsed() > DELAY.mul_f64(0.75) * 19, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn the_table_does_not_grow_without_end() {
        let paces = paces();
        let url = |n: usize| format!("http://1.{}.{}.1/", n / 200, n % 200).parse::<Url>().unwrap();
        let first = paces.of(&url(0)).await;
        for n in 1..MOST + 50 {
            paces.of(&url(n)).await;
        }
        assert!(Arc::ptr_eq(&first, &paces.of(&url(0)).await), "what is known is not forgotten");
        assert!(Arc::ptr_eq(&paces.of(&url(MOST + 1)).await, &paces.of(&url(MOST + 60)).await));
        let table = paces.table();
        assert!(table.origins.len() <= MOST && table.machines.len() <= MOST + 1);
    }
}
