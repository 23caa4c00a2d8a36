//! Which addresses may be connected to, and by way of which proxy: `network`, and what a webhook
//! says of itself.

use super::complaint::Complaint;
use super::credential::Reader;
use super::problem::Problem;
use super::scalar::text;
use super::schema::Context;
use super::section::Section;
use super::value::Value;
use crate::credential::Secret;
use crate::http;
use crate::http::Target;
use crate::http::auth::Config as Auth;
use crate::http::policy::{Entry, EntryError, Policy};
use crate::http::proxy::{NoProxy, Proxy, ProxyUrlError};

/// What to write into the lists of addresses.
const ENTRY_HELP: &str =
    "write a range such as \"10.0.0.0/8\", an address, or a host such as \"*.example.org\"";

/// What to write into the list of what needs no proxy.
const NO_PROXY_HELP: &str = "write a list such as [\"localhost\", \"example.org\", \"10.0.0.0/8\"]";

/// What holds for all webhooks that do not say otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct Network {
    policy: Policy,
    choice: Choice,
    no_proxy: NoProxy,
}

/// What connects to receivers.
#[derive(Debug, Clone, Default)]
enum Choice {
    #[default]
    None,
    Environment,
    Proxy(Proxy),
}

/// Reads `network`.
pub(super) fn read(mut section: Section<'_>, context: &Context<'_>) -> Network {
    let mut network = Network::default();
    lists(&mut section, &mut network.policy);
    network.choice = choice(&mut section, context).unwrap_or_default();
    if let Some(hosts) = hosts(&mut section) {
        network.no_proxy = NoProxy::new(hosts.iter().map(String::as_str));
    }
    section.finish();
    network
}

/// Reads what a webhook says of it, with what holds for all; returns how proxies are chosen.
pub(super) fn of_webhook(
    section: &mut Section<'_>,
    http: &mut http::Config,
    context: &Context<'_>,
) -> Proxies {
    http.network = context.network.borrow().policy.clone();
    if let Some(mut section) = section.section("network") {
        lists(&mut section, &mut http.network);
        section.finish();
    }
    let proxies = Proxies {
        choice: choice(section, context),
    };
    http.proxy = proxies.of(&http.url, section, context);
    report_denied(section, &["url"], &http.url, http);
    proxies
}

/// What a webhook says of proxies; `None` if it leaves that to `network`.
pub(super) struct Proxies {
    choice: Option<Choice>,
}

impl Proxies {
    /// Chooses what connects to the endpoint of tokens, if there is one, and judges that.
    pub(super) fn of_tokens(
        &self,
        section: &Section<'_>,
        http: &mut http::Config,
        context: &Context<'_>,
    ) {
        let Auth::OAuth2(oauth2) = &mut http.auth else {
            return;
        };
        oauth2.proxy = self.of(&oauth2.token_url, section, context);
        let Auth::OAuth2(oauth2) = &http.auth else {
            return;
        };
        let endpoint = http::Config {
            proxy: oauth2.proxy.clone(),
            ..http.clone()
        };
        report_denied(
            section,
            &["auth", "token_url"],
            &oauth2.token_url,
            &endpoint,
        );
    }

    /// Returns the proxy that connects to a target.
    fn of(&self, target: &Target, section: &Section<'_>, context: &Context<'_>) -> Option<Proxy> {
        let network = context.network.borrow();
        let host = target.origin().host().unwrap_or_default();
        let choice = match &self.choice {
            None if network.no_proxy.holds(host) => &Choice::None,
            None => &network.choice,
            Some(choice) => choice,
        };
        match choice {
            Choice::None => None,
            Choice::Proxy(proxy) => Some(proxy.clone()),
            Choice::Environment => of_environment(section, target, context),
        }
    }
}

/// Reports a URL that is never connected to.
fn report_denied(section: &Section<'_>, key: &[&str], target: &Target, http: &http::Config) {
    let host = target.origin().host().unwrap_or_default();
    let judged = match &http.proxy {
        None => http.network.judge_host(host),
        Some(_) => http.network.judge_host_beyond_proxy(host),
    };
    if let Err(denied) = judged
        && let Some(entry) = section.find(key)
    {
        let complaint = Complaint::new(format!("it never connects: {denied}"));
        let complaint = complaint.help(denied.remedy());
        let path = section.path(&key.join("."));
        section.report(complaint.about(&path, entry.node.span));
    }
}

