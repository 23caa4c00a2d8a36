//! Problems as a person reads them.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::problem::{Problem, Severity};
use super::source::Sources;

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
    let title = level.primary_title(problem.message.as_str());
    let mut group = match problem.span {
        None => Group::with_title(title),
        Some(span) => {
            let source = sources.get(span.source);
            let range = within(&source.text, span.start, span.end);
            title.element(
                Snippet::source(source.text.as_str())
                    .path(source.name.as_str())
                    .annotation(AnnotationKind::Primary.span(range)),
            )
        }
    };
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

/// A table that spans many lines is shown by its first line.
fn within(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let line_end = text[start..]
        .find('\n')
        .map_or(text.len(), |length| start + length);
    start..end.min(line_end).max(start)
}
