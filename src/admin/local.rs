//! Whether a request comes from a program on this host, and not from a page that a browser on this host shows.
//!
//! While there are no tokens, whoever reaches the loopback interface may do everything. So do pages of any site in a browser here:
//! their name may be made to resolve to 127.0.0.1 (DNS rebinding), which the `Host` field gives away, and they may send
//! requests whose answer they cannot read, which `Origin` and `Sec-Fetch-Site` do. A proxy on this host would lend its own address to
//! everybody, and says that it is one, or speaks HTTP/1.0, as nginx does where nobody has set it up.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Version};

use super::Problem;

/// Fields that proxies add.
const OF_PROXIES: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Refuses what does not come from a program on this host.
pub(super) fn refuse_others(
    peer: SocketAddr,
    version: Version,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if !is_loopback(peer.ip()) {
        return Err(Problem::unauthorized(
            "there is no token, so only programs on mqhook's host may ask",
        ));
    }
    let says_so = OF_PROXIES.iter().any(|name| headers.contains_key(*name));
    if says_so || version < Version::HTTP_11 {
        return Err(Problem::not_local(
            "the request came over a proxy; make a token, with `mqhook tokens create`",
        ));
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if hosts.next().is_some() || !host.is_some_and(names_loopback) {
        return Err(Problem::not_local(
            "without a token the Host must be 127.0.0.1, [::1] or localhost",
        ));
    }
    Ok(())
}

/// Refuses a change that the page of another site asks for.
pub(super) fn refuse_foreign_pages(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_own_site =
        text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let host = text(HOST.as_str()).unwrap_or_default();
    let is_own_origin = text(ORIGIN.as_str()).is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    });
    if is_own_site && is_own_origin {
        Ok(())
    } else {
        Err(Problem::foreign_origin())
    }
}

/// Returns whether an address is of this host only.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns whether a `Host` field names the loopback interface.
fn names_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    let address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            let name = axum::http::HeaderName::from_static(name);
            (name, value.parse().expect("a value"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn only_names_of_loopback_are_loopback() {
        let check = |host: &str, expected| assert_eq!(names_loopback(host), expected, "{host}");
        for host in [
            "127.0.0.1",
            "127.0.0.1:9883",
            "127.9.9.9",
            "[::1]",
            "[::1]:80",
            "localhost",
            "LOCALHOST:9883",
            "[::ffff:127.0.0.1]:1",
        ] {
            check(host, true);
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.example:127",
            "x@127.0.0.1",
            "127.0.0.1@evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "127.0.0.1/x",
            "2130706433",
            "::1",
        ] {
            check(host, false);
        }
    }

    #[test]
    fn without_a_token_only_this_host_may_ask() {
        let check = |peer: &str, fields: &[(&'static str, &str)], expected| {
            let peer = peer.parse().expect("an address");
            let is_let_in = refuse_others(peer, Version::HTTP_11, &headers(fields)).is_ok();
            assert_eq!(is_let_in, expected, "{peer} {fields:?}");
        };
        check("127.0.0.1:5", &[("host", "127.0.0.1:9883")], true);
        check("[::1]:5", &[("host", "localhost")], true);
        check("[::ffff:127.0.0.1]:5", &[("host", "localhost")], true);
        check("192.0.2.1:5", &[("host", "127.0.0.1")], false);
        check("127.0.0.1:5", &[], false);
        check("127.0.0.1:5", &[("host", "rebound.example")], false);
        check(
            "127.0.0.1:5",
            &[("host", "localhost"), ("host", "evil.example")],
            false,
        );
        check(
            "127.0.0.1:5",
            &[("host", "localhost"), ("x-forwarded-for", "1.2.3.4")],
            false,
        );
        check(
            "127.0.0.1:5",
            &[("host", "localhost"), ("via", "1.1 proxy")],
            false,
        );
        // What nginx sends for everybody behind `proxy_pass http://127.0.0.1:9883;`.
        let of_nginx = headers(&[("host", "127.0.0.1:9883"), ("connection", "close")]);
        let peer = "127.0.0.1:5".parse().expect("an address");
        assert!(refuse_others(peer, Version::HTTP_10, &of_nginx).is_err());
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let check = |method: Method, fields: &[(&'static str, &str)], expected| {
            let is_let_in = refuse_foreign_pages(&method, &headers(fields)).is_ok();
            assert_eq!(is_let_in, expected, "{method} {fields:?}");
        };
        let host = ("host", "localhost:9883");
        check(Method::POST, &[host], true);
        check(
            Method::POST,
            &[host, ("origin", "http://localhost:9883")],
            true,
        );
        check(
            Method::POST,
            &[host, ("sec-fetch-site", "same-origin")],
            true,
        );
        check(
            Method::POST,
            &[host, ("origin", "http://evil.example")],
            false,
        );
        check(
            Method::POST,
            &[host, ("origin", "http://localhost:1")],
            false,
        );
        check(Method::POST, &[host, ("origin", "null")], false);
        check(
            Method::DELETE,
            &[host, ("sec-fetch-site", "cross-site")],
            false,
        );
        check(Method::PUT, &[host, ("sec-fetch-site", "same-site")], false);
        check(Method::POST, &[("origin", "http://localhost:9883")], false);
        check(
            Method::GET,
            &[host, ("origin", "http://evil.example")],
            true,
        );
    }
}
