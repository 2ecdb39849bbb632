//! Documents that Go takes, and the words in which it refuses others.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn refused(text: &str, want: &str) {
    assert_eq!(check(text.as_bytes()).map_err(|error| error.to_string()), Err(want.to_owned()), "{text}");
}

#[test]
fn valid_documents_pass() {
    for text in [
        "{}",
        " [] ",
        "null",
        "true",
        "\"\"",
        "0",
        "-0",
        "1.5e+10",
        "1E5",
        "{\"a\":[1,{\"b\":null}],\"c\":\"\\u00e9\\n\"}",
        "\t\r\n1 ",
        "\"\u{e9}\"",
    ] {
        assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
    }
    assert_eq!(check(b"\"\xff\""), Ok(()));
}

#[test]
fn mistakes_are_told_in_the_words_of_the_reference() {
    for (text, want) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("[1", "unexpected end of JSON input"),
        ("-", "unexpected end of JSON input"),
        ("tru", "unexpected end of JSON input"),
        ("\"a", "unexpected end of JSON input"),
        ("{bad}", "invalid character 'b' looking for beginning of object key string"),
        ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
        ("bad", "invalid character 'b' looking for beginning of value"),
        ("'", "invalid character '\\'' looking for beginning of value"),
        ("[,", "invalid character ',' looking for beginning of value"),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{} x", "invalid character 'x' after top-level value"),
        ("1x", "invalid character 'x' after top-level value"),
        ("\"\t\"", "invalid character '\\t' in string"),
        ("\"\0\"", "invalid character '\\x00' in string"),
        ("\"\\x\"", "invalid escape sequence `\\x` in string"),
        ("\"\\u00g0\"", "invalid escape sequence `\\u00g0` in string"),
        ("\"\\u12\"}", "invalid escape sequence `\\u12\"}` in string"),
        ("\"\\u00g", "invalid escape sequence `\\u00g` in string"),
        ("\"\\u00", "unexpected end of JSON input"),
        ("\"\\`\"", "invalid escape sequence \"\\\\`\" in string"),
        ("\"\\u 12\"", "invalid escape sequence \"\\\\u 12\\\"\" in string"),
        ("\"\\\u{e9}\"", "invalid escape sequence \"\\\\\\xc3\" in string"),
        ("-a", "invalid character 'a' in numeric literal"),
        ("1.x", "invalid character 'x' in numeric literal"),
        ("1ex", "invalid character 'x' in numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("tx", "invalid character 'x' in literal true (expecting 'r')"),
        ("falsx", "invalid character 'x' in literal false (expecting 'e')"),
        ("nux", "invalid character 'x' in literal null (expecting 'l')"),
        ("\u{e9}", "invalid character '\u{e9}' looking for beginning of value"),
        ("\u{a0}", "invalid character '\\u00a0' looking for beginning of value"),
    ] {
        refused(text, want);
    }
}

#[test]
fn byte_that_is_no_text_is_shown_in_hex() {
    let error = check(b"\xe2\x82}").unwrap_err();
    assert_eq!(error.to_string(), "invalid character '\\xe2' looking for beginning of value");
}

#[test]
fn nesting_is_bounded() {
    let deep = "[".repeat(10_001);
    refused(&deep, "exceeded max depth");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(check(deep.as_bytes()), Ok(()));
    let mut permission = SubjectPermission::default();
    assert_eq!(read(&mut permission, format!("{{\"x\":{}}}", &deep[1..deep.len() - 1]).as_bytes()), Ok(()));
}

#[track_caller]
fn check_text(text: &str, want: &str) {
    assert_eq!(Value::parse(text.as_bytes()).unwrap().text().as_deref(), Some(want), "{text}");
}

