//! The command line of `mail`.

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Sends and fetches mail.
#[derive(Debug, Parser)]
#[command(
    name = "mail",
    version,
    about,
    disable_version_flag = true,
    after_help = "\
The node's settings (\"Configure Mail\") name the servers, the user and the password.

Examples:
  mail send client2@mail.com -s Hello -m \"How are you?\" -v
  mail list            mail read 1            mail reply 1 -m Fine
  mail fetch --imap    mail folders           mail idle"
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// Print the dialogue with the server (S: what it says, C: what this program says)
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Fetch by IMAP
    #[arg(long, global = true, conflicts_with = "pop3")]
    pub imap: bool,
    /// Fetch by POP3
    #[arg(long, global = true)]
    pub pop3: bool,
    /// Another server than the settings name
    #[arg(long, global = true)]
    pub server: Option<String>,
    /// Another port than the usual one
    #[arg(long, global = true)]
    pub port: Option<u16>,
    /// How the connection is protected
    #[arg(long, global = true, value_enum)]
    pub security: Option<SecurityArg>,
    /// Another user
    #[arg(long, global = true)]
    pub user: Option<String>,
    /// Another password
    #[arg(long, global = true)]
    pub password: Option<String>,
    /// Answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Seconds until it gives up
    #[arg(long, global = true, default_value_t = 15)]
    pub timeout: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SecurityArg {
    Plain,
    Starttls,
    Tls,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Send a message
    Send {
        /// Addresses of the recipients
        #[arg(required = true)]
        to: Vec<String>,
        /// Subject
        #[arg(short, long, default_value = "")]
        subject: String,
        /// Text; from standard input where absent
        #[arg(short, long)]
        message: Option<String>,
        /// A file to go along
        #[arg(short, long)]
        attach: Option<std::path::PathBuf>,
        /// Another sender address
        #[arg(long)]
        from: Option<String>,
        /// Log in even where the connection is not protected
        #[arg(long)]
        auth: bool,
    },
    /// Fetch and print all messages
    Fetch {
        /// Delete them on the server afterwards
        #[arg(long)]
        delete: bool,
    },
    /// List the messages
    List,
    /// Print one message
    Read {
        /// Its number in `mail list`
        number: u32,
        /// With every header field
        #[arg(long)]
        headers: bool,
    },
    /// Answer a message
    Reply {
        /// Its number in `mail list`
        number: u32,
        /// Text; from standard input where absent
        #[arg(short, long)]
        message: Option<String>,
    },
    /// Delete a message
    Delete {
        /// Its number in `mail list`
        number: u32,
    },
    /// List the folders (IMAP)
    Folders,
    /// Print messages as they come (IMAP IDLE)
    Idle {
        /// Seconds to wait for
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
        /// End after so many messages
        #[arg(long)]
        count: Option<usize>,
    },
}
