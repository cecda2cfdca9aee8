//! The commands of a node: ping, nslookup, dig, ip, curl, mail and the others.