#[test]
fn escapes_are_resolved() {
    check_text(r#""\"\\\/\b\f\n\r\t""#, "\"\\/\x08\x0c\n\r\t");
    check_text(r#""\u00e9\ud83d\ude00""#, "\u{e9}\u{1f600}");
    check_text(r#""\ud83dx\ud83d\u0041\ude00""#, "\u{fffd}x\u{fffd}A\u{fffd}");
    let broken = Value::parse(b"\"\xe4\xb8\"").unwrap();
    assert_eq!(broken.text().as_deref(), Some("\u{fffd}\u{fffd}"));
}

#[derive(Debug, Default, PartialEq)]
struct Sample {
    flag: bool,
    count: i64,
    small: u8,
    name: String,
    list: Vec<String>,
    bytes: Vec<u8>,
    import: Option<SubjectPermission>,
}

impl Document for Sample {
    const NAME: &'static str = "Sample";
    const TYPE: &'static str = "server.Sample";
    const FIELDS: &'static [&'static str] =
        &["flag", "count", "small", "name", "list", "bytes", "import", "Name2"];

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        Some(match name {
            "flag" => Slot::Bool(&mut self.flag),
            "count" => Slot::Int(&mut self.count),
            "small" => Slot::Byte(&mut self.small),
            "name" => Slot::Text(&mut self.name),
            "list" => Slot::Texts(&mut self.list),
            "bytes" => Slot::Bytes(&mut self.bytes),
            "import" => Slot::Permission(&mut self.import),
            _ => return None,
        })
    }
}

#[track_caller]
fn check_read(text: &str, want: &Sample) {
    let mut sample = Sample { name: "kept".to_owned(), ..Sample::default() };
    assert_eq!(read(&mut sample, text.as_bytes()), Ok(()));
    assert_eq!(sample, *want, "{text}");
}

#[test]
fn fields_are_found_in_any_case_and_the_last_wins() {
    let kept = || "kept".to_owned();
    check_read(
        "{\"FLAG\":true,\"Count\":-5}",
        &Sample { flag: true, count: -5, name: kept(), ..Sample::default() },
    );
    check_read("{\"count\":1,\"count\":2}", &Sample { count: 2, name: kept(), ..Sample::default() });
    check_read("{\"\u{17f}mall\":3}", &Sample { small: 3, name: kept(), ..Sample::default() });
    check_read(
        "{\"list\":[\"a\",null],\"other\":{\"flag\":true}}",
        &Sample { list: vec!["a".to_owned(), String::new()], name: kept(), ..Sample::default() },
    );
}

#[test]
fn null_and_absent_fields_keep_their_value() {
    for text in ["{}", "null", "{\"name\":null,\"flag\":null,\"import\":null}"] {
        check_read(text, &Sample { name: "kept".to_owned(), ..Sample::default() });
    }
}

#[test]
fn nested_documents_are_merged() {
    let permission = SubjectPermission { allow: vec!["a".to_owned()], deny: vec!["b".to_owned()] };
    check_read(
        "{\"import\":{\"allow\":[\"a\"]},\"import\":{\"DENY\":[\"b\"]}}",
        &Sample { import: Some(permission), name: "kept".to_owned(), ..Sample::default() },
    );
}

#[test]
fn wrong_kinds_are_told_with_field_and_type() {
    for (text, want) in [
        ("[]", "json: cannot unmarshal array into Go value of type server.Sample"),
        ("5", "json: cannot unmarshal number into Go value of type server.Sample"),
        ("{\"flag\":\"x\"}", "json: cannot unmarshal string into Go struct field Sample.flag of type bool"),
        ("{\"FLAG\":1}", "json: cannot unmarshal number into Go struct field Sample.FLAG of type bool"),
        (
            "{\"count\":1.5}",
            "json: cannot unmarshal number 1.5 into Go struct field Sample.count of type int",
        ),
        ("{\"count\":true}", "json: cannot unmarshal bool into Go struct field Sample.count of type int"),
        (
            "{\"small\":256}",
            "json: cannot unmarshal number 256 into Go struct field Sample.small of type uint8",
        ),
        ("{\"name\":{}}", "json: cannot unmarshal object into Go struct field Sample.name of type string"),
        (
            "{\"list\":\"a\"}",
            "json: cannot unmarshal string into Go struct field Sample.list of type []string",
        ),
        ("{\"list\":[1]}", "json: cannot unmarshal number into Sample.list.0 of type string"),
        (
            "{\"import\":{\"allow\":5}}",
            "json: cannot unmarshal number into Go struct field Sample.import.allow of type []string",
        ),
        (
            "{\"import\":[]}",
            "json: cannot unmarshal array into Go struct field Sample.import of type server.SubjectPermission",
        ),
        (
            "{\"import\":{\"Deny\":[\"a\",{}]}}",
            "json: cannot unmarshal object into Sample.import.Deny.1 of type string",
        ),
        ("{\"bytes\":\"a\"}", "illegal base64 data at input byte 0"),
    ] {
        let mut sample = Sample::default();
        assert_eq!(
            read(&mut sample, text.as_bytes()).map_err(|error| error.to_string()),
            Err(want.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn first_wrong_kind_is_told_and_the_rest_still_read() {
    let mut sample = Sample::default();
    let error = read(&mut sample, b"{\"flag\":1,\"count\":\"x\",\"name\":\"n\"}").unwrap_err();
    assert!(error.to_string().contains("Sample.flag"), "{error}");
    assert_eq!(sample.name, "n");
}

#[test]
fn written_text_escapes_markup_and_control_characters() {
    let mut out = Vec::new();
    write_text(&mut out, "a<b>&\"\\\n\r\t\x08\x0c\x01\x7f\u{2028}\u{e9}");
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "\"a\\u003cb\\u003e\\u0026\\\"\\\\\\n\\r\\t\\b\\f\\u0001\x7f\\u2028\u{e9}\""
    );
}

proptest! {
    #[test]
    fn agrees_with_another_reader_on_what_is_json(text in "[\\[\\]{}\",:0-9a-e tru.\\\\-]{0,24}") {
        // Lone surrogates and huge exponents aside, which this alphabet cannot make.
        let other = serde_json::from_str::<&serde_json::value::RawValue>(&text);
        prop_assert_eq!(check(text.as_bytes()).is_ok(), other.is_ok(), "{}", text);
    }

    #[test]
    fn written_text_is_read_back(text in any::<String>()) {
        let mut out = Vec::new();
        write_text(&mut out, &text);
        let value = Value::parse(&out).unwrap();
        prop_assert_eq!(value.text().unwrap().into_owned(), text);
    }

    #[test]
    fn random_bytes_do_not_panic(data in prop::collection::vec(
        prop_oneof![1 => any::<u8>(), 8 => prop::sample::select(b"{}[]\":,aldowenyu0\\ ".to_vec())], 0..60,
    )) {
        fuzz_json(&data);
    }
}
