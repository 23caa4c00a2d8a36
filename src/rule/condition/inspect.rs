//! What a condition may say: its variables, its functions, and how much it may cost.

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, MapExpr, operators,
};
use thiserror::Error;

use super::subject;
use crate::event::Kind;

/// The most nodes of an expression, with those that `exists` and its like are made of.
const MAX_NODES: usize = 256;

/// The deepest that they may nest: evaluation needs up to 40 KiB of stack for each, in a debug build.
const MAX_DEPTH: usize = 20;

/// The most `exists`, `all`, `exists_one` and `filter`.
const MAX_LOOPS: usize = 4;

/// Functions that are called on a value, such as `topic.startsWith("plant/")`, with how many arguments.
const METHODS: [(&str, usize); 4] = [
    ("contains", 1),
    ("startsWith", 1),
    ("endsWith", 1),
    ("size", 0),
];

/// Functions of one value, such as `size(payload.readings)`.
const FUNCTIONS: [&str; 6] = ["size", "int", "uint", "double", "string", "bool"];

/// What the parser makes of operators that are neither true nor false.
const ARITHMETIC: [&str; 6] = [
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
];

/// What the parser makes of operators that are true or false, of `[]`, and of the ternary one.
const OPERATORS: [&str; 13] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::INDEX,
    operators::IN,
    operators::NOT_STRICTLY_FALSE,
];

/// Why an expression cannot be a condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// It has more than [`MAX_BYTES`](super::MAX_BYTES).
    #[error("it has more than {} bytes", super::MAX_BYTES)]
    TooLong,
    /// It has more than 256 nodes.
    #[error("it has too many parts")]
    TooMany,
    /// It nests deeper than 20.
    #[error("it nests too deep")]
    TooDeep,
    /// One `exists` or the like is within another, or there are more than four.
    #[error(
        "`exists`, `all`, `exists_one` and `filter` may not be within each other, nor more than 4"
    )]
    TooManyLoops,
    /// `map` can make much of little.
    #[error("there is no `map`")]
    Map,
    /// It has a variable that no event has.
    #[error("unknown variable `{0}`")]
    UnknownVariable(String),
    /// It has a variable that events of this kind do not have.
    #[error("`{kind}` has no `{name}`")]
    ForeignVariable {
        /// The variable.
        name: String,
        /// The rule's kind.
        kind: Kind,
    },
    /// It calls what is no function, or not as it must be called.
    #[error("there is no function `{0}` that is called like this")]
    UnknownFunction(String),
    /// It is not a question.
    #[error("it is neither true nor false")]
    NotBoolean,
    /// Something else that CEL knows and conditions do not, or that the parser fails at.
    #[error("it cannot be read")]
    Unreadable,
}

impl Fault {
    /// Returns what would be right, for people.
    #[must_use]
    pub fn known(&self, kind: Kind) -> Option<(&'static str, Vec<&'static str>)> {
        match self {
            Self::UnknownVariable(_) | Self::ForeignVariable { .. } => {
                Some(("variable", subject::variables(kind).collect()))
            }
            Self::UnknownFunction(_) => {
                let methods = METHODS.iter().map(|(name, _)| *name);
                let rest = ["int", "uint", "double", "string", "bool", "has"];
                let loops = ["exists", "all", "exists_one", "filter"];
                Some(("function", methods.chain(rest).chain(loops).collect()))
            }
            _ => None,
        }
    }

    /// Returns the name that is wrong, if one is.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::UnknownVariable(name)
            | Self::ForeignVariable { name, .. }
            | Self::UnknownFunction(name) => Some(name),
            _ => None,
        }
    }
}

/// Checks an expression that shall be a condition on events of a kind.
pub(super) fn inspect(expression: &IdedExpr, kind: Kind) -> Result<(), Fault> {
    let mut inspection = Inspection {
        kind,
        nodes: 0,
        loops: 0,
        scope: None,
    };
    inspection.visit(expression, 0)?;
    if can_be_boolean(&expression.expr) {
        Ok(())
    } else {
        Err(Fault::NotBoolean)
    }
}

