//! What a template may choose for a student: `pick`, `shuffle`, `password`, by the student's seed.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// The most items that `pick`, `shuffle` and `password` may look at in all.
const MAX_CHOSEN: usize = 200_000;

/// The functions that give each student an own lab: `pick(list)`, `shuffle(list)`,
/// `number(first, last)`, `password(length)`. The same lab, student and place give the same choice;
/// without a student the seed is 0.
pub(super) fn choices(environment: &mut minijinja::Environment<'_>, text: &str, values: &Json) {
    use minijinja::{Error, ErrorKind, Value};
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("name:"))
        .unwrap_or_default()
        .trim()
        .to_owned();
    let seed = values.get("student").and_then(|student| student.get("seed"));
    let seed = seed.map_or_else(
        || "0".to_owned(),
        |seed| seed.as_str().map_or_else(|| seed.to_string(), str::to_owned),
    );
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    // One call's stream of numbers.
    let stream = move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (name, seed) = (name.clone(), seed.clone());
        let mut round = 0u64;
        move || {
            round += 1;
            let hash = Sha256::digest(format!("{name}\0{seed}\0{call}\0{round}"));
            hash.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        }
    };
    let wrong = |what: &str| Error::new(ErrorKind::InvalidOperation, what.to_owned());
    let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(MAX_CHOSEN));
    let spend = move |count: usize| {
        let order = std::sync::atomic::Ordering::Relaxed;
        let enough = left.fetch_update(order, order, |left| left.checked_sub(count));
        enough.map(|_| ()).map_err(|_| Error::from(ErrorKind::OutOfFuel))
    };
    let pay = spend.clone();
    let items = move |list: &Value| -> Result<Vec<Value>, Error> {
        let items: Vec<Value> = list.try_iter()?.take(MAX_CHOSEN + 1).collect();
        spend(items.len())?;
        if items.is_empty() {
            Err(Error::new(ErrorKind::InvalidOperation, "the list is empty"))
        } else {
            Ok(items)
        }
    };
    let next = stream.clone();
    let of = items.clone();
    environment.add_function("pick", move |list: Value| -> Result<Value, Error> {
        let list = of(&list)?;
        let at = usize::try_from(next()() % list.len() as u64).unwrap_or(0);
        Ok(list[at].clone())
    });
    let next = stream.clone();
    environment.add_function("shuffle", move |list: Value| -> Result<Value, Error> {
        let mut list = items(&list)?;
        let mut number = next();
        for last in (1..list.len()).rev() {
            list.swap(last, usize::try_from(number() % (last as u64 + 1)).unwrap_or(0));
        }
        Ok(Value::from(list))
    });
    let next = stream.clone();
    environment.add_function("number", move |first: i64, last: i64| -> Result<i64, Error> {
        let span = last
            .checked_sub(first)
            .filter(|span| *span >= 0)
            .ok_or_else(|| wrong("number(first, last) needs first <= last"))?;
        let offset = i64::try_from(next()() % (span as u64 + 1)).unwrap_or(0);
        Ok(first + offset)
    });
    environment.add_function("password", move |length: usize| -> Result<String, Error> {
        // Without characters that are mistaken for each other.
        const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
        if !(1..=64).contains(&length) {
            return Err(wrong("a password has 1 to 64 characters"));
        }
        pay(length)?;
        let mut number = stream();
        // The first is a letter, so that YAML takes it for a text.
        let mut at = |bound: u64| usize::try_from(number() % bound).unwrap_or(0);
        Ok((0..length)
            .map(|place| char::from(LETTERS[at(if place == 0 { 24 } else { 32 })]))
            .collect())
    });
}
