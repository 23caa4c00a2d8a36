//! Merges what all files say into one tree, with everything that substitutions may still need.
//!
//! Every key has its values in layers, the newest on top. A value that is known as it stands
//! drops the layers below it; one that depends on a substitution keeps them, because
//! `${?x}` may turn out to be nothing and `${path}":x"` may refer to what was there before
//! (HOCON.md, "Self-Referential Substitutions").

mod build;
mod load;

use std::rc::Rc;

use indexmap::IndexMap;

use crate::config::source::Span;
use crate::config::value::Value;

pub(super) use build::build;

/// A table whose values are not computed yet.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub slots: IndexMap<String, Slot>,
}

/// A key of a [`Tree`].
#[derive(Debug)]
pub(super) struct Slot {
    /// Unique in the whole configuration.
    pub id: usize,
    /// The oldest first; never empty.
    pub layers: Vec<Layer>,
}

/// One value that was given to a key.
#[derive(Debug)]
pub(super) struct Layer {
    pub key_span: Span,
    pub span: Span,
    pub content: Content,
}

/// What a layer says.
#[derive(Debug)]
pub(super) enum Content {
    /// A table as it is written; later keys are merged into it.
    Table(Tree),
    /// Anything else.
    Formula(Formula),
}

/// A value, to be joined from its parts.
#[derive(Debug)]
pub(super) struct Formula {
    /// Never empty.
    pub parts: Vec<Part>,
    pub span: Span,
}

/// One part of a formula.
#[derive(Debug)]
pub(super) struct Part {
    /// The white space before it; belongs to a joined string.
    pub gap: String,
    pub operand: Operand,
    pub span: Span,
}

/// What a part is.
#[derive(Debug)]
pub(super) enum Operand {
    Scalar(Value),
    Array(Vec<Formula>),
    Table(Tree),
    Substitution(Substitution),
    /// The value in the layers below; what `+=` adds to.
    Below,
}

/// `${path}` or `${?path}`
#[derive(Debug)]
pub(super) struct Substitution {
    pub path: Vec<String>,
    /// Where in the tree the file stands that says so; its own keys are looked for there first.
    pub prefix: Rc<[String]>,
    pub optional: bool,
}

impl Slot {
    /// Returns the table on top of the layers, so that more keys can be merged into it.
    fn table(&mut self, key_span: Span, span: Span) -> &mut Tree {
        if !matches!(
            self.layers.last(),
            Some(Layer {
                content: Content::Table(_),
                ..
            })
        ) {
            self.layers.push(Layer {
                key_span,
                span,
                content: Content::Table(Tree::default()),
            });
        }
        match self.layers.last_mut() {
            Some(Layer {
                content: Content::Table(tree),
                key_span: last_key,
                span: last,
            }) => {
                *last_key = key_span;
                *last = span;
                tree
            }
            _ => unreachable!("the layer on top is a table, or one was pushed"),
        }
    }

    fn set(&mut self, key_span: Span, formula: Formula) {
        if formula.replaces() {
            self.layers.clear();
        }
        self.layers.push(Layer {
            key_span,
            span: formula.span,
            content: Content::Formula(formula),
        });
    }

    /// Adds an element to the array on top, or an array of it to whatever is on top.
    ///
    /// The first way keeps a long row of `+=` from being a deep recursion; it would be wrong
    /// for an element that refers to the array as it was so far.
    fn append(&mut self, name: &str, key_span: Span, element: Formula) {
        if let Some(Layer {
            content: Content::Formula(top),
            key_span: last_key,
            ..
        }) = self.layers.last_mut()
            && !element.mentions(name)
            && let Some(elements) = top.elements()
        {
            *last_key = key_span;
            elements.push(element);
            return;
        }
        let span = element.span;
        let part = |operand| Part {
            gap: String::new(),
            operand,
            span,
        };
        let parts = vec![part(Operand::Below), part(Operand::Array(vec![element]))];
        let content = Content::Formula(Formula { parts, span });
        self.layers.push(Layer {
            key_span,
            span,
            content,
        });
    }
}

impl Formula {
    /// Returns whether the value hides all that was there before, whatever substitutions say.
    fn replaces(&self) -> bool {
        match self.parts.as_slice() {
            [
                Part {
                    operand: Operand::Scalar(_),
                    ..
                },
            ] => true,
            [
                Part {
                    operand: operand @ Operand::Array(_),
                    ..
                },
            ] => !operand.any_substitution(&|_| true),
            _ => false,
        }
    }

    /// Returns the elements if this is an array, or one that `+=` began.
    fn elements(&mut self) -> Option<&mut Vec<Formula>> {
        match self.parts.as_mut_slice() {
            [
                Part {
                    operand: Operand::Array(elements),
                    ..
                },
            ]
            | [
                Part {
                    operand: Operand::Below,
                    ..
                },
                Part {
                    operand: Operand::Array(elements),
                    ..
                },
            ] => Some(elements),
            _ => None,
        }
    }

    fn mentions(&self, name: &str) -> bool {
        let names = |substitution: &Substitution| substitution.path.iter().any(|key| key == name);
        self.parts
            .iter()
            .any(|part| part.operand.any_substitution(&names))
    }
}

impl Operand {
    fn any_substitution(&self, test: &dyn Fn(&Substitution) -> bool) -> bool {
        let in_formula = |formula: &Formula| {
            formula
                .parts
                .iter()
                .any(|part| part.operand.any_substitution(test))
        };
        match self {
            Self::Scalar(_) | Self::Below => false,
            Self::Substitution(substitution) => test(substitution),
            Self::Array(elements) => elements.iter().any(in_formula),
            Self::Table(tree) => tree.any_substitution(test),
        }
    }
}

impl Tree {
    fn any_substitution(&self, test: &dyn Fn(&Substitution) -> bool) -> bool {
        let mut layers = self.slots.values().flat_map(|slot| &slot.layers);
        layers.any(|layer| match &layer.content {
            Content::Table(tree) => tree.any_substitution(test),
            Content::Formula(formula) => formula
                .parts
                .iter()
                .any(|part| part.operand.any_substitution(test)),
        })
    }
}
