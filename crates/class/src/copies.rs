//! The copies of a class, found by their labels: no file beside the lab, no roster needed.

use std::collections::BTreeMap;

use engine::{EXPIRES, Engine, Instance};
use serde::Serialize;

use crate::roster::Student;

/// The label with the class's name.
pub const CLASS: &str = "class";
/// The label with the student, as JSON.
pub const STUDENT: &str = "student";
/// One student's copy.
#[derive(Clone, Debug, Serialize)]
pub struct Copy {
    /// Whose it is.
    pub student: Student,
    /// The class.
    pub class: String,
    /// What the engine knows of it.
    pub instance: Instance,
    /// When it is forgotten, seconds since the epoch.
    pub expires: Option<i64>,
}

impl Copy {
    /// Reads an instance's labels; `None` where it is not of a class.
    pub fn of(instance: Instance) -> Option<Self> {
        let class = instance.labels.get(CLASS)?.clone();
        let student = serde_json::from_str(instance.labels.get(STUDENT)?).ok()?;
        let expires = instance.labels.get(EXPIRES).and_then(|text| text.parse().ok());
        Some(Self { student, class, instance, expires })
    }
}

/// The labels of a student's copy.
pub fn labels(class: &str, student: &Student, expires: Option<i64>) -> BTreeMap<String, String> {
    let json = serde_json::to_string(student).unwrap_or_default();
    let mut labels = BTreeMap::from([(CLASS.into(), class.into()), (STUDENT.into(), json)]);
    if let Some(expires) = expires {
        labels.insert(EXPIRES.into(), expires.to_string());
    }
    labels
}

/// The name of a student's instance.
pub fn instance_name(class: &str, student: &Student) -> String {
    format!("{class}-{}", student.slug)
}

/// The copies on an engine, of one class or of all, in the order of the roster.
///
/// # Errors
/// The engine's.
pub async fn list(engine: &dyn Engine, class: Option<&str>) -> engine::Result<Vec<Copy>> {
    let mut copies: Vec<Copy> = engine
        .known()
        .await?
        .into_iter()
        .filter_map(Copy::of)
        .filter(|copy| class.is_none_or(|class| copy.class == class))
        .collect();
    copies.sort_by(|a, b| (&a.class, a.student.number).cmp(&(&b.class, b.student.number)));
    Ok(copies)
}

/// Removes every copy whose time is over: the names of those that are gone. One that cannot be
/// removed is left to the next who looks.
///
/// # Errors
/// The engine's, when it cannot list its instances.
pub async fn remove_expired(engine: &dyn Engine, now: i64) -> engine::Result<Vec<String>> {
    let all = engine.known().await?;
    let over = all.into_iter().filter(|instance| instance.expired(now));
    let removed = futures::future::join_all(over.map(|instance| async move {
        engine.remove(&instance.name, &|_| {}).await.ok().map(|_| instance.name)
    }));
    Ok(removed.await.into_iter().flatten().collect())
}
