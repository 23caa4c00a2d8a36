//! The web page: files of `web/`, which are part of the program and served as they are.
//!
//! | route | |
//! |---|---|
//! | `GET /` | the page, which asks for a token where one is needed |
//! | `GET /ui/{file}` | what it is made of |
//!
//! Nothing secret is in them, so they need no token. [`POLICY`] keeps a browser from running what did not come from here, also
//! if the name of a device should ever be taken for markup; from being framed; and from asking other hosts.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY,
};
use axum::http::{HeaderMap, Response, StatusCode};

use super::{Problem, Segment, Tag};

/// What a browser may do for the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Fields of every answer.
const FIELDS: [(HeaderName, &str); 5] = [
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
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

macro_rules! files {
    ($($name:literal $media_type:expr;)*) => {
        [$(File { name: $name, media_type: $media_type, content: include_str!(concat!("../../web/", $name)) },)*]
    };
}

static INDEX: File = File {
    name: "index.html",
    media_type: "text/html; charset=utf-8",
    content: include_str!("../../web/index.html"),
};

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
    let mut response = Tag::of(&file.content).on(Response::new(Body::from(file.content)));
    if headers.get(IF_NONE_MATCH) == response.headers().get(ETAG) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
    }
    let media_type = (CONTENT_TYPE, file.media_type);
    for (name, value) in FIELDS.into_iter().chain([media_type]) {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
