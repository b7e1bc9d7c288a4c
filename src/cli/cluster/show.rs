//! What all workers on an index are at, for people.

use crate::cli::exit;
use crate::cli::output::{Output, counted, grouped};
use crate::cli::style::harmless;
use crate::cluster::ClusterStatus;
use crate::source::readable::readable;

/// Shows it. The exit code is as without other workers.
pub(super) fn show(status: Option<&ClusterStatus>, output: &Output) -> u8 {
    let Some(status) = status else {
        output.note("no worker has begun with this index yet: `ingest -p PIPELINE --cluster URL` does");
        return exit::SOME_FAILED;
    };
    if output.json {
        output.event(status);
    } else {
        output.print(&shown(status));
    }
    if status.failed > 0 { exit::SOME_FAILED } else { exit::OK }
}

fn shown(status: &ClusterStatus) -> String {
    let mut text = format!("index      {}\ndatabase   {}\n", status.index, status.database);
    text.push_str(&format!("documents  {}", grouped(status.documents)));
    if status.failed > 0 {
        text.push_str(&format!(", {} failed", grouped(status.failed)));
    }
    if let Some(change) = &status.change {
        let (from, to) = (harmless(&change.from), harmless(&change.to));
        text.push_str(&format!("\nchange     to {to}: {} %, {} still to come", change.percent, grouped(change.waiting)));
        if change.failed > 0 {
            text.push_str(&format!(", {} failed", grouped(change.failed)));
        }
        text.push_str(&format!("; the vectors of {from} answer until then"));
    }
    text.push_str(&format!("\nround      {}, {}", status.round, status.phase));
    if let Some(seconds) = status.seconds.filter(|_| status.phase != "sealed") {
        text.push_str(&format!(" for {}", time(seconds)));
    }
    text.push('\n');
    if status.phase != "sealed" {
        text.push_str(&format!("queue      {} wait, {} taken", grouped(status.waiting), grouped(status.taken)));
        if status.late > 0 {
            text.push_str(&format!(", {} to be looked at once more", counted(status.late, "document")));
        }
        text.push_str(&format!("\nrate       {:.1} documents/s", status.documents_per_second));
        if let Some(left) = status.seconds_left {
            text.push_str(&format!(", {} left", time(left)));
        }
        text.push('\n');
    }
    for quota in &status.quotas {
        let of = |used: u64, limit: Option<u64>, what: &str| match limit {
            Some(limit) => format!("{} of {} {what}", grouped(used), grouped(limit)),
            None => format!("{} {what}", grouped(used)),
        };
        let (requests, tokens) = (of(quota.requests, quota.rpm, "requests"), of(quota.tokens, quota.tpm, "tokens"));
        text.push_str(&format!("quota      {}: {requests}, {tokens} in the last minute\n", harmless(&quota.provider)));
    }
    text.push_str(&format!("workers    {}\n", grouped(status.workers.len() as u64)));
    for worker in &status.workers {
        let place = format!("{}:{}", worker.host, worker.process);
        let place = harmless(&place);
        let leads = if worker.leads { ", walks" } else { "" };
        let lease = if worker.lease < 0.0 { "lease has run out".to_owned() } else { format!("lease {:.0} s", worker.lease) };
        text.push_str(&format!(
            "  {place}{leads}: {lease}, {} taken, {} and {} done, {}",
            grouped(worker.taken),
            counted(worker.documents, "document"),
            counted(worker.chunks, "chunk"),
            counted(worker.requests, "request"),
        ));
        if worker.throttled > 0 {
            text.push_str(&format!(", refused {} times for speed", grouped(worker.throttled)));
        }
        text.push('\n');
    }
    for failure in &status.failures {
        let failed = format!("{}: {} (at {})", failure.uri, failure.error, failure.stage);
        text.push_str(&format!("failed     {}\n", harmless(&readable(&failed))));
    }
    if status.failed > status.failures.len() as u64 {
        text.push_str(&format!("           and {} more\n", grouped(status.failed - status.failures.len() as u64)));
    }
    text
}

fn time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6000 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}
