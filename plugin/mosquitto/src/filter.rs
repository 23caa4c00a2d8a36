//! Topic filters (MQTT 5, 4.7).

/// Which topics are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(String);

impl Filter {
    /// Returns the filter, or why it is none.
    pub(crate) fn new(text: &str) -> Result<Self, &'static str> {
        let levels: Vec<&str> = text.split('/').collect();
        let (last, before) = levels.split_last().ok_or("it is empty")?;
        if text.is_empty() {
            return Err("it is empty");
        }
        if before.iter().any(|level| level.contains('#')) || (last.contains('#') && *last != "#") {
            return Err("`#` must be the last level, alone");
        }
        if levels
            .iter()
            .any(|level| level.contains('+') && *level != "+")
        {
            return Err("`+` must be a level alone");
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns whether a topic name is wanted; wildcards at the beginning do not match `$`.
    pub(crate) fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && self.0.starts_with(['#', '+']) {
            return false;
        }
        let mut names = topic.split('/');
        for level in self.0.split('/') {
            match (level, names.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (level, Some(name)) if level == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_mqtt_says() {
        let check = |filter: &str, topic: &str, expected: bool| {
            let filter = Filter::new(filter).expect("it is a filter");
            assert_eq!(filter.matches(topic), expected, "{filter:?} {topic}");
        };
        check("#", "a/b", true);
        check("#", "$SYS/x", false);
        check("+/x", "$SYS/x", false);
        check("$SYS/#", "$SYS/x", true);
        check("a/#", "a", true);
        check("a/#", "a/b/c", true);
        check("a/#", "ab", false);
        check("a/+", "a/", true);
        check("a/+", "a", false);
        check("a/+", "a/b/c", false);
        check("+/+", "/x", true);
        check("a/b", "a/b", true);
        check("a/b", "a/b/", false);
    }

    #[test]
    fn what_is_no_filter_is_said() {
        for text in ["", "a#", "#/a", "a/#b", "a+", "a/+b/c"] {
            assert!(Filter::new(text).is_err(), "{text:?}");
        }
    }
}
