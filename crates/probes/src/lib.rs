//! The clients that checks use: ping, dns, tcp, http, mail.
