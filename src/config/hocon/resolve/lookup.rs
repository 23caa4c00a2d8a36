//! Looks substitutions up: in the tree, then in the environment.
//!
//! A path is followed without computing what it passes: `bar { a = 1, b = ${bar.a} }` is no
//! circle. Where it passes a substitution, that path is prolonged by the rest of this one.

use super::{Owner, Resolver, join};
use crate::config::hocon::MAX_DEPTH;
use crate::config::hocon::syntax::dotted;
use crate::config::hocon::tree::{Content, Operand, Slot, Substitution, Tree};
use crate::config::problem::Problem;
use crate::config::source::Span;
use crate::config::value::{Node, Value};

/// What one part of a value says about a path that leads into it.
enum Member {
    Found(Node),
    /// Nothing: an earlier part or layer may have it.
    Absent,
    /// This is no table, and hides all that is below it.
    Blocked,
}

/// What a path can lead into.
#[derive(Clone, Copy)]
enum Inner<'a> {
    Table(&'a Tree),
    Substitution(&'a Substitution),
    Below,
    /// A scalar or an array.
    Leaf,
}

impl<'a> Inner<'a> {
    /// Returns the parts of a value, the last first, as it overrides the others.
    fn of(content: &'a Content) -> Vec<Self> {
        match content {
            Content::Table(tree) => vec![Self::Table(tree)],
            Content::Formula(formula) => formula
                .parts
                .iter()
                .rev()
                .map(|part| Self::of_operand(&part.operand))
                .collect(),
        }
    }

    fn of_operand(operand: &'a Operand) -> Self {
        match operand {
            Operand::Table(tree) => Self::Table(tree),
            Operand::Substitution(substitution) => Self::Substitution(substitution),
            Operand::Below => Self::Below,
            Operand::Scalar(_) | Operand::Array(_) => Self::Leaf,
        }
    }
}

impl<'a> Resolver<'a> {
    /// Returns the value of a substitution; its place is that of the substitution.
    pub(super) fn substitute(
        &mut self,
        substitution: &'a Substitution,
        span: Span,
    ) -> Option<Node> {
        let failures = self.failures;
        let outer = std::mem::replace(&mut self.looked_back, false);
        let found = self.search(substitution, &[], span);
        let looked_back = std::mem::replace(&mut self.looked_back, outer);
        if let Some(node) = found {
            return Some(Node { span, ..node });
        }
        if self.failures > failures {
            return None;
        }
        if let Some(text) = self.outside.env(&substitution.path.join(".")) {
            let value = self.scalar(&Value::String(text), span)?;
            return Some(Node { value, span });
        }
        if !substitution.optional {
            self.fail_missing(substitution, looked_back, span);
        }
        None
    }

    fn fail_missing(&mut self, substitution: &Substitution, looked_back: bool, span: Span) {
        let name = dotted(&substitution.path);
        self.fail(if looked_back {
            Problem::error(span, format!("`${{{name}}}` refers to itself"))
                .help("break the circle of substitutions, or set a value before this one")
        } else {
            Problem::error(span, format!("`${{{name}}}` is not set")).help(format!(
                "set the environment variable `{name}` or a key of this name; \
                 `${{?{name}}}` may be missing"
            ))
        });
    }

    /// Looks up `rest` within what the substitution names, first relative to its file.
    fn search(
        &mut self,
        substitution: &'a Substitution,
        rest: &[&'a str],
        span: Span,
    ) -> Option<Node> {
        // Every hop keeps a layer busy; the elements of arrays alone do not.
        if self.busy.len() >= MAX_DEPTH {
            self.fail_depth(span);
            return None;
        }
        let names = substitution.path.iter().map(String::as_str);
        let path: Vec<_> = names.chain(rest.iter().copied()).collect();
        if !substitution.prefix.is_empty() {
            let prefix = substitution.prefix.iter().map(String::as_str);
            let relative: Vec<_> = prefix.chain(path.iter().copied()).collect();
            if let Some(node) = self.find(self.root, &relative, span) {
                return Some(node);
            }
        }
        self.find(self.root, &path, span)
    }

    fn find(&mut self, tree: &'a Tree, path: &[&'a str], span: Span) -> Option<Node> {
        self.step(span)?;
        let (first, rest) = path.split_first()?;
        let slot = tree.slots.get(*first)?;
        let count = self.visible_layers(slot);
        if rest.is_empty() {
            return Some(self.slot(slot, count)?.node);
        }
        self.find_inside(slot, count, rest, span)
    }

    /// Returns how many layers of a slot a look-up may see: those below the one being computed.
    fn visible_layers(&mut self, slot: &Slot) -> usize {
        match self.busy.iter().rev().find(|(id, _)| *id == slot.id) {
            Some((_, index)) => {
                self.looked_back = true;
                *index
            }
            None => slot.layers.len(),
        }
    }

    fn find_inside(
        &mut self,
        slot: &'a Slot,
        count: usize,
        path: &[&'a str],
        span: Span,
    ) -> Option<Node> {
        let mut found: Option<Node> = None;
        for (index, layer) in slot.layers[..count].iter().enumerate().rev() {
            for inner in Inner::of(&layer.content) {
                self.step(span)?;
                let node = match self.member(inner, Some((slot, index)), path, span) {
                    Member::Found(node) => node,
                    Member::Absent => continue,
                    Member::Blocked => return found,
                };
                let is_table = matches!(node.value, Value::Table(_));
                found = Some(match found {
                    None => node,
                    Some(upper) => join::overlay(node, upper),
                });
                if !is_table {
                    return found;
                }
            }
        }
        found
    }

    fn member(
        &mut self,
        inner: Inner<'a>,
        owner: Owner<'a>,
        path: &[&'a str],
        span: Span,
    ) -> Member {
        let found = match inner {
            Inner::Table(tree) => self.find(tree, path, span),
            Inner::Substitution(substitution) => {
                self.while_busy(owner, span, |this| this.search(substitution, path, span))
            }
            Inner::Below => None,
            Inner::Leaf => return Member::Blocked,
        };
        found.map_or(Member::Absent, Member::Found)
    }
}
