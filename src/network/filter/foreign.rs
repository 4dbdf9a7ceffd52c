//! What other people's rules do to forwarded packets: a chain of ours that accepts one does not keep a later chain of
//! theirs from dropping it.

use super::{TABLE, nft};
use crate::error::Result;

/// The chains of others that drop forwarded packets unless one of their rules says otherwise, as Docker's does:
/// `FAMILY TABLE CHAIN`.
pub fn droppers() -> Result<Vec<String>> {
    let listed = nft::list(&["list", "chains"])?;
    Ok(listed["nftables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|object| dropper(&object["chain"]))
        .collect())
}

fn dropper(chain: &serde_json::Value) -> Option<String> {
    let text = |key: &str| chain[key].as_str();
    let drops = text("hook")? == "forward" && text("policy")? == "drop" && text("table")? != TABLE;
    drops.then(|| {
        format!(
            "{} {} {}",
            text("family").unwrap_or("?"),
            text("table").unwrap_or("?"),
            text("name").unwrap_or("?")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_chains_of_others_that_drop_are_named() {
        let of = |text: &str| dropper(&serde_json::from_str(text).expect("JSON"));
        let docker =
            r#"{"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}"#;
        assert_eq!(of(docker).as_deref(), Some("ip filter FORWARD"));
        assert_eq!(of(&docker.replace("drop", "accept")), None);
        assert_eq!(of(&docker.replace("\"filter\"", "\"containerctl\"")), None);
        assert_eq!(of(&docker.replace("forward\"", "input\"")), None);
        assert_eq!(of("{}"), None);
    }
}