/// Returns whether there is any hope that it is true or false.
fn can_be_boolean(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => false,
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            let is_conversion = FUNCTIONS.contains(&name) && name != "bool";
            !ARITHMETIC.contains(&name) && !is_conversion
        }
        _ => true,
    }
}

struct Inspection<'e> {
    kind: Kind,
    nodes: usize,
    loops: usize,
    /// The variables of the loop that is looked at: the element's and the result's.
    scope: Option<[&'e str; 2]>,
}

impl<'e> Inspection<'e> {
    fn visit(&mut self, expression: &'e IdedExpr, depth: usize) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Fault::TooMany);
        }
        if depth > MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        let depth = depth + 1;
        match &expression.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.visit(&select.operand, depth),
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::List(list) => self.all(&list.elements, depth),
            Expr::Map(map) => self.map(map, depth),
            Expr::Struct(_) | Expr::Unspecified => Err(Fault::Unreadable),
        }
    }

    fn all(&mut self, expressions: &'e [IdedExpr], depth: usize) -> Result<(), Fault> {
        let mut expressions = expressions.iter();
        expressions.try_for_each(|expression| self.visit(expression, depth))
    }

    fn variable(&self, name: &str) -> Result<(), Fault> {
        let is_of_loop = self.scope.is_some_and(|names| names.contains(&name));
        if is_of_loop || subject::variables(self.kind).any(|known| known == name) {
            Ok(())
        } else if subject::is_known(name) {
            Err(Fault::ForeignVariable {
                name: name.to_owned(),
                kind: self.kind,
            })
        } else {
            Err(Fault::UnknownVariable(name.to_owned()))
        }
    }

    fn call(&mut self, call: &'e CallExpr, depth: usize) -> Result<(), Fault> {
        let name = call.func_name.as_str();
        let is_known = match &call.target {
            Some(_) => METHODS.contains(&(name, call.args.len())),
            None if OPERATORS.contains(&name) || ARITHMETIC.contains(&name) => true,
            None => FUNCTIONS.contains(&name) && call.args.len() == 1,
        };
        if name == operators::MAP {
            return Err(Fault::Map);
        }
        if !is_known {
            return Err(Fault::UnknownFunction(name.to_owned()));
        }
        if let Some(target) = &call.target {
            self.visit(target, depth)?;
        }
        self.all(&call.args, depth)
    }

    fn map(&mut self, map: &'e MapExpr, depth: usize) -> Result<(), Fault> {
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(Fault::Unreadable);
            };
            self.visit(&entry.key, depth)?;
            self.visit(&entry.value, depth)?;
        }
        Ok(())
    }

    fn comprehension(&mut self, it: &'e ComprehensionExpr, depth: usize) -> Result<(), Fault> {
        self.loops += 1;
        if self.scope.is_some() || self.loops > MAX_LOOPS {
            return Err(Fault::TooManyLoops);
        }
        self.visit(&it.iter_range, depth)?;
        self.visit(&it.accu_init, depth)?;
        if appends_another(&it.loop_step, it) {
            return Err(Fault::Map);
        }
        self.scope = Some([&it.iter_var, &it.accu_var]);
        self.visit(&it.loop_cond, depth)?;
        self.visit(&it.loop_step, depth)?;
        self.visit(&it.result, depth)?;
        self.scope = None;
        Ok(())
    }
}

/// Returns whether a loop collects anything but elements as they are, which `filter` does.
fn appends_another(step: &IdedExpr, it: &ComprehensionExpr) -> bool {
    let Expr::Call(call) = &step.expr else {
        return false;
    };
    let of_result = |expression: &IdedExpr| is_variable(expression, &it.accu_var);
    match call.args.as_slice() {
        [_, then, or_else] if call.func_name == operators::CONDITIONAL => {
            [then, or_else].iter().any(|step| appends_another(step, it))
        }
        [
            result,
            IdedExpr {
                expr: Expr::List(list),
                ..
            },
        ] if of_result(result) => {
            let mut elements = list.elements.iter();
            !elements.all(|element| is_variable(element, &it.iter_var))
        }
        _ => false,
    }
}

fn is_variable(expression: &IdedExpr, name: &str) -> bool {
    matches!(&expression.expr, Expr::Ident(other) if other == name)
}
