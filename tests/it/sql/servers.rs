//! Real servers, one of each for all tests: Postgres, pgbouncer before it, `MariaDB`. Each runs in a folder of its own on a free
//! port, as an ordinary user, and ends with the tests, however they end.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a machine that is busy with everything else may take to start a server.
const START_UP: Duration = Duration::from_mins(2);
/// And then it is started once more.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// The password of the one role that has one. What no output may show.
pub const PASSWORD: &str = "p@ss/w:rd%?";
/// [`PASSWORD`], as it is written in an address.
pub const ENCODED: &str = "p%40ss%2Fw%3Ard%25%3F";

/// A server in a process of its own.
pub struct Server {
    pub port: u16,
    pub folder: TempDir,
    arguments: Vec<String>,
    /// How large its files may become, in blocks of 512 bytes, as on a disk that is full then.
    largest: Option<u32>,
    /// A shell that ends the server when its stdin is closed: when this is dropped, and when the tests are killed.
    guard: Option<Child>,
}

/// Postgres, with TLS by a certificate of `ca.pem` for `localhost` alone.
pub fn postgres() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(new_postgres)
}

/// pgbouncer in transaction mode before [`postgres`], with one connection to it.
pub fn bouncer() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| new_bouncer(postgres().port, 1))
}

/// `MariaDB`.
pub fn mariadb() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(new_mariadb)
}

