//! Network labs for teaching, from one YAML file.
fn main() {}
