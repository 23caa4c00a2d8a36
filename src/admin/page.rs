//! The web page: files of `web/`, which are part of the program and served as they are.
//!
//! | route | |
//! |---|---|
//! | `GET /` | the page, which asks for a token where one is needed |
//! | `GET /ui/{file}` | what it is made of |
//!
//! Browsers get them compressed, which is done once for each, when it is first asked for.
//!
//! Nothing secret is in them, so they need no token. [`POLICY`] keeps a browser from running what did not come from here, also
//! if the name of a device should ever be taken for markup; from being framed; and from asking other hosts.

use std::sync::OnceLock;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, Response};

use super::{Problem, Segment, Tag};
use crate::http::Compression;

/// What a browser may do for the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Fields of every answer.
const FIELDS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    // It is kept, and asked for each time whether it is still the same: after an update nothing old is mixed with the new.
    (CACHE_CONTROL, "no-cache"),
    (VARY, "accept-encoding"),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
    /// As gzip, or as it is if that is no smaller.
    compressed: OnceLock<(Bytes, Option<HeaderValue>)>,
}

impl File {
    const fn new(name: &'static str, media_type: &'static str, content: &'static str) -> Self {
        Self {
            name,
            media_type,
            content,
            compressed: OnceLock::new(),
        }
    }

    /// Returns what is sent to whom asks with these fields, and its `Content-Encoding` if it has one.
    fn encoded(&self, headers: &HeaderMap) -> (Bytes, Option<HeaderValue>) {
        let plain = Bytes::from_static(self.content.as_bytes());
        if !takes_gzip(headers) {
            return (plain, None);
        }
        let compressed = || Compression::Gzip.compress(plain);
        self.compressed.get_or_init(compressed).clone()
    }
}

macro_rules! files {
    ($($name:literal $media_type:expr;)*) => {
        [$(File::new($name, $media_type, include_str!(concat!("../../web/", $name))),)*]
    };
}

static INDEX: File = File::new(
    "index.html",
    "text/html; charset=utf-8",
    include_str!("../../web/index.html"),
);

static FILES: [File; 22] = files! {
    "api.js" SCRIPT;
    "app.js" SCRIPT;
    "dead_letters.js" SCRIPT;
    "deliveries.js" SCRIPT;
    "devices.js" SCRIPT;
    "dom.js" SCRIPT;
    "event.js" SCRIPT;
    "events.js" SCRIPT;
    "group.js" SCRIPT;
    "groups.js" SCRIPT;
    "icon.svg" "image/svg+xml";
    "login.js" SCRIPT;
    "spark.js" SCRIPT;
    "style.css" "text/css; charset=utf-8";
    "text.js" SCRIPT;
    "theme.js" SCRIPT;
    "tokens.js" SCRIPT;
    "ui.js" SCRIPT;
    "webhook.js" SCRIPT;
    "webhook_acts.js" SCRIPT;
    "webhook_form.js" SCRIPT;
    "webhooks.js" SCRIPT;
};

pub(super) async fn index(headers: HeaderMap) -> Response<Body> {
    answer(&INDEX, &headers)
}

pub(super) async fn file(
    Segment(name): Segment,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let file = FILES.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| Problem::not_found("the page has no such file"))?;
    Ok(answer(file, &headers))
}

fn answer(file: &File, headers: &HeaderMap) -> Response<Body> {
    let (body, encoding) = file.encoded(headers);
    // Two encodings are two representations, which a cache must not take for each other.
    let tag = Tag::of(&(file.content, encoding.is_some()));
    let mut response = if tag.is_known(headers) {
        tag.not_modified()
    } else {
        tag.on(Response::new(Body::from(body)))
    };
    let fields = response.headers_mut();
    for (name, value) in FIELDS.into_iter().chain([(CONTENT_TYPE, file.media_type)]) {
        fields.insert(name, HeaderValue::from_static(value));
    }
    if let Some(encoding) = encoding {
        fields.insert(CONTENT_ENCODING, encoding);
    }
    response
}

/// Returns whether `Accept-Encoding` names gzip, and not with the weight 0 (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).into_iter();
    let mut codings = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        let is_refused = weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::http::StatusCode;
    use axum::http::header::{ETAG, IF_NONE_MATCH};
    use flate2::read::GzDecoder;

    use super::*;

    /// What a page in whole may take on the way over a slow link.
    const MOST_BYTES: usize = 45_000;

    fn headers(accepted: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))])
    }

    #[test]
    fn the_page_is_small_on_the_way_and_whole_behind_it() {
        let mut all = 0;
        for file in FILES.iter().chain([&INDEX]) {
            let (body, encoding) = file.encoded(&headers("br, gzip;q=0.8"));
            all += body.len();
            if encoding.is_some() {
                let mut text = String::new();
                let read = GzDecoder::new(&*body).read_to_string(&mut text);
                assert!(read.is_ok() && text == file.content, "{}", file.name);
            }
        }
        assert!(
            all < MOST_BYTES,
            "expected less than {MOST_BYTES}, got {all}"
        );
    }

    #[test]
    fn only_who_takes_gzip_gets_it() {
        for accepted in ["", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip"] {
            let response = answer(&INDEX, &headers(accepted));
            assert_eq!(response.headers().get(CONTENT_ENCODING), None, "{accepted}");
        }
        let response = answer(&INDEX, &headers("GZIP"));
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(response.headers()[VARY], "accept-encoding");
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again_and_not_as_the_other_encoding() {
        let plain = answer(&INDEX, &HeaderMap::new()).headers()[ETAG].clone();
        let compressed = answer(&INDEX, &headers("gzip")).headers()[ETAG].clone();
        assert_ne!(plain, compressed);
        for (tag, status) in [
            (compressed, StatusCode::NOT_MODIFIED),
            (plain, StatusCode::OK),
        ] {
            let mut asked = headers("gzip");
            asked.insert(IF_NONE_MATCH, tag);
            assert_eq!(answer(&INDEX, &asked).status(), status);
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let entries = std::fs::read_dir(folder).expect("the folder is there");
        let names = entries.map(|entry| entry.expect("it can be read").file_name());
        let mut names: Vec<String> = names
            .map(|name| name.into_string().expect("it is ASCII"))
            .collect();
        names.sort();
        let mut served: Vec<&str> = FILES.iter().chain([&INDEX]).map(|file| file.name).collect();
        served.sort_unstable();
        assert_eq!(served, names);
    }

    #[test]
    fn scripts_import_what_is_served() {
        for file in FILES.iter().filter(|file| file.media_type == SCRIPT) {
            for line in file
                .content
                .lines()
                .filter(|line| line.starts_with("import "))
            {
                let imported = line
                    .split("\"./")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next());
                let imported = imported.expect("an import of a file beside it");
                assert!(
                    FILES.iter().any(|file| file.name == imported),
                    "{}: {line}",
                    file.name
                );
            }
        }
    }

    #[test]
    fn nothing_parses_markup_or_runs_text() {
        const SINKS: [&str; 9] = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "DOMParser",
            "javascript:",
            "http://",
        ];
        for file in FILES.iter().filter(|file| file.media_type == SCRIPT) {
            // The one address is a name: that of SVG's elements.
            let content = file.content.replace("http://www.w3.org/2000/svg", "");
            for sink in SINKS {
                assert!(!content.contains(sink), "{}: {sink}", file.name);
            }
        }
    }
}
