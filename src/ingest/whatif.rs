//! How long the same run would have taken with twice the requests in flight, twice the quota or twice the cores.
//!
//! A discrete-event simulation of what the run was like: batches are produced on cores, leave when a place and the quota allow it,
//! take as long as the recorded requests did, and are worked on again when they come back. It is run as it was and with one thing
//! doubled; the ratio of the two is what the measured time is scaled by, so that what the model does not know of counts on both
//! sides. A formula of bounds (Denning and Buzen, "The Operational Analysis of Queueing Network Models", ACM Computing Surveys
//! 10(3), 1978: throughput is at most that of the bottleneck) is exact far from where one bottleneck gives way to the next, and up to
//! twice off near it, which is where the question is asked; the simulation keeps to those bounds and is right between them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vectordb::OneByOne;

/// Batches that are simulated; of more, the rest goes on as the last ones did.
const MOST: u64 = 4000;
/// Events for each batch are some ten: a bound that nothing reaches keeps a mistake from going on for ever.
const STEPS: u64 = 64;

/// How many times as fast a run would have been (1.9: in 53 % of the time). `None` where that cannot be doubled, or is not known.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Doubled {
    /// With twice the requests in flight (`limits: { concurrency }`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<f64>,
    /// With twice the requests and tokens a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<f64>,
    /// With twice the cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
}

/// What is recorded of a run.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Seconds before and after the stream: nothing changes them.
    pub around: f64,
    /// Seconds of the stream.
    pub running: f64,
    /// Of these, before the first request left, and after the last answer.
    pub margins: (f64, f64),
    /// Seconds on cores in `running`.
    pub cpu: f64,
    /// Which share of them is spent before a batch leaves.
    pub before: f64,
    /// Cores.
    pub cores: usize,
    /// Texts that were embedded.
    pub texts: u64,
    /// Requests.
    pub requests: u64,
    /// What requests took on the wire, in seconds: some of them.
    pub latencies: Vec<f32>,
    /// Requests that may be in flight.
    pub places: usize,
    /// Whether the user has said so: what is learned is as much as is of use.
    pub declared: bool,
    /// Batches that may be under way, from when they are filled to when they are stored; those of the store, without requests.
    pub under_way: usize,
    /// Requests a minute.
    pub rpm: Option<f64>,
    /// Tokens a minute.
    pub tpm: Option<f64>,
    /// Tokens of all requests.
    pub tokens: f64,
    /// Texts a batch, at most.
    pub items: usize,
    /// Whether batches were full of tokens, of which a batch may hold more when the quota is larger.
    pub full_of_tokens: bool,
    /// Seconds that a batch's documents take to be read, at the pace of all that are read at once.
    pub reading: f64,
    /// Seconds that a batch takes to be stored, at the pace of all writers.
    pub storing: f64,
    /// What the store has done one batch after the other, where it tells.
    pub one_by_one: Option<OneByOne>,
    /// Batches that it was given, at least.
    pub stored: u64,
    /// Seconds on a core that a batch takes to be stored, while no other is; beside what batches take on cores otherwise.
    pub writing: f64,
}

impl Recorded {
    /// What doubling would do.
    pub fn doubled(&self) -> Doubled {
        let Some(as_it_was) = self.simulated(self) else {
            let cores = self.local().map_or_else(|| self.cores_alone(), |local| local.doubled().cores);
            return Doubled { cores, ..Doubled::default() };
        };
        let faster = |other: Self| {
            let scaled = self.running * self.simulated(&other)? / as_it_was;
            Some((self.around + self.running) / (self.around + scaled))
        };
        let quota = self.rpm.is_some() || self.tpm.is_some();
        Doubled {
            concurrency: self.declared.then(|| self.with_places()).and_then(faster),
            quota: quota.then(|| self.with_quota()).and_then(faster),
            cores: (self.cpu + self.writing > 0.0).then(|| self.with_cores()).and_then(faster),
        }
    }

    fn with_places(&self) -> Self {
        Self { places: self.places * 2, under_way: self.under_way * 2, ..self.clone() }
    }

    fn with_quota(&self) -> Self {
        let mut other = Self { rpm: self.rpm.map(|rpm| rpm * 2.0), tpm: self.tpm.map(|tpm| tpm * 2.0), ..self.clone() };
        if self.full_of_tokens && self.tpm.is_some() {
            let mean = self.texts as f64 / self.requests.max(1) as f64;
            let fuller = (mean * 2.0).min(self.items as f64).max(mean);
            other.requests = (self.texts as f64 / fuller).ceil() as u64;
            other.storing = self.storing * fuller / mean;
            other.reading = self.reading * fuller / mean;
        }
        other
    }

