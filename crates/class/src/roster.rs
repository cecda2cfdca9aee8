//! The class list: a CSV file with a header, one student a row.
//!
//! `id` is required and unique. Every further column becomes `student.<column>` in the lab's
//! templates. Nothing starts until the whole list is right: all problems are told at once.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Rows that a list may have.
const MAX_ROWS: usize = 5_000;
/// Columns that a list may have.
const MAX_COLUMNS: usize = 200;
/// Letters that a cell may have.
const MAX_CELL: usize = 1_000;

/// One student.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Student {
    /// The id as in the list.
    pub id: String,
    /// 1 for the first row.
    pub number: usize,
    /// The id as part of an instance's name: lower-case letters, digits and dashes.
    pub slug: String,
    /// The further columns.
    pub fields: BTreeMap<String, String>,
}

/// One thing wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The line of the file, the header being 1; 0 for the whole.
    pub line: u64,
    /// What is wrong and what to do.
    pub message: String,
}

impl Student {
    /// A number that is the same each time for the same student and lab, below 2^53.
    pub fn seed(&self, lab: &str) -> u64 {
        let digest = Sha256::digest(format!("labctl class\0{lab}\0{}", self.id));
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(bytes) >> 11
    }

    /// What the lab's templates see: `student.id` and so on, by dotted name.
    pub fn variables(&self, lab: &str) -> BTreeMap<String, String> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let own = [
            ("id", self.id.clone()),
            ("number", self.number.to_string()),
            ("seed", self.seed(lab).to_string()),
        ];
        fields.chain(own).map(|(name, value)| (format!("student.{name}"), value)).collect()
    }

    /// Whether a student that did not come from a roster (but from a hand-in) could be one of it.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> Result<(), String> {
        let text =
            |text: &str| text.chars().count() <= MAX_CELL && !text.chars().any(char::is_control);
        if self.slug.is_empty() || self.slug != slug(&self.id) {
            return Err("the student's id and instance do not belong together".into());
        }
        let all = self.fields.iter().all(|(name, value)| text(name) && text(value));
        if !text(&self.id) || !all || self.fields.len() > MAX_COLUMNS {
            return Err("the student is not of a roster".into());
        }
        Ok(())
    }

    /// The student's name for people: the column `name` where there is one.
    pub fn title(&self) -> &str {
        self.fields.get("name").filter(|name| !name.is_empty()).unwrap_or(&self.id)
    }
}

/// Reads a list.
///
/// # Errors
/// Every problem of the list, in the order of its lines.
pub fn parse(bytes: &[u8]) -> Result<Vec<Student>, Vec<Problem>> {
    let whole = |message: &str| vec![Problem { line: 0, message: message.into() }];
    let text = std::str::from_utf8(bytes)
        .map_err(|_| whole("the roster is not UTF-8; save it as \"CSV UTF-8\""))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let delimiter = delimiter(text.lines().next().unwrap_or_default());
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = match reader.headers() {
        Ok(header) if header.iter().any(|name| !name.is_empty()) => header.clone(),
        Ok(_) => {
            return Err(whole(
                "the roster is empty; its first line names the columns, `id` among them",
            ));
        }
        Err(error) => return Err(whole(&format!("the roster is not CSV: {error}"))),
    };
    let mut problems = check_header(&header);
    let id_column = header.iter().position(|name| name == "id");
    let mut students: Vec<Student> = Vec::new();
    let mut seen: HashMap<String, u64> = HashMap::new();
    for (index, row) in reader.records().enumerate() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                problems.push(Problem { line, message: format!("the row is not CSV: {error}") });
                continue;
            }
        };
        let line = row.position().map_or(index as u64 + 2, csv::Position::line);
        let mut wrong = |message: String| problems.push(Problem { line, message });
        if students.len() >= MAX_ROWS {
            wrong(format!("a roster has at most {MAX_ROWS} students"));
            break;
        }
        if row.iter().all(str::is_empty) {
            continue;
        }
        if row.len() != header.len() {
            wrong(format!("the row has {} cells, the header {}", row.len(), header.len()));
        }
        for (name, cell) in header.iter().zip(&row) {
            if cell.chars().count() > MAX_CELL {
                wrong(format!("`{name}` has more than {MAX_CELL} letters"));
            }
            if cell.chars().any(char::is_control) {
                wrong(format!("`{name}` has a control character or a line end in it"));
            }
        }
        let Some(id) = id_column.and_then(|column| row.get(column)) else { continue };
        let slug = slug(id);
        if id.is_empty() {
            wrong("the student has no id".into());
            continue;
        }
        if slug.is_empty() {
            wrong(format!("the id `{id}` has no letter or digit"));
            continue;
        }
        if let Some(other) = seen.get(&slug) {
            wrong(format!("the id `{id}` is the same as that of line {other}"));
            continue;
        }
        seen.insert(slug.clone(), line);
        let fields = header
            .iter()
            .zip(&row)
            .filter(|(name, _)| *name != "id")
            .map(|(name, cell)| (name.to_owned(), cell.to_owned()))
            .collect();
        students.push(Student { id: id.to_owned(), number: students.len() + 1, slug, fields });
    }
    if students.is_empty() && problems.is_empty() {
        problems = whole("the roster has no students");
    }
    if problems.is_empty() { Ok(students) } else { Err(problems) }
}

