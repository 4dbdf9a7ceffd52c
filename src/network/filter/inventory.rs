//! Contents of the filter, each in a few words by which what a script adds is compared with what the kernel has: chains
//! with rules in them, and elements of sets and maps.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{TABLE, nft};

/// Entries that a script of `add` commands leaves.
pub fn added_by(script: &str) -> BTreeSet<String> {
    script.lines().filter_map(entry).collect()
}

/// The entry of `add rule FAMILY TABLE CHAIN …` and `add element FAMILY TABLE SET { KEY … }`.
fn entry(line: &str) -> Option<String> {
    let mut words = line.splitn(6, ' ');
    let (verb, kind, family, table, name, rest) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    match (verb, kind, table == TABLE) {
        ("add", "rule", true) => Some(format!("{family} {name}")),
        ("add", "element", true) => {
            let inner = rest.strip_prefix("{ ")?;
            // Words that no key has, or none but its last has.
            let end = [" comment ", " : ", " }"].iter().filter_map(|end| inner.find(end)).min()?;
            Some(format!("{family} {name} {}", inner[..end].replace('"', "")))
        }
        _ => None,
    }
}

/// Entries of tables of ours in the kernel; a table that is missing has none.
pub fn loaded() -> BTreeSet<String> {
    let listed = ["bridge", "inet", "netdev"].map(|family| nft::list(&["list", "table", family, TABLE]));
    let objects = listed.iter().flatten().filter_map(|listed| listed["nftables"].as_array()).flatten();
    objects.flat_map(entries).collect()
}

fn entries(object: &Value) -> Vec<String> {
    if let (Some(family), Some(chain)) = (object["rule"]["family"].as_str(), object["rule"]["chain"].as_str())
    {
        return vec![format!("{family} {chain}")];
    }
    let set = if object["map"].is_object() { &object["map"] } else { &object["set"] };
    let (Some(family), Some(name)) = (set["family"].as_str(), set["name"].as_str()) else {
        return Vec::new();
    };
    let keys = set["elem"].as_array().into_iter().flatten().filter_map(key);
    keys.map(|key| format!("{family} {name} {key}")).collect()
}

/// A key: alone, with what it leads to, with a comment, or made of several.
fn key(element: &Value) -> Option<String> {
    match element {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(both) => key(both.first()?),
        Value::Object(object) => match (object.get("elem"), object.get("concat")) {
            (Some(inner), _) => key(inner.get("val")?),
            (None, Some(Value::Array(parts))) => {
                parts.iter().map(key).collect::<Option<Vec<_>>>().map(|parts| parts.join(" . "))
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_what_is_listed_have_the_same_entries() {
        let script = "add table bridge containerctl
add chain bridge containerctl port_a
add rule bridge containerctl port_a drop
add element bridge containerctl ports { \"vb-a\" : goto port_a }
add element bridge containerctl members { \"vb-a\" }
add element inet containerctl isolated6 { fd00::1 }
add element inet containerctl dnat4 { tcp . 80 comment \"a\" : 10.0.0.1 . 8080 }
add rule inet other forward drop
destroy chain bridge containerctl port_b";
        let listed = r#"[{"metainfo": {}}, {"table": {"family": "bridge", "name": "containerctl"}},
            {"chain": {"family": "bridge", "table": "containerctl", "name": "empty"}},
            {"rule": {"family": "bridge", "table": "containerctl", "chain": "port_a"}},
            {"map": {"family": "bridge", "name": "ports", "elem": [["vb-a", {"goto": {"target": "port_a"}}]]}},
            {"set": {"family": "bridge", "name": "members", "elem": ["vb-a"]}},
            {"set": {"family": "inet", "name": "isolated4"}},
            {"set": {"family": "inet", "name": "isolated6", "elem": ["fd00::1"]}},
            {"map": {"family": "inet", "name": "dnat4", "elem":
                [[{"elem": {"val": {"concat": ["tcp", 80]}, "comment": "a"}}, {"concat": ["10.0.0.1", 8080]}]]}}]"#;
        let listed: Value = serde_json::from_str(listed).expect("JSON");
        let there: BTreeSet<String> = listed.as_array().expect("array").iter().flat_map(entries).collect();
        assert_eq!(added_by(script), there);
        assert_eq!(there.len(), 5, "{there:?}");
    }
}
