//! Finding records.

use crate::{fails, folder, ok, one, run, run_with_input, text};

#[test]
fn records_are_found_counted_and_ordered() {
    let data = folder();
    let data = data.path();
    ok(&run(data, &["group", "create", "Trip"]));
    let publish = |kind: &str, payload: &str, room: &str| {
        let arguments = ["publish", "Trip", kind, "--wait", "stored", "--attribute", room];
        ok(&run_with_input(data, &arguments, payload.as_bytes()));
    };
    publish("chat.message", "Off to Lisbon, to Lisbon", "room=general");
    publish("chat.message", "See you in Ljubljana", "room=general");
    publish("note", "{\"text\": \"Lisbon is on a river\"}", "room=places");
    let lines = |arguments: &[&str]| -> Vec<String> {
        let arguments = [&["search", "Trip"], arguments].concat();
        ok(&run(data, &arguments)).lines().map(str::to_owned).collect()
    };
    let found = lines(&["lisbon"]);
    assert!(
        found.len() == 2 && found[0].contains("river") && found[1].contains("Off"),
        "{found:?}"
    );
    assert!(lines(&["lisbon", "--order", "best"])[0].contains("Off"), "twice");
    assert!(lines(&["--order", "oldest", "l*"])[0].contains("Off"));
    assert_eq!(lines(&["l* -type:note"]).len(), 2);
    assert_eq!(lines(&["-lisbon"]).len(), 1);
    assert_eq!(lines(&["author:ada room:GENERAL \"see you\""]).len(), 1);
    assert_eq!(
        lines(&[r#"{"and": [{"text": "lisbon"}, {"attribute": "room", "equal": "places"}]}"#])
            .len(),
        1
    );
    assert_eq!(lines(&["*", "--count"]), ["3"]);
    assert_eq!(lines(&["nothing"]), [""; 0]);
    let more = run(data, &["search", "Trip", "l*", "--limit", "1"]);
    assert!(ok(&more).lines().count() == 1 && text(&more.stderr).contains("--limit 0"));
    let json = one(&run(data, &["--json", "search", "Trip", "ljub*"]));
    assert_eq!(json["payload"], "See you in Ljubljana");
    let count = one(&run(data, &["--json", "search", "Trip", "lisbon", "--count"]));
    assert_eq!(count, serde_json::json!({ "count": 2 }));
}

#[test]
fn a_text_that_is_no_query_is_refused_with_the_place() {
    let data = folder();
    let refused = |query| run(data.path(), &["search", "Trip", query]);
    fails(&refused("lisbon (river"), 2, &["character 8", "not closed"]);
    fails(&refused("size:ten"), 2, &["character 6", "whole numbers"]);
    fails(&refused("{\"and\": []}"), 2, &["character 9", "nothing to look for"]);
}
