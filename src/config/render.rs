//! Problems as a person reads them.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::problem::{Problem, Severity};
use super::source::Sources;
use crate::terminal::{escaped, is_hostile};

/// Writes problems, each with its line and how to mend it.
pub(super) fn problems(problems: &[Problem], sources: &Sources, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let texts = problems.iter().map(|problem| {
        let group = group(problem, sources);
        renderer.render(&[group])
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

fn group<'a>(problem: &'a Problem, sources: &'a Sources) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(safe(&problem.message));
    let mut group = match (problem.span, sources.first()) {
        (Some(span), _) => {
            let source = sources.get(span.source);
            let range = within_line(&source.text, span.start, span.end);
            title.element(
                Snippet::source(source.text.as_str())
                    .path(safe(&source.name))
                    .annotation(AnnotationKind::Primary.span(range)),
            )
        }
        (None, Some(source)) => title.element(Origin::path(safe(&source.name))),
        (None, None) => Group::with_title(title),
    };
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(safe(help)));
    }
    group
}

/// Returns a text as a terminal shows it: messages name keys and values, which may hold anything.
fn safe(text: &str) -> Cow<'_, str> {
    escaped(text, is_hostile)
}

/// Returns the part of a range that is on its first line; of a table that goes on beyond that,
/// the bracket that opens it.
fn within_line(text: &str, start: usize, end: usize) -> Range<usize> {
    let marked = &text[start..end];
    match marked.split_once('\n') {
        None => start..end,
        Some((first, _)) if first.starts_with(['{', '[']) => start..start + 1,
        Some((first, _)) => start..start + first.trim_end().len(),
    }
}
