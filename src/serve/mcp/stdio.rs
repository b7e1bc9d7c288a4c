//! Messages over stdin and stdout, a line each: an agent starts the program, and ends it by closing its stdin.

use std::sync::Arc;
use std::time::Duration;

use rmcp::service::{ServerInitializeError, serve_server_with_ct};
use rmcp::transport::io::stdio_pipes;
use tokio_util::sync::CancellationToken;

use super::handler::Handler;
use crate::serve::error::ServeError;
use crate::serve::service::Service;

/// How long an ingest has to store what is in flight.
const DRAIN: Duration = Duration::from_secs(5);

/// Answers until the agent leaves or `stop` is cancelled.
pub(in crate::serve) async fn serve(service: Arc<Service>, stop: CancellationToken) -> Result<(), ServeError> {
    let served = match serve_server_with_ct(Handler::new(&service), stdio_pipes(), stop.clone()).await {
        Ok(running) => running.waiting().await.map(|_| ()).map_err(|error| ServeError::Protocol(error.to_string())),
        // It has left before it said anything.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(error) => Err(ServeError::Protocol(error.to_string())),
    };
    service.stopping.cancel();
    service.jobs.stop();
    let _ = tokio::time::timeout(DRAIN, service.jobs.ended()).await;
    served
}
