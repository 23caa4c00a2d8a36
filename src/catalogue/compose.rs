//! What a file and definitions make together.

use std::fmt;

use crate::config::Config;
use crate::config::json::{self, Mistake};
use crate::config::problem::Severity;
use crate::spool::store::{Defines, Definition};

/// A definition of the API that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// What is defined.
    pub defines: Defines,
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The file has one of the same name.
    NameTaken,
    /// What it says does not hold beside the file.
    Mistakes(Vec<Mistake>),
    /// The group that it is of does not fit.
    Group(String),
}

impl fmt::Display for Clash {
    /// Says what is wrong, and how to mend it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, name) = (self.defines.name(), self.name.escape_debug());
        match &self.why {
            Why::NameTaken => {
                write!(
                    f,
                    "the {what} `{name}` is in the configuration file, and was made over the API as well; \
                     rename the one in the file, or delete the other one"
                )?;
                self.say_how_to_delete(f)
            }
            Why::Group(group) => write!(
                f,
                "the {what} `{name}`, which was made over the API, is of the group `{}`, which does not fit; \
                 mend that, or give it another group",
                group.escape_debug()
            ),
            Why::Mistakes(mistakes) => {
                write!(f, "the {what} `{name}`, which was made over the API, ")?;
                for (index, mistake) in mistakes.iter().enumerate() {
                    let between = if index == 0 { "does not fit: " } else { "; " };
                    write!(f, "{between}{}", mistake.detail)?;
                    if let Some(help) = &mistake.help {
                        write!(f, " ({help})")?;
                    }
                }
                f.write_str("; mend the file, or change or delete it over the API")?;
                self.say_how_to_delete(f)
            }
        }
    }
}

impl Clash {
    fn say_how_to_delete(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.defines {
            Defines::Group => Ok(()),
            Defines::Webhook => {
                let name = self.name.escape_debug();
                write!(
                    f,
                    " (while mqhook does not run: `mqhook webhooks delete {name}`)"
                )
            }
        }
    }
}

/// Returns the configuration that a file and those definitions make together that fit, and those that do not.
#[must_use]
pub fn compose(file: &Config, definitions: &[Definition]) -> (Config, Vec<Clash>) {
    let mut config = file.clone();
    let mut clashes: Vec<Clash> = Vec::new();
    for defines in [Defines::Group, Defines::Webhook] {
        for definition in definitions.iter().filter(|it| it.defines == defines) {
            if let Err(why) = add(&mut config, definition, &clashes) {
                clashes.push(Clash {
                    defines,
                    name: definition.name.clone(),
                    why,
                });
            }
        }
    }
    (config, clashes)
}

fn add(config: &mut Config, definition: &Definition, clashes: &[Clash]) -> Result<(), Why> {
    let name = definition.name.as_str();
    if is_taken(config, definition.defines, name) {
        return Err(Why::NameTaken);
    }
    let json = read(&definition.json)?;
    match definition.defines {
        Defines::Group => {
            let group = json::group(config, name, &json);
            config.groups.push(usable(group)?);
        }
        Defines::Webhook => {
            let group = definition.group.as_deref();
            // The file may have a group of the same name, whose scope is another.
            let is_of = |clash: &&Clash| {
                clash.defines == Defines::Group && Some(clash.name.as_str()) == group
            };
            if let Some(clash) = clashes.iter().find(is_of) {
                return Err(Why::Group(clash.name.clone()));
            }
            let webhook = json::webhook(config, name, group, &json);
            config.webhooks.push(usable(webhook)?);
        }
    }
    Ok(())
}

/// Returns whether a configuration has a webhook or group of a name, be it that it is switched off.
fn is_taken(config: &Config, defines: Defines, name: &str) -> bool {
    match defines {
        Defines::Group => config.groups.iter().any(|group| group.name == name),
        Defines::Webhook => {
            config.written.webhooks.contains_key(name)
                || config.webhooks.iter().any(|webhook| webhook.name == name)
        }
    }
}

fn read(text: &str) -> Result<serde_json::Value, Why> {
    serde_json::from_str(text).map_err(|_| {
        Why::Mistakes(vec![Mistake {
            severity: Severity::Error,
            pointer: String::new(),
            detail: "what the database has of it is no JSON".to_owned(),
            help: None,
        }])
    })
}

