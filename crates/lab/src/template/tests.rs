use super::*;
use crate::load::Vars;
use crate::source::Sources;

fn sources(text: &str, set: &[(&str, &str)]) -> Result<Sources, Problem> {
    let set: Vars = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let mut problems = Vec::new();
    let values = values(text, 0, &Json::Null, &set, &mut problems);
    assert_eq!(problems, []);
    let mut sources = Sources::one("lab.yaml", text);
    sources.files[0].expanded = Some(expand(text, 0, &values)?);
    Ok(sources)
}

#[test]
fn loops_and_values_are_worked_out_and_lead_back() {
    let text = "vars:\n  n: 2\nnodes:\n{% for i in range(n) %}\n  pc{{ i }}: { a: 10.0.0.{{ i + 1 }} }\n{% endfor %}\nend: x\n";
    let sources = sources(text, &[("n", "3")]).unwrap();
    let made = &sources.files[0].expanded.as_ref().unwrap().text;
    assert!(made.ends_with("nodes:\n  pc0: { a: 10.0.0.1 }\n  pc1: { a: 10.0.0.2 }\n  pc2: { a: 10.0.0.3 }\nend: x\n"), "{made}");
    for (needle, original) in [
        ("pc2", "pc{{ i }}"),
        ("end", "end"),
        ("10.0.0.3", "10.0.0.{{ i + 1 }}"),
        ("nodes", "nodes"),
    ] {
        let start = u32::try_from(made.find(needle).unwrap()).unwrap();
        let end = start + u32::try_from(needle.len()).unwrap();
        let back = sources.original(Span { file: 0, start, end });
        assert_eq!(&text[back.start as usize..back.end as usize], original, "{needle}");
    }
}

#[test]
fn what_has_no_value_is_an_error_at_its_place() {
    let text = "name: a\ntitle: é {{ studnt.id }}\n";
    let problem = sources(text, &[("student.id", "7")]).unwrap_err();
    assert_eq!(problem.code, "vars::undefined");
    assert!(problem.message.contains("studnt"), "{}", problem.message);
    assert!(text[problem.span.start as usize..].starts_with("studnt"), "{problem:?}");
    assert!(problem.help.contains("student"), "{}", problem.help);
    let made =
        sources("a: {{ student.id }} {{ list[1] }}", &[("student.id", "007"), ("list", "[1, 2]")])
            .unwrap();
    assert_eq!(made.files[0].expanded.as_ref().unwrap().text, "a: 007 2");
}

#[test]
fn a_students_choices_are_the_students_own_and_stay() {
    let text = "name: a\nx: {{ pick([1, 2, 3, 4, 5, 6, 7, 8, 9]) }} {{ password(12) }} {{ number(10, 10000) }} {{ shuffle([1, 2, 3, 4])|length }}\n";
    let made = |seed: &str| {
        sources(text, &[("student.seed", seed)]).unwrap().files[0]
            .expanded
            .as_ref()
            .unwrap()
            .text
            .clone()
    };
    assert_eq!(made("17"), made("17"));
    assert_ne!(made("17"), made("18"));
    let words: Vec<String> = made("17").split_whitespace().map(str::to_owned).collect();
    assert_eq!((words[4].len(), words[6].as_str()), (12, "4"));
    assert!((10..=10_000).contains(&words[5].parse::<i64>().unwrap()));
    assert_eq!(sources("a: {{ number(3, 1) }}", &[]).unwrap_err().code, "vars::template");
}

#[test]
fn broken_and_endless_templates_are_refused() {
    let code = |text: &str| sources(text, &[]).unwrap_err().code;
    assert_eq!(code("a: {{ x"), "vars::template");
    let unclosed = sources("a: {{ 1 }} {% raw %}{{{% endraw %}\nb: {{ x\nc: 1\n", &[]).unwrap_err();
    assert_eq!((unclosed.span.start, unclosed.code), (38, "vars::template"), "{unclosed:?}");
    assert_eq!(code("{% for i in range(3) %}"), "vars::template");
    assert_eq!(
        code(
            "{% for i in range(9999) %}{% for j in range(9999) %}xxxxxxxx{% endfor %}{% endfor %}"
        ),
        "vars::too-much"
    );
    assert_eq!(
        sources("a: {% raw %}{{ x }}{% endraw %}", &[]).unwrap().files[0]
            .expanded
            .as_ref()
            .unwrap()
            .text,
        "a: {{ x }}"
    );
}
