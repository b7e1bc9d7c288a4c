//! Workers on machines of their own, each of which is cut off from the database, the store and the provider in turn, in silence and for
//! longer than its lease: a network namespace each. Needs root, `ip`, `nft` and `socat`: `scripts/torture-partitions`.

#![allow(clippy::print_stdout, reason = "it is run for its figures")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::processes::{Terms, World};
use crate::sql::servers;

fn run(command: &str) {
    let mut words = command.split(' ');
    let done = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

fn socat(network: Option<&str>, from: &str, to: &str) -> Child {
    let mut command = Command::new(if network.is_some() { "ip" } else { "socat" });
    if let Some(network) = network {
        command.args(["netns", "exec", network, "socat"]);
    }
    command.args([from, to]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A machine's network: it has what listens on these ports here, and nothing else.
struct Network {
    name: String,
    ways: Vec<Child>,
}

impl Network {
    fn new(number: usize, folder: &Path, ports: &[u16]) -> Self {
        let name = format!("ragstream-{}-{number}", std::process::id());
        run(&format!("ip netns add {name}"));
        let mut network = Self { name, ways: Vec::new() };
        let name = &network.name;
        run(&format!("ip -n {name} link set lo up"));
        run(&format!("ip netns exec {name} nft add table inet cut"));
        run(&format!("ip netns exec {name} nft add chain inet cut in {{ type filter hook input priority 0; }}"));
        for port in ports {
            let socket = folder.join(format!("{port}.{number}"));
            let socket = socket.display();
            network.ways.push(socat(None, &format!("UNIX-LISTEN:{socket},fork"), &format!("TCP:127.0.0.1:{port}")));
            let listens = format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,backlog=100");
            network.ways.push(socat(Some(name), &listens, &format!("UNIX-CONNECT:{socket}")));
        }
        network
    }

    /// From now on nothing comes through, in neither direction, and nobody says so.
    fn cut(&self, port: u16) {
        for way in ["dport", "sport"] {
            run(&format!("ip netns exec {} nft add rule inet cut in tcp {way} {port} drop", self.name));
        }
    }

    fn mend(&self) {
        run(&format!("ip netns exec {} nft flush chain inet cut in", self.name));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for way in &mut self.ways {
            let _ = way.kill();
            let _ = way.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// As the environment says: `TORTURE_LEASE`, `TORTURE_CUT`, `TORTURE_DOCUMENTS`, `TORTURE_RPM`, `TORTURE_TPM`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes, and root: scripts/torture-partitions"]
async fn workers_that_are_cut_off_make_the_index_of_one() {
    let number = |name: &str, usual: u64| {
        std::env::var(format!("TORTURE_{name}")).ok().map_or(usual, |value| value.parse().expect("a number"))
    };
    let (lease, long) = (Duration::from_secs(number("LEASE", 10)), Duration::from_secs(number("CUT", 15)));
    let never = Duration::from_hours(24);
    let terms = Terms {
        workers: 4,
        documents: number("DOCUMENTS", 3000) as usize,
        quota: Some((number("RPM", 600), number("TPM", 60_000))),
        kill: never,
        restart: never,
        stop: never,
        for_long: never,
        lease,
    };
    let mut world = World::new(&terms).await;
    let folder = tempfile::tempdir().unwrap();
    let port = |url: &str| url.trim_end_matches('/').rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let services = [
        ("the database", world.postgres.port),
        ("the store", port(world.store.url.as_str())),
        ("the provider", port(world.api.url())),
    ];
    let ports: Vec<u16> = services.iter().map(|(_, port)| *port).chain([servers::postgres().port]).collect();
    let networks: Vec<Network> = (0..terms.workers).map(|number| Network::new(number, folder.path(), &ports)).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut running = Vec::new();
    for network in &networks {
        running.push(world.start_in(Some(network.name.clone())));
    }
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut cuts = 0;
    for (what, port) in services {
        for (worker, network) in networks.iter().enumerate() {
            if running.iter_mut().any(|(_, child)| child.try_wait().unwrap().is_some()) {
                println!("the round ended before worker {worker} was cut off from {what}");
                continue;
            }
            println!("{:.0} s: worker {worker} is cut off from {what}", began.elapsed().as_secs_f64());
            network.cut(port);
            cuts += 1;
            tokio::time::sleep(long).await;
            network.mend();
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    }
    for (number, child) in running {
        let said = world.said(number, child);
        assert_eq!(said.code, 0, "worker {number}: {}\n{}", said.stdout, said.stderr);
        assert_eq!(said.summary["outcome"], "complete", "{}", said.summary);
        println!(
            "worker {number}: {} documents, {} failed",
            said.summary["documents"]["added"], said.summary["documents"]["failed"]
        );
    }
    println!(
        "{cuts} cuts of {} s, {:.0} s, {} texts paid for twice",
        long.as_secs(),
        began.elapsed().as_secs_f64(),
        world.bill.twice()
    );
    for table in ["jobs", "sweeps", "workers"] {
        assert_eq!(world.sql(&format!("SELECT count(*) FROM ragstream.{table}")), "0", "{table}");
    }
    world.is_as_alone().await;
}
