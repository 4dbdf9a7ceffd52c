//! The one command that has a firewall let containers' packets through, in that firewall's own words: a rule that is
//! added behind its back would be gone with its next reload.

use std::fs;

use super::trace::Chain;
use crate::network::filter::nft;
use crate::network::managed::BRIDGE;
use crate::paths::Root;

/// For a chain that drops them in `hook`.
pub fn of(root: &Root, chain: &Chain, hook: &str) -> String {
    let is_of_iptables = ["ip", "ip6"].contains(&chain.family.as_str()) && chain.table == "filter";
    match () {
        () if chain.table == "firewalld" => format!(
            "firewall-cmd --permanent --zone=trusted --add-interface={BRIDGE} && firewall-cmd --reload"
        ),
        () if is_of_iptables && has_ufw(root) => {
            format!("ufw allow in on {BRIDGE} && ufw route allow in on {BRIDGE}")
        }
        () if is_of_iptables && hook == "forward" && has_docker() => format!(
            "iptables -I DOCKER-USER -i {BRIDGE} -j ACCEPT && iptables -I DOCKER-USER -o {BRIDGE} -j ACCEPT"
        ),
        () if is_of_iptables => iptables("iptables", hook),
        () => nftables(chain, hook),
    }
}

/// For one that no chain of nftables drops: who may do it, and the command for that.
pub fn untraced(hook: &str) -> (String, String) {
    let tables = fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
    match tables.lines().any(|table| table == "filter") {
        true => ("dropped by table filter of iptables-legacy".to_string(), iptables("iptables-legacy", hook)),
        false => (
            "lost on a way that no packet filter shows".to_string(),
            "look at 'tc filter show dev ctl0 ingress' and 'bpftool net'".to_string(),
        ),
    }
}

fn has_ufw(root: &Root) -> bool {
    fs::read_to_string(root.path("/etc/ufw/ufw.conf"))
        .is_ok_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes"))
}

fn has_docker() -> bool {
    nft::list(&["list", "chain", "ip", "filter", "DOCKER-USER"]).is_ok()
}

fn iptables(program: &str, hook: &str) -> String {
    match hook {
        "forward" => format!(
            "{program} -I FORWARD -i {BRIDGE} -j ACCEPT && {program} -I FORWARD -o {BRIDGE} -m conntrack --ctstate \
             ESTABLISHED,RELATED -j ACCEPT"
        ),
        _ => format!("{program} -I INPUT -i {BRIDGE} -j ACCEPT"),
    }
}

fn nftables(chain: &Chain, hook: &str) -> String {
    let begin = format!("nft insert rule {chain}");
    match hook {
        "forward" => format!(
            "{begin} iifname {BRIDGE} accept && {begin} oifname {BRIDGE} ct state established,related accept"
        ),
        _ => format!("{begin} iifname {BRIDGE} accept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_firewall_is_mended_in_its_own_words() {
        let dir = tempfile::tempdir().expect("tempdir");
        let root = Root::at(dir.path());
        let of = |text: &str, hook| {
            let [family, table, name] =
                <[&str; 3]>::try_from(text.split(' ').collect::<Vec<_>>()).expect("three");
            of(&root, &Chain { family: family.into(), table: table.into(), name: name.into() }, hook)
        };
        assert!(of("inet firewalld filter_INPUT", "input").starts_with("firewall-cmd "));
        assert_eq!(of("ip filter INPUT", "input"), "iptables -I INPUT -i ctl0 -j ACCEPT");
        assert_eq!(of("inet a b", "input"), "nft insert rule inet a b iifname ctl0 accept");
        assert!(of("inet a b", "forward").ends_with("oifname ctl0 ct state established,related accept"));
        std::fs::create_dir_all(root.path("/etc/ufw")).expect("mkdir");
        std::fs::write(root.path("/etc/ufw/ufw.conf"), "# x\nENABLED=yes\n").expect("write");
        assert!(of("ip filter INPUT", "input").starts_with("ufw allow in on ctl0"));
    }
}