fn usable<T>((read, mistakes): json::Reading<T>) -> Result<T, Why> {
    let is_error = |mistake: &Mistake| mistake.severity == Severity::Error;
    read.ok_or_else(|| Why::Mistakes(mistakes.into_iter().filter(is_error).collect()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::catalogue::Catalogue;
    use crate::config::{self, hocon};
    use crate::event::{Kind, Timestamp};

    struct OneFile(&'static str);

    impl hocon::Outside for OneFile {
        fn env(&self, _: &str) -> Option<String> {
            None
        }

        fn read(&self, _: &Path) -> std::io::Result<String> {
            Ok(self.0.to_owned())
        }
    }

    fn file() -> Config {
        let text = r#"
            [network]
            deny = ["10.0.0.0/8"]
            [groups.plant]
            topics = ["plant/#"]
            [webhooks.of_file]
            url = "http://127.0.0.1:1/"
            events = []
            [webhooks.off]
            enable = false
            url = "http://127.0.0.1:1/"
            events = []
        "#;
        let reading = config::load(Path::new("m.toml"), &OneFile(text));
        reading.config.expect("the file is good")
    }

    fn defined(defines: Defines, name: &str, group: Option<&str>, json: &str) -> Definition {
        Definition {
            id: format!("{}{name}", defines.name()),
            defines,
            name: name.to_owned(),
            group: group.map(str::to_owned),
            json: json.to_owned(),
            version: 1,
            created_at: Timestamp::from_millis(0),
            last_modified_at: Timestamp::from_millis(0),
            overlaps_until: None,
        }
    }

    #[test]
    fn what_the_api_defines_stands_behind_what_the_file_does() {
        let definitions = [
            defined(
                Defines::Webhook,
                "a",
                Some("mine"),
                r#"{"url":"http://h/"}"#,
            ),
            defined(
                Defines::Webhook,
                "b",
                Some("plant"),
                r#"{"url":"http://h/","pool_size":3}"#,
            ),
            defined(
                Defines::Group,
                "mine",
                None,
                r#"{"topics":["m/+"],"events":["on_client_connected"]}"#,
            ),
        ];
        let (config, clashes) = compose(&file(), &definitions);
        assert_eq!(clashes, [], "all fit");
        let names: Vec<&str> = config.webhooks.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["of_file", "a", "b"]);
        let kinds: Vec<Kind> = config.webhooks[1]
            .rules
            .iter()
            .map(|rule| rule.kind)
            .collect();
        assert_eq!(kinds, [Kind::ClientConnected, Kind::ApplicationEvent]);
        assert_eq!(config.webhooks[2].rules[0].topic.as_str(), "plant/#");
        assert_eq!(config.webhooks[2].http.pool_size, 3);
    }

    #[tokio::test]
    async fn while_it_changes_a_group_has_what_it_has_before_and_after() {
        let of = |group| defined(Defines::Webhook, "a", Some(group), r#"{"url":"http://h/"}"#);
        let other = defined(Defines::Group, "other", None, "{}");
        let catalogue = Arc::new(Catalogue::new(file(), vec![other.clone(), of("plant")]));
        let has = |group| catalogue.of_group(group).contains("a");
        let before = catalogue.changes();
        let turn = catalogue.turn().await;
        let view = turn.view().with_definitions(vec![other, of("other")]);
        let view = view.expect("it fits");
        turn.expect(&view);
        assert!(catalogue.changes() > before);
        assert!(!has("plant") && !has("other"), "both may be so by now");
        turn.set(view);
        let applied = catalogue.changes();
        drop(turn);
        assert!(catalogue.changes() > applied);
        assert!(!has("plant") && has("other"));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_told_all_at_once() {
        let definitions = [
            defined(
                Defines::Webhook,
                "of_file",
                None,
                r#"{"url":"http://h/","events":[]}"#,
            ),
            defined(
                Defines::Webhook,
                "off",
                None,
                r#"{"url":"http://h/","events":[]}"#,
            ),
            defined(Defines::Group, "plant", None, "{}"),
            defined(
                Defines::Webhook,
                "lost",
                Some("gone"),
                r#"{"url":"http://h/"}"#,
            ),
            defined(
                Defines::Webhook,
                "denied",
                None,
                r#"{"url":"http://10.1.2.3/","events":[]}"#,
            ),
            defined(Defines::Webhook, "torn", None, "{"),
            defined(
                Defines::Webhook,
                "of_another",
                Some("plant"),
                r#"{"url":"http://h/"}"#,
            ),
            defined(Defines::Webhook, "good", None, r#"{"url":"http://h/"}"#),
        ];
        let (config, clashes) = compose(&file(), &definitions);
        let names: Vec<&str> = config.webhooks.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["of_file", "good"]);
        let said: Vec<String> = clashes.iter().map(ToString::to_string).collect();
        assert_eq!(clashes.len(), definitions.len() - 1, "{said:#?}");
        assert!(
            said[0].contains("the group `plant` is in the configuration file"),
            "{said:#?}"
        );
        assert!(said[3].contains("unknown group `gone`"), "{said:#?}");
        assert!(said[4].contains("never connects"), "{said:#?}");
        assert!(said[6].contains("of the group `plant`"), "{said:#?}");
    }

    #[test]
    fn what_is_wrong_says_no_secret() {
        let definitions = [
            r#"{"url":"http://user:SESAME@h:port/"}"#,
            r#"{"url":"http://user:SESAME@/"}"#,
            r#"{"url":"user:SESAME@h/x"}"#,
            r#"{"url":"h/x?key=SESAME"}"#,
            r#"{"url":"http://h/{{ x }}?key=SESAME"}"#,
            r#"{"url":"http://h/ ?key=SESAME"}"#,
            r#"{"url":["http://h/?SESAME"]}"#,
            r#"{"url":"http://h/","auth":{"type":"oauth2","client_id":"c","client_secret":"SESAME","token_url":"http://u:SESAME@/"}}"#,
            r#"{"url":"http://h/","auth":{"type":"basic","username":"u:v","password":"SESAME\u0000"}}"#,
            r#"{"url":"http://h/","auth":{"type":"bearer","token":"SESAME\n"}}"#,
            r#"{"url":"http://h/","auth":{"type":"header","name":"host","value":"SESAME\n"}}"#,
            r#"{"url":"http://h/","auth":{"type":"bearer","token":["SESAME"]}}"#,
            r#"{"url":"http://h/","auth":{"typ":"bearer","tokn":"SESAME"}}"#,
            r#"{"url":"http://h/","auth":"SESAME"}"#,
            r#"{"url":"http://h/","sign":{"secret":"SESAME"}}"#,
            r#"{"url":"http://h/","sign":{"secrets":["SESAME","whsec_SESAME"]}}"#,
            r#"{"url":"http://h/","sign":{"scheme":"mender","secret":"SESAME"}}"#,
            r#"{"url":"http://h/","sign":"SESAME"}"#,
            r#"{"url":"http://h/","headers":{"x":"SESAME\n"}}"#,
            r#"{"url":"http://h/","headers":{"content-length":"SESAME"}}"#,
            r#"{"url":"http://h/","headers":{"x":"{{ SESAME }"}}"#,
            r#"{"url":"http://h/","headers":"SESAME"}"#,
            r#"{"url":"http://h/","passwort":"SESAME"}"#,
        ];
        for definition in definitions {
            let json = serde_json::from_str(definition).expect("JSON");
            let (webhook, mistakes) = json::webhook(&file(), "a", None, &json);
            assert!(webhook.is_none(), "{definition}");
            let said = format!("{mistakes:?}");
            assert!(!said.contains("SESAME"), "{definition}: {said}");
        }
    }

    #[test]
    fn a_definition_reaches_no_file_and_changes_no_policy() {
        let check = |json: &str, pointer: &str| {
            let json = serde_json::from_str(json).expect("JSON");
            let (webhook, mistakes) = json::webhook(&file(), "a", None, &json);
            assert!(webhook.is_none(), "{json}");
            let found = mistakes.iter().any(|mistake| mistake.pointer == pointer);
            assert!(found, "expected a mistake at {pointer}, got {mistakes:#?}");
        };
        check(
            r#"{"url":"http://h/","network":{"allow":["10.0.0.0/8"]}}"#,
            "/network",
        );
        check(r#"{"url":"http://h/","proxy":"http://p:1"}"#, "/proxy");
        check(
            r#"{"url":"http://h/","auth":{"type":"bearer","token_file":"/etc/shadow"}}"#,
            "/auth/token_file",
        );
        check(
            r#"{"url":"https://h/","tls":{"keyfile":"/etc/shadow"}}"#,
            "/tls/keyfile",
        );
        check(
            r#"{"url":"http://h/","sign":{"secret_files":["/etc/shadow"]}}"#,
            "/sign/secret_files",
        );
        check(r#"{"url":"http://h/","timeout":"soon"}"#, "/timeout");
        check(
            r#"{"url":"http://h/","events":[{"event":"on_fire"}]}"#,
            "/events/0/event",
        );
        check(r#"{"url":7}"#, "/url");
        check("[]", "");
        check(
            &format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100)),
            "",
        );
    }
}
