//! The configuration language as tables: text, and the tree or message that it gives. Every line
//! was compared with what the reference answers.

use std::collections::HashMap;

use proptest::prelude::*;

use super::digest::{canonical, digest};
use super::parse::{Loader, Parsed, fuzz_config, parse};
use super::value::{Map, Node, Value};

/// Files and environment variables of a test.
#[derive(Default)]
struct Memory {
    files: HashMap<String, String>,
    variables: HashMap<String, String>,
}

impl Loader for Memory {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == "." {
            return Err("read .: is a directory".into());
        }
        let text = self.files.get(path).ok_or_else(|| format!("open {path}: no such file or directory"))?;
        Ok(text.clone().into_bytes())
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.variables.get(name).map(|value| value.clone().into_bytes())
    }
}

fn memory(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Memory {
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    Memory { files: owned(files), variables: owned(variables) }
}

fn read(text: &str) -> Parsed {
    parse("x.conf", text.as_bytes(), &Memory::default())
}

#[track_caller]
fn gives(parsed: &Parsed, want: &str, about: &str) {
    let findings: Vec<_> = parsed.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(findings, [""; 0], "{about:?}");
    assert_eq!(canonical(&parsed.root), want, "{about:?}");
}

#[track_caller]
fn check(text: &str, want: &str) {
    gives(&read(text), want, text);
}

#[track_caller]
fn check_error(text: &str, want: &str) {
    first_error(&read(text), want, text);
}

#[track_caller]
fn first_error(parsed: &Parsed, want: &str, about: &str) {
    assert_eq!(parsed.findings.first().map(|finding| finding.line()).as_deref(), Some(want), "{about:?}");
}

#[test]
fn key_and_value_are_separated_by_colon_equals_or_blanks() {
    for text in ["k: 1", "k = 1", "k 1", "k:1", "k=1", "k\t1", "  k  :  1  ", "k : 1\r\n", "\n\nk: 1\n\n"] {
        check(text, r#"{"k":1}"#);
    }
    check("k { a: 1 }", r#"{"k":{"a":1}}"#);
    check("k [ ]", r#"{"k":[]}"#);
    check("k\n\n: 1", r#"{"k":1}"#);
    check_error("k:\n1", "Parse error on line 2: 'Expected value but found new line'");
    check_error(": 1", "Parse error on line 1: 'Unexpected key separator ':''");
}

#[test]
fn values_end_with_newline_comma_semicolon_or_a_stray_brace() {
    for text in ["a: 1\nb: 2", "a: 1, b: 2", "a: 1; b: 2", "a: 1;b: 2\n", "a: 1 }\nb: 2", "a: 1 / \nb: 2"] {
        check(text, r#"{"a":1,"b":2}"#);
    }
    check_error(
        "a: \"x\" b: 2",
        "Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, \
         but got 'b' instead.'",
    );
    check_error(
        "m { a: \"x\" b: 2 }",
        "Parse error on line 1: 'Expected a map value terminator \",\" or a map terminator \"}\", \
         but got 'b' instead.'",
    );
}

#[test]
fn a_whole_file_may_stand_in_braces_or_be_json() {
    check("{ a: 1 }", r#"{"a":1}"#);
    check("{\n a: 1\n}\n", r#"{"a":1}"#);
    check("{{ a: 1\n }}\n", r#"{"a":1}"#);
    check("{ a: 1\n", r#"{"a":1}"#);
    check("a: 1\n}", r#"{"a":1}"#);
    check(
        "{\"a\": 1, \"b\": {\"c\": [\"x\", \"y\"], \"d\": true},\n \"e\": \"f\"}",
        r#"{"a":1,"b":{"c":["x","y"],"d":true},"e":"f"}"#,
    );
    check_error(
        "{ a: 1",
        "Parse error on line 1: 'Expected a block-level value to end with a new line, comment or EOF, \
         but got '\0' instead.'",
    );
}

#[test]
fn comments_begin_with_hash_or_two_slashes_except_inside_bare_values() {
    for text in ["# c\na: 1", "// c\na: 1", "a: 1 # c", "a: 1 // c", "a: 1 #", "# a: 2\na: 1\n# end"] {
        check(text, r#"{"a":1}"#);
    }
    check("m {\n # c\n a: 1 # c\n // c\n}", r#"{"m":{"a":1}}"#);
    check("l [\n # c\n x # c\n // c\n y // c\n]", r#"{"l":["x","y"]}"#);
    check("a: x#y", r#"{"a":"x#y"}"#);
    check("a: http://x//y", r#"{"a":"http://x//y"}"#);
    check("a: #x", r##"{"a":"#x"}"##);
    check_error("/ a: 1", "Parse error on line 1: 'Unexpected EOF.'");
}

#[test]
fn keys_may_be_quoted_and_keep_their_spelling() {
    check("\"a b\": 1\n'c:d': 2", r#"{"a b":1,"c:d":2}"#);
    check("m { \"a b\": 1, 'c': 2 }", r#"{"m":{"a b":1,"c":2}}"#);
    check("Port: 1\nPORT: 2", r#"{"PORT":2,"Port":1}"#);
    let parsed = read("Port: 1\nPORT: 2");
    assert_eq!(parsed.root.get_ignore_case("port").and_then(|node| node.value.as_int()), Some(2));
    check_error("m { \"a", "Parse error on line 1: 'Unexpected EOF processing double quoted map key.'");
    check_error("m { 'a", "Parse error on line 1: 'Unexpected EOF processing quoted map key.'");
    check_error("\"a", "Parse error on line 1: 'Unexpected EOF.'");
}

#[test]
fn a_key_written_twice_has_its_last_value() {
    check("a: 1\na: 2", r#"{"a":2}"#);
    check("m { a: 1 }\nm { b: 2 }", r#"{"m":{"b":2}}"#);
}

#[test]
fn a_brace_touching_a_bare_key_is_part_of_the_key() {
    check("cluster{ x", r#"{"cluster{":"x"}"#);
}

#[test]
fn maps_nest_and_need_a_separator_between_entries() {
    check("a { b { c { d: 1 } } }", r#"{"a":{"b":{"c":{"d":1}}}}"#);
    check("a {b: 1, c: 2; d: 3\n e: 4}", r#"{"a":{"b":1,"c":2,"d":3,"e":4}}"#);
    check("a = {}\nb: {\n}", r#"{"a":{},"b":{}}"#);
    check_error("a { b: , }", "Parse error on line 1: 'Unexpected map value terminator \",\".'");
    check_error("a { : 1 }", "Parse error on line 1: 'Unexpected key separator ':'.'");
    check_error("a { ] }", "Parse error on line 1: 'Unexpected array end ']' processing map.'");
}

#[test]
fn arrays_are_separated_by_commas_or_newlines_and_may_end_with_one() {
    for text in ["l: [x, y]", "l: [x,y]", "l: [x\ny\n]", "l [\n x,\n y,\n]", "l: [x, y,]", "l: ['x' , \"y\"]"]
    {
        check(text, r#"{"l":["x","y"]}"#);
    }
    check("l: [1, 2 ]", r#"{"l":[1,2]}"#);
    check("l: [1\n 2\n]", r#"{"l":[1,2]}"#);
    check("l: [{a: 1}, {a: 2}]", r#"{"l":[{"a":1},{"a":2}]}"#);
    check("l: [[x], [[y]]]", r#"{"l":[["x"],[["y"]]]}"#);
    check("l: [1, true, 1.5, x ]", r#"{"l":[1,true,1.5,"x"]}"#);
}

#[test]
fn array_elements_are_never_empty_and_a_number_needs_a_blank_before_the_bracket() {
    for text in ["l: [a,,b]", "l: [,]", "l: [ / ]"] {
        check_error(text, "Parse error on line 1: 'Unexpected array value terminator ','.'");
    }
    check_error(
        "l: [\"a\" \"b\"]",
        "Parse error on line 1: 'Expected an array value terminator \",\" or an array terminator \"]\", \
         but got '\"' instead.'",
    );
    check_error(
        "l: [1,2]",
        "Parse error on line 1: 'Expected an array value terminator \",\" or an array terminator \"]\", \
         but got '\0' instead.'",
    );
}

#[test]
fn what_is_left_open_at_the_end_is_an_error() {
    for (text, want) in [
        ("a {", "Unexpected EOF processing map."),
        ("a { b: 1\n", "Unexpected EOF processing map."),
        ("a { b", "Unexpected EOF processing map key."),
        ("a: \"b", "Unexpected EOF."),
        ("a: 'b", "Unexpected EOF."),
        ("a: (\nb", "Unexpected EOF processing block."),
        (
            "a: [",
            "Expected an array value terminator \",\" or an array terminator \"]\", but got '\0' instead.",
        ),
    ] {
        check_error(text, &format!("Parse error on line {}: '{want}'", text.split('\n').count()));
    }
}

#[test]
fn a_key_without_value_is_an_error_with_a_place() {
    check_error("port", "config is invalid (x.conf:1:4)");
    check_error("a: 1\n  port", "config is invalid (x.conf:2:7)");
    check_error("a: 1\nport\n", "config is invalid (x.conf:3:1)");
    check_error("a: '", "config is invalid (x.conf:1:4)");
}

#[test]
fn bare_text_is_whatever_is_nothing_else() {
    for (text, want) in [
        ("hello", "hello"),
        ("a.b.>", "a.b.>"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1:4222", "127.0.0.1:4222"),
        ("0.0.0", "0.0.0"),
        ("5s", "5s"),
        ("1h2m3s", "1h2m3s"),
        ("3xyz", "3xyz"),
        ("1Ghz", "1Ghz"),
        ("1e5", "1e5"),
        ("truex", "truex"),
        ("é", "é"),
        ("it's", "it"),
        ("a\\tb", "a\tb"),
    ] {
        let Some(Value::String(seen)) =
            read(&format!("k: {text}")).root.get("k").map(|node| node.value.clone())
        else {
            panic!("{text} is no text");
        };
        assert_eq!(seen, want, "{text}");
    }
}

#[test]
fn single_quotes_keep_everything_as_it_is() {
    check(r"k: 'a\tb\q $x # {'", r#"{"k":"a\\tb\\q $x # {"}"#);
    check("k: 'a\nb'", r#"{"k":"a\nb"}"#);
    check("k: ''", r#"{"k":""}"#);
}

#[test]
fn double_quotes_know_six_escapes_and_refuse_others() {
    check(r#"k: "\t\n\r\"\\\x41\x7a""#, r#"{"k":"\t\n\r\"\\Az"}"#);
    check(r#"k: "\xc3\xa9\xff""#, "{\"k\":\"é\u{fffd}\"}");
    check_error(
        r#"k: "a\qb""#,
        r#"Parse error on line 1: 'Invalid escape character 'q'. Only the following escape characters are allowed: \xXX, \t, \n, \r, \", \\.'"#,
    );
    check_error(
        r#"k: "\xzz""#,
        r"Parse error on line 1: 'Expected two hexadecimal digits after '\x', but got 'zz''",
    );
    check_error(
        "k: \"\\x\n\"",
        r"Parse error on line 2: 'Expected two hexadecimal digits after '\x', but hit end of line'",
    );
}

#[test]
fn parentheses_hold_a_raw_text_of_several_lines() {
    check("k: (\na \"b\"\n # c\n)\n", r#"{"k":"\na \"b\"\n # c\n"}"#);
    check("k: (a\n) b\n)\n", r#"{"k":"a\n) b\n"}"#);
    // Without a last newline the parenthesis belongs to the text.
    check("k: (a\n)", r#"{"k":"a\n)"}"#);
}

#[test]
fn numbers_are_whole_or_have_digits_on_both_sides_of_the_dot() {
    check("k: 123", r#"{"k":123}"#);
    check("k: -123", r#"{"k":-123}"#);
    check("k: 22.25", r#"{"k":22.25}"#);
    check("k: -0.5", r#"{"k":-0.5}"#);
    check("k: 1K, l: 1KB; m: 2Gi\nn: -1m", r#"{"k":1000,"l":1024,"m":2147483648,"n":-1000000}"#);
    check_error("k: .5", "Parse error on line 1: 'Floats must start with a digit'");
    check_error("k: -.5", "Parse error on line 1: 'Floats must start with a digit, not '.'.'");
    check_error(
        "k: 1.",
        "Parse error on line 1: 'Floats must have a digit after the '.', but got '\0' instead.'",
    );
    check_error("k: -x", "Parse error on line 1: 'Expected a digit but got 'x'.'");
    check_error("k: 9223372036854775808", "integer '9223372036854775808' is out of the range");
}

#[test]
fn dates_stand_in_zulu_form() {
    check("k: 2016-05-04T18:53:41Z", r#"{"k":"2016-05-04T18:53:41Z"}"#);
    let parsed = read("k: 2016-05-04T18:53:41Z");
    assert_eq!(parsed.root.get("k").map(|node| node.value.type_name()), Some("time.Time"));
    check_error("k: 20-01", "Parse error on line 1: 'All ISO8601 dates must be in full Zulu form.'");
    check_error(
        "k: 2016-05-04",
        "Parse error on line 1: 'Expected 'T' in ISO8601 datetime, but found '\0' instead.'",
    );
    check_error(
        "k: 2016-x",
        "Parse error on line 1: 'Expected digit in ISO8601 datetime, but found 'x' instead.'",
    );
    check_error(
        "k: 2016-02-30T00:00:00Z",
        "expected Zulu formatted DateTime, but got '2016-02-30T00:00:00Z'",
    );
}

#[test]
fn truth_has_three_words_each_way_in_any_case_when_unquoted() {
    for text in ["true", "True", "YES", "yes", "on", "ON"] {
        check(&format!("k: {text}"), r#"{"k":true}"#);
    }
    for text in ["false", "FALSE", "no", "No", "off", "Off"] {
        check(&format!("k: {text}"), r#"{"k":false}"#);
    }
    check("k: \"true\"", r#"{"k":"true"}"#);
}

#[test]
fn variables_are_looked_up_in_enclosing_blocks_outwards() {
    check("v: 1\nk: $v", r#"{"k":1,"v":1}"#);
    check("v: 1\nm { k: $v }", r#"{"m":{"k":1},"v":1}"#);
    check("v: 1\nm { v: 2\n k: $v }\nk: $v", r#"{"k":1,"m":{"k":2,"v":2},"v":1}"#);
    check("v { a: 1 }\nl: [ $v ]", r#"{"l":[{"a":1}],"v":{"a":1}}"#);
    check("v: x\nk: '$v'\nl: \"$v\"", r#"{"k":"$v","l":"$v","v":"x"}"#);
    check_error("m { v: 1 }\nk: $v", "variable reference for 'v' on line 2 can not be found");
    check_error("k: $v\nv: 1", "variable reference for 'v' on line 1 can not be found");
}

#[test]
fn a_key_that_was_used_as_variable_says_so() {
    let parsed = read("v: 1\nw: 2\nk: $v");
    let used = |key: &str| parsed.root.get(key).map(|node| node.used_as_variable);
    assert_eq!((used("v"), used("w"), used("k")), (Some(true), Some(false), Some(false)));
    assert_eq!(parsed.root.get("k").and_then(|node| node.from_variable.as_deref()), Some("v"));
    // A later definition of the same key was not used.
    let parsed = read("v: 1\nk: $v\nv: 2");
    assert_eq!(parsed.root.get("v").map(|node| node.used_as_variable), Some(false));
}

#[track_caller]
fn check_environment(value: &str, want: &str) {
    let loader = memory(&[], &[("E", value), ("F", "5")]);
    gives(&parse("x.conf", b"k: $E", &loader), &format!("{{\"k\":{want}}}"), value);
}

#[test]
fn the_environment_is_asked_last_and_its_value_is_read_as_a_value() {
    check_environment("5", "5");
    check_environment("5k", "5000");
    check_environment("true", "true");
    check_environment("'5'", "\"5\"");
    check_environment("hello", "\"hello\"");
    check_environment("", "\"\"");
    check_environment("$F", "5");
    check_environment("[1 , {a: b}]", "[1,{\"a\":\"b\"}]");
    let loader = memory(&[], &[("E", "5")]);
    gives(&parse("x.conf", b"E: 1\nk: $E", &loader), r#"{"E":1,"k":1}"#, "key before environment");
}

#[test]
fn values_from_the_environment_stand_where_they_are_named() {
    let loader = memory(&[], &[("E", "{\na: {b: 1}\n}")]);
    let parsed = parse("x.conf", b"x: 1\n  k: $E", &loader);
    assert_eq!(places(&parsed.root), ["/x 1:0", "/k 2:3", "/k/a 2:3", "/k/a/b 2:3"]);
}

#[test]
fn variables_that_lead_nowhere_or_to_themselves_are_errors() {
    let loader = memory(&[], &[("E", "$E"), ("A", "$B"), ("B", "$A"), ("BAD", "[")]);
    let prefix = "variable reference for";
    for (text, want) in [
        ("k: $nope", format!("{prefix} 'nope' on line 1 can not be found")),
        ("k: $", format!("{prefix} '' on line 1 can not be found")),
        (
            "k: $E",
            format!(
                "{prefix} 'E' on line 1 could not be parsed: {prefix} 'E' on line 1 could not be parsed: \
                 variable reference cycle for 'E'"
            ),
        ),
        (
            "\nk: $A",
            format!(
                "{prefix} 'A' on line 2 could not be parsed: {prefix} 'B' on line 1 could not be parsed: \
                 {prefix} 'A' on line 1 could not be parsed: variable reference cycle for 'A'"
            ),
        ),
        (
            "k: $BAD",
            format!(
                "{prefix} 'BAD' on line 1 could not be parsed: Parse error on line 1: 'Expected an array value \
                 terminator \",\" or an array terminator \"]\", but got '\0' instead.'"
            ),
        ),
    ] {
        first_error(&parse("x.conf", text.as_bytes(), &loader), &want, text);
    }
}

#[test]
fn a_bcrypt_hash_needs_no_quotes() {
    check("k: $2a$11$abc/DEF.", r#"{"k":"$2a$11$abc/DEF."}"#);
    check("l: [ $2a$11$abc ]", r#"{"l":["$2a$11$abc"]}"#);
    check_error("k: $2b$11$abc", "variable reference for '2b$11$abc' on line 1 can not be found");
}

#[test]
fn included_files_are_found_from_the_including_file_and_merged() {
    let loader = memory(
        &[
            ("d/a.conf", "a: 1\ninclude \"sub/b.conf\"\n"),
            ("d/sub/b.conf", "b: 2\ninclude ../c.conf"),
            ("d/c.conf", "c: 3"),
        ],
        &[],
    );
    for text in
        ["include a.conf", "include 'a.conf'", "include \"a.conf\"", "include ./a.conf;", "INCLUDE /a.conf\n"]
    {
        gives(&parse("d/x.conf", text.as_bytes(), &loader), r#"{"a":1,"b":2,"c":3}"#, text);
    }
    for text in ["m { include a.conf }", "m {\n include 'a.conf'\n}"] {
        gives(&parse("d/x.conf", text.as_bytes(), &loader), r#"{"m":{"a":1,"b":2,"c":3}}"#, text);
    }
    // A key may be called like the word when a separator touches it.
    check("include: 1", r#"{"include":1}"#);
}

#[test]
fn included_keys_are_variables_outside_but_see_none_from_outside() {
    let loader = memory(&[("a.conf", "a: 1"), ("b.conf", "b: $v")], &[]);
    gives(&parse("x.conf", b"include a.conf\nk: $a", &loader), r#"{"a":1,"k":1}"#, "outside");
    first_error(
        &parse("x.conf", b"v: 1\ninclude b.conf", &loader),
        "error parsing include file 'b.conf', variable reference for 'v' on line 1 can not be found",
        "inside",
    );
}

#[test]
fn errors_of_includes_name_every_file_on_the_way() {
    let loader =
        memory(&[("d/a.conf", "include b.conf"), ("d/b.conf", "\nb"), ("d/c.conf", "include c.conf")], &[]);
    for (text, want) in [
        ("include n.conf", "error parsing include file 'n.conf', open d/n.conf: no such file or directory"),
        (
            "include './a.conf'",
            "error parsing include file './a.conf', error parsing include file 'b.conf', \
             config is invalid (d/b.conf:2:2)",
        ),
        ("include [", "Parse error on line 1: 'Expected include value but found start of an array'"),
        ("include {", "Parse error on line 1: 'Expected include value but found start of a map'"),
        ("include (", "Parse error on line 1: 'Expected include value but found start of a block'"),
        ("include 5", "Parse error on line 1: 'Expected include value but found start of a number'"),
        ("include \\x", "Parse error on line 1: 'Expected include value but found escape sequence'"),
        ("include \n", "Parse error on line 2: 'Expected include value but found new line'"),
        ("include \"x", "Parse error on line 1: 'Unexpected EOF in double quoted include'"),
        ("include 'x", "Parse error on line 1: 'Unexpected EOF in quoted include'"),
    ] {
        first_error(&parse("d/x.conf", text.as_bytes(), &loader), want, text);
    }
    let parsed = parse("d/x.conf", b"include c.conf", &loader);
    assert_eq!(parsed.findings[0].message, "files include each other deeper than 32 levels");
}

fn places(root: &Map) -> Vec<String> {
    fn walk(prefix: &str, node: &Node, out: &mut Vec<String>) {
        out.push(format!("{prefix} {}:{}", node.pos.line, node.pos.column));
        match &node.value {
            Value::Map(map) => {
                map.iter().for_each(|entry| walk(&format!("{prefix}/{}", entry.key), &entry.node, out))
            }
            Value::Array(items) => {
                items.iter().zip(0..).for_each(|(item, i)| walk(&format!("{prefix}/{i}"), item, out));
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    root.iter().for_each(|entry| walk(&format!("/{}", entry.key), &entry.node, &mut out));
    out
}

#[test]
fn columns_count_from_0_on_the_first_line_and_from_1_on_later_ones() {
    for (text, want) in [
        ("a: 1\nb: 2\n  c: 3", &["/a 1:0", "/b 2:1", "/c 3:3"] as &[&str]),
        ("m {\n a: 1, b: 2 }", &["/m 1:0", "/m/a 2:2", "/m/b 2:8"]),
        ("\"q\": 1\n'r': 2", &["/q 1:1", "/r 2:2"]),
        ("a: \"x\\ty\"; b: 2", &["/a 1:0", "/b 1:11"]),
        // In an array every element has its own place, a map that of its closing brace.
        ("l: [\n x, \"y\"\n {a: 1}\n]", &["/l 1:0", "/l/0 2:2", "/l/1 2:6", "/l/2 3:8", "/l/2/a 3:3"]),
        // A resolved escape shifts its own text, not what follows.
        ("l: [\"\\tx\", y]", &["/l 1:0", "/l/0 1:6", "/l/1 1:11"]),
    ] {
        assert_eq!(places(&read(text).root), want, "{text:?}");
    }
}

#[test]
fn a_value_that_takes_no_key_leaves_it_to_the_next_as_in_the_reference() {
    check("a { b: }\nc: 1", r#"{"b":{},"c":1}"#);
    check("x { v: 1kbb, y: 2\n}", r#"{"v":{"y":2}}"#);
    check("l: [1kbb, 2 ]", r#"{"l":[2]}"#);
}

#[test]
fn reading_goes_on_behind_a_mistake_and_finds_the_next() {
    let text =
        "a: .5\nb: 1\nm {\n  c: \"\\q\"\n  d: $nope\n  e: 2\n}\nl: [\n -x\n y\n]\nz: 99999999999999999999\n";
    let parsed = read(text);
    let lines: Vec<_> = parsed.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(lines[0].starts_with("Parse error on line 1"));
    assert!(lines[1].starts_with("Parse error on line 4"));
    assert_eq!(lines[2], "variable reference for 'nope' on line 5 can not be found");
    assert!(lines[3].starts_with("Parse error on line 9"));
    assert_eq!(lines[4], "integer '99999999999999999999' is out of the range");
    assert_eq!(canonical(&parsed.root), r#"{"b":1,"l":["y"],"m":{"e":2}}"#);
}

#[test]
fn a_syntax_error_is_shown_with_its_line() {
    let parsed = read("a: 1\nb: .5\n");
    assert_eq!(
        super::diagnose::render(&parsed.findings[0], &parsed.sources),
        "Parse error on line 2: 'Floats must start with a digit'\n  2 | b: .5\n    |    ^\n"
    );
}

#[test]
fn digests_are_those_of_the_reference() {
    for (text, want) in [
        ("port: 1\n", "sha256:5b27b68e52c25859a76c94f378c31d5a499ca677a46b38fb5f58ded229b59650"),
        (
            "v: [1,2 ]\nport: $v\nport: 1\n",
            "sha256:f76d25311fd0ae81f92e1be8462eb512beeef5a8c267fe4465b57ab798e4b8ad",
        ),
        (
            "v: (\nabc\n)\nport: $v\nport: 1\n",
            "sha256:b1b4021135d0273cdf45dfff05a5b2d6935c0aefdcc09073f03ba410036db41f",
        ),
        (
            "v: 1e\nport: $v\nport: 1\n",
            "sha256:732fcc0f4676123752cdbcdbb471fedb6cca95c143a9e5c1c00286ee1a1f659a",
        ),
        (
            "v: \"\\xff\"\nport: $v\nport: 1\n",
            "sha256:e5557476875deebe21b98614f191a0af85e7f9358d3bea3aff3201b013581913",
        ),
    ] {
        assert_eq!(digest(&read(text).root), want, "{text:?}");
    }
}

#[test]
fn random_documents_get_the_answers_that_the_reference_gave() {
    let loader = memory(
        &[
            ("inc.conf", "i1: 5\ni2 { x: y }\n"),
            ("inc2.conf", "include \"inc.conf\"\nj1: $i1\n"),
            ("incbad.conf", "\n i: [,\n"),
            ("incdang.conf", "\n i:"),
            ("incdang2.conf", "a: 1\n i\n"),
        ],
        &[
            ("E1", "5"),
            ("E2", "[1 ,\"x\"]"),
            ("E3", "{a:1,b:{c:x}}"),
            ("E4", "$E1"),
            ("E5", "$E5"),
            ("E6", "["),
            ("E7", ""),
            ("E8", "hello world"),
            ("E9", "\"q\""),
            ("EA", "'"),
            ("EB", "1kbb"),
            ("EC", "$E3"),
            ("ED", "include \"inc.conf\""),
            ("EE", "3\npk=7"),
        ],
    );
    let answers = include_str!("../../../tests/fixtures/config/answers.jsonl");
    for line in answers.lines() {
        let (text, want): (String, String) = serde_json::from_str(line).unwrap();
        let parsed = parse("x.conf", text.as_bytes(), &loader);
        let seen = match parsed.findings.first() {
            Some(finding) => finding.line(),
            None => digest(&parsed.root),
        };
        assert_eq!(seen, want, "{text}");
    }
}

#[test]
fn order_comments_and_blanks_do_not_change_the_digest() {
    let first = digest(&read("a: 1k\nm { b: x, c: y }").root);
    assert_eq!(first, digest(&read("# c\nm {\n c = 'y'\n b = \"x\" }\n\n\na 1000 // d").root));
    assert_ne!(first, digest(&read("a: 1000\nm { b: x, c: z }").root));
}

#[test]
fn deep_nesting_is_refused_before_it_exhausts_the_stack() {
    let text = format!("a: {}", "[".repeat(100_000));
    assert_eq!(read(&text).findings[0].message, "nested deeper than 500 levels");
}

#[test]
fn variables_cannot_multiply_without_bound() {
    let mut text = String::from("v0: [xxxxxxxx, xxxxxxxx, xxxxxxxx, xxxxxxxx]\n");
    for i in 1..40 {
        text.push_str(&format!("v{i}: [ $v{0}, $v{0}, $v{0}, $v{0} ]\n", i - 1));
    }
    assert_eq!(read(&text).findings[0].message, "variables copy more than 67108864 bytes");
}

#[test]
fn arbitrary_bytes_never_panic() {
    for text in
        ["", "\0", "{", "}", "\"", "'", "a: (\n)", "include x", "a: $b", "\u{feff}a: 1", "a: 1\r", "[", "a\\"]
    {
        fuzz_config(text.as_bytes());
    }
    fuzz_config(&[0xff, b':', b' ', 0xc3]);
}

/// Texts made of what means something to the lexer.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "port",
        "include ",
        "x.conf",
        ":",
        "=",
        " ",
        "\n",
        "\r\n",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\n)\n",
        "\"",
        "'",
        "\\",
        "\\x4",
        "\\t",
        "#",
        "//",
        "/",
        ",",
        ";",
        "$",
        "$a",
        "1",
        "-",
        ".",
        "k",
        "b",
        "2016-05-04T18:53:41Z",
        "true",
        "é",
        "\0",
        "\u{663}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_to_an_end(text in text()) {
        fuzz_config(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_config(&bytes);
    }

    #[test]
    fn spans_lie_inside_the_text_and_hold_the_keys(text in text()) {
        let parsed = read(&text);
        for entry in &parsed.root {
            let span = entry.node.pos.span;
            prop_assert_eq!(text.get(span.start..span.end), Some(entry.key.as_str()));
            prop_assert!(text.get(entry.node.span.start..entry.node.span.end).is_some());
        }
    }

    #[test]
    fn quoted_texts_come_back_as_they_were(value in "[^\"\\\\\0]*") {
        let parsed = read(&format!("k: \"{value}\""));
        prop_assert_eq!(parsed.root.get("k").and_then(|node| node.value.as_str()), Some(value.as_str()));
    }
}
