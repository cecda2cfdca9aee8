//! The command line of `labctl class`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Isolation, LabFile, Selection};

/// One copy of a lab for each student.
#[derive(Debug, Args)]
pub struct ClassArgs {
    /// The class's name; the lab's name by default
    #[arg(long, global = true, value_name = "NAME")]
    pub class: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub verb: ClassVerb,
}

/// Who is in the class.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub struct Roster {
    /// A CSV file with a header; `id` is required, further columns become student.* in the lab
    #[arg(long, value_name = "FILE")]
    pub roster: Option<PathBuf>,
    /// Their ids
    #[arg(long, value_delimiter = ',', value_name = "ID,ID")]
    pub students: Vec<String>,
    /// s01, s02, …
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,
}

/// How copies are started.
#[derive(Clone, Debug, Args)]
pub struct Starting {
    /// How copies are kept apart; by default a pod each, and as they are where the class runs already
    #[arg(long, value_enum)]
    pub isolation: Option<Isolation>,
    /// Start without what the lab file marks as the student's work (`todo:`)
    #[arg(long)]
    pub exercise: bool,
    /// Memory of a copy in MB
    #[arg(long, value_name = "MB")]
    pub memory: Option<u64>,
    /// Processes of a copy
    #[arg(long, value_name = "N")]
    pub processes: Option<u32>,
    /// Share of a processor
    #[arg(long, value_name = "SHARE")]
    pub cpu: Option<f64>,
    /// Disk of a copy in MB
    #[arg(long, value_name = "MB")]
    pub disk: Option<u64>,
    /// Hours after which the copies are forgotten and removed
    #[arg(long, value_name = "HOURS")]
    pub ttl: Option<f64>,
    /// Copies started at once
    #[arg(long, default_value_t = 4)]
    pub parallel: usize,
    /// How long the nodes of a copy may take, in seconds
    #[arg(long, default_value_t = 120)]
    pub wait: u64,
}

/// How it is graded.
#[derive(Clone, Debug, Args)]
pub struct Grading {
    /// Only these students
    #[arg(long, value_name = "ID")]
    pub student: Vec<String>,
    /// Only checks of this name or group
    #[arg(long, value_name = "GROUP")]
    pub only: Vec<String>,
    /// No scenarios
    #[arg(long)]
    pub no_scenarios: bool,
    /// Copies graded at once
    #[arg(long, default_value_t = 8)]
    pub parallel: usize,
    /// Forget what an interrupted grading has done
    #[arg(long)]
    pub again: bool,
    /// Take over results that are not older: a time ago (2h) or a moment (2026-05-04T10:00)
    #[arg(long, value_name = "TIME", conflicts_with = "again")]
    pub since: Option<String>,
    /// Write results: .csv, moodle.csv, .xlsx, .json, .xml (JUnit) or .html
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
}

/// The verbs of a class.
#[derive(Debug, Subcommand)]
pub enum ClassVerb {
    /// Start a copy for each student
    #[command(
        after_help = "Example:\n  labctl class up labs/lab06.yaml --roster students.csv --ttl 3"
    )]
    Up {
        #[command(flatten)]
        lab: LabFile,
        #[command(flatten)]
        roster: Roster,
        #[command(flatten)]
        options: Starting,
    },
    /// Show the copies
    Status,
    /// Run a command in a student's node
    Exec {
        /// The student's id
        student: String,
        /// The node
        node: String,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Run the checks of one student's copy
    Verify {
        /// The student's id
        student: String,
        #[command(flatten)]
        selection: Selection,
    },
    /// Grade all students
    Grade {
        #[command(flatten)]
        grading: Grading,
        /// Grade hand-ins of this folder instead of running copies
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
        /// Judge hand-ins by this lab file instead of the lab that is in the archive
        #[arg(long, value_name = "FILE", requires = "from")]
        lab: Option<PathBuf>,
        /// A variable of the lab file
        #[arg(long, value_name = "KEY=VALUE", requires = "lab")]
        set: Vec<String>,
    },
    /// Put a student's copy back to the beginning
    Reset {
        /// The student's id
        student: String,
    },
    /// Save what each student changed, one archive a student
    Snapshot {
        /// The folder
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// Only these students
        #[arg(long, value_name = "ID")]
        student: Vec<String>,
    },
    /// Bring hand-ins back
    Restore {
        /// The folder
        from: PathBuf,
        /// Hours after which the copies are forgotten and removed
        #[arg(long, value_name = "HOURS")]
        ttl: Option<f64>,
        /// Copies at once
        #[arg(long, default_value_t = 4)]
        parallel: usize,
    },
    /// Remove all copies
    Down {
        /// Only these students'
        #[arg(long, value_name = "ID")]
        student: Vec<String>,
    },
}
