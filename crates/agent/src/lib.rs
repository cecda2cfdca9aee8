//! Process 1 of a node.
