//! As much of PromQL as the dashboard speaks.
//!
//! The law: what is not understood is an error, never skipped, so that nothing stands in a query that has not been judged. Not
//! understood: `without`, `on`, `ignoring`, `offset`, `and`, `unless`, subqueries, a minus before a number.

/// A query, or a part of one.
#[derive(Debug, PartialEq)]
pub enum Expr {
    Number(f64),
    Text(String),
    Select(Selector),
    /// A function.
    Call(String, Vec<Expr>),
    /// An aggregation, and the labels it keeps.
    Fold(String, Vec<String>, Vec<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
}

/// `name{matchers}[range]`.
#[derive(Debug, PartialEq)]
pub struct Selector {
    pub name: String,
    pub matchers: Vec<Matcher>,
    pub range: Option<String>,
}

/// `label operator "value"`.
#[derive(Debug, PartialEq)]
pub struct Matcher {
    pub label: String,
    pub operator: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(f64),
    Text(String),
    Range(String),
    Sign(&'static str),
}

/// The longer ones first.
const SIGNS: &[&str] =
    &["=~", "!~", "!=", "==", ">=", "<=", "=", ">", "<", "+", "-", "*", "/", "(", ")", "{", "}", ","];
/// Operators between two parts: what stands later binds closer.
const LEVELS: &[&[&str]] = &[&["or"], &["==", "!=", ">=", "<=", ">", "<"], &["+", "-"], &["*", "/"]];
const FOLDS: &[&str] = &["sum", "min", "max", "avg", "count", "topk", "bottomk"];

/// Reads a whole query.
pub fn parse(query: &str) -> Result<Expr, String> {
    let mut parser = Parser { tokens: tokens(query)?, at: 0 };
    let expr = parser.binary(0)?;
    match parser.next() {
        None => Ok(expr),
        Some(token) => Err(format!("{token:?} is not understood where it stands")),
    }
}

fn tokens(query: &str) -> Result<Vec<Token>, String> {
    let (mut out, mut rest) = (Vec::new(), query.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first == '"' {
            let end = rest[1..].find('"').ok_or("a text has no end")?;
            (Token::Text(rest[1..=end].into()), end + 2)
        } else if first == '[' {
            let end = rest.find(']').ok_or("a range has no end")?;
            (Token::Range(rest[1..end].into()), end + 1)
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            (Token::Number(rest[..end].parse().map_err(|_| format!("{} is no number", &rest[..end]))?), end)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            // An operator that is a word.
            (if &rest[..end] == "or" { Token::Sign("or") } else { Token::Name(rest[..end].into()) }, end)
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| format!("`{first}` is not understood"))?;
            (Token::Sign(sign), sign.len())
        };
        out.push(token);
        rest = rest[length..].trim_start();
    }
    // An escape would make a text another one than it looks.
    if query.contains('\\') { Err("escapes are not understood".into()) } else { Ok(out) }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    /// Goes on when `sign` comes next.
    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(next)) if *next == sign);
        self.at += usize::from(found);
        found
    }

    fn needs(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(format!("`{sign}` is missing before {:?}", self.tokens.get(self.at)))
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Name(name)) => Ok(name),
            other => Err(format!("{other:?} stands where a name should")),
        }
    }

    /// Things with commas between them, up to `end`.
    fn list<T>(&mut self, end: &str, one: impl Fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut out = Vec::new();
        while !self.takes(end) {
            if !out.is_empty() {
                self.needs(",")?;
            }
            out.push(one(self)?);
        }
        Ok(out)
    }

    fn binary(&mut self, level: usize) -> Result<Expr, String> {
        let Some(operators) = LEVELS.get(level) else { return self.one() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.takes(operator)) {
            left = Expr::Binary(operator, Box::new(left), Box::new(self.binary(level + 1)?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Expr, String> {
        match self.next() {
            Some(Token::Number(number)) => Ok(Expr::Number(number)),
            Some(Token::Text(text)) => Ok(Expr::Text(text)),
            Some(Token::Sign("(")) => {
                let inside = self.binary(0)?;
                self.needs(")")?;
                Ok(inside)
            }
            Some(Token::Name(name)) if FOLDS.contains(&name.as_str()) => {
                let mut by = Vec::new();
                if self.tokens.get(self.at) == Some(&Token::Name("by".into())) {
                    self.at += 1;
                    self.needs("(")?;
                    by = self.list(")", Self::name)?;
                }
                self.needs("(")?;
                Ok(Expr::Fold(name, by, self.list(")", |parser| parser.binary(0))?))
            }
            Some(Token::Name(name)) if self.takes("(") => {
                Ok(Expr::Call(name, self.list(")", |parser| parser.binary(0))?))
            }
            Some(Token::Name(name)) => {
                let matchers = if self.takes("{") { self.list("}", Self::matcher)? } else { Vec::new() };
                let range = match self.tokens.get(self.at) {
                    Some(Token::Range(range)) => Some(range.clone()),
                    _ => None,
                };
                self.at += usize::from(range.is_some());
                Ok(Expr::Select(Selector { name, matchers, range }))
            }
            other => Err(format!("{other:?} is not understood where it stands")),
        }
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let label = self.name()?;
        match (self.next(), self.next()) {
            (Some(Token::Sign(operator @ ("=" | "!=" | "=~" | "!~"))), Some(Token::Text(value))) => {
                Ok(Matcher { label, operator: operator.into(), value })
            }
            other => Err(format!("{other:?} is no matcher of `{label}`")),
        }
    }
}

/// Whether the whole of `text` fits a pattern of alternatives made of characters, `.`, and `*` or `+` behind them.
pub fn fits(pattern: &str, text: &str) -> Result<bool, String> {
    if pattern.contains(['(', ')', '[', ']', '{', '}', '^', '$', '?', '\\']) {
        return Err(format!("the pattern `{pattern}` is not understood"));
    }
    let text: Vec<char> = text.chars().collect();
    Ok(pattern.split('|').any(|pattern| fits_one(&Vec::from_iter(pattern.chars()), &text)))
}

fn fits_one(pattern: &[char], text: &[char]) -> bool {
    let Some((wanted, rest)) = pattern.split_first() else { return text.is_empty() };
    let first = text.first().is_some_and(|found| *wanted == '.' || wanted == found);
    match rest.first() {
        Some('*') => fits_one(&rest[1..], text) || (first && fits_one(pattern, &text[1..])),
        Some('+') => {
            let more = [&[*wanted, '*'], &rest[1..]].concat();
            first && fits_one(&more, &text[1..])
        }
        _ => first && fits_one(rest, &text[1..]),
    }
}
