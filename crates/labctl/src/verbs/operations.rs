/// What each service can be asked in words.
const OPERATIONS: &[Operation] = &[
    ("mail", "status", &[], "which protocols are on"),
    ("mail", "switch", &["protocol", "on"], "switch a protocol on or off"),
    ("dns", "status", &[], "whether it answers"),
    ("dns", "switch", &["protocol", "on"], "switch it on or off"),
    ("dns", "zones", &[], "its zones"),
    ("dns", "records", &["zone"], "the records of a zone"),
    ("dhcp", "status", &[], "whether it answers"),
    ("web", "status", &[], "which protocols are on"),
];
