//! Computes the values: replaces substitutions, joins pieces, merges layers.
//!
//! A substitution is looked up in the finished tree, wherever it stands, then in the
//! environment. One that leads back to the layer it stands in means the layers below
//! (HOCON.md, "Self-Referential Substitutions"): `busy` holds the layers that are being
//! computed. Nothing is remembered between look-ups, so that the answer never depends on
//! their order; `steps` and `values` bound what that, and any explosion, can cost.

mod join;
mod lookup;

use super::outside::Outside;
use super::report::Report;
use super::tree::{Content, Formula, Layer, Operand, Part, Slot, Tree};
use super::{MAX_DEPTH, MAX_VALUES};
use crate::config::problem::Problem;
use crate::config::source::Span;
use crate::config::value::{Entry, Node, Table, Value};

/// Most formulas and keys that are visited.
const MAX_STEPS: usize = 1 << 20;

/// After so many problems, nothing more is computed.
const MAX_FAILURES: usize = 1000;

/// A string counts as one value more for each so many bytes.
const BYTES_PER_VALUE: usize = 64;

/// Returns the values of the whole tree.
pub(super) fn resolve(root: &Tree, outside: &dyn Outside, report: &mut Report) -> Table {
    let mut resolver = Resolver {
        root,
        outside,
        report,
        busy: Vec::new(),
        levels: 0,
        steps: 0,
        values: 0,
        failures: 0,
        exhausted: false,
        looked_back: false,
    };
    resolver.table(root)
}

struct Resolver<'a> {
    root: &'a Tree,
    outside: &'a dyn Outside,
    report: &'a mut Report,
    /// Ids of slots and indices of their layers that are being computed.
    busy: Vec<(usize, usize)>,
    /// How many tables and arrays the current value is in.
    levels: usize,
    steps: usize,
    values: usize,
    /// How many problems were found so far, those included that were found before.
    failures: usize,
    /// Whether to compute no more.
    exhausted: bool,
    /// Whether the current look-up met a busy layer.
    looked_back: bool,
}

/// The layer that a formula is; `None` for the elements of arrays.
type Owner<'a> = Option<(&'a Slot, usize)>;

impl<'a> Resolver<'a> {
    fn table(&mut self, tree: &'a Tree) -> Table {
        let mut table = Table::with_capacity(tree.slots.len());
        for (name, slot) in &tree.slots {
            let Some(entry) = self.slot(slot, slot.layers.len()) else {
                continue;
            };
            if self
                .charge(name.len() / BYTES_PER_VALUE, entry.key_span)
                .is_none()
            {
                break;
            }
            table.insert(name.clone(), entry);
        }
        table
    }

    /// Returns the value that the lowest `count` layers of a slot have together.
    fn slot(&mut self, slot: &'a Slot, count: usize) -> Option<Entry> {
        let mut found: Option<Entry> = None;
        for (index, layer) in slot.layers[..count].iter().enumerate().rev() {
            let Some(node) = self.layer(slot, index, layer) else {
                continue;
            };
            let is_table = matches!(node.value, Value::Table(_));
            found = match found {
                None => Some(Entry {
                    key_span: layer.key_span,
                    node,
                }),
                Some(Entry {
                    key_span,
                    node: upper,
                }) => Some(Entry {
                    key_span,
                    node: join::overlay(node, upper),
                }),
            };
            if !is_table {
                break;
            }
        }
        found
    }

    fn layer(&mut self, slot: &'a Slot, index: usize, layer: &'a Layer) -> Option<Node> {
        match &layer.content {
            Content::Table(tree) => self.nested_table(tree, layer.span),
            Content::Formula(formula) => self.formula(formula, Some((slot, index))),
        }
    }

    fn formula(&mut self, formula: &'a Formula, owner: Owner<'a>) -> Option<Node> {
        self.step(formula.span)?;
        if let [part] = formula.parts.as_slice() {
            return self.operand(part, owner);
        }
        let parts: Vec<_> = formula
            .parts
            .iter()
            .map(|part| (part, self.operand(part, owner)))
            .collect();
        match join::join(parts, formula.span) {
            Ok(node) => {
                if let Some(Node {
                    value: Value::String(text),
                    ..
                }) = &node
                {
                    self.charge(text.len() / BYTES_PER_VALUE, formula.span)?;
                }
                node
            }
            Err(problem) => {
                self.fail(problem);
                None
            }
        }
    }

