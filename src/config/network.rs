//! Which addresses may be connected to, and by way of which proxy: `network`, and what a webhook
//! says of itself.

use super::complaint::Complaint;
use super::problem::Problem;
use super::scalar::text;
use super::schema::{Context, path};
use super::section::Section;
use super::value::Value;
use crate::http;
use crate::http::policy::{Entry, EntryError, Policy};
use crate::http::proxy::{NoProxy, Proxy, ProxyUrlError};

/// What to write into the lists of addresses.
const ENTRY_HELP: &str =
    "write a range such as \"10.0.0.0/8\", an address, or a host such as \"*.example.org\"";

/// What to write into the list of what needs no proxy.
const NO_PROXY_HELP: &str = "write a list such as [\"localhost\", \"example.org\", \"10.0.0.0/8\"]";

/// What holds for all webhooks that do not say otherwise.
#[derive(Debug, Default)]
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

/// Reads what a webhook says of it, with what holds for all.
pub(super) fn of_webhook(
    section: &mut Section<'_>,
    http: &mut http::Config,
    context: &Context<'_>,
) {
    let network = context.network.borrow();
    http.network = network.policy.clone();
    if let Some(mut section) = section.section("network") {
        lists(&mut section, &mut http.network);
        section.finish();
    }
    let host = http.url.origin().host().unwrap_or_default();
    http.proxy = match choice(section, context) {
        Some(Choice::Proxy(proxy)) => Some(proxy),
        Some(Choice::None) => None,
        Some(Choice::Environment) => of_environment(section, http, context),
        None if network.no_proxy.holds(host) => None,
        None => match &network.choice {
            Choice::Proxy(proxy) => Some(proxy.clone()),
            Choice::None => None,
            Choice::Environment => of_environment(section, http, context),
        },
    };
    if let Err(denied) = http.network.judge_host(host)
        && section.has("url")
    {
        let complaint = Complaint::new(format!("it never connects: {denied}"));
        let help = "name the range in `network.allow` if that is meant";
        section.report_about("url", complaint.help(help));
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
                    EntryError::PatternOfAddress => {
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
    let credentials = section.read("proxy_auth_file", |node| {
        let path = path(text(node)?, context);
        let text = context.outside.read(&path).map_err(|error| {
            let reason = super::reason(&error);
            Complaint::new(format!("cannot read {}: {reason}", path.display()))
        })?;
        let line = text.trim_end_matches(['\r', '\n']).to_owned();
        if line.contains(':') && !line.chars().any(char::is_control) {
            return Ok(line);
        }
        let complaint = Complaint::new(format!("{} holds no credentials", path.display()));
        Err(complaint.help("it must have one line, user:password"))
    });
    match (choice, credentials) {
        (Some(Choice::Proxy(proxy)), Some(credentials)) => {
            Some(Choice::Proxy(proxy.with_credentials(&credentials)))
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

/// Returns the proxy that the environment names for a webhook, as curl reads it.
fn of_environment(
    section: &Section<'_>,
    http: &http::Config,
    context: &Context<'_>,
) -> Option<Proxy> {
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| {
            let value = context.outside.env(name)?;
            (!value.is_empty()).then_some((*name, value))
        })
    };
    let host = http.url.origin().host().unwrap_or_default();
    if let Some((_, list)) = first(&["no_proxy", "NO_PROXY"])
        && NoProxy::new([list.as_str()]).holds(host)
    {
        return None;
    }
    let (name, url) = first(if http.url.is_https() {
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
            section.report(Problem::error(place, message).help("mend it, or set `proxy`"));
            None
        }
    }
}
