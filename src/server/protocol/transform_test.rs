//! What transforms make of subjects, and which are refused.

use proptest::prelude::*;

use super::*;

fn transform(source: &str, destination: &str) -> Transform {
    match Transform::new(source.as_bytes(), destination.as_bytes(), Use::Any) {
        Ok(Some(transform)) => transform,
        other => panic!("{source} to {destination}: {other:?}"),
    }
}

#[track_caller]
fn check(source: &str, destination: &str, subject: &str, want: &str) {
    let got = transform(source, destination).map(subject.as_bytes(), &mut |_| 7);
    assert_eq!(got.map(|got| text(&got)), Ok(want.to_owned()), "{source} to {destination} of {subject}");
}

#[track_caller]
fn refused(source: &str, destination: &str, want: &str) {
    let error = Transform::new(source.as_bytes(), destination.as_bytes(), Use::Any).unwrap_err();
    assert_eq!(error.to_string(), want, "{source} to {destination}");
}

#[test]
fn literal_source_gives_the_destination() {
    check("foo", "bar", "foo", "bar");
}

#[test]
fn wildcards_are_placed_by_dollar_or_function() {
    check("foo.*.bar.*.baz", "req.$2.$1", "foo.A.bar.B.baz", "req.B.A");
    check("foo.*.bar.*.baz", "req.{{wildcard(2)}}.{{wildcard(1)}}", "foo.A.bar.B.baz", "req.B.A");
    check("*", "foo.bar.$1", "foo", "foo.bar.foo");
}

#[test]
fn closing_full_wildcard_copies_the_remaining_tokens() {
    check("baz.>", "my.pre.>", "baz.1.2.3", "my.pre.1.2.3");
    check("a.*.>", "b.$1.>", "a.x.y.z", "b.x.y.z");
    check("", "prefix.>", "foo", "prefix.foo");
    check("", ">", "foo.bar", "foo.bar");
    check("baz.>", ">", "baz.1.2", "1.2");
}

#[test]
fn dollar_that_is_no_number_is_a_literal() {
    check("*", "$SYS.$x.$1", "a", "$SYS.$x.a");
}

#[test]
fn index_0_is_the_first_token() {
    check("z.*", "y.$0", "z.q", "y.z");
    check("neg.*", "nego.$-1", "neg.q", "nego.neg");
    check("z.*", "y.{{wildcard(0)}}", "z.q", "y.z");
}

#[test]
fn unused_source_wildcard_is_allowed() {
    check("foo.*.*", "bar.$2", "foo.a.b", "bar.b");
    check("foo.*", "bar", "foo.a", "bar");
}

#[test]
fn partition_over_selected_tokens() {
    check("*.*", "p.{{partition(10,1,2)}}", "a.b", "p.6");
    check("*.*", "p.{{partition(10,1,2)}}", "foo.bar", "p.0");
    check("*", "bar.{{partition(10, 0)}}", "foo", "bar.3");
}

#[test]
fn partition_over_the_whole_subject() {
    check("*.*", "bar.{{partition(10)}}", "foo.bar", "bar.6");
    for (subject, want) in [("foo", "bar.3"), ("baz", "bar.0"), ("qux", "bar.9")] {
        check("*", "bar.{{partition(10)}}", subject, want);
    }
    check("pall.*", "p.{{partition(5)}}", "pall.a", "p.3");
}

#[test]
fn partition_with_literal_source_hashes_the_subject() {
    check("foo.bar", "baz.{{partition(10)}}", "foo.bar", "baz.6");
    check("foo.baz", "qux.{{partition(10)}}", "foo.baz", "qux.4");
    check("test.subject", "result.{{partition(5)}}", "test.subject", "result.0");
    check("foo.bar", "baz.{{partition(10,1)}}", "foo.bar", "baz.6");
}

#[test]
fn negative_partition_count_wraps() {
    check("pn.*", "pno.{{partition(-1)}}", "pn.a", "pno.3709445266");
    check("po.*", "poo.{{partition(-5000000000)}}", "po.a", "poo.2017177553");
}

#[test]
fn partition_of_0_is_0() {
    check("*", "bar.{{partition(0)}}", "baz", "bar.0");
}

