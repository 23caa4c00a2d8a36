use proptest::prelude::*;

use super::*;

fn entries(texts: &[&str]) -> Vec<Entry> {
    let entry =
        |text: &&str| Entry::try_from(*text).unwrap_or_else(|error| panic!("{text}: {error}"));
    texts.iter().map(entry).collect()
}

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    Policy {
        allow: entries(allow),
        deny: entries(deny),
    }
}

fn judge(policy: &Policy, address: &str) -> bool {
    let address = address
        .parse()
        .unwrap_or_else(|error| panic!("{address}: {error}"));
    policy.judge("host.example", address).is_ok()
}

#[test]
fn by_default_all_but_link_local_and_metadata_may_be_connected_to() {
    let default = Policy::default();
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "8.8.8.8",
        "0.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "168.63.129.15",
        "100.100.100.201",
        "::1",
        "::",
        "fc00::1",
        "fd00:ec3::254",
        "64:ff9b:1:a00:0:100::",
        "fec0::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "64:ff9b::8.8.8.8",
        "2002:a00:1::1",
    ] {
        assert!(judge(&default, address), "{address}");
    }
    for address in [
        "169.254.169.254",
        "169.254.0.0",
        "169.254.255.255",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fe80::1",
        "febf:ffff::",
        "fe80::a9fe:a9fe",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd00:42::42",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:a9:fe:a9fe::",
        "64:ff9b:1:0:a9:fea9:fe00:0",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::a83f:8110",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2002:6464:64c8:ffff::",
        "2001:0:1234::5601:5601",
        "2001:db8::5efe:169.254.169.254",
    ] {
        assert!(!judge(&default, address), "{address}");
    }
}

#[test]
fn ranges_and_names_allow_and_deny() {
    let only = policy(&["10.0.0.0/8", "fd00::/8"], &["0.0.0.0/0", "::/0"]);
    for (address, expected) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("64:ff9b::10.1.2.3", true),
        ("11.1.2.3", false),
        ("fd12::1", true),
        ("2001:db8::1", false),
        ("127.0.0.1", false),
    ] {
        assert_eq!(judge(&only, address), expected, "{address}");
    }
    let metadata = policy(&["169.254.169.254"], &[]);
    assert!(judge(&metadata, "169.254.169.254"));
    assert!(judge(&metadata, "2002:a9fe:a9fe::"));
    assert!(!judge(&metadata, "169.254.169.253"));
    // What an address carries is what counts, even if its own range is allowed.
    assert!(!judge(
        &policy(&["2002::/16", "64:ff9b::/96"], &[]),
        "64:ff9b::169.254.169.254"
    ));
    assert!(!judge(&policy(&[], &["64:ff9b::/96"]), "64:ff9b::8.8.8.8"));
}

#[test]
fn what_denies_loopback_denies_what_reaches_it() {
    for address in ["0.0.0.0", "::", "::ffff:0.0.0.0", "64:ff9b::"] {
        for deny in ["127.0.0.0/8", "::1", "0.0.0.0"] {
            let is_covered = deny != "0.0.0.0" || address != "::";
            assert_eq!(
                !judge(&policy(&[], &[deny]), address),
                is_covered,
                "{address}, {deny}"
            );
        }
        assert!(judge(&policy(&[], &["10.0.0.0/8"]), address), "{address}");
        assert!(judge(
            &policy(&["0.0.0.0", "::"], &["127.0.0.0/8"]),
            address
        ));
    }
    assert!(policy(&[], &["127.0.0.0/8"]).judge_host("0").is_err());
}

#[test]
fn before_a_proxy_names_are_judged_without_ranges() {
    let both = policy(&["8.8.8.8"], &["*.internal"]);
    assert!(both.judge_host("a.internal").is_ok());
    assert!(both.judge_host_beyond_proxy("a.internal").is_err());
    assert!(both.judge_host_beyond_proxy("a.example").is_ok());
    assert!(both.judge_host_beyond_proxy("8.8.8.8").is_ok());
    assert!(both.judge_host_beyond_proxy("169.254.169.254").is_err());
    let all = policy(&["*"], &[]);
    for name in [
        "metadata.google.internal",
        "Metadata.Goog.",
        "instance-data",
    ] {
        assert!(all.judge_host_beyond_proxy(name).is_err(), "{name}");
        assert!(all.judge_host(name).is_ok(), "{name}");
    }
}

#[test]
fn a_name_lifts_what_is_denied_and_no_more() {
    let named = policy(&["*.Example."], &["10.0.0.0/8"]);
    assert!(judge(&named, "10.0.0.1"));
    assert!(!judge(&named, "169.254.169.254"));
    let denied = policy(&[], &["*.example"]);
    assert!(!judge(&denied, "8.8.8.8"));
    assert!(denied.judge_host("a.example").is_err());
    assert!(denied.judge_host("A.Example.").is_err());
    assert!(denied.judge_host("example").is_ok());
    let but_range = policy(&["8.8.8.8"], &["*.example"]);
    assert!(but_range.judge_host("a.example").is_ok());
    assert!(judge(&but_range, "8.8.8.8"));
    assert!(!judge(&but_range, "8.8.4.4"));
}

