//! A strict reader of OpenMetrics 1.0 text.

use std::collections::{BTreeMap, BTreeSet};

/// All metrics that belong together, by the name of their TYPE.
pub type Families = BTreeMap<String, Family>;

/// Metrics of one name.
#[derive(Debug, Default)]
pub struct Family {
    pub kind: String,
    pub help: String,
    pub unit: Option<String>,
    pub samples: Vec<Sample>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Reads a text, and panics at the first thing that is not as the standard has it.
pub fn read(text: &str) -> Families {
    let text = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    assert!(text.is_empty() || text.ends_with('\n'), "every line ends");
    let mut families = Families::new();
    let mut current = String::new();
    for line in text.lines() {
        assert_eq!(line.trim(), line, "no blanks around: {line:?}");
        if let Some(metadata) = line.strip_prefix("# ") {
            let (keyword, rest) = metadata.split_once(' ').expect("a keyword");
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            if name != current {
                assert!(
                    !families.contains_key(name),
                    "a family stands in one place: {line}"
                );
                assert!(is_name(name), "{line}");
                name.clone_into(&mut current);
                families.insert(current.clone(), Family::default());
            }
            let family = families.get_mut(name).expect("it was put there");
            assert!(family.samples.is_empty(), "metadata comes first: {line}");
            family.describe(keyword, value, line);
        } else {
            let sample = sample(line);
            let family = families.get_mut(&current).expect("metadata comes first");
            family.add(&current, sample, line);
        }
    }
    for (name, family) in &families {
        family.check(name);
    }
    families
}

impl Family {
    fn describe(&mut self, keyword: &str, value: &str, line: &str) {
        let slot = match keyword {
            "TYPE" => &mut self.kind,
            "HELP" => &mut self.help,
            "UNIT" => self.unit.get_or_insert_default(),
            other => panic!("unknown metadata {other}: {line}"),
        };
        assert!(slot.is_empty(), "it is said once: {line}");
        value.clone_into(slot);
    }

    fn add(&mut self, family: &str, sample: Sample, line: &str) {
        let suffix = sample.name.strip_prefix(family);
        let suffix = suffix.unwrap_or_else(|| panic!("it is of {family}: {line}"));
        let allowed: &[&str] = match self.kind.as_str() {
            "counter" => &["_total", "_created"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum", "_created"],
            other => panic!("unknown type {other}: {line}"),
        };
        assert!(
            allowed.contains(&suffix),
            "a {} has {allowed:?}: {line}",
            self.kind
        );
        let is_same = |other: &Sample| other.name == sample.name && other.labels == sample.labels;
        assert!(
            !self.samples.iter().any(is_same),
            "every series once: {line}"
        );
        if matches!(suffix, "_total" | "_count" | "_bucket") {
            assert!(sample.value >= 0.0, "{line}");
        }
        if suffix == "_info" {
            assert!((sample.value - 1.0).abs() < f64::EPSILON, "{line}");
        }
        self.samples.push(sample);
    }

    fn check(&self, name: &str) {
        assert!(
            !self.kind.is_empty() && !self.help.is_empty(),
            "{name} is described"
        );
        if let Some(unit) = &self.unit {
            assert!(
                name.ends_with(&format!("_{unit}")),
                "{name} ends with its unit {unit}"
            );
        }
        if self.kind == "histogram" {
            self.check_buckets(name);
        }
    }

    fn check_buckets(&self, name: &str) {
        let without_le = |sample: &Sample| {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            labels
        };
        let series: BTreeSet<_> = self.samples.iter().map(without_le).collect();
        for labels in series {
            let of = |suffix: &str| -> Vec<&Sample> {
                let wanted = format!("{name}{suffix}");
                let samples = self.samples.iter();
                let samples = samples.filter(|sample| sample.name == wanted);
                samples
                    .filter(|sample| without_le(sample) == labels)
                    .collect()
            };
            let bound = |sample: &Sample| -> f64 { sample.labels["le"].parse().expect("a number") };
            let buckets = of("_bucket");
            let mut pairs = buckets.windows(2);
            assert!(
                pairs.all(|pair| bound(pair[0]) < bound(pair[1]) && pair[0].value <= pair[1].value),
                "{name}"
            );
            let last = buckets.last().expect("there are buckets");
            assert_eq!(last.labels["le"], "+Inf");
            assert_eq!(of("_count")[0].value.to_bits(), last.value.to_bits());
            assert_eq!(of("_sum").len(), 1);
        }
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = if line.contains('{') {
        let end = closing(line);
        let value = line[end + 1..].strip_prefix(' ');
        (&line[..=end], value.expect("a value"))
    } else {
        line.split_once(' ').expect("a value")
    };
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(is_name(name), "{line}");
    let value = value
        .parse()
        .unwrap_or_else(|_| panic!("one number, and no time: {line}"));
    Sample {
        name: name.to_owned(),
        labels: self::labels(labels.strip_suffix('}').expect("it is closed"), line),
        value,
    }
}

/// Returns where the labels end.
fn closing(line: &str) -> usize {
    let mut is_quoted = false;
    let mut characters = line.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if is_quoted => {
                characters.next();
            }
            '"' => is_quoted = !is_quoted,
            '}' if !is_quoted => return at,
            _ => {}
        }
    }
    panic!("labels are closed: {line}");
}

fn labels(text: &str, line: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, behind) = rest
            .split_once("=\"")
            .unwrap_or_else(|| panic!("name=\"value\": {line}"));
        assert!(is_name(name) && !name.contains(':'), "{line}");
        let mut value = String::new();
        let mut characters = behind.char_indices();
        let end = loop {
            match characters
                .next()
                .unwrap_or_else(|| panic!("it is closed: {line}"))
            {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, character @ ('\\' | '"'))) => character,
                    other => panic!("no escape: {other:?} in {line}"),
                }),
                (_, character) => value.push(character),
            }
        };
        assert!(
            labels.insert(name.to_owned(), value).is_none(),
            "every label once: {line}"
        );
        rest = &behind[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}

fn is_name(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}