#[test]
fn split_drops_empty_parts() {
    check("*", "{{split(1,-)}}", "-abc-def--ghi-", "abc.def.ghi");
    check("*", "{{split(1,-)}}", "abc-def--ghi-", "abc.def.ghi");
    check("*", "{{split(1,-)}}", "-a--b-", "a.b");
    check("*.*", "{{split(2,-)}}.{{splitfromleft(1,2)}}", "foo.-abc-def--ghij-", "abc.def.ghij.fo.o");
}

#[test]
fn split_with_empty_separator_splits_every_character() {
    check("*", "{{split(1,)}}", "abc", "a.b.c");
    check("*", "{{split(1,)}}", "a\u{fc}c", "a.\u{fc}.c");
}

#[test]
fn dot_as_separator_ends_the_token() {
    check("*", "{{split(1,.)}}", "a", "{{split(1,.)}}");
}

#[test]
fn split_from_left() {
    check("*", "{{splitfromleft(1,3)}}", "12345", "123.45");
    check("*", "{{SplitFromLeft(1,2)}}", "abcdef", "ab.cdef");
}

#[test]
fn split_from_right() {
    check("*", "{{SplitFromRight(1,3)}}", "12345", "12.345");
    check("*", "{{splitfromright(1,2)}}", "abcdef", "abcd.ef");
}

#[test]
fn slice_from_left() {
    check("*", "{{SliceFromLeft(1,3)}}", "1234567890", "123.456.789.0");
    check("*", "{{slicefromleft(1,3)}}", "abcdefgh", "abc.def.gh");
    check("*", "{{slicefromleft(1,2)}}", "abcd", "ab.cd");
}

#[test]
fn slice_from_right() {
    check("*", "{{SliceFromRight(1,3)}}", "1234567890", "1.234.567.890");
    check("*", "{{slicefromright(1,3)}}", "abcdefgh", "ab.cde.fgh");
    check("*", "{{slicefromright(1,2)}}", "abcd", "ab.cd");
}

#[test]
fn left_and_right() {
    for (function, want) in [
        ("right(1,1)", "4"),
        ("right(1,3)", "234"),
        ("right(1,6)", "1234"),
        ("left(1,1)", "1"),
        ("left(1,3)", "123"),
        ("left(1,6)", "1234"),
    ] {
        check("*", &format!("{{{{{function}}}}}"), "1234", want);
    }
}

#[test]
fn position_out_of_range_leaves_the_token_unchanged() {
    for name in ["splitfromleft", "splitfromright", "slicefromleft", "slicefromright", "left", "right"] {
        for size in ["0", "4", "5", "-1"] {
            check("*", &format!("{{{{{name}(1,{size})}}}}"), "abcd", "abcd");
        }
    }
}

#[test]
fn random_number_is_asked_for_below_its_argument() {
    let transform = transform("*", "b.{{random(6)}}");
    let mut asked = Vec::new();
    let got = transform.map(b"a", &mut |below| {
        asked.push(below);
        below - 1
    });
    assert_eq!((got.map(|got| text(&got)), asked), (Ok("b.5".to_owned()), vec![6]));
    check("*", "bar.{{random(0)}}", "qux", "bar.0");
    check("lit", "bar.{{random(100)}}", "lit", "bar.7");
}

#[test]
fn names_take_either_case_at_the_start_of_their_words_only() {
    for name in ["SplitFromLeft", "splitfromleft", "Splitfromleft", "splitFromLeft", "splitFromleft"] {
        check("*", &format!("{{{{{name}(1,1)}}}}"), "ab", "a.b");
        check("*", &format!("{{{{ {name} ( 1 , 1 ) }}}}"), "ab", "a.b");
    }
    for name in ["SPLITFROMLEFT", "spLitfromleft", "WILDCARD"] {
        let token = format!("{{{{{name}(1,1)}}}}");
        refused("*", &token, &format!("invalid mapping destination: unknown function in {token}"));
    }
}

#[test]
fn unknown_function_is_refused() {
    for token in ["{{unimplemented(1)}}", "{{ wildcard5) }}", "{{splitLeft(2,2}}", "{{x}}", "{{wildcard}}"] {
        refused(
            "foo.*",
            &format!("foo.{token}"),
            &format!("invalid mapping destination: unknown function in {token}"),
        );
    }
    check("*", "{{}}.{x}", "a", "{{}}.{x}");
}