#[test]
fn addresses_are_seen_however_they_are_spelled() {
    let check = |host: &str, expected: Option<&str>| {
        let expected = expected.map(|text| text.parse().expect("an address"));
        assert_eq!(spelled(host), expected, "{host}");
    };
    for host in [
        "169.254.169.254",
        "169.254.169.254.",
        "2852039166",
        "0xa9fea9fe",
        "0XA9FEA9FE",
        "025177524776",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.16689662",
        "0xa9.254.0251.254",
    ] {
        check(host, Some("169.254.169.254"));
        assert!(Policy::default().judge_host(host).is_err(), "{host}");
    }
    check("[fe80::1]", Some("fe80::1"));
    check("[::ffff:a9fe:a9fe]", Some("::ffff:169.254.169.254"));
    check("127.1", Some("127.0.0.1"));
    check("0", Some("0.0.0.0"));
    for host in [
        "",
        ".",
        "host",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.256",
        "4294967296",
        "0x",
        "08",
        "1..2",
        "0x1g",
        "-1",
        "+1",
        "1e3",
        "a.1",
        "99999999999999999999",
    ] {
        check(host, None);
    }
}

#[test]
fn what_is_no_entry_is_refused() {
    let check = |text: &str, expected| {
        assert_eq!(Entry::try_from(text), Err(expected), "{text}");
    };
    check("10.0.0.0/33", EntryError::Range);
    check("10.0.0.0/255.0.0.0", EntryError::Range);
    check("10.0/16", EntryError::Range);
    check("http://host", EntryError::Range);
    check("10.0.0.*", EntryError::PatternOfAddress);
    for part in [
        "10.0.0",
        "127.0.0",
        "10.0.0.",
        "10.",
        "10",
        "127.1",
        "0x7f000001",
    ] {
        check(part, EntryError::PartOfAddress);
    }
    check("host:80", EntryError::Host);
    check("a b", EntryError::Host);
    check("", EntryError::Pattern(PatternError::Empty));
    assert_eq!(Entry::try_from("10.1.2.3/8"), Entry::try_from("10.0.0.0/8"));
    assert_eq!(Entry::try_from("[::1]"), Entry::try_from("::1/128"));
}

proptest! {
    /// In whatever form an IPv6 address carries an IPv4 address, both are judged alike.
    #[test]
    fn what_is_carried_is_judged(v4: u32, ranges in prop::collection::vec((any::<u32>(), 8..=32_u8), 0..4)) {
        let [a, b] = [(v4 >> 16) as u16, (v4 & 0xffff) as u16];
        prop_assume!(v4 > 1);
        let v4 = Ipv4Addr::from(v4);
        let range = |(address, length): &(u32, u8)| {
            let range = Ipv4Net::new(Ipv4Addr::from(*address), *length).expect("a range");
            Entry::Range(range.trunc().into())
        };
        let deny: Vec<Entry> = ranges.iter().map(range).collect();
        for policy in [Policy { allow: vec![], deny: deny.clone() }, Policy { allow: deny, deny: entries(&["0.0.0.0/0"]) }] {
            let expected = policy.judge("h", v4.into()).is_ok();
            for v6 in [
                [0, 0, 0, 0, 0, 0xffff, a, b], [0, 0, 0, 0, 0, 0, a, b],
                [0x64, 0xff9b, 0, 0, 0, 0, a, b], [0x2002, a, b, 7, 7, 7, 7, 7],
                [0x2001, 0, 1, 2, 3, 4, !a, !b],
            ] {
                let judged = policy.judge("h", Ipv6Addr::from(v6).into()).is_ok();
                prop_assert_eq!(judged, expected, "{:?} of {}", v6, v4);
            }
        }
    }

    /// Every spelling is the address that it was made of.
    #[test]
    fn every_spelling_is_read(v4: u32) {
        let [a, b, c, d] = v4.to_be_bytes();
        let expected = Some(IpAddr::from(Ipv4Addr::from(v4)));
        for host in [
            format!("{v4}"), format!("{v4:#x}"), format!("0{v4:o}"), format!("{a}.{}", v4 & 0xff_ffff),
            format!("{a:#x}.0{b:o}.{}", v4 & 0xffff), format!("{a}.{b}.{c}.{d}."),
        ] {
            prop_assert_eq!(spelled(&host), expected, "{}", host);
        }
    }

    #[test]
    fn any_text_is_data(text in "\\PC{0,30}|[0-9a-fx.:\\[\\]/*]{0,30}") {
        let _ = Entry::try_from(text.as_str());
        let _ = Policy::default().judge_host(&text);
    }
}
