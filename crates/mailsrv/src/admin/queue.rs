//! The queue: who waits for what, and what can be done about it.

use std::sync::Arc;

use node::Error;
use serde_json::{Value, json};

use super::fields::Fields;
use crate::headers;
use crate::queue::{self, Envelope};
use crate::server::Server;
use crate::store::Change;

type Answer = Result<Value, Error>;

/// Answers, if it is about the queue.
pub async fn answer(server: &Arc<Server>, op: &str, fields: &Fields) -> Option<Answer> {
    Some(match op {
        "queue" => Ok(list(server)),
        "queue-retry" => edit(server, fields, |envelope, now| envelope.next = now).await,
        "queue-hold" => edit(server, fields, |envelope, _| envelope.held = true).await,
        "queue-release" => {
            edit(server, fields, |envelope, now| {
                envelope.held = false;
                envelope.next = now;
            })
            .await
        }
        "queue-delete" => end(server, fields, false).await,
        "queue-bounce" => end(server, fields, true).await,
        _ => return None,
    })
}

fn list(server: &Arc<Server>) -> Value {
    let now = headers::now();
    let rows: Vec<Value> = server
        .store
        .queue()
        .iter()
        .map(|envelope| {
            json!({
                "id": envelope.id,
                "from": envelope.sender,
                "bytes": envelope.size,
                "age_s": now - envelope.created,
                "attempts": envelope.attempts,
                "next_s": if envelope.held { Value::Null } else { json!((envelope.next - now).max(0)) },
                "held": envelope.held,
                "recipients": envelope.recipients,
            })
        })
        .collect();
    json!({ "messages": rows })
}

/// The entries that a request names: one by `id`, or all.
fn chosen(server: &Arc<Server>, fields: &Fields) -> Result<Vec<Arc<Envelope>>, Error> {
    match fields.optional_number("id")? {
        None => Ok(server.store.queue()),
        Some(id) => match server.store.queued(id) {
            Some(envelope) => Ok(vec![envelope]),
            None => Err(Error::new("unknown", format!("the queue has no message {id}"))),
        },
    }
}

async fn edit(server: &Arc<Server>, fields: &Fields, edit: impl Fn(&mut Envelope, i64)) -> Answer {
    let now = headers::now();
    let _alone = server.queue_changes.write().await;
    let changes = chosen(server, fields)?
        .iter()
        .map(|found| {
            let mut envelope = (**found).clone();
            edit(&mut envelope, now);
            Change::Queue(Box::new(envelope))
        })
        .collect();
    server.store.commit(changes).await.map_err(|error| Error::new("disk", error))?;
    Ok(list(server))
}

async fn end(server: &Arc<Server>, fields: &Fields, notice: bool) -> Answer {
    // All at once only by name: a slip should not lose the queue.
    fields.number("id")?;
    let _alone = server.queue_changes.write().await;
    for envelope in chosen(server, fields)? {
        queue::give_up(server, envelope.id, notice)
            .await
            .map_err(|error| Error::new("disk", error))?;
    }
    Ok(list(server))
}