fn lists(section: &mut Section<'_>, policy: &mut Policy) {
    for (key, list) in [("allow", &mut policy.allow), ("deny", &mut policy.deny)] {
        let Some(entry) = section.entry(key) else {
            continue;
        };
        let Value::Array(elements) = &entry.node.value else {
            let complaint = Complaint::wrong_type("a list", &entry.node.value).help(ENTRY_HELP);
            section.report_about(key, complaint);
            continue;
        };
        let read = section.elements(key, elements, |node| {
            Entry::try_from(text(node)?).map_err(|error| {
                let complaint = Complaint::new(error.to_string());
                match error {
                    EntryError::PatternOfAddress | EntryError::PartOfAddress => {
                        complaint.help("write a range such as \"10.0.0.0/24\"")
                    }
                    _ => complaint.help(ENTRY_HELP),
                }
            })
        });
        *list = read.into_iter().map(|(entry, _)| entry).collect();
    }
}

/// Reads `proxy` and `proxy_auth_file`; `None` if nothing is said of a proxy.
fn choice(section: &mut Section<'_>, context: &Context<'_>) -> Option<Choice> {
    let choice = section.parse("proxy", |text| match text {
        "none" | "" => Ok(Choice::None),
        "environment" => Ok(Choice::Environment),
        url => Proxy::try_from(url).map(Choice::Proxy).map_err(complaint),
    });
    let check = |credentials: &str| {
        let checked = Secret::new(credentials);
        let stand_in = Proxy::try_from("http://h:1").map_err(complaint)?;
        let checked = stand_in.with_credentials(checked);
        checked.map(drop).map_err(|error| {
            Complaint::new(error.to_string()).help("it must have one line, user:password")
        })
    };
    let reader = Reader {
        context,
        check: &check,
    };
    let credentials = section.read("proxy_auth_file", |node| reader.file(node));
    match (choice, credentials) {
        (Some(Choice::Proxy(proxy)), Some(credentials)) => {
            // They have been checked.
            proxy.with_credentials(credentials).ok().map(Choice::Proxy)
        }
        (choice, credentials) => {
            if credentials.is_some() {
                let complaint = Complaint::new("there is no proxy that it is for");
                let complaint = complaint.help("set `proxy` beside it to the proxy's URL");
                section.report_about("proxy_auth_file", complaint);
            }
            choice
        }
    }
}

fn complaint(error: ProxyUrlError) -> Complaint {
    Complaint::new(error.to_string())
        .help("write \"http://proxy.example:3128\", \"environment\" or \"none\"")
}

fn hosts(section: &mut Section<'_>) -> Option<Vec<String>> {
    let entry = section.entry("no_proxy")?;
    let Value::Array(elements) = &entry.node.value else {
        let complaint = Complaint::wrong_type("a list", &entry.node.value).help(NO_PROXY_HELP);
        section.report_about("no_proxy", complaint);
        return None;
    };
    let hosts = section.elements("no_proxy", elements, |node| Ok(text(node)?.to_owned()));
    Some(hosts.into_iter().map(|(host, _)| host).collect())
}

/// Returns the proxy that the environment names for a target, as curl reads it.
fn of_environment(section: &Section<'_>, target: &Target, context: &Context<'_>) -> Option<Proxy> {
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| {
            let value = context.outside.env(name)?;
            (!value.is_empty()).then_some((*name, value))
        })
    };
    let host = target.origin().host().unwrap_or_default();
    if let Some((_, list)) = first(&["no_proxy", "NO_PROXY"])
        && NoProxy::new([list.as_str()]).holds(host)
    {
        return None;
    }
    let (name, url) = first(if target.is_https() {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    })?;
    let url = if url.contains("://") {
        url
    } else {
        format!("http://{url}")
    };
    match Proxy::try_from(url.as_str()) {
        Ok(proxy) => Some(proxy),
        Err(error) => {
            let message = format!("the environment variable {name} is no proxy: {error}");
            let place = section.span_of("proxy");
            // The receiver and the endpoint of tokens have the same environment.
            section.report_once(Problem::error(place, message).help("mend it, or set `proxy`"));
            None
        }
    }
}