#[test]
fn too_few_arguments_are_refused() {
    for token in ["{{wildcard()}}", "{{splitfromleft(1)}}", "{{left()}}", "{{split(1)}}", "{{random(1,2)}}"] {
        refused(
            "foo.*",
            &format!("foo.{token}"),
            &format!("invalid mapping destination: not enough arguments passed to the function in {token}"),
        );
    }
}

#[test]
fn too_many_arguments_are_refused() {
    for token in ["{{wildcard(1,2)}}", "{{splitfromleft(1,2,3)}}", "{{split(1,-,3)}}"] {
        refused(
            "foo.*",
            &format!("foo.{token}"),
            &format!("invalid mapping destination: too many arguments passed to the function in {token}"),
        );
    }
}

#[test]
fn invalid_arguments_are_refused() {
    for token in [
        "{{wildcard(foo)}}",
        "{{partition()}}",
        "{{random()}}",
        "{{partition(2147483648)}}",
        "{{random(2147483648)}}",
        "{{partition(1,x)}}",
        "{{left(x,1)}}",
        "{{left(1,x)}}",
        "{{left(1,2147483648)}}",
        "{{split(x,-)}}",
        "{{split(1,a b)}}",
    ] {
        refused(
            "foo.*",
            &format!("foo.{token}"),
            &format!(
                "invalid mapping destination: function argument is invalid or in the wrong format in {token}"
            ),
        );
    }
    check("pm.*", "pmo.{{partition(2147483647)}}", "pm.a", "pmo.1833823611");
}

#[test]
fn index_out_of_range_is_refused() {
    for (source, token, shown) in [
        ("foo.*", "$2", "$2: [2]"),
        ("foo.*", "{{wildcard(2)}}", "{{wildcard(2)}}: [2]"),
        ("foo.*", "{{partition(5,1,3)}}", "{{partition(5,1,3)}}: [3]"),
        ("foo", "{{wildcard(1)}}", "{{wildcard(1)}}"),
        ("foo", "$1", "$1"),
        ("foo", "{{left(1,1)}}", "{{left(1,1)}}"),
    ] {
        refused(
            source,
            &format!("bar.{token}"),
            &format!("invalid mapping destination: wildcard index out of range in {shown}"),
        );
    }
}

#[test]
fn shapes_that_do_not_fit_are_invalid_subjects() {
    for (source, destination) in [
        ("foo..", "bar"),
        ("foo", "bar."),
        ("foo.*", "bar.*"),
        ("foo.*", "bar.$1.>"),
        ("foo.>", "bar.baz"),
        ("", "bar"),
        ("foo.>.a", "bar"),
    ] {
        refused(source, destination, "invalid subject");
    }
}

#[test]
fn empty_destination_is_no_transform() {
    assert_eq!(Transform::new(b"foo", b"", Use::Any), Ok(None));
}

#[track_caller]
fn refused_import(source: &str, destination: &str, want: &str) {
    let error = Transform::new(source.as_bytes(), destination.as_bytes(), Use::Import).unwrap_err();
    assert_eq!(error.to_string(), want);
}

#[test]
fn imports_use_wildcards_only_and_all_of_them() {
    refused_import(
        "foo.*",
        "bar.{{Partition(2,1)}}",
        "invalid mapping destination: the only mapping function allowed for import transforms is {{Wildcard()}} in {{Partition(2,1)}}",
    );
    refused_import(
        "foo.*.*",
        "bar.$2",
        "invalid mapping destination: not using all of the token wildcard(s) in bar.$2",
    );
    refused_import(
        "foo.*",
        "foo.$foo",
        "invalid mapping destination: not using all of the token wildcard(s) in foo.$foo",
    );
    assert!(Transform::new(b"foo.*", b"bar.{{Wildcard(1)}}", Use::Import).is_ok());
}

#[test]
fn subjects_that_are_not_covered_are_not_mapped() {
    let transform = transform("foo.*", "bar.$1");
    for (subject, want) in [
        ("foo", MatchError::NoMatch),
        ("foo.*", MatchError::InvalidSubject),
        ("foo.", MatchError::InvalidSubject),
    ] {
        assert_eq!(transform.map(subject.as_bytes(), &mut |_| 0), Err(want), "{subject}");
    }
}

