//! Why there is no service.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is not to be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Anybody in the network could ask.
    #[error("{0} can be reached from other machines, and no token is set: anybody could read the index")]
    Open(SocketAddr),
    /// A token that can be guessed, or not be sent.
    #[error("a token has at least 16 letters, digits or signs, none of them a space, `;`, `,`, `\"` or `\\`")]
    WeakToken,
    /// The file of tokens cannot be read.
    #[error("cannot read {}", path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nor is a token in it.
    #[error("there is no token in {}", .0.display())]
    NoToken(PathBuf),
    /// Two pipelines have one name.
    #[error("two pipelines are called {0}: give one of them another `name`")]
    SameName(String),
    /// A pipeline file is not valid.
    #[error("the pipeline is not valid")]
    Pipeline(crate::pipeline::Diagnostics),
    /// Who speaks on stdin does not speak the protocol.
    #[error("what came on stdin is not the Model Context Protocol: {0}")]
    Protocol(String),
    /// Another service has this home.
    #[error("a service runs on this home already ({})", .0.display())]
    Running(PathBuf),
}

impl ServeError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(_) => Some("set one with --token, --token-file or RAGSTREAM_TOKEN, or listen on 127.0.0.1".to_owned()),
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("another program listens there: choose another port with --listen".to_owned())
            }
            Self::Running(_) => Some("ask that one, or give this one another --home".to_owned()),
            Self::WeakToken | Self::NoToken(_) => Some("make one: `openssl rand -hex 16`".to_owned()),
            Self::Protocol(_) => {
                Some("an agent starts this command by itself: name it in the agent's list of MCP servers".to_owned())
            }
            Self::Listen { .. } | Self::Tokens { .. } | Self::SameName(_) | Self::Pipeline(_) => None,
        }
    }
}
