//! One sentence for each step: what it is for.

use crate::dissect::{Dissection, by_port};

use super::text::Said;

/// What a packet without a connection is for.
pub fn packet(found: &Dissection) -> String {
    if let Some(arp) = &found.arp {
        return if !arp.request {
            format!(
                "The owner of {} answers with its MAC address; the one that asked can send now.",
                arp.sender.1
            )
        } else if arp.sender.1.is_unspecified() {
            "Before it uses an address, a host asks whether somebody else has it.".into()
        } else {
            format!(
                "To send to {} on this link, its MAC address is needed; the question goes to everybody.",
                arp.target.1
            )
        };
    }
    if let Some(dns) = &found.dns {
        let name = dns.question.as_ref().map_or("", |(name, _)| name.as_str());
        // Without the final dot, which would look like the sentence's.
        let name = name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name);
        let kind = dns.question.as_ref().map_or("", |(_, kind)| kind.as_str());
        return match (dns.response, kind) {
            (false, "MX") => format!("The mail server asks which host takes mail for {name}."),
            (false, "PTR") => "The name that belongs to an address is asked for.".into(),
            (false, "TXT" | "SPF") if name.starts_with("_dmarc.") => {
                "What is to be done with mail that only claims to be from there (DMARC)?".into()
            }
            (false, "TXT") if name.contains("._domainkey.") => {
                "The key is needed that the message's signature is checked with (DKIM).".into()
            }
            (false, "TXT" | "SPF") => {
                format!("Which hosts may send mail of {name} (SPF)?")
            }
            (false, "NS" | "SOA") => format!("Which server is responsible for {name}?"),
            (false, "DS" | "DNSKEY") => format!("The keys of {name} are asked for (DNSSEC)."),
            (false, "A" | "AAAA") => {
                format!("Names are for people; to connect, the address of {name} is needed.")
            }
            (false, _) => format!("Records of type {kind} of {name} are asked for."),
            (true, _) if dns.rcode == "NXDOMAIN" => {
                format!("There is no name {name}: nothing further can happen.")
            }
            (true, _) if dns.rcode != "NOERROR" => {
                format!("The server could not answer ({}).", dns.rcode)
            }
            (true, _) if dns.answers.is_empty() => {
                format!("The name {name} exists, but has no such record.")
            }
            (true, _) => "The DNS server looks into its zone and answers.".into(),
        };
    }
    if let Some(dhcp) = &found.dhcp {
        return match dhcp.kind.as_str() {
            "DISCOVER" => "The host has no address yet, so it asks everybody for a DHCP server.",
            "OFFER" => {
                "A server keeps an address free and offers it, with mask, gateway and DNS server."
            }
            "REQUEST" if dhcp.requested.is_none() => {
                "The host asks to keep its address for longer."
            }
            "REQUEST" => "The host tells everybody which offer it takes.",
            "ACK" => "The server agrees: the lease runs from now on.",
            "NAK" => "The server refuses: the host must begin again.",
            "DECLINE" => "The host found the address taken and gives it back.",
            "RELEASE" => "The host does not need the address any more.",
            "INFORM" => "The host has an address and asks only for the other settings.",
            _ => "A message of DHCP's forerunner BOOTP.",
        }
        .into();
    }
    if let Some(icmp) = &found.icmp {
        return match (icmp.kind, icmp.code) {
            (8, _) => "Ping: are you there?",
            (0, _) => "Pong: the way there and back works.",
            (3, 3) => "The host is there, but no program listens on that port.",
            (3, 9 | 10 | 13) => "A filter on the way forbids it.",
            (3, _) => "A router says that the packet cannot get there.",
            (11, _) => {
                "The packet's time to live has run out at a router; traceroute lives on this."
            }
            _ => "A control message of IP.",
        }
        .into();
    }
    if found.protocol == "rip" {
        return "Routers tell their neighbours which networks they reach, and how far those are."
            .into();
    }
    "A datagram of UDP: no connection, no guarantee.".into()
}

/// What the three-way handshake is for.
pub fn handshake(port: u16) -> String {
    let what = match by_port(port).map(|application| application.name) {
        Some("smtp") => ", where a mail server takes mail",
        Some("pop3") => ", where mail is fetched by POP3",
        Some("imap") => ", where mailboxes are worked on by IMAP",
        Some("http") => ", where the web server listens",
        _ => "",
    };
    format!("SYN, SYN-ACK, ACK: both sides agree on a connection to port {port}{what}.")
}

/// A refused connection.
pub fn refused(port: u16) -> String {
    format!("The host is there, but no program listens on port {port}: the service is off.")
}

/// A SYN without an answer.
pub fn no_answer() -> String {
    "Nobody answers: the host is off, the way is cut, or a filter drops the packets.".into()
}

/// A reset.
pub fn reset() -> String {
    "RST ends the connection at once.".into()
}

/// The end of a connection.
pub fn closing() -> String {
    "FIN from both sides: everything was said and nothing was lost.".into()
}

/// TLS.
pub fn tls(hello: Option<&str>) -> String {
    match hello {
        Some(text) if text.starts_with("client") => {
            "The client offers TLS versions and ciphers, and names the server it wants.".into()
        }
        Some(_) => "The server chooses; from here on both have a common secret.".into(),
        None => "Everything is encrypted: who captures it cannot read it.".into(),
    }
}

/// The rest of a TLS handshake.
pub fn tls_handshake() -> String {
    "The server proves who it is; both check that nobody changed the handshake.".into()
}

/// A line of a dialogue.
pub fn line(protocol: &str, said: &Said) -> String {
    let text = match protocol {
        "smtp" => smtp(said),
        "pop3" => pop3(said),
        "imap" => imap(said),
        "http" => http(said),
        _ => "Data of the connection.",
    };
    text.to_owned()
}

