//! A class: one instance of a lab for each student.
//!
//! * [`roster`]: who is in the class;
//! * [`copies`]: their instances, found again by label;
//! * [`start`]: starting them side by side;
//! * [`grade`]: verifying them side by side, resumed after an interruption;
//! * [`sheets`]: the results as CSV, XLSX, JSON, JUnit, Moodle's CSV and one page;
//! * [`handin`]: what each student changed, as one archive a student, put back here or elsewhere.

pub mod copies;
pub mod grade;
pub mod handin;
mod journal;
pub mod roster;
pub mod sheets;
pub mod start;