    fn operand(&mut self, part: &'a Part, owner: Owner<'a>) -> Option<Node> {
        match &part.operand {
            Operand::Scalar(value) => {
                let value = self.scalar(value, part.span)?;
                Some(Node {
                    value,
                    span: part.span,
                })
            }
            Operand::Table(tree) => self.nested_table(tree, part.span),
            Operand::Array(elements) => {
                self.while_busy(owner, part.span, |this| this.array(elements, part.span))
            }
            Operand::Substitution(substitution) => self.while_busy(owner, part.span, |this| {
                this.substitute(substitution, part.span)
            }),
            Operand::Below => {
                let (slot, index) = owner?;
                self.deeper(part.span, |this| Some(this.slot(slot, index)?.node))?
            }
        }
    }

    fn scalar(&mut self, value: &Value, span: Span) -> Option<Value> {
        let length = match value {
            Value::Number(text) | Value::String(text) => text.len(),
            _ => 0,
        };
        self.charge(1 + length / BYTES_PER_VALUE, span)?;
        Some(value.clone())
    }

    fn array(&mut self, elements: &'a [Formula], span: Span) -> Option<Node> {
        self.nested(span, |this| {
            Value::Array(
                elements
                    .iter()
                    .filter_map(|element| this.formula(element, None))
                    .collect(),
            )
        })
    }

    fn nested_table(&mut self, tree: &'a Tree, span: Span) -> Option<Node> {
        self.nested(span, |this| Value::Table(this.table(tree)))
    }

    fn nested(&mut self, span: Span, compute: impl FnOnce(&mut Self) -> Value) -> Option<Node> {
        self.charge(1, span)?;
        let value = self.deeper(span, compute)?;
        Some(Node { value, span })
    }

    fn deeper<T>(&mut self, span: Span, compute: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.levels >= MAX_DEPTH {
            self.fail_depth(span);
            return None;
        }
        self.levels += 1;
        let value = compute(self);
        self.levels -= 1;
        Some(value)
    }

    /// Computes with the owner marked as busy, so that look-ups from within see what is below it.
    fn while_busy<T>(
        &mut self,
        owner: Owner<'a>,
        span: Span,
        compute: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let Some((slot, index)) = owner else {
            return compute(self);
        };
        let layer = (slot.id, index);
        if self.busy.contains(&layer) {
            self.fail(
                Problem::error(span, "this value contains itself")
                    .help("break the circle of substitutions"),
            );
            return None;
        }
        self.busy.push(layer);
        let value = compute(self);
        self.busy.pop();
        value
    }

    /// Counts a step; `None`, with the problem reported, if there were too many.
    fn step(&mut self, span: Span) -> Option<()> {
        self.steps += 1;
        self.bound(self.steps <= MAX_STEPS, span)
    }

    /// Counts values; `None`, with the problem reported, if there are too many.
    fn charge(&mut self, values: usize, span: Span) -> Option<()> {
        self.values = self.values.saturating_add(values);
        self.bound(self.values <= MAX_VALUES, span)
    }

    fn bound(&mut self, within: bool, span: Span) -> Option<()> {
        if self.exhausted {
            return None;
        }
        if !within {
            self.exhausted = true;
            self.fail(
                Problem::error(
                    span,
                    format!("the configuration grows beyond {MAX_VALUES} values here"),
                )
                .help("substitute less; a value that refers to another twice doubles it"),
            );
        }
        within.then_some(())
    }

    /// Reports that the values nest too deep; one report is enough.
    fn fail_depth(&mut self, span: Span) {
        if !self.exhausted {
            self.fail(
                Problem::error(span, format!("nested deeper than {MAX_DEPTH} levels"))
                    .help("flatten the configuration, or substitute less"),
            );
        }
        self.exhausted = true;
    }

    fn fail(&mut self, problem: Problem) {
        self.failures += 1;
        self.exhausted |= self.failures >= MAX_FAILURES;
        self.report.add(problem);
    }
}
