//! Counters of others, read when metrics are sent.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::telemetry::Reading;

/// Reads counters until it is dropped; what they said then is what is told from then on.
#[must_use]
pub(in crate::cli) struct Watching(Option<Arc<Watched>>);

struct Watched(Mutex<State>);

enum State {
    Live(Box<dyn Fn() -> Vec<Reading> + Send + Sync>),
    Ended(Vec<Reading>),
}

impl Watched {
    fn read(&self) -> Vec<Reading> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Live(readings) => readings(),
            State::Ended(readings) => readings.clone(),
        }
    }
}

impl Watching {
    /// Nothing is read where nothing is sent.
    pub fn new(meter: Option<&Meter>, readings: impl Fn() -> Vec<Reading> + Send + Sync + 'static) -> Self {
        let Some(meter) = meter else { return Self(None) };
        let first = readings();
        let watched = Arc::new(Watched(Mutex::new(State::Live(Box::new(readings)))));
        for Reading { name, help, seconds, grows, .. } in first {
            let watched = Arc::clone(&watched);
            let observe = move |tell: &dyn Fn(f64, &[KeyValue])| {
                for reading in watched.read().iter().filter(|reading| reading.name == name) {
                    for (of, value) in &reading.series {
                        let of: Vec<_> = reading.labelled(of).map(|(label, of)| KeyValue::new(label, of.to_owned())).collect();
                        tell(*value, &of);
                    }
                }
            };
            let (name, unit) = (format!("ragstream.{name}"), if seconds { "s" } else { "1" });
            if grows {
                let counter = meter.f64_observable_counter(name).with_unit(unit).with_description(help);
                counter.with_callback(move |to| observe(&|value, of| to.observe(value, of))).build();
            } else {
                let gauge = meter.f64_observable_gauge(name).with_unit(unit).with_description(help);
                gauge.with_callback(move |to| observe(&|value, of| to.observe(value, of))).build();
            }
        }
        Self(Some(watched))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(watched) = &self.0 {
            let last = watched.read();
            *watched.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Ended(last);
        }
    }
}