fn word(said: &Said, at: usize) -> String {
    said.text.split(' ').nth(at).unwrap_or_default().to_ascii_uppercase()
}

fn smtp(said: &Said) -> &'static str {
    if said.inside {
        return "The server keeps the message for its recipient, or for the next server, before it says 250.";
    }
    if said.client {
        return match word(said, 0).as_str() {
            "EHLO" | "HELO" => "The client says who it is.",
            "STARTTLS" => "The client wants to go on encrypted.",
            "AUTH" | "********" => "The client proves who sends, by name and password.",
            "MAIL" => "The envelope's sender: where a failure notice would go.",
            "RCPT" => "The envelope's recipient: whose mailbox the message is for.",
            "DATA" => "The client wants to hand over the message itself.",
            "THE" => "Header, empty line, text; a line with a single dot ends it.",
            "RSET" => "Forget this message.",
            "QUIT" => "The client is done.",
            _ => "A command to the mail server.",
        };
    }
    if said.failed {
        return match said.answers.as_str() {
            "RCPT" => "The server does not take mail for this recipient.",
            "AUTH" => "Name or password are wrong.",
            _ => "The server refuses: 4xx means try later, 5xx means never.",
        };
    }
    match (said.text.get(..3).unwrap_or_default(), said.answers.as_str()) {
        ("220", "STARTTLS") => "The server agrees; the TLS handshake follows.",
        ("220", _) => "The server greets: it is ready.",
        ("250", "message") => "The message is on disk now: from here on the server answers for it.",
        ("250", "EHLO") => "The server greets back and lists what it can do.",
        ("250", "MAIL") => "The sender may send here.",
        ("250", "RCPT") => {
            "The server looked at the recipient's domain: mail for its own it keeps, other mail it passes on."
        }
        ("250", _) => "Accepted.",
        ("354", _) => "Go on: send the message.",
        ("235", _) => "The login is accepted.",
        ("334", _) => "The server asks for the next part of the login.",
        ("221", _) => "The server says goodbye.",
        _ => "The server's reply.",
    }
}

fn pop3(said: &Said) -> &'static str {
    if said.client {
        return match word(said, 0).as_str() {
            "USER" => "Whose mailbox it is.",
            "PASS" => "The password; without TLS everybody on the way can read it.",
            "STAT" => "How many messages are there, and how large are they?",
            "LIST" => "The size of each message.",
            "UIDL" => "The unique name of each message, to know which are new.",
            "RETR" => "Give me a copy of this message; the server's own stays until DELE.",
            "TOP" => "Give me the head of this message.",
            "DELE" => "Mark it for deletion; it is deleted at QUIT.",
            "CAPA" => "What can you do?",
            "STLS" => "The client wants to go on encrypted.",
            "QUIT" => "The client is done; marked messages are deleted now.",
            _ => "A command to the mail server.",
        };
    }
    if said.failed {
        return "The server refuses.";
    }
    if said.text.starts_with("the message") {
        return "The message, line by line, up to a line with a single dot.";
    }
    if said.text.starts_with("the list") {
        return "One line for each message, up to a line with a single dot.";
    }
    match said.answers.as_str() {
        "" => "The server greets: it is ready.",
        "PASS" => "Name and password are right; the mailbox is locked for this session.",
        "USER" => "The server wants the password as well, whether it knows the name or not.",
        "STAT" => "Number and size of the messages.",
        "LIST" | "UIDL" | "CAPA" => "The list follows.",
        "RETR" | "TOP" => "The message follows.",
        "DELE" => "The message is marked; RSET would take that back.",
        "STLS" => "The server agrees; the TLS handshake follows.",
        "QUIT" => "The server says goodbye.",
        _ => "Done.",
    }
}

fn imap(said: &Said) -> &'static str {
    if said.client {
        return match said.answers.as_str() {
            "APPEND" => "The message that is put into the mailbox.",
            _ => match word(said, 1).as_str() {
                "LOGIN" | "AUTHENTICATE" => {
                    "The client logs in; without TLS everybody on the way can read it."
                }
                "CAPABILITY" => "What can you do?",
                "SELECT" => "Open this mailbox.",
                "EXAMINE" => "Open this mailbox, only for reading.",
                "LIST" | "LSUB" => "Which folders are there?",
                "SEARCH" => "Which messages are like that?",
                "FETCH" => "Give me these parts of these messages; they stay on the server.",
                "STORE" => "Change flags, such as read or deleted; every device sees them.",
                "UID" => "The same by unique numbers, which never change.",
                "IDLE" => "Tell me at once when something changes.",
                "EXPUNGE" => "Remove what is marked as deleted.",
                "LOGOUT" => "The client is done.",
                _ => "A command to the mail server.",
            },
        };
    }
    if said.failed {
        return "The server refuses.";
    }
    if said.text.starts_with("a text of") {
        return "The part that was asked for, byte by byte.";
    }
    if said.text.starts_with('*') {
        return "The server tells the state of the mailbox.";
    }
    if said.text.starts_with('+') {
        return "Go on.";
    }
    "Done: the tag says which command."
}

fn http(said: &Said) -> &'static str {
    if said.client {
        return "The browser asks for a page; the Host field says of which site.";
    }
    if said.text.starts_with("the page") {
        return "The page itself.";
    }
    match word(said, 1).as_str() {
        "200" => "The page is there.",
        "301" | "302" | "303" | "307" | "308" => "The page is elsewhere.",
        "404" => "There is no such page.",
        code if code.starts_with('4') => "The server says that the request is wrong.",
        code if code.starts_with('5') => "The server failed.",
        _ => "The server's reply.",
    }
}
