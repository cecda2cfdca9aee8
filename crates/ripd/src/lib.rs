//! RIP version 2.
