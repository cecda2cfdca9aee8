//! `labctl forward`: a node's port on this machine while labctl runs.

use tokio::net::TcpListener;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::{interrupt, output};

/// One forward: where to listen, and where to.
#[derive(Debug, PartialEq, Eq)]
struct Forward {
    listen: String,
    node: String,
    port: u16,
}

fn parse(text: &str) -> Result<Forward, Failure> {
    let wrong = || {
        Failure::usage(format!("`{text}` is not a forward"))
            .help("write [ADDRESS:]PORT:NODE:PORT, such as 1143:mail:143")
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (address, local, node, remote) = match parts[..] {
        [local, node, remote] => ("127.0.0.1", local, node, remote),
        [address, local, node, remote] => (address, local, node, remote),
        _ => return Err(wrong()),
    };
    let local: u16 = local.parse().map_err(|_| wrong())?;
    let port: u16 = remote.parse().map_err(|_| wrong())?;
    if node.is_empty() || port == 0 {
        return Err(wrong());
    }
    Ok(Forward { listen: format!("{address}:{local}"), node: node.into(), port })
}

/// Runs the verb until it is interrupted.
pub async fn run(context: &Context, forwards: &[String]) -> Outcome {
    let forwards = forwards.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
    let running = context.running().await?;
    let stop = interrupt::token();
    let mut listening = Vec::new();
    // All are bound before any is announced: a port in use refuses the whole.
    for forward in forwards {
        let client = running.engine.control(&running.name, &forward.node).await?;
        let listener = TcpListener::bind(&forward.listen).await.map_err(|error| {
            Failure::new(
                crate::failure::ENGINE,
                format!("cannot listen on {}: {error}", forward.listen),
            )
            .help("choose another port of this machine")
        })?;
        listening.push((forward, client, listener));
    }
    for (forward, client, listener) in listening {
        let local = listener.local_addr()?;
        output::say(&format!("{local} -> {}:{}", forward.node, forward.port));
        tokio::spawn(async move {
            while let Ok((mut inbound, peer)) = listener.accept().await {
                let (client, node, port) = (client.clone(), forward.node.clone(), forward.port);
                tokio::spawn(async move {
                    match client.connect("127.0.0.1", port).await {
                        Ok(mut outbound) => {
                            let _ =
                                tokio::io::copy_bidirectional(&mut inbound, &mut outbound).await;
                        }
                        Err(error) => {
                            output::complain(&format!("{peer} -> {node}:{port}: {error}"));
                        }
                    }
                });
            }
        });
    }
    stop.cancelled().await;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_loopback_unless_told_otherwise() {
        let forward = parse("1143:mail:143").unwrap();
        assert_eq!(forward.listen, "127.0.0.1:1143");
        assert_eq!(parse("0.0.0.0:80:web:80").unwrap().listen, "0.0.0.0:80");
        for wrong in ["", "mail:143", "x:mail:143", "1:mail:0", "1:2:3:4:5", "1::2"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
