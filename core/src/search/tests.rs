use super::document::tests::{attribute, record};
use super::query::{Clause, Tree};
use super::*;
use crate::id::PeerId;
use crate::record::{Record, Value};
use crate::sorted::SortedMap;
use crate::time::WallTime;
use proptest::prelude::*;

/// Queries of all forms, of some words and values that records of the tests have, and some that are odd.
pub(crate) fn queries() -> impl Strategy<Value = Query> {
    let leaf = prop_oneof![
        1 => Just(Query::all()),
        12 => clauses().prop_filter_map("it fits", |it| it),
    ];
    leaf.prop_recursive(5, 24, 4, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 1..4).prop_map(Query::and),
            prop::collection::vec(part.clone(), 1..4).prop_map(Query::or),
            part.prop_map(Query::negated),
        ]
        .prop_filter_map("it is small enough", Result::ok)
    })
}

fn clauses() -> impl Strategy<Value = Option<Query>> {
    let comparison = prop::sample::select(Comparison::NAMES.map(|(_, _, it)| it).to_vec());
    prop_oneof![
        5 => (fields(), words()).prop_map(|(field, words)| Query::has(field, &words).ok()),
        8 => (fields(), comparison, operands())
            .prop_map(|(field, comparison, operand)| Query::compare(field, comparison, operand).ok()),
        2 => (fields(), operands(), operands())
            .prop_map(|(field, from, to)| Query::within(field, from, to).ok()),
        1 => fields().prop_map(|field| Query::exists(field).ok()),
    ]
}

fn fields() -> impl Strategy<Value = Field> {
    use Field::{
        Created, Creator, Deleted, Expires, Id, Modified, Modifier, Size, Text, Type, Version,
    };
    let plain = [
        Text, Text, Text, Type, Id, Creator, Modifier, Created, Modified, Expires, Version,
        Deleted, Size,
    ];
    let names = ["room", "n", "due", "done", "type", "deleted", "0day", "text"];
    prop_oneof![
        prop::sample::select(plain.to_vec()),
        prop::sample::select(names.to_vec()).prop_map(|name| Field::attribute(name).unwrap()),
    ]
}

fn words() -> impl Strategy<Value = String> {
    let some = [
        "hello",
        "Lisbon",
        "hel*",
        "w?rld",
        "see you",
        "to Lisbon",
        "東京",
        "京",
        "deleted",
        "AND",
        "*o*",
        "2026",
    ];
    prop_oneof![
        6 => prop::sample::select(some.to_vec()).prop_map(str::to_owned),
        1 => r#"([a-zé0-9 ."():=<>*?-]|\\[*?\\]){1,8}"#,
        1 => any::<String>(),
    ]
}