/// A program of the system, wherever Debian and others have it.
pub fn program(name: &str) -> PathBuf {
    let mut places: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    places.extend(["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    places.extend(versions.map(|version| version.path().join("bin")));
    // Debian's own `psql` is a Perl script that looks for the real one, which takes it several times as long.
    let real = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path.is_file() && !path.ends_with("pg_wrapper"));
    let found = places.iter().map(|place| place.join(name)).find(real);
    found.unwrap_or_else(|| panic!("the tests need `{name}`: scripts/test installs it (postgresql, mariadb-server, pgbouncer)"))
}

/// A command as the user that servers run as: they refuse root.
fn as_user(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    own(folder.path());
    folder
}

fn own(path: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "nobody:nogroup"]).arg(path));
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    fn start(port: u16, folder: TempDir, arguments: Vec<String>) -> Self {
        Self::start_within(port, folder, arguments, None)
    }

    fn start_within(port: u16, folder: TempDir, arguments: Vec<String>, largest: Option<u32>) -> Self {
        let mut server = Self { port, folder, arguments, largest, guard: None };
        server.restart();
        server
    }

    /// Somebody made room on its disk, and starts it again.
    pub fn make_room(&mut self) {
        self.largest = None;
        self.restart();
    }

    /// Starts the program, and who ends it when nobody holds its input any more.
    fn spawn(&self) -> Child {
        let (program, arguments) = self.arguments.split_first().unwrap();
        let user = as_user(Path::new(program));
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let within = self.largest.map(|blocks| format!("ulimit -f {blocks}; ")).unwrap_or_default();
        let script = r#""$@" </dev/null & server=$!; echo $server; cat >/dev/null; kill -KILL $server; wait $server"#;
        let mut guard = Command::new("sh")
            .args(["-c", &format!("{within}{script}"), "sh"])
            .arg(user.get_program())
            .args(user.get_args())
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut line).unwrap();
        guard
    }

    /// Starts it, again.
    pub fn restart(&mut self) {
        self.kill();
        let began = Instant::now();
        self.guard = Some(self.spawn());
        let mut tried = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < START_UP, "no server: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
            // Postgres refuses while a connection of the killed one lives on ("pre-existing shared memory block is still in use").
            if tried.elapsed() > TRY_AGAIN {
                self.kill();
                self.guard = Some(self.spawn());
                tried = Instant::now();
            }
        }
    }

    /// Ends it at once, in the middle of whatever it does.
    pub fn kill(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            guard.wait().unwrap();
            // Postgres' children see it a moment later.
            let began = Instant::now();
            while self.folder.path().join("data/postmaster.pid").exists()
                && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && began.elapsed() < START_UP
            {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// What it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A Postgres of one's own, to be killed.
pub fn new_postgres() -> Server {
    new_postgres_with(&[], None)
}

/// The same, with settings of its own; its files, that of its log included, may become so large, in blocks of 512 bytes.
pub fn new_postgres_with(more: &[(&str, &str)], largest: Option<u32>) -> Server {
    let (folder, port) = (folder(), free_port());
    let data = folder.path().join("data");
    let initdb = program("initdb");
    // Files of the log of changes are as large from the beginning.
    let segments: &[&str] = if largest.is_some() { &["--wal-segsize=1"] } else { &[] };
    run(as_user(&initdb)
        .args(segments)
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", "-D"])
        .arg(&data));
    certificates(folder.path());
    let access = "local all all trust\nhost all careful all scram-sha-256\nhost all,replication all all trust\n";
    std::fs::write(data.join("pg_hba.conf"), access).unwrap();
    own(folder.path());
    let settings = [
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("unix_socket_directories", folder.path().display().to_string()),
        ("fsync", "off".to_owned()),
        ("ssl", "on".to_owned()),
        ("ssl_cert_file", folder.path().join("server.pem").display().to_string()),
        ("ssl_key_file", folder.path().join("server.key").display().to_string()),
        ("log_statement", "all".to_owned()),
        ("log_line_prefix", "%d ".to_owned()),
        ("shared_buffers", "128MB".to_owned()),
    ];
    let mut arguments = vec![program("postgres").display().to_string(), "-D".into(), data.display().to_string()];
    let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
    for (name, value) in settings.into_iter().chain(more) {
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    let server = Server::start_within(port, folder, arguments, largest);
    let began = Instant::now();
    while !psql_command(port, "postgres", "SELECT 1").output().is_ok_and(|done| done.status.success()) {
        assert!(began.elapsed() < START_UP, "no Postgres: {}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    psql(port, "postgres", &format!("CREATE ROLE careful LOGIN PASSWORD '{PASSWORD}'"));
    server
}

/// A standby of a Postgres, which follows it without being waited for.
pub fn standby_of(primary: &Server) -> Server {
    let (folder, port) = (folder(), free_port());
    let data = folder.path().join("data");
    let from = primary.port.to_string();
    run(as_user(&program("pg_basebackup"))
        .args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync", "-p", &from, "-D"])
        .arg(&data));
    let own = |argument: &String| {
        let moved = argument.replace(&primary.folder.path().display().to_string(), &folder.path().display().to_string());
        if argument.starts_with("port=") { format!("port={port}") } else { moved }
    };
    let arguments = primary.arguments.iter().map(own).collect();
    for name in ["server.pem", "server.key"] {
        std::fs::copy(primary.folder.path().join(name), folder.path().join(name)).unwrap();
    }
    self::own(folder.path());
    let server = Server::start(port, folder, arguments);
    let began = Instant::now();
    while !psql_command(port, "postgres", "SELECT 1").output().is_ok_and(|done| done.status.success()) {
        assert!(began.elapsed() < START_UP, "no standby: {}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// An authority, a certificate by it for `localhost`, and another authority that signed nothing.
fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        run(Command::new("openssl").args(arguments.split(' ')).current_dir(folder));
    };
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30";
    for name in ["ca", "other"] {
        openssl(&format!(
            "req -x509 {new} -keyout {name}.key -out {name}.pem -subj /CN={name} -addext basicConstraints=critical,CA:TRUE"
        ));
    }
    openssl(&format!("req {new} -keyout server.key -out server.csr -subj /CN=localhost"));
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.pem");
}

/// A pgbouncer in transaction mode, with so many connections for a database.
pub fn new_bouncer(to: u16, pool: u32) -> Server {
    let (folder, port) = (folder(), free_port());
    let settings = format!(
        "[databases]\n* = host=127.0.0.1 port={to} pool_size={pool} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\npool_mode = transaction\nmax_client_conn = 100\n"
    );
    let file = folder.path().join("pgbouncer.ini");
    std::fs::write(&file, settings).unwrap();
    own(folder.path());
    let arguments = vec![program("pgbouncer").display().to_string(), "-q".into(), file.display().to_string()];
    Server::start(port, folder, arguments)
}

/// A `MariaDB` of one's own, to be killed.
pub fn new_mariadb() -> Server {
    let (folder, port) = (folder(), free_port());
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    own(folder.path());
    let data = data.display().to_string();
    let install = program("mariadb-install-db");
    run(as_user(&install)
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .arg(format!("--datadir={data}")));
    let socket = folder.path().join("socket").display().to_string();
    let mut arguments = vec![program("mariadbd").display().to_string(), "--no-defaults".to_owned()];
    arguments.extend([
        format!("--datadir={data}"),
        format!("--port={port}"),
        format!("--socket={socket}"),
        "--bind-address=127.0.0.1".into(),
        "--innodb-flush-log-at-trx-commit=2".into(),
        "--innodb-buffer-pool-size=128M".into(),
        "--character-set-server=utf8mb4".into(),
        "--skip-name-resolve".into(),
    ]);
    let server = Server::start(port, folder, arguments);
    let began = Instant::now();
    while !mariadb_command(port, "mysql", "SELECT 1").output().is_ok_and(|done| done.status.success()) {
        assert!(began.elapsed() < START_UP, "no MariaDB: {}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    mariadb_run(port, "mysql", &format!("CREATE USER careful IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON *.* TO careful"));
    server
}

fn psql_command(port: u16, database: &str, sql: &str) -> Command {
    let mut command = Command::new(program("psql"));
    command.args(["-h", "127.0.0.1", "-U", "postgres", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
    command.args(["-p", &port.to_string(), "-d", database, "-c", sql]).env("PGSSLMODE", "disable");
    command
}

/// Postgres' own client, which holds a connection for as long as its stdin is open.
pub fn connected(port: u16) -> Child {
    let mut command = Command::new(program("psql"));
    command.args(["-h", "127.0.0.1", "-U", "postgres", "-X", "-q", "-d", "postgres", "-p", &port.to_string()]);
    command.env("PGSSLMODE", "disable").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Statements by Postgres' own client. A server that recovers from a kill is waited for.
pub fn psql(port: u16, database: &str, sql: &str) -> String {
    let deadline = Instant::now() + START_UP;
    loop {
        let done = psql_command(port, database, sql).output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        let recovers = ["not yet accepting connections", "is starting up"].iter().any(|words| told.contains(words));
        if !recovers || Instant::now() > deadline {
            assert!(done.status.success(), "{sql}: {told}");
            return String::from_utf8_lossy(&done.stdout).into_owned();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn mariadb_command(port: u16, database: &str, sql: &str) -> Command {
    let mut command = Command::new(program("mariadb"));
    command.args(["--no-defaults", "-h127.0.0.1", "-uroot", "--default-character-set=utf8mb4", "-N", "-B", "--skip-ssl"]);
    command.args([format!("-P{port}"), format!("-D{database}"), format!("-e{sql}")]);
    command
}

/// Statements by `MariaDB`'s own client.
pub fn mariadb_run(port: u16, database: &str, sql: &str) -> String {
    run(&mut mariadb_command(port, database, sql))
}

/// A database of a test's own.
pub enum Database {
    Postgres { name: String, port: u16 },
    Bouncer { name: String, port: u16, behind: u16 },
    MariaDb { name: String, port: u16 },
    Sqlite { folder: TempDir },
}

fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

impl Database {
    pub fn postgres() -> Self {
        Self::postgres_at(postgres().port)
    }

    pub fn postgres_at(port: u16) -> Self {
        let name = fresh_name();
        psql(port, "postgres", &format!("CREATE DATABASE {name}"));
        Self::Postgres { name, port }
    }

    pub fn bouncer() -> Self {
        let Self::Postgres { name, port: behind } = Self::postgres() else { unreachable!() };
        Self::Bouncer { name, port: bouncer().port, behind }
    }

    pub fn mariadb() -> Self {
        Self::mariadb_at(mariadb().port)
    }

    pub fn mariadb_at(port: u16) -> Self {
        let name = fresh_name();
        mariadb_run(port, "mysql", &format!("CREATE DATABASE {name}"));
        Self::MariaDb { name, port }
    }

    pub fn sqlite() -> Self {
        Self::Sqlite { folder: tempfile::tempdir().unwrap() }
    }

    /// One of each, as said in failures.
    pub fn all() -> [Self; 4] {
        [Self::postgres(), Self::bouncer(), Self::mariadb(), Self::sqlite()]
    }

    pub fn url(&self) -> String {
        match self {
            Self::Postgres { name, port } | Self::Bouncer { name, port, .. } => {
                format!("postgres://postgres@127.0.0.1:{port}/{name}")
            }
            Self::MariaDb { name, port } => format!("mysql://root@127.0.0.1:{port}/{name}"),
            Self::Sqlite { folder } => format!("sqlite://{}", folder.path().join("test.db").display()),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Postgres { name, .. } | Self::Bouncer { name, .. } | Self::MariaDb { name, .. } => name,
            Self::Sqlite { .. } => "test",
        }
    }

    /// Runs statements by the database's own client.
    pub fn run(&self, sql: &str) -> String {
        if let Some(mut command) = self.command(sql) {
            run(&mut command)
        } else {
            let Self::Sqlite { folder } = self else { unreachable!() };
            let file = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
            file.busy_timeout(START_UP).unwrap();
            file.execute_batch(sql).unwrap();
            String::new()
        }
    }

    /// [`Self::run`], of a server that may be away.
    pub fn try_run(&self, sql: &str) -> Option<String> {
        let done = self.command(sql)?.output().unwrap();
        done.status.success().then(|| String::from_utf8(done.stdout).unwrap())
    }

    fn command(&self, sql: &str) -> Option<Command> {
        match self {
            Self::Postgres { name, port } | Self::Bouncer { name, behind: port, .. } => Some(psql_command(*port, name, sql)),
            Self::MariaDb { name, port } => Some(mariadb_command(*port, name, sql)),
            Self::Sqlite { .. } => None,
        }
    }

    /// Whether it is the one with its own rules for types and numbers.
    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }
}
