//! Turns statements into keys of the tree, in the order in which they are written.

use std::rc::Rc;

use super::{Formula, Operand, Part, Slot, Substitution, Tree, load};
use crate::config::hocon::MAX_DEPTH;
use crate::config::hocon::outside::Outside;
use crate::config::hocon::report::Report;
use crate::config::hocon::syntax::{self, Expression, Key, Operator};
use crate::config::problem::Problem;
use crate::config::source::{SourceId, Sources, Span};
use crate::config::value::Value;

/// Returns the tree of a file and all that it includes.
pub(in crate::config::hocon) fn build(
    sources: &mut Sources,
    root: SourceId,
    outside: &dyn Outside,
    report: &mut Report,
) -> Tree {
    let mut tree = Tree::default();
    let mut builder = Builder {
        files: load::Files::new(sources, outside),
        report,
        slots: 0,
    };
    builder.root(root, &mut tree);
    tree
}

/// What is needed while the files are read.
pub(super) struct Builder<'a> {
    pub(super) files: load::Files<'a>,
    pub(super) report: &'a mut Report,
    /// How many slots there are so far: the next one's id.
    slots: usize,
}

/// Where in the tree a statement stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The keys that lead to it; `None` within an array or a joined value, where none do.
    path: Option<Rc<Link>>,
    /// The keys that lead to its file.
    prefix: Rc<[String]>,
    /// How many tables and arrays it is in.
    depth: usize,
}

/// A key of a path and the path above it; the root has no key.
#[derive(Debug)]
struct Link {
    above: Option<Rc<Link>>,
    name: String,
}

impl Place {
    pub(super) fn root() -> Self {
        let root = Link {
            above: None,
            name: String::new(),
        };
        Self {
            path: Some(Rc::new(root)),
            prefix: Rc::new([]),
            depth: 0,
        }
    }

    /// Returns the place of the statements of a file that is included here.
    pub(super) fn of_file(&self) -> Self {
        Self {
            prefix: self.keys(),
            ..self.clone()
        }
    }

    fn keys(&self) -> Rc<[String]> {
        let links = std::iter::successors(self.path.as_ref(), |link| link.above.as_ref());
        let mut keys: Vec<_> = links
            .filter(|link| link.above.is_some())
            .map(|link| link.name.clone())
            .collect();
        keys.reverse();
        keys.into()
    }

    fn below(&self, keys: &[Key]) -> Self {
        let path = self.path.as_ref().map(|path| {
            keys.iter().fold(Rc::clone(path), |above, key| {
                Rc::new(Link {
                    above: Some(above),
                    name: key.name.clone(),
                })
            })
        });
        Self {
            path,
            prefix: Rc::clone(&self.prefix),
            depth: self.depth + keys.len(),
        }
    }

    fn nameless(&self) -> Self {
        Self {
            path: None,
            prefix: Rc::clone(&self.prefix),
            depth: self.depth + 1,
        }
    }
}

impl Builder<'_> {
    pub(super) fn object(&mut self, object: syntax::Object, place: &Place, tree: &mut Tree) {
        for item in object.items {
            match item {
                syntax::Item::Field(field) => self.field(field, place, tree),
                syntax::Item::Include(include) => self.include(&include, place, tree),
            }
        }
    }

    fn field(&mut self, field: syntax::Field, place: &Place, tree: &mut Tree) {
        let place = place.below(&field.path);
        let key_span = field
            .path
            .iter()
            .fold(field.path[0].span, |all, key| all.to(key.span));
        if place.depth > MAX_DEPTH {
            self.report_depth(key_span);
            return;
        }
        let Some((last, parents)) = field.path.split_last() else {
            return;
        };
        let mut tree = tree;
        for key in parents {
            tree = self.slot(tree, key).table(key.span, field.value.span);
        }
        if field.operator == Operator::Append {
            let element = self.formula(field.value, &place.nameless());
            self.slot(tree, last).append(&last.name, last.span, element);
            return;
        }
        match only_object(field.value) {
            Ok((object, span)) => {
                let table = self.slot(tree, last).table(last.span, span);
                self.object(object, &place, table);
            }
            Err(value) => {
                let formula = self.formula(value, &place);
                self.slot(tree, last).set(last.span, formula);
            }
        }
    }

    fn slot<'t>(&mut self, tree: &'t mut Tree, key: &Key) -> &'t mut Slot {
        tree.slots.entry(key.name.clone()).or_insert_with(|| {
            self.slots += 1;
            Slot {
                id: self.slots,
                layers: Vec::new(),
            }
        })
    }

    fn formula(&mut self, expression: Expression, place: &Place) -> Formula {
        let parts = expression.pieces.into_iter().map(|piece| Part {
            gap: piece.gap,
            span: piece.span,
            operand: self.operand(piece.term, piece.span, place),
        });
        Formula {
            parts: parts.collect(),
            span: expression.span,
        }
    }

    fn operand(&mut self, term: syntax::Term, span: Span, place: &Place) -> Operand {
        match term {
            syntax::Term::Scalar(value) => Operand::Scalar(value),
            syntax::Term::Substitution(substitution) => Operand::Substitution(Substitution {
                path: substitution.path,
                prefix: Rc::clone(&place.prefix),
                optional: substitution.optional,
            }),
            syntax::Term::Array(_) | syntax::Term::Object(_) if place.depth >= MAX_DEPTH => {
                self.report_depth(span);
                Operand::Scalar(Value::Null)
            }
            syntax::Term::Array(elements) => {
                let place = place.nameless();
                let elements = elements
                    .into_iter()
                    .map(|element| self.formula(element, &place));
                Operand::Array(elements.collect())
            }
            syntax::Term::Object(object) => {
                let mut tree = Tree::default();
                self.object(object, &place.nameless(), &mut tree);
                Operand::Table(tree)
            }
        }
    }

    fn report_depth(&mut self, span: Span) {
        self.report.add(
            Problem::error(span, format!("nested deeper than {MAX_DEPTH} levels"))
                .help("flatten the configuration"),
        );
    }
}

/// Returns the object if the expression is one object and nothing else.
fn only_object(mut expression: Expression) -> Result<(syntax::Object, Span), Expression> {
    if expression.pieces.len() != 1 {
        return Err(expression);
    }
    match expression.pieces.pop() {
        Some(syntax::Piece {
            term: syntax::Term::Object(object),
            span,
            ..
        }) => Ok((object, span)),
        other => {
            expression.pieces.extend(other);
            Err(expression)
        }
    }
}