/// A spreadsheet in most of Europe writes semicolons, and "Unicode text" has tabs: what makes `id` a
/// column of the header separates.
fn delimiter(header: &str) -> u8 {
    let is_id = |cell: &str| cell.trim().trim_matches('"').trim() == "id";
    let columns = |mark: char| header.split(mark).filter(|cell| is_id(cell)).count();
    [',', ';', '\t'].into_iter().find(|mark| columns(*mark) > 0).map_or(b',', |mark| mark as u8)
}

fn check_header(header: &csv::StringRecord) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |message: String| problems.push(Problem { line: 1, message });
    if header.len() > MAX_COLUMNS {
        wrong(format!("a roster has at most {MAX_COLUMNS} columns"));
    }
    for (index, name) in header.iter().enumerate() {
        if name.is_empty() {
            wrong(format!("column {} has no name", index + 1));
        } else if header.iter().take(index).any(|other| other == name) {
            wrong(format!("two columns are called `{name}`"));
        } else if matches!(name, "number" | "seed") {
            wrong(format!("`{name}` is worked out by labctl; give the column another name"));
        } else if !name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
            || name.starts_with(|letter: char| letter.is_numeric())
        {
            wrong(format!("`{name}` cannot be used in a template; letters, digits and `_` can"));
        }
    }
    if !header.iter().any(|name| name == "id") {
        wrong("there is no column `id`".into());
    }
    problems
}

/// Students by name only: `alice,bob`.
///
/// # Errors
/// As [`parse`].
pub fn named(names: &[String]) -> Result<Vec<Student>, Vec<Problem>> {
    let mut text = String::from("id\n");
    for name in names {
        text.push_str(&format!("\"{}\"\n", name.replace('"', "\"\"")));
    }
    parse(text.as_bytes())
}

/// `s01` to `s30`.
pub fn counted(count: usize) -> Vec<Student> {
    let width = count.to_string().len().max(2);
    (1..=count)
        .map(|number| {
            let id = format!("s{number:0width$}");
            Student { slug: id.clone(), id, number, fields: BTreeMap::new() }
        })
        .collect()
}

/// Lower-case ASCII letters, digits and single dashes; letters with marks lose them, others become
/// their number, so that two names of one script stay two.
fn slug(id: &str) -> String {
    let mut out = String::new();
    for letter in id.chars() {
        match letter.to_ascii_lowercase() {
            letter @ ('a'..='z' | '0'..='9') => out.push(letter),
            letter if letter.is_ascii() => {
                if !out.ends_with('-') && !out.is_empty() {
                    out.push('-');
                }
            }
            letter => match plain(letter) {
                Some(letter) => out.push(letter),
                None if letter.is_alphanumeric() => {
                    out.push_str(&format!("{:x}", u32::from(letter)))
                }
                None => {}
            },
        }
    }
    out.trim_end_matches('-').chars().take(40).collect()
}