#[test]
fn missing_tokens_count_as_empty() {
    let mut out = Vec::new();
    transform("foo.*", "one.two.{{wildcard(1)}}").apply(b"foo", &mut |_| 0, &mut out);
    assert_eq!(text(&out), "one.two.");
}

#[test]
fn reverse_undoes() {
    for (source, destination, subject) in [
        ("foo.*.*", "bar.$2.{{Wildcard(1)}}", "foo.b.a"),
        ("a.*.*.*", "b.$2.$3.$1", "a.x.y.z"),
        ("a.>", "b.c.>", "a.x.y"),
        ("a", "b.c", "a"),
    ] {
        let transform = transform(source, destination);
        let mapped = transform.map(subject.as_bytes(), &mut |_| 0).unwrap();
        let back = transform.reverse().unwrap().map(&mapped, &mut |_| 0).unwrap();
        assert_eq!(text(&back), subject);
    }
    let circle = transform("a.*.*.*", "b.$3.$1.$2");
    let as_written = circle.reverse_as_written().unwrap();
    assert_eq!(as_written.map(b"b.x.y.z", &mut |_| 0).unwrap(), b"a.z.x.y");
    assert_eq!(transform("*", "a.$1.$1").reverse_as_written(), None);
    assert_eq!(transform("*", "{{left(1,1)}}").reverse(), None);
    assert_eq!(transform("*", "a.$1.$1").reverse(), None);
}

#[test]
fn references_replace_wildcards() {
    assert_eq!(text(&with_references(b"foo.*.*.>")), "foo.$1.$2.>");
}

#[track_caller]
fn check_account_mapping(source: &str, destination: &str, want: Option<&str>) {
    let error = check_mapping(source.as_bytes(), destination.as_bytes()).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), want, "{source} to {destination}");
}

#[test]
fn account_mappings_know_all_functions() {
    for token in ["{{left(1,1)}}", "{{Right(1,1)}}", "{{slicefromleft(1,2)}}", "{{random(5)}}"] {
        check_account_mapping("a.*", &format!("b.{token}"), None);
    }
    let want = "invalid mapping destination: unknown function in {{lift(1,1)}}";
    check_account_mapping("a.*", "b.{{lift(1,1)}}", Some(want));
}

#[test]
fn account_mappings_refuse_what_is_no_subject() {
    check_account_mapping("a", "b..c", Some("invalid mapping destination: invalid transform"));
    check_account_mapping("a.>", "b.>.c", Some("invalid mapping destination: invalid transform in c"));
    check_account_mapping("a", "b c", Some("invalid mapping destination: invalid transform"));
    check_account_mapping("a.*", "b.*", Some("invalid subject"));
    check_account_mapping("a.>", "b", Some("invalid subject"));
    check_account_mapping("a", "", None);
    check_account_mapping(
        "a.*",
        "b.{{ split ( 1 , - ) }}",
        Some(
            "invalid mapping destination: function argument is invalid or in the wrong format in {{ split ( 1 , - ) }}",
        ),
    );
    check_account_mapping("a.*", "b.{{ wildcard ( 1 ) }}", None);
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(data in prop::collection::vec(
        prop_oneof![1 => any::<u8>(), 6 => prop::sample::select(b"a.*>\n${}(),12".to_vec())], 0..80,
    )) {
        fuzz_transform(&data);
    }

    #[test]
    fn random_calls_do_not_panic(
        name in prop::sample::select(vec!["wildcard", "partition", "split", "left", "slicefromright", "random"]),
        arguments in "[-0-9, a]{0,12}",
        subject in "[a-c.]{0,8}",
    ) {
        fuzz_transform(format!("*.*\nx.{{{{{name}({arguments})}}}}\n{subject}").as_bytes());
    }

    #[test]
    fn cut_tokens_hold_the_same_bytes(token in "[a-z]{1,20}", size in 0..25) {
        for cut in [Cut::SplitFromLeft, Cut::SplitFromRight, Cut::SliceFromLeft, Cut::SliceFromRight] {
            let mut out = Vec::new();
            cut.apply(token.as_bytes(), size, &mut out);
            prop_assert!(!out.starts_with(b".") && !out.ends_with(b"."));
            out.retain(|&byte| byte != b'.');
            prop_assert_eq!(text(&out), token.clone());
        }
    }
}
