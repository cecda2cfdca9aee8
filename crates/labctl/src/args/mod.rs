//! The command line.

pub mod class;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Network labs for teaching, from one YAML file.
#[derive(Debug, Parser)]
#[command(
    name = "labctl",
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        labctl up                          start lab.yaml of this folder and prove that it works\n  \
        labctl exec pc0 -- ping mail.com   a command in a node\n  \
        labctl verify                      run the checks again\n  \
        labctl down                        remove everything\n\n\
        Exit codes: 0 done, 1 a check failed, 2 the lab or the command line is wrong, 3 the engine \
        failed, 4 nothing to run, 5 done for some of a class only, 130 interrupted."
)]
pub struct Args {
    /// What holds for every verb.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What holds for every verb.
#[derive(Clone, Debug, ClapArgs)]
pub struct Global {
    /// The instance's name; the lab's name by default
    #[arg(short = 'p', long, global = true, value_name = "NAME", env = "LABCTL_INSTANCE")]
    pub instance: Option<String>,
    /// What the lab runs on; by default Docker where a daemon answers
    #[arg(
        long,
        global = true,
        value_enum,
        env = "LABCTL_ENGINE",
        default_value = "auto",
        hide_default_value = true
    )]
    pub engine: EngineChoice,
    /// The Docker daemon, such as unix:///var/run/docker.sock
    #[arg(long, global = true, value_name = "URL")]
    pub host: Option<String>,
    /// How data is printed
    #[arg(
        short = 'o',
        long,
        global = true,
        value_enum,
        default_value = "table",
        hide_default_value = true
    )]
    pub output: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value = "auto", hide_default_value = true)]
    pub color: Color,
    /// No progress
    #[arg(short = 'q', long, global = true)]
    pub quiet: bool,
}

/// A choice of engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// Docker where a daemon answers, embedded otherwise
    Auto,
    /// Docker
    Docker,
    /// Linux namespaces, no Docker needed
    Embedded,
}

/// How an instance is kept apart on Docker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Isolation {
    /// Each node a container
    Nodes,
    /// One container holds the whole lab; the embedded engine always works so
    Pod,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A lab file and what is put into it.