    fn with_cores(&self) -> Self {
        let (before, after) = self.margins;
        let idle = self.idle();
        // What the cores are busy with in the margins is done by more of them.
        let margin = |seconds: f64| seconds * idle.mul_add(0.5, 0.5);
        Self { cores: self.cores * 2, margins: (margin(before), margin(after)), ..self.clone() }
    }

    /// The share of the cores that is not used, 0 to 1.
    fn idle(&self) -> f64 {
        (1.0 - self.cpu / (self.cores.max(1) as f64 * self.running.max(f64::MIN_POSITIVE))).clamp(0.0, 1.0)
    }

    /// A run with a model in process, as one whose requests take no time: batches for the store, which writes one after the other.
    /// `None` where nothing is known of the store.
    fn local(&self) -> Option<Self> {
        let written = self.one_by_one.filter(|_| self.stored > 0 && self.cpu > 0.0)?;
        let on_core = written.cpu.as_secs_f64().min(self.cpu);
        let batches = self.stored as f64;
        Some(Self {
            cpu: self.cpu - on_core,
            before: 1.0,
            requests: self.stored,
            latencies: vec![0.0],
            places: usize::MAX,
            declared: false,
            reading: self.reading / batches,
            storing: written.waits.as_secs_f64() / batches,
            writing: on_core / batches,
            ..self.clone()
        })
    }

    /// With no more than that to go by: what the cores are busy with takes half as long.
    fn cores_alone(&self) -> Option<f64> {
        let scaled = self.running * self.idle().mul_add(0.5, 0.5);
        (self.cpu > 0.0 && self.running > 0.0).then(|| (self.around + self.running) / (self.around + scaled))
    }

    /// Seconds of the stream in the model, margins included; `None` where there were no requests.
    fn simulated(&self, other: &Self) -> Option<f64> {
        let latencies = &self.latencies;
        if latencies.is_empty() || other.requests == 0 {
            return None;
        }
        let batches = other.requests.min(MOST);
        let model = Model::new(other, latencies, self.cpu);
        let seconds = model.run(batches);
        let seconds = if other.requests > batches {
            let half = Model::new(other, latencies, self.cpu).run(batches / 2);
            seconds + (seconds - half) / (batches - batches / 2) as f64 * (other.requests - batches) as f64
        } else {
            seconds
        };
        Some(other.margins.0 + seconds + other.margins.1)
    }
}

/// What happens, at a time in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// The next documents may be read.
    Read,
    /// A core has produced a batch.
    Produced,
    /// The quota may allow the next request.
    Refilled,
    /// An answer has come.
    Answered,
    /// A core has done with an answer.
    Digested,
    /// A core has written it.
    Written,
    /// It is stored.
    Stored,
}

/// Events in the order of their times; a time as its bits, which sort like the number where it is not negative.
type Agenda = BinaryHeap<Reverse<(u64, u64, usize)>>;

const EVENTS: [Event; 7] =
    [Event::Read, Event::Produced, Event::Refilled, Event::Answered, Event::Digested, Event::Written, Event::Stored];

struct Model<'a> {
    latencies: &'a [f32],
    places: usize,
    under_way: u64,
    /// Seconds on a core, before a batch leaves and after it is back.
    work: (f64, f64),
    reading: f64,
    /// Seconds in which a batch is written, of which no two are at a time: on a core, then beside it.
    writing: f64,
    storing: f64,
    quotas: [Option<Bucket>; 2],
    agenda: Agenda,
    told: u64,
    now: f64,
    free_cores: usize,
    to_produce: u64,
    to_digest: u64,
    to_write: u64,
    writes: bool,
    waiting_to_produce: u64,
    read_at: f64,
    ready: u64,
    sent: u64,
    in_flight: usize,
    begun: u64,
    done: u64,
    refill_told: bool,
}

/// A quota as the limiter keeps it: see `limits/quota.rs`.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: f64,
    capacity: f64,
    level: f64,
    at: f64,
    cost: f64,
}

impl Bucket {
    fn new(per_minute: f64, burst: f64, cost: f64) -> Self {
        let rate = (per_minute / 60.0).max(f64::MIN_POSITIVE);
        let capacity = rate.max(burst).max(1.0);
        Self { rate, capacity, level: capacity, at: 0.0, cost }
    }

    /// The time from which the next may leave.
    fn ready_at(&mut self, now: f64) -> f64 {
        self.level = (self.level + (now - self.at) * self.rate).min(self.capacity);
        self.at = now;
        let missing = self.cost.min(self.capacity) - self.level;
        if missing > 1e-9 { now + missing / self.rate } else { now }
    }
}

