//! Who asks.

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// Anybody who can connect.
    Network,
    /// This user, through the socket in the home folder.
    Local,
}
