//! Files and command lines that cannot be used: each says the line and what to write instead.

use crate::harness::{Folder, problem};

/// A file, a value or an argument cannot be used.
const INPUT: i32 = 3;
/// Something does not match what is trusted or allowed.
const REFUSED: i32 = 5;

/// A case with these lines, the first of which is the file's third.
fn case(lines: &str) -> String {
    format!("[[case]]\nname = \"a\"\n{lines}\n")
}

fn message(expect: &str) -> String {
    case(&format!("message = {{ kind = \"K\" }}\n{expect}"))
}

fn run(more: &str) -> String {
    let run = "run = { kind = \"SecaggRequest\", run = \"r\", parties = [\"a\", \"b\"] }";
    case(&format!("{run}\n{more}"))
}

#[test]
fn each_mistake_in_a_file_is_told_with_its_line() {
    let folder = Folder::new();
    let given = |fields: &str| {
        case(&format!(
            "message = {{ kind = \"K\",\n  fields = {fields} }}"
        ))
    };
    let files = [
        // The file itself.
        ("case = [\n", 1, "unclosed array"),
        ("case = 3", 1, "case is a number"),
        ("plug = \"a\"", 1, "the file has no \"plug\""),
        ("\nseed = -1", 2, "seed is below zero"),
        (
            "grants = [\n\"sockets\"]",
            2,
            "there is no grant \"sockets\"",
        ),
        // A case.
        (
            "[[case]]\nmessage = { kind = \"K\" }",
            1,
            "a case has no name",
        ),
        (
            &case("mesage = { kind = \"K\" }"),
            3,
            "a case has no \"mesage\"",
        ),
        (&case(""), 1, "has not one of message and run"),
        (
            &[message(""), message("")].concat(),
            5,
            "there are two cases \"a\"",
        ),
        (
            &message("rounds = []"),
            4,
            "a case of a message has no rounds",
        ),
        (
            &message("limits = { handle-cpu = 3 }"),
            4,
            "there is no limit \"handle-cpu\"",
        ),
        (
            &message("limits = { handle-cpu-ms = 0 }"),
            4,
            "handle-cpu-ms can be 1 to 60000",
        ),
        (&message("store = { a = 1 }"), 4, "bytes cannot be a number"),
        (
            &message("material = [{ body = \"\" }]"),
            4,
            "material has no run",
        ),
        (
            &message("material = [{ run = \"r\", body = \"\", after = \"5s\" }]"),
            4,
            "no \"after\"",
        ),
        // What is given.
        (
            &case("message = { from = \"b\" }"),
            3,
            "message has no kind",
        ),
        (
            &case("message = { kind = \"K\", from = \"\" }"),
            3,
            "an id cannot be empty",
        ),
        (
            &case("message = { kind = \"K\", assurance = \"none\" }"),
            3,
            "there is no assurance",
        ),
        (&given("[1]"), 4, "fields is a list"),
        (&given("{ a = 1979-05-27 }"), 4, "this is a date"),
        (
            &given("{ a = 99999999999999999999 }"),
            4,
            "more than 64 bits",
        ),
        (
            &given("{ a = { int = \"ten\" } }"),
            4,
            "this is not an integer",
        ),
        (&given("{ a = { hex = \"0g\" } }"), 4, "this is not hex"),
        (
            &given("{ a = { base64 = \"=\" } }"),
            4,
            "this is not base64",
        ),
        (&given("{ a = { nil = false } }"), 4, "nil is false"),
        (
            &given("{ a = { raw = \"c1\" } }"),
            4,
            "this is not MessagePack",
        ),
        (
            &given("{ a = { any = true } }"),
            4,
            "\"any\" is for what is expected",
        ),
        // What is expected.
        (&message("expect = \"nothing\""), 4, "expect is a text"),
        (
            &message("expect = [\n{ replay = { kind = \"K\" } }]"),
            5,
            "an effect cannot be \"replay\"",
        ),
        (
            &message("expect = [{ reply = { kind = \"K\", feilds = {} } }]"),
            4,
            "reply has no \"feilds\"",
        ),
        (
            &message("expect = [{ deliver = \"a\", reply = { kind = \"K\" } }]"),
            4,
            "a table with one key",
        ),
        (
            &message("expect = [{ deliver = { a = 1 } }]"),
            4,
            "no way to write bytes",
        ),
        (
            &message("expect = { failure = { kind = \"lost\" } }"),
            4,
            "there is no failure \"lost\"",
        ),
        (
            &message("expect = { nothing = false }"),
            4,
            "nothing is false",
        ),
        // Runs.
        (
            &case("run = { kind = \"KeyRequest\", run = \"r\", parties = [\"a\", \"b\"] }"),
            3,
            "no run begins with",
        ),
        (
            &case("run = { kind = \"SecaggRequest\", run = \"r\", parties = [\"a\"] }"),
            3,
            "two parties or more",
        ),
        (&run("expect = []"), 4, "no expect"),
        (
            &run("rounds = [{ answers = [{ from = \"c\", silent = true }] }]"),
            4,
            "c is not another party",
        ),
        (
            &run("rounds = [{ answers = [{ from = \"b\" }] }]"),
            4,
            "a message, or bytes, or silence",
        ),
    ];
    for (text, line, why) in files {
        let file = folder.write("bad.toml", text);
        let problem = problem(INPUT, &["test", "key-request", "--cases", &file]);
        assert!(
            problem.why.starts_with(&format!("{file}:{line}: ")) && problem.why.contains(why),
            "{text:?}: {problem:?}"
        );
        assert!(!problem.to_do.is_empty());
    }
}

#[test]
fn what_cannot_be_had_is_told_with_the_case() {
    let folder = Folder::new();
    let files = [
        (
            message("store = { k = \"v\" }\nlimits = { store-keys = 0 }"),
            1,
            "store-keys = 0",
        ),
        (
            message("limits = { table-elements = 0 }"),
            1,
            "table-elements = 0",
        ),
        (
            format!("grants = [\"log\"]\n{}", message("")),
            2,
            "which was not granted",
        ),
    ];
    for (text, line, why) in files {
        let file = folder.write("bad.toml", &text);
        let problem = problem(INPUT, &["test", "key-request", "--cases", &file]);
        assert!(
            problem.why.starts_with(&format!("{file}:{line}: ")) && problem.why.contains(why),
            "{text:?}: {problem:?}"
        );
    }
}

#[test]
fn no_cases_is_no_success() {
    let folder = Folder::new();
    let empty = folder.write("empty.toml", "seed = 1\n");
    let one = folder.write("one.toml", message(""));
    for args in [
        &["--cases", &empty][..],
        &["--cases", &one, "--name", "another"],
        // The folder `cases`, which is not there.
        &[],
    ] {
        let problem = problem(INPUT, &[&["test", "key-request"], args].concat());
        assert_eq!(problem.what, "there are no cases to run");
    }
    let problem = problem(INPUT, &["test", "--cases", &folder.at("nowhere")]);
    assert!(problem.why.contains("nowhere"), "{problem:?}");
}

#[test]
fn refuses_a_plugin_that_is_not_said_not_there_or_none() {
    let folder = Folder::new();
    let cases = folder.write("one.toml", message(""));
    let text = folder.write("text.wasm", "text");
    let unsaid = problem(INPUT, &["test", "--cases", &cases]);
    assert!(unsaid.to_do.contains("plugin = "), "{unsaid:?}");
    problem(
        INPUT,
        &["test", &folder.at("nowhere.wasm"), "--cases", &cases],
    );
    problem(REFUSED, &["test", &text, "--cases", &cases]);
}
