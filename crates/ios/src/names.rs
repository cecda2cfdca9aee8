//! Interface names: the lab's (`lan`) and the console's (`FastEthernet0/0`).

/// Types of interfaces, in full.
const TYPES: [&str; 5] = ["FastEthernet", "GigabitEthernet", "Ethernet", "Serial", "Loopback"];

/// The links of a router in the order of the lab file; link N is `FastEthernet0/N`,
/// `GigabitEthernet0/N` and so on. Empty where they are not known: then every name stands for
/// itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    links: Vec<String>,
}

/// Whether this may begin a type of interface and nothing else: `fa`, `Gig`, `FastEthernet`.
pub fn is_type(text: &str) -> bool {
    text.len() >= 2 && type_of(text).is_some()
}

fn type_of(text: &str) -> Option<&'static str> {
    let begins =
        |name: &&&str| name.get(..text.len()).is_some_and(|b| b.eq_ignore_ascii_case(text));
    TYPES.iter().find(begins).copied().filter(|_| !text.is_empty())
}

fn split(text: &str) -> Option<(&'static str, &str)> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let (kind, number) = text.split_at(digits);
    let numbers = number
        .split('/')
        .all(|n| !n.is_empty() && n.len() < 6 && n.chars().all(|c| c.is_ascii_digit()));
    numbers.then_some(())?;
    Some((type_of(kind)?, number))
}

/// Whether this is an interface's name as consoles have them: `Fa0/0`, `GigabitEthernet0/1`.
pub fn is_interface(text: &str) -> bool {
    split(text).is_some()
}

impl Names {
    /// The names of these links.
    pub fn new<S: AsRef<str>>(links: &[S]) -> Self {
        Self { links: links.iter().map(|link| link.as_ref().to_owned()).collect() }
    }

    /// The links.
    pub fn links(&self) -> &[String] {
        &self.links
    }

    /// Whether a word may name a link of the lab.
    pub(crate) fn may_be_link(&self, word: &str) -> bool {
        if self.links.is_empty() {
            return word.starts_with(|c: char| c.is_ascii_alphabetic());
        }
        self.links.iter().any(|link| link == word)
    }

    /// The name in the node and the name on the console.
    ///
    /// # Errors
    /// Where there is no such interface: a sentence that says which there are.
    pub fn resolve(&self, typed: &str) -> Result<(String, String), String> {
        if let Some(index) = self.links.iter().position(|link| link == typed) {
            return Ok((typed.to_owned(), format!("FastEthernet0/{index}")));
        }
        let Some((kind, number)) = split(typed) else {
            if self.links.is_empty() {
                return Ok((typed.to_owned(), typed.to_owned()));
            }
            return Err(self.missing(typed));
        };
        let label = format!("{kind}{number}");
        if matches!(kind, "Serial" | "Loopback") {
            return Err(format!("{label}: a lab's router has Ethernet interfaces only"));
        }
        if self.links.is_empty() {
            return Ok((label.clone(), label));
        }
        let index = number.rsplit('/').next().and_then(|n| n.parse::<usize>().ok());
        match index.and_then(|index| self.links.get(index)) {
            Some(link) => Ok((link.clone(), label)),
            None => Err(self.missing(&label)),
        }
    }

    /// The console's name of a link.
    pub fn label(&self, link: &str) -> String {
        match self.links.iter().position(|name| name == link) {
            Some(index) => format!("FastEthernet0/{index}"),
            None => link.to_owned(),
        }
    }

    fn missing(&self, typed: &str) -> String {
        let all: Vec<String> = self
            .links
            .iter()
            .enumerate()
            .map(|(index, link)| format!("FastEthernet0/{index} ({link})"))
            .collect();
        format!("there is no interface {typed}: this router has {}", all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_answer_to_both_names() {
        let names = Names::new(&["lan", "wan"]);
        assert_eq!(names.resolve("gi0/1").unwrap(), ("wan".into(), "GigabitEthernet0/1".into()));
        assert_eq!(names.resolve("lan").unwrap(), ("lan".into(), "FastEthernet0/0".into()));
        assert!(names.resolve("fa0/7").unwrap_err().contains("FastEthernet0/1 (wan)"));
        assert!(names.resolve("serial0/0/0").is_err());
    }
}
