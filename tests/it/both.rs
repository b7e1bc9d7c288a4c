//! Both ledgers, for tests that go through an ingest: the file of one process, and the tables that several workers share, of whom
//! each run is one.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use ragstream::cluster::SCHEMA;
use tokio::runtime::Runtime;

use crate::project::{Ended, Project};
use crate::qdrant_server::{self, Running};
use crate::rig::Kind;
use crate::sql::servers::{postgres, psql};

/// Where it is recorded what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ledger {
    Sqlite,
    Postgres,
}

impl Ledger {
    /// The rigs that have it.
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Sqlite => &[Kind::Embedded, Kind::Qdrant],
            Self::Postgres => &[Kind::Cluster],
        }
    }

    /// One of them, for the n-th of several cases.
    pub fn kind(self, n: usize) -> Kind {
        self.kinds()[n % self.kinds().len()]
    }

    /// As a part of a name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// The one whose index is on a server.
    pub fn on_a_server(self) -> Kind {
        match self {
            Self::Sqlite => Kind::Qdrant,
            Self::Postgres => Kind::Cluster,
        }
    }
}

/// Runs each of these with each ledger.
macro_rules! over_both_ledgers {
    (async $($behaviour:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(crate::both::Ledger::Sqlite).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(crate::both::Ledger::Postgres).await;
            })*
        }
    };
    ($($behaviour:ident)*) => {
        mod on_sqlite {
            $(#[test]
            fn $behaviour() {
                super::$behaviour(crate::both::Ledger::Sqlite);
            })*
        }
        mod on_postgres {
            $(#[test]
            fn $behaviour() {
                super::$behaviour(crate::both::Ledger::Postgres);
            })*
        }
    };
}
pub(crate) use over_both_ledgers;

/// What a worker that is dead may have sent to a store of these tests has arrived so long after, however busy the machine is. (In
/// life it is two leases: nobody knows there whether it is dead, nor what lies between.)
const ARRIVED: &str = "500 ms";

/// A database of a test's own with the tables of a cluster, in the one Postgres of the tests.
pub struct Together {
    port: u16,
    name: String,
}

impl Together {
    pub fn new() -> Self {
        static TEMPLATE: OnceLock<()> = OnceLock::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let port = postgres().port;
        TEMPLATE.get_or_init(|| {
            psql(port, "postgres", "CREATE DATABASE together");
            psql(port, "together", SCHEMA);
            let soon = format!(
                "CREATE FUNCTION soon() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN NEW.due := least(NEW.due, clock_timestamp() + interval '{ARRIVED}'); RETURN NEW; END $$;
                 CREATE TRIGGER soon BEFORE INSERT ON ragstream.sweeps FOR EACH ROW EXECUTE FUNCTION soon()"
            );
            psql(port, "together", &soon);
        });
        let name = format!("together_{}", NEXT.fetch_add(1, Ordering::SeqCst));
        psql(port, "postgres", &format!("CREATE DATABASE {name} TEMPLATE together"));
        Self { port, name }
    }

    /// One in a server of its own, without tables yet.
    pub fn at(port: u16) -> Self {
        Self { port, name: "postgres".to_owned() }
    }

    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// As somebody signs in.
    pub fn url_of(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{}", self.port, self.name)
    }

    pub fn sql(&self, sql: &str) -> String {
        psql(self.port, &self.name, sql).trim().to_owned()
    }

    /// The lease of whoever was at work has run out: it is known to be dead.
    pub fn all_are_dead(&self) {
        self.sql(
            "UPDATE ragstream.workers SET lease_until = clock_timestamp();
             UPDATE ragstream.roles SET lease_until = clock_timestamp()",
        );
    }

    /// The ledger is lost, as when its tables are made anew.
    pub fn lose(&self) {
        self.sql("DELETE FROM ragstream.documents; UPDATE ragstream.corpora SET generation = NULL");
    }

    /// Keeps the database as it is now.
    pub fn copy(&self) {
        psql(self.port, "postgres", &format!("CREATE DATABASE {0}_copy TEMPLATE {0}", self.name));
    }

    /// It is again what it was, as after a restore.
    pub fn put_back(&self) {
        for sql in ["DROP DATABASE {0} WITH (FORCE)", "ALTER DATABASE {0}_copy RENAME TO {0}"] {
            psql(self.port, "postgres", &sql.replace("{0}", &self.name));
        }
    }

    /// Nobody is at work, and nothing is left to do.
    pub fn is_settled(&self) {
        for table in ["jobs", "sweeps", "workers"] {
            assert_eq!(self.sql(&format!("SELECT row_to_json(t) FROM ragstream.{table} t")), "", "{table}");
        }
    }
}

/// A project with an index whose ledger is of this kind: in its home, or in a database with the index on a server.
pub struct Home {
    pub project: Project,
    pub together: Option<Together>,
    pub store: Option<Running>,
    runtime: Option<Runtime>,
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::ops::Deref for Home {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

impl Home {
    pub fn new(ledger: Ledger) -> Self {
        Self::of(ledger, Project::new())
    }

    pub fn of(ledger: Ledger, project: Project) -> Self {
        if ledger == Ledger::Sqlite {
            return Self { project, together: None, store: None, runtime: None };
        }
        // On a thread that is nobody's runtime.
        let server = || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let store = runtime.block_on(qdrant_server::start());
            (runtime, Together::new(), store)
        };
        let (runtime, together, store) = std::thread::scope(|scope| scope.spawn(server).join().unwrap());
        let project = project.with("RAGSTREAM_CLUSTER", together.url());
        Self { project, together: Some(together), store: Some(store), runtime: Some(runtime) }
    }

    /// What a pipeline file has to say of where its index is: nothing, or a server.
    pub fn store(&self) -> String {
        let server = |store: &Running| format!("store: {{ qdrant: {{ url: \"{}\", collection: docs }} }}\n", store.url);
        self.store.as_ref().map(server).unwrap_or_default()
    }

    /// A folder, as a source: where several workers are to have it, it is said that they do.
    pub fn folder(&self, name: &str) -> String {
        let shared = if self.together.is_some() { ", shared: true" } else { "" };
        format!("{{ files: {{ paths: [{name}]{shared} }} }}")
    }

    /// Whoever was at work is dead, and its lease has run out.
    pub fn all_are_dead(&self) {
        if let Some(together) = &self.together {
            together.all_are_dead();
        }
    }

    /// Starts anew with a ledger that knows nothing.
    pub fn lose_ledger(&self, name: &str) {
        match &self.together {
            Some(together) => together.lose(),
            None => {
                for end in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(self.path(&format!(".ragstream/{name}.ledger{end}")));
                }
            }
        }
    }

    /// Runs a command on a pipeline to its end.
    pub fn on(&self, pipeline: &str, arguments: &[&str]) -> Ended {
        self.project.run(&[arguments, &["-p", pipeline]].concat())
    }
}
