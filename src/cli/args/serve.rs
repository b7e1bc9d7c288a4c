//! The arguments of the service, and of what asks it.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct ServeArgs {
    /// A pipeline file, or the name of one in ./pipelines; several are asked together, unless a request names one
    #[arg(short, long = "pipeline", value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
    /// Where to listen; other addresses than this machine's own need a token
    #[arg(long, value_name = "ADDRESS", default_value_t = crate::serve::ADDRESS)]
    pub listen: std::net::SocketAddr,
    /// Answer only who bears this token (it shows in the list of processes: --token-file does not)
    #[arg(long, value_name = "TOKEN", env = "RAGSTREAM_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Answer only who bears one of the tokens in this file, one a line; it is read anew when it changes
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Answer pages of this origin, too, as `https://app.example`
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub origins: Vec<url::Url>,
    /// Let agents (/mcp) begin ingests, too
    #[arg(long)]
    pub allow_ingest: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct TopArgs {
    /// The service's address, as `http://127.0.0.1:7171` [default: the one that runs on the home folder]
    #[arg(value_name = "URL")]
    pub url: Option<url::Url>,
    /// The service's token (it shows in the list of processes: the variable does not)
    #[arg(long, value_name = "TOKEN", env = "RAGSTREAM_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct McpArgs {
    /// A pipeline file, or the name of one in ./pipelines; several are asked together, unless a call names one
    #[arg(short, long = "pipeline", value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
    /// Let the agent begin ingests, too
    #[arg(long)]
    pub allow_ingest: bool,
}