#[derive(Clone, Debug, ClapArgs)]
pub struct LabFile {
    /// The lab file
    #[arg(value_name = "FILE", default_value = "lab.yaml")]
    pub file: PathBuf,
    /// A variable of the lab file
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// A lab file that need not be there: the instance knows its lab.
#[derive(Clone, Debug, ClapArgs)]
pub struct MaybeLabFile {
    /// The lab file; by default the lab as it was started
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A variable of the lab file
    #[arg(long, value_name = "KEY=VALUE", requires = "file")]
    pub set: Vec<String>,
}

/// Which checks run.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Selection {
    /// Only the checks of this name or group (and what they need)
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// No scenarios
    #[arg(long)]
    pub no_scenarios: bool,
    /// Also write the report: .json, .xml (JUnit), .csv, .md or .html
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// Switch it on
    On,
    /// Switch it off
    Off,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a lab, or change a running one to what its file says, and run its checks
    Up {
        #[command(flatten)]
        lab: LabFile,
        /// Start without what the lab file marks as the student's work (`todo:`); implies --no-verify
        #[arg(long)]
        exercise: bool,
        /// Do not run the checks
        #[arg(long)]
        no_verify: bool,
        /// How a new lab is kept apart; by default nodes, and what it has where it runs already
        #[arg(long, value_enum, env = "LABCTL_ISOLATION", hide_env = true)]
        isolation: Option<Isolation>,
        /// How long the nodes may take to get ready, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        wait: u64,
        #[command(flatten)]
        selection: Selection,
    },
    /// Remove a lab's nodes and networks
    Down {
        /// The lab file, for the instance's name
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// All labs on the engine
        #[arg(long, conflicts_with = "file")]
        all: bool,
    },
    /// Run the checks of a running lab
    Verify {
        #[command(flatten)]
        lab: MaybeLabFile,
        #[command(flatten)]
        selection: Selection,
        /// Run again and again and show what changes
        #[arg(long)]
        watch: bool,
    },
    /// Show the nodes of a lab
    Ps,
    /// Show all labs on the engine
    Ls,
    /// Run a command in a node
    #[command(
        after_help = "Examples:\n  labctl exec pc0 -- ping mail.com\n  labctl exec mail -- ip addr"
    )]
    Exec {
        /// The node
        node: String,
        /// No terminal, even on one
        #[arg(short = 'T', long)]
        no_tty: bool,
        /// The command
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// A prompt in a node, with its commands, history and help
    Shell {
        /// The node
        node: String,
    },
    /// A router's console
    Console {
        /// The router
        node: String,
    },
    /// Show what the nodes log, or the dialogues of a service
    Logs {
        /// Go on as more comes
        #[arg(short = 'f', long)]
        follow: bool,
        /// The dialogues of a service instead: mail or dns
        #[arg(long, value_name = "SERVICE")]
        protocol: Option<String>,
        /// The nodes; all by default
        nodes: Vec<String>,
    },
    /// Look for mistakes in a lab file
    #[command(alias = "lint")]
    Validate {
        #[command(flatten)]
        lab: LabFile,
        /// Warnings count as errors
        #[arg(long)]
        strict: bool,
    },
    /// Print a lab with everything worked out, and what `up` would change
    Plan {
        #[command(flatten)]
        lab: LabFile,
        /// Exit with 2 when `up` would change something
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Print the files that nodes get
    Render {
        #[command(flatten)]
        lab: LabFile,
        /// Only this node
        #[arg(long)]
        node: Option<String>,
    },
    /// Draw a lab
    Graph {
        #[command(flatten)]
        lab: MaybeLabFile,
        /// svg, mermaid, dot or ascii
        #[arg(long, default_value = "ascii")]
        format: String,
    },
    /// Print the JSON Schema of lab files
    Schema,
    /// Write a starter lab
    Init {
        /// Its name; without it the starters are listed
        name: Option<String>,
        /// Where to
        #[arg(long, default_value = "lab.yaml")]
        to: PathBuf,
    },
    /// Say what this machine has for running labs
    Doctor,
    /// Remove what no living lab owns
    Gc,
    /// Start a stopped node
    Start {
        /// The node
        node: String,
    },
    /// Stop a node
    Stop {
        /// The node
        node: String,
    },
    /// Stop and start a node
    Restart {
        /// The node
        node: String,
    },
    /// Switch a service of a node, or one protocol of it, on or off
    #[command(after_help = "Example:\n  labctl service mail mail.smtp off")]
    Service {
        /// The node
        node: String,
        /// SERVICE or SERVICE.PROTOCOL, such as mail.smtp
        service: String,
        /// What to do; without it the state is shown
        #[arg(value_enum)]
        state: Option<OnOff>,
    },
    /// Set up a host: its addresses, gateway, DNS servers, mail program
    #[command(
        after_help = "Settings: address=ADDRESS[/PREFIX]|dhcp|none (address.NETWORK= where there are \
            several), gateway=ADDRESS|none, dns=ADDRESS,ADDRESS|none, search=DOMAIN|none, and mail.address, \
            mail.user, mail.password, mail.outgoing, mail.incoming, mail.name, mail.security \
            (plain, starttls, tls), mail.fetch (pop3, imap).\n\n\
            Examples:\n  labctl config pc0\n  labctl config pc0 address=192.168.1.4 dns=192.168.1.5\n  \
            labctl config pc0 mail.address=client1@mail.com mail.password=admin"
    )]
    Config {
        /// The node
        node: String,
        /// What to set; without it everything is shown
        #[arg(value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// A hint for a check that fails
    #[command(after_help = "Examples:\n  labctl hint\n  labctl hint 'PC0 mails PC1'")]
    Hint {
        /// A check's name, or a part of it; the first that fails by default
        check: Option<String>,
        /// The hints of all checks that fail
        #[arg(long)]
        all: bool,
    },
    /// Pull a cable, plug it in, or make it bad
    #[command(
        after_help = "Examples:\n  labctl link pc0:lan down\n  labctl link pc0:lan impair --loss 0.2"
    )]
    Link {
        /// NODE:NETWORK
        link: String,
        /// What to do
        #[arg(value_enum)]
        action: LinkVerb,
        /// Share of frames lost, 0 to 1
        #[arg(long)]
        loss: Option<f64>,
        /// Delay in milliseconds
        #[arg(long)]
        delay: Option<u64>,
        /// Bits a second
        #[arg(long)]
        rate: Option<u64>,
    },
    /// Make a port of a node reachable from this machine while labctl runs
    #[command(after_help = "Example:\n  labctl forward 1143:mail:143")]
    Forward {
        /// [ADDRESS:]PORT:NODE:PORT
        #[arg(required = true)]
        forwards: Vec<String>,
    },
    /// Manage a mail server
    Mail(Admin),
    /// Manage a DNS server
    Dns(Admin),
    /// Manage a DHCP server
    Dhcp(Admin),
    /// Manage a web server
    Web(Admin),
    /// Write the lab's certificate authority, for clients outside
    Ca {
        /// Where to; standard output by default
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Record the packets on links
    Capture {
        /// NODE or NODE:NETWORK; all by default
        links: Vec<String>,
        /// Write pcapng here; `-` is standard output
        #[arg(short = 'w', long, value_name = "FILE")]
        write: Option<PathBuf>,
        /// Only these packets, such as `tcp port 25`
        #[arg(long, value_name = "EXPR")]
        filter: Option<String>,
        /// End after so many packets
        #[arg(short = 'c', long)]
        count: Option<u64>,
    },
    /// Do something and tell its packets as a story
    #[command(after_help = "Examples:\n  labctl trace -- ping pc0 mail.com\n  \
        labctl trace --explain -- mail pc0 pc1\n  labctl trace --html story.html -- 'PC0 mails PC1'")]
    Trace {
        /// A sentence on each step
        #[arg(long)]
        explain: bool,
        /// Also write a page
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Print a Mermaid sequence diagram
        #[arg(long)]
        mermaid: bool,
        /// The action: a check's name, `ping FROM TO`, `mail FROM TO`, `web FROM URL`, `dhcp NODE`
        #[arg(last = true, required = true)]
        action: Vec<String>,
    },
    /// The ports that the last trace saw
    Ports,
    /// Run a lab and every wrong variant of it, and demand what the author says of each
    TestLab {
        #[command(flatten)]
        lab: LabFile,
        /// Only these variants
        #[arg(long, value_name = "NAME")]
        variant: Vec<String>,
    },
    /// One copy of a lab for each student
    Class(class::ClassArgs),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(hide = true)]
    Man,
}

/// What can be done to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LinkVerb {
    /// Plug it in
    Up,
    /// Pull it
    Down,
    /// Make it bad; without options good again
    Impair,
    /// Show it
    Show,
}

/// A request to a service's own socket.
#[derive(Debug, ClapArgs)]
pub struct Admin {
    /// The node
    pub node: String,
    /// What to do, and its arguments: words, or KEY=VALUE. `labctl mail NODE help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}