impl<'a> Model<'a> {
    fn new(run: &Recorded, latencies: &'a [f32], cpu: f64) -> Self {
        let each = cpu / run.requests.max(1) as f64;
        let tokens = run.tokens / run.requests.max(1) as f64;
        let burst = |rpm: f64| (rpm / 4.0).floor().min(4.0);
        Self {
            latencies,
            places: run.places.max(1),
            under_way: run.under_way.max(2) as u64,
            work: (each * run.before, each * (1.0 - run.before)),
            reading: run.reading,
            writing: run.writing,
            storing: run.storing,
            quotas: [run.rpm.map(|rpm| Bucket::new(rpm, burst(rpm), 1.0)), run.tpm.map(|tpm| Bucket::new(tpm, 0.0, tokens))],
            agenda: Agenda::new(),
            told: 0,
            now: 0.0,
            free_cores: run.cores.max(1),
            to_produce: 0,
            to_digest: 0,
            to_write: 0,
            writes: false,
            waiting_to_produce: 0,
            read_at: 0.0,
            ready: 0,
            sent: 0,
            in_flight: 0,
            begun: 0,
            done: 0,
            refill_told: false,
        }
    }

    fn tell(&mut self, at: f64, event: Event) {
        self.told += 1;
        let event = EVENTS.iter().position(|known| *known == event).unwrap_or_default();
        self.agenda.push(Reverse((at.max(0.0).to_bits(), self.told, event)));
    }

    /// Seconds until so many batches are stored.
    fn run(mut self, batches: u64) -> f64 {
        self.to_produce = batches;
        self.read();
        while let Some(Reverse((at, _, event))) = self.agenda.pop() {
            self.now = f64::from_bits(at);
            match EVENTS.get(event) {
                Some(Event::Read) => {
                    self.waiting_to_produce += 1;
                    self.read();
                }
                Some(Event::Produced) => {
                    self.free_cores += 1;
                    self.ready += 1;
                }
                Some(Event::Refilled) | None => self.refill_told = false,
                Some(Event::Answered) => {
                    self.in_flight -= 1;
                    self.to_digest += 1;
                }
                Some(Event::Digested) => {
                    self.free_cores += 1;
                    self.to_write += 1;
                }
                Some(Event::Written) => {
                    self.free_cores += 1;
                    self.tell(self.now + self.storing, Event::Stored);
                }
                Some(Event::Stored) => {
                    self.writes = false;
                    self.done += 1;
                    self.read();
                }
            }
            self.write();
            self.work();
            self.send();
            if self.done >= batches || self.told > batches.saturating_mul(STEPS) {
                break;
            }
        }
        self.now
    }

    /// Reads what the next batch is made of, if there is room for it.
    fn read(&mut self) {
        while self.begun < self.to_produce && self.begun - self.done < self.under_way && self.read_at <= self.now {
            self.begun += 1;
            self.read_at = self.read_at.max(self.now) + self.reading;
            self.tell(self.read_at, Event::Read);
            if self.reading > 0.0 {
                break;
            }
        }
    }

    /// Has the next batch written, if none is.
    fn write(&mut self) {
        if self.writes || self.to_write == 0 {
            return;
        }
        if self.writing <= 0.0 {
            self.tell(self.now + self.storing, Event::Stored);
        } else if self.free_cores > 0 {
            self.free_cores -= 1;
            self.tell(self.now + self.writing, Event::Written);
        } else {
            return;
        }
        self.to_write -= 1;
        self.writes = true;
    }

    /// Gives the free cores something to do: what came back first, since it makes room.
    fn work(&mut self) {
        while self.free_cores > 0 {
            if self.to_digest > 0 {
                self.to_digest -= 1;
                self.tell(self.now + self.work.1, Event::Digested);
            } else if self.waiting_to_produce > 0 {
                self.waiting_to_produce -= 1;
                self.tell(self.now + self.work.0, Event::Produced);
            } else {
                return;
            }
            self.free_cores -= 1;
        }
    }

    /// Sends what is ready, as far as places and quotas allow.
    fn send(&mut self) {
        while self.ready > 0 && self.in_flight < self.places && !self.refill_told {
            let now = self.now;
            let allowed = self.quotas.iter_mut().flatten().map(|quota| quota.ready_at(now)).fold(now, f64::max);
            if allowed > now {
                self.refill_told = true;
                self.tell(allowed, Event::Refilled);
                return;
            }
            for quota in self.quotas.iter_mut().flatten() {
                quota.level -= quota.cost;
            }
            let sample = usize::try_from(self.sent).unwrap_or_default() % self.latencies.len().max(1);
            let latency = self.latencies.get(sample).copied().unwrap_or_default();
            self.tell(now + f64::from(latency), Event::Answered);
            self.ready -= 1;
            self.sent += 1;
            self.in_flight += 1;
        }
    }
}

#[cfg(test)]
mod tests;
