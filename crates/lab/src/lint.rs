//! What is wrong with a lab as a network, told before anything starts.

use crate::diagnostic::Problem;
use crate::file::File;
use crate::plan::Plan;
use crate::yaml::Node as Tree;

/// Everything that is wrong or doubtful.
pub(crate) fn lint(file: &File, tree: &Tree, plan: &Plan) -> Vec<Problem> {
    let _ = (file, tree, plan);
    Vec::new()
}