fn operands() -> impl Strategy<Value = Operand> {
    let texts = [
        "general",
        "chat.message",
        "note",
        "Ada",
        "",
        "true",
        "10",
        "a b",
        "a..b",
        "2026-11-01",
        "-",
        "\"",
        "x*",
    ];
    let moments =
        ["1970", "2026", "2026-11", "2026-11-01", "1970-01-01T00:00:00.050Z", "1970-01-01T00:00Z"];
    prop_oneof![
        prop::sample::select(texts.to_vec()).prop_map(|text| Operand::Text(text.into())),
        any::<String>().prop_map(Operand::Text),
        words().prop_filter_map("a pattern", |it| Pattern::parse(&it).ok().map(Operand::Like)),
        (-3..60_i64).prop_map(Operand::Integer),
        any::<i64>().prop_map(Operand::Integer),
        (-3..12_i32).prop_map(|it| Operand::Real(f64::from(it) / 2.0)),
        any::<f64>().prop_map(Operand::Real),
        prop::sample::select(moments.to_vec())
            .prop_map(|it| Operand::Date(Moment::parse(it).unwrap())),
        any::<bool>().prop_map(Operand::Boolean),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn queries_are_read_as_they_are_written(query in queries()) {
        let (text, json) = (query.to_string(), query.to_json());
        prop_assert_eq!(Query::parse(&text), Ok(query.clone()), "{}", text);
        prop_assert_eq!(Query::from_json(&json), Ok(query.clone()), "{}", json);
        // The other reader agrees that it is JSON.
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(
        text in prop_oneof![
            any::<String>(),
            r#"([a-z]{1,3}|[ :=<>!@"().*?\\-]|OR |AND |NOT |created:|2026|10|\.\.){0,16}"#,
        ]
    ) {
        match Query::parse(&text) {
            Ok(query) => prop_assert_eq!(Query::parse(&query.to_string()), Ok(query)),
            Err(error) => prop_assert!(error.at <= text.chars().count()),
        }
        if let Err(error) = Query::from_json(&text) {
            prop_assert!(error.at <= text.chars().count());
        }
    }

    #[test]
    fn any_json_is_read_or_refused_with_a_place_in_it(
        text in r#"(\{|\}|\[|\]|,|:|"and":\[|"or":|"not":|"all":true|"text":"x\*"|"field":"(size|type)",|"attribute":"a",|"equal":|"like":|"has":|1|1e9|true|"x"|\{"date":"2026"\}| ){0,16}"#
    ) {
        match Query::from_json(&text) {
            Ok(query) => prop_assert_eq!(Query::from_json(&query.to_json()), Ok(query)),
            Err(error) => prop_assert!(error.at <= text.chars().count()),
        }
    }
}

fn tree(text: &str) -> Tree {
    Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).tree
}

/// Texts with the same meaning.
fn same(text: &str, other: &str) {
    assert_eq!(tree(text), tree(other), "{text} is {}", Query::parse(text).unwrap());
}

#[test]
fn what_people_type_is_read_as_they_mean_it() {
    let long = r#"type:chat.message author:ada text:"hel*" created:>2026-11-01 -deleted (a OR b) size:10..20"#;
    let query = Query::parse(long).unwrap();
    assert_eq!(
        query.to_string(),
        "type:chat.message creator:ada hel* created>2026-11-01 -deleted:true (a OR b) size:10..20"
    );
    assert_eq!(
        query.to_json(),
        r#"{"and":[{"field":"type","equal":"chat.message"},{"field":"creator","has":"ada"},{"text":"hel*"},{"field":"created","greater":{"date":"2026-11-01"}},{"not":{"field":"deleted","equal":true}},{"or":[{"text":"a"},{"text":"b"}]},{"field":"size","within":[10,20]}]}"#
    );
    same("a b", "a AND b");
    same("a b OR c", "(a AND b) OR c");
    same("NOT a", "-a");
    same("((a))", "a");
    same("text:a", "a");
    same("text:(a OR \"b c\")", "a OR \"b c\"");
    same("Created >= 2026-01", "created:>=2026-01");
    same("created:2026Y", "created:2026");
    same("size:10..", "size>=10");
    same("size:..20", "size<=20");
    same("size:(>10 <20)", "size>10 size<20");
    same("size:(-5 OR 5)", "size:\"-5\" OR size:5");
    same("room: general", "room:general");
    same("Room:general", "@room:general");
    same("n:10", "(n=10 OR n:\"10\")");
    same("n:-1.5e3", "(n=-1500.0 OR n:\"-1.5e3\")");
    same("done:true", "(done=true OR done:\"true\")");
    same("due:2026-11-01", "(due=2026-11-01 OR due:\"2026-11-01\")");
    same("due:>=2026-11-01", "due>=2026-11-01");
    same("n=10..20", "n:10..20");
    same("name=a..\"f g\"", "name=\"a\"..\"f g\"");
    same("peercreatorid=x", "creator=x");
    same("type:note*", "type=note*");
    same("-5", "-\"5\"");
    same("10:30 http://example.com/a:b", "\"10:30\" \"http://example.com/a:b\"");
    same("ORANGE ANDROID", "\"ORANGE\" \"ANDROID\"");
    same("\"deleted\" deleted", "text:deleted deleted:true");
    assert_eq!(tree("*"), Tree::All);
    assert_eq!(tree("room:*"), Query::exists(Field::attribute("room").unwrap()).unwrap().tree);
    assert_ne!(tree("room=*"), tree("room:*"), "a text");
    let Tree::Clause(Clause::Compare(_, _, operand)) = tree(r#"a="\*\"\\""#) else { panic!() };
    assert_eq!(operand, Operand::Text(r#"*"\"#.into()));
}

#[test]
fn faults_are_told_with_their_place() {
    use QueryFault::*;
    for (text, at, fault) in [
        ("", 0, Empty),
        ("  ", 0, Empty),
        ("()", 1, Empty),
        ("a ()", 3, Empty),
        ("äö (b", 3, OpenParenthesis),
        ("a) b", 1, NoParenthesis),
        ("a \"b c", 2, OpenQuotation),
        ("a OR", 4, MissingOperand),
        ("OR a", 0, MissingOperand),
        ("a AND AND b", 6, MissingOperand),
        ("a - b", 2, MissingOperand),
        ("(a OR)", 5, MissingOperand),
        ("NOT", 3, MissingOperand),
        (r"a b\n", 3, StrayBackslash),
        (r#""b\n""#, 2, StrayBackslash),
        ("a\\", 1, StrayBackslash),
        ("text:!", 5, NoWord),
        ("a ?", 2, NoWord),
        ("creator:*", 8, NoWord),
        ("size:", 5, MissingValue),
        ("size:)", 5, MissingValue),
        ("size:..", 5, MissingValue),
        ("size:ten", 5, NotAnInteger),
        ("size>1.5", 5, NotAnInteger),
        ("created:>yesterday", 9, NotAMoment),
        ("deleted:maybe", 8, NotATruth),
        ("text=a", 5, WordsHaveNoOrder),
        ("type>a", 5, NoOrder),
        ("author<b", 7, NoOrder),
        ("a>b*", 2, PatternHasNoOrder),
        ("a=1..b", 2, MixedRange),
        ("a=b*..c", 2, MixedRange),
        ("@=1", 0, BadName),
        (&format!("{}:x", "a".repeat(41)), 0, BadName),
        (&"(".repeat(99), 32, TooDeep),
        (&"-".repeat(99), 32, TooDeep),
        (&"a ".repeat(257), 0, TooManyClauses),
        (&format!("\"{}\"", "a ".repeat(33)), 1, TooManyWords),
        (&"a".repeat(20_000), 0, TooLong),
    ] {
        assert_eq!(Query::parse(text), Err(QueryError { at, fault }), "{text}");
    }
    let shown = Query::parse("a \\b").unwrap_err().to_string();
    assert_eq!(
        shown,
        "character 3: a backslash stands before *, ?, \" or another one only; write \\\\ for one"
    );
}

#[test]
fn json_has_one_child_and_no_empty_operators() {
    use QueryFault::*;
    for (json, at, fault) in [
        ("", 0, NotAForm),
        ("[]", 0, NotAForm),
        ("\"a\"", 0, NotAForm),
        ("{}", 1, NotAForm),
        ("{\"text\":\"a\"} {\"text\":\"b\"}", 13, NotJson),
        ("{\"text\":\"a\",\"not\":1}", 11, UnknownKey),
        ("{\"and\":[]}", 7, Empty),
        ("{\"or\":{}}", 6, NotAForm),
        ("{\"and\":[{\"text\":\"a\"},]}", 21, NotAForm),
        ("{\"all\":false}", 7, NotATruth),
        ("{\"text\":1}", 8, NotAText),
        ("{\"text\":\"?\"}", 8, NoWord),
        ("{\"text\":\"a\\\\b\"}", 8, StrayBackslash),
        ("{\"field\":\"nothing\",\"equal\":1}", 9, UnknownField),
        ("{\"attribute\":\"a-b\",\"equal\":1}", 13, BadName),
        ("{\"field\":\"size\"}", 15, MissingValue),
        ("{\"field\":\"size\",\"like\":1}", 16, UnknownKey),
        ("{\"field\":\"size\",\"equal\":\"1\"}", 24, NotAnInteger),
        ("{\"field\":\"size\",\"equal\":null}", 24, NotAnInteger),
        ("{\"field\":\"size\",\"equal\":1,\"less\":2}", 25, UnknownKey),
        ("{\"field\":\"size\",\"within\":[1]}", 27, MixedRange),
        ("{\"field\":\"created\",\"equal\":{\"date\":\"1.1.2026\"}}", 35, NotAMoment),
        ("{\"attribute\":\"a\",\"less\":1e999}", 24, NotANumber),
        ("{\"attribute\":\"a\",\"less\":{\"like\":\"x*\"}}", 24, PatternHasNoOrder),
        ("{\"field\":\"type\",\"exists\":true}", 25, UnknownField),
        ("{\"less\":1}", 9, NotAForm),
    ] {
        assert_eq!(Query::from_json(json), Err(QueryError { at, fault }), "{json}");
    }
    let deep =
        |depth| format!("{}{{\"all\":true}}{}", "{\"not\":".repeat(depth), "}".repeat(depth));
    assert!(Query::from_json(&deep(32)).is_ok());
    let fault = |json: &str| Query::from_json(json).map_err(|error| error.fault);
    assert_eq!(fault(&deep(33)), Err(TooDeep));
    assert_eq!(fault(&"{\"not\":".repeat(15_000)), Err(TooDeep));
    assert_eq!(
        fault(&format!("{{\"or\":[{}]}}", "{\"all\":true},".repeat(999))),
        Err(TooManyClauses)
    );
    let one = r#"{ "and": [ { "equal": [1, {"a": []}, "x"], "attribute": "n" } ] }"#;
    assert_eq!(fault(one), Err(NotAText));
    let turned = r#"{ "and": [ { "within": [1, 2.5], "attribute": "n" } ] }"#;
    assert_eq!(Query::from_json(turned).unwrap().to_string(), "n=1..2.5");
}

/// Two members, whom the records of the tests are by.
pub(crate) fn names() -> SortedMap<PeerId, String> {
    let name = |n, name: &str| (PeerId::from_bytes([n; 32]), name.to_owned());
    [name(1, "Ada Lovelace"), name(2, "Ben")].into_iter().collect()
}

fn example() -> Record {
    let mut record = record("chat.message", 1, 7, 1_793_500_000_000);
    record.modifier = Some(PeerId::from_bytes([2; 32]));
    record.attributes = vec![
        attribute("room", Value::String("General talk".into())),
        attribute("Room", Value::String("lisbon".into())),
        attribute("n", Value::Integer(5)),
        attribute("n", Value::Integer(25)),
        attribute("price", Value::Real(1.5)),
        attribute("due", Value::Date(WallTime(1_793_520_000_000))),
        attribute("done", Value::Boolean(false)),
        attribute("amount", Value::String("10".into())),
    ];
    record.payload = r#"{"text": "Hello, see you in Lisbon", "tags": ["Été"]}"#.into();
    record
}

#[test]
fn a_query_means_what_it_says() {
    let record = example();
    for text in [
        "*",
        "hello",
        "HELLO lisbon",
        "\"see you\"",
        "l?sb*",
        "ete",
        "type:chat.message",
        "type:chat.*",
        "type!=note",
        "author:ada",
        "author:lovelace",
        "author=\"Ada Lovelace\"",
        "author:aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq",
        "author!=Ada",
        "editor:ben",
        "modifier:*",
        "created:2026-11-01",
        "created:>2026-10 created:<2026-12",
        "expires>=2026-11-12",
        "-deleted",
        "deleted:false",
        "size:100..1000",
        "version>0",
        "room:general",
        "room:\"general talk\"",
        "room=lisbon",
        "room!=lisbon",
        "room=\"General*\"",
        "n=5",
        "n:25",
        "n>24.5",
        "n:20..30",
        "price:1..2",
        "due:2026-11-01",
        "due>2026-10 -due>2026-11",
        "done:false",
        "done<true",
        "amount:10",
        "amount=\"10\"",
        "amount>\"1\"",
        "nothing OR hello",
        "-nothing",
        "-(hello nothing)",
        "room:*",
        "id:*",
    ] {
        assert!(Query::parse(text).unwrap().matches(&record, &names()), "{text}");
    }
    for text in [
        "-*",
        "hell",
        "tags",
        "\"lisbon ete\"",
        "\"you see\"",
        "type:note",
        "type:Chat.message",
        "author:ben",
        "author=Ada",
        "author=ada*",
        "-author:ada",
        "editor:ada",
        "created:>2026-11-01",
        "deleted",
        "room=general",
        "room=Lisbon",
        "room:gener",
        "other!=x",
        "n=10",
        "n:10..20",
        "n=\"5\"",
        "amount=10",
        "amount!=10",
        "done=true",
        "other:*",
        "hello nothing",
    ] {
        assert!(!Query::parse(text).unwrap().matches(&record, &names()), "{text}");
    }
}

#[test]
fn what_fits_best_comes_first() {
    let of = |n: u64, payload: &'static str| {
        let mut record = record("note", 1, n, 1_000 + n);
        record.payload = payload.into();
        record
    };
    let records = [
        of(1, "lisbon lisbon lisbon"),
        of(2, "a trip to lisbon with some more words than the others have"),
        of(3, "a trip to lisbon"),
        of(4, "a trip"),
        of(5, "a trip"),
    ];
    let ranked = |text: &str| -> Vec<u64> {
        let found = Query::parse(text).unwrap().ranked(&records, &names()).into_iter();
        found.map(|record| record.modified.0 - 1_000).collect()
    };
    assert_eq!(ranked("lisbon"), [1, 3, 2]);
    assert_eq!(ranked("trip"), [5, 4, 3, 2], "of those that fit alike the newest is first");
    assert_eq!(ranked("lisbon OR trip"), [1, 3, 2, 5, 4]);
    assert_eq!(ranked("type:note -lisbon"), [5, 4], "what is not wanted does not count");
}