/// The usual letters of Europe without their marks.
fn plain(letter: char) -> Option<char> {
    let lower = letter.to_lowercase().next()?;
    [
        ("àáâãäåā", 'a'),
        ("çćč", 'c'),
        ("èéêëēę", 'e'),
        ("ìíîïī", 'i'),
        ("ñń", 'n'),
        ("òóôõöøō", 'o'),
        ("ùúûüū", 'u'),
        ("ýÿ", 'y'),
        ("šśß", 's'),
        ("žźż", 'z'),
        ("ł", 'l'),
    ]
    .into_iter()
    .find_map(|(letters, plain)| letters.contains(lower).then_some(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_fields_and_the_seed_is_the_students_own() {
        let text =
            "\u{feff}id;name;domain\r\nanna.k;Anna Kovács;anna.test\r\nÖmer;Ömer;omer.test\r\n";
        let students = parse(text.as_bytes()).unwrap();
        assert_eq!(students[0].slug, "anna-k");
        assert_eq!(students[1].slug, "omer");
        assert_eq!(students[0].title(), "Anna Kovács");
        assert_eq!(students[0].variables("lab06")["student.domain"], "anna.test");
        assert_eq!(students[0].seed("lab06"), students[0].seed("lab06"));
        assert_ne!(students[0].seed("lab06"), students[1].seed("lab06"));
        assert_ne!(students[0].seed("lab06"), students[0].seed("djelfa"));
    }

    #[test]
    fn every_bad_row_is_told_with_its_line() {
        let text = "id,name\na,Anna\n,Nobody\nA,again\nb\n---,x\nc,\"two\nlines\"\n";
        let problems = parse(text.as_bytes()).unwrap_err();
        let told: Vec<_> =
            problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told[0].0 == 3 && told[0].1.contains("no id"));
        assert!(told[1].0 == 4 && told[1].1.contains("line 2"));
        assert!(told[2].0 == 5 && told[2].1.contains("1 cells"));
        assert!(told[3].0 == 6 && told[3].1.contains("no letter or digit"));
        assert!(told[4].0 == 7 && told[4].1.contains("line end"));
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        // A comma in a heading, quotes, blanks, a tab between the cells.
        for text in [
            "id;\"comment\"\n a1 ;\"one; two, \"\"three\"\"\"\n",
            "id,comment\na1,\"one; two, \"\"three\"\"\"\n",
            "id\tcomment\r\na1\tone; two, \"\"three\"\"\r\n",
        ] {
            let students = parse(text.as_bytes()).unwrap();
            assert_eq!(students[0].id, "a1", "{text}");
            assert!(students[0].fields["comment"].starts_with("one; two, "), "{text}");
        }
        let formula = parse("id,name\n=1+1,@SUM(A1)\n".as_bytes()).unwrap();
        assert_eq!(formula[0].slug, "1-1");
        assert_eq!(formula[0].check(), Ok(()));
        // The seed is a promise over versions: choices made of it must not change.
        assert_eq!(counted(1)[0].seed("lab06"), 2_617_159_679_440_059);
    }

    #[test]
    fn headers_are_judged() {
        for (text, says) in [
            ("", "empty"),
            ("name\nx\n", "`id`"),
            ("id,id\na,b\n", "two columns"),
            ("id,seed\na,b\n", "worked out"),
            ("id,first name\na,b\n", "template"),
            ("id\n", "no students"),
        ] {
            let problems = parse(text.as_bytes()).unwrap_err();
            assert!(problems[0].message.contains(says), "{text:?}: {problems:?}");
        }
        assert!(parse(b"id\n\xff\n").unwrap_err()[0].message.contains("UTF-8"));
    }

    #[test]
    fn names_of_other_scripts_stay_apart() {
        let students = named(&["李雷".into(), "李梅".into()]).unwrap();
        assert_ne!(students[0].slug, students[1].slug);
        assert_eq!(counted(3)[2].id, "s03");
    }
}
