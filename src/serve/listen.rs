//! Connections: an accept loop of our own, since `axum::serve` (0.8) sets no timers and waits for open streams for ever.
//!
//! A client has a time for its headers, and must read what it is sent; one that has vanished without a word is noticed by the
//! system's own timers. How many may be connected has a bound. On the socket in the home folder only this user is heard.

mod patient;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::patient::Patient;
use super::error::ServeError;
use super::peer::Peer;
use super::service::Service;

/// Connections at once.
const CONNECTIONS: usize = 4096;
/// How long a client may take for a request's headers, and between two requests.
const HEADERS: Duration = Duration::from_secs(20);
/// How long a client may read nothing of what it is sent.
const WRITES: Duration = Duration::from_secs(30);
/// How long the system sends into the void before it gives a connection up: with it, who has vanished is noticed within 20 s. It counts
/// against who reads nothing for so long as well.
const VANISHED: Duration = Duration::from_secs(15);
/// How long answers have to end when the service does.
const DRAIN: Duration = Duration::from_secs(7);
/// And how long to say that they do not, before they are cut.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// After accepting has failed (too many open files, say).
const PAUSE: Duration = Duration::from_millis(200);

/// What accepts connections.
pub(super) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    #[cfg(unix)]
    local: Option<local::Local>,
}

impl Listener {
    /// Takes the address, and the socket in the home folder.
    pub(super) async fn bind(address: SocketAddr, home: &Path) -> Result<Self, ServeError> {
        #[cfg(unix)]
        let local = local::Local::bind(home).await?;
        #[cfg(not(unix))]
        let _ = home;
        let listen = |source| ServeError::Listen { address, source };
        let tcp = TcpListener::bind(address).await.map_err(listen)?;
        let address = tcp.local_addr().map_err(listen)?;
        Ok(Self {
            tcp,
            address,
            #[cfg(unix)]
            local,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled, and then for as long as [`DRAIN`]: what goes on is told that it ends, and cut [`LAST_WORDS`] later.
    pub(super) async fn run(self, router: Router, service: &Arc<Service>, stop: CancellationToken) -> Result<(), ServeError> {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
        let serving = Serving { router, stop: stop.clone(), cut: cut.clone() };
        loop {
            // Who comes when all are taken waits in the system's own queue.
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = stop.cancelled() => break,
            };
            let Ok(place) = place else { break };
            tokio::select! {
                accepted = self.tcp.accept() => match accepted {
                    Ok((stream, _)) => {
                        prepare(&stream);
                        connections.spawn(serving.clone().connection(stream, Peer::Network, place));
                    }
                    Err(error) => pause(&error).await,
                },
                accepted = self.accept_local() => match accepted {
                    Ok(stream) => drop(connections.spawn(serving.clone().connection(stream, Peer::Local, place))),
                    Err(error) => pause(&error).await,
                },
                () = stop.cancelled() => break,
            }
        }
        drop(self);
        service.stopping.cancel();
        service.jobs.stop();
        connections.close();
        let mut ended = std::pin::pin!(async {
            connections.wait().await;
            service.jobs.ended().await;
            service.drains.ended().await;
        });
        if tokio::time::timeout(DRAIN, &mut ended).await.is_err() {
            service.ending.cancel();
            if tokio::time::timeout(LAST_WORDS, ended).await.is_err() {
                cut.cancel();
                let _ = tokio::time::timeout(Duration::from_secs(1), connections.wait()).await;
            }
        }
        Ok(())
    }

    #[cfg(unix)]
    async fn accept_local(&self) -> io::Result<tokio::net::UnixStream> {
        match &self.local {
            Some(local) => local.accept().await,
            None => std::future::pending().await,
        }
    }

    #[cfg(not(unix))]
    async fn accept_local(&self) -> io::Result<TcpStream> {
        std::future::pending().await
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Serving {
    router: Router,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Serving {
    /// Answers the requests of one connection.
    async fn connection<S>(self, stream: S, peer: Peer, _place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, stop, cut } = self;
        let answer = TowerToHyperService::new(router.layer(Extension(peer)));
        let stream = TokioIo::new(Box::pin(Patient::new(stream, WRITES)));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(64 << 10);
        let mut connection = std::pin::pin!(http.serve_connection(stream, answer));
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = &mut connection => ended,
                    () = cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// A stream's small pieces leave at once, and whoever vanishes is noticed.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = socket2::SockRef::from(stream);
    let alive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(5)).with_interval(Duration::from_secs(5));
    let _ = socket.set_tcp_keepalive(&alive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_user_timeout(Some(VANISHED));
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(PAUSE).await;
}

#[cfg(unix)]
mod local {
    //! The socket in the home folder, by which this user's own commands find the service.

    use std::io;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::{Path, PathBuf};

    use tokio::net::{UnixListener, UnixStream};

    use crate::serve::error::ServeError;
    use crate::serve::service::SOCKET;

    pub(super) struct Local {
        listener: UnixListener,
        path: PathBuf,
        user: u32,
    }

    impl Local {
        /// `None` where there can be none (a path of more than some hundred bytes): then commands do not find the service.
        pub(super) async fn bind(home: &Path) -> Result<Option<Self>, ServeError> {
            let path = home.join(SOCKET);
            if UnixStream::connect(&path).await.is_ok() {
                return Err(ServeError::Running(path));
            }
            let bind = || -> io::Result<Self> {
                std::fs::create_dir_all(home)?;
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                let listener = UnixListener::bind(&path)?;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
                let user = std::fs::metadata(&path)?.uid();
                Ok(Self { listener, path: path.clone(), user })
            };
            match bind() {
                Ok(local) => Ok(Some(local)),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "commands on this machine will not find the service");
                    Ok(None)
                }
            }
        }

        /// The next of this user's connections.
        pub(super) async fn accept(&self) -> io::Result<UnixStream> {
            loop {
                let (stream, _) = self.listener.accept().await?;
                if stream.peer_cred().is_ok_and(|peer| peer.uid() == self.user || peer.uid() == 0) {
                    return Ok(stream);
                }
            }
        }
    }

    impl Drop for Local {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
