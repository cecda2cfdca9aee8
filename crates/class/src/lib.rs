//! A class: one instance per student, roster, grading, hand-in.

pub mod roster;
