//! Whether a query says what Prometheus can answer from what is exported.
//!
//! The law: every part of a query has a shape (which labels, of what kind), and each rule is a rule about shapes: a name is exported,
//! a label is there, a rate is of something that only grows, a quantile is of rates of buckets and still has their `le`. Each
//! selector must choose something that the scripted run has made, so that a misspelt value is found too.

use std::collections::{BTreeMap, BTreeSet};

use super::exported::{Exported, Labels};
use super::promql::{Expr, Matcher, Selector, fits, parse};

/// Labels that Prometheus adds to each target.
const TARGET: [&str; 2] = ["instance", "job"];
/// Ranges that Grafana fills in.
const RANGES: &[&str] = &["$__rate_interval", "$__interval", "$__range"];

/// What a part of a query is.
#[derive(Debug, PartialEq)]
enum Kind {
    Scalar,
    Text,
    /// Values of the family's series over a while.
    Range {
        grows: bool,
        buckets: bool,
    },
    /// One value a series. `buckets`: rates of a histogram's buckets.
    Instant {
        buckets: bool,
    },
}

/// The shape of a part of a query.
#[derive(Debug)]
struct Shape {
    kind: Kind,
    labels: BTreeSet<String>,
}

/// What queries are judged by, and which families they have used.
#[derive(Debug)]
pub struct Judge<'a> {
    exported: &'a Exported,
    /// What a variable of the dashboard stands for when everything is chosen, as a pattern.
    variables: BTreeMap<String, String>,
    /// The families that were asked for.
    pub used: BTreeSet<String>,
}

impl<'a> Judge<'a> {
    pub fn new(exported: &'a Exported, variables: BTreeMap<String, String>) -> Self {
        Self { exported, variables, used: BTreeSet::new() }
    }

    /// Judges a panel's query: the labels that are left for its legend.
    pub fn query(&mut self, text: &str) -> Result<BTreeSet<String>, String> {
        let expr = parse(text)?;
        let shape = self.shape(&expr)?;
        let loose = selectors(&expr).into_iter().find(|selector| !is_held(selector));
        match (shape.kind, loose) {
            (_, Some(loose)) => Err(format!("`{}` is not held to $job and $instance", loose.name)),
            (Kind::Scalar | Kind::Instant { .. }, None) => Ok(shape.labels),
            (kind, None) => Err(format!("the whole is no value but {kind:?}")),
        }
    }

    /// Judges `label_values(selector, label)`.
    pub fn label_values(&mut self, text: &str) -> Result<(), String> {
        let Expr::Call(name, arguments) = parse(text)? else { return Err("it is no call of label_values".into()) };
        match (name.as_str(), arguments.as_slice()) {
            ("label_values", [of @ Expr::Select(_), Expr::Select(Selector { name, matchers, range: None })])
                if matchers.is_empty() =>
            {
                let shape = self.shape(of)?;
                if shape.labels.contains(name) { Ok(()) } else { Err(format!("`{name}` is no label of it")) }
            }
            _ => Err("it is no label_values(metric, label)".into()),
        }
    }

    fn shape(&mut self, expr: &Expr) -> Result<Shape, String> {
        match expr {
            Expr::Number(_) => Ok(Shape { kind: Kind::Scalar, labels: BTreeSet::new() }),
            Expr::Text(_) => Ok(Shape { kind: Kind::Text, labels: BTreeSet::new() }),
            Expr::Select(selector) => self.select(selector),
            Expr::Call(name, arguments) => self.call(name, arguments),
            Expr::Fold(name, by, arguments) => self.fold(name, by, arguments),
            Expr::Binary(operator, left, right) => self.binary(operator, left, right),
        }
    }

    fn select(&mut self, selector: &Selector) -> Result<Shape, String> {
        let name = &selector.name;
        let (family, series) = self.exported.find(name).ok_or_else(|| format!("`{name}` is not exported"))?;
        let own = series.first().ok_or_else(|| format!("`{name}` has no series after the run"))?;
        let labels: BTreeSet<String> = own.keys().cloned().chain(TARGET.map(str::to_owned)).collect();
        for Matcher { label, .. } in &selector.matchers {
            if !labels.contains(label) || series.iter().any(|one| one.len() != own.len()) {
                return Err(format!("`{label}` is no label of `{name}`"));
            }
        }
        let mut chosen = false;
        for one in series {
            chosen |= self.chooses(&selector.matchers, one)?;
        }
        if !chosen {
            return Err(format!("the matchers of `{name}` choose nothing that the run has made"));
        }
        self.used.insert(family.to_owned());
        let kind = self.exported.kinds[family].as_str();
        let buckets = kind == "histogram" && name.ends_with("_bucket");
        let kind = match &selector.range {
            None => Kind::Instant { buckets: false },
            Some(range) if is_range(range) => Kind::Range { grows: kind != "gauge", buckets },
            Some(range) => return Err(format!("`[{range}]` is no range")),
        };
        Ok(Shape { kind, labels })
    }

    /// Whether a series is one that all of the matchers let pass, with everything chosen in the dashboard's variables.
    fn chooses(&self, matchers: &[Matcher], series: &Labels) -> Result<bool, String> {
        let mut all = true;
        for Matcher { label, operator, value } in matchers {
            let pattern = match value.strip_prefix('$') {
                None => value,
                Some(name) => self.variables.get(name).ok_or_else(|| format!("`{value}` is no variable"))?,
            };
            if value.starts_with('$') && operator != "=~" {
                return Err(format!("`{value}` may be several values and needs `=~`"));
            }
            let found = series.get(label).map_or("target", String::as_str);
            all &= match operator.as_str() {
                "=" => pattern == found,
                "!=" => pattern != found,
                "=~" => fits(pattern, found)?,
                _ => !fits(pattern, found)?,
            };
        }
        Ok(all)
    }

    fn call(&mut self, name: &str, arguments: &[Expr]) -> Result<Shape, String> {
        let mut shapes = Vec::new();
        for argument in arguments {
            shapes.push(self.shape(argument)?);
        }
        let instant = |buckets| Kind::Instant { buckets };
        match (name, shapes.as_mut_slice()) {
            ("rate" | "irate" | "increase", [Shape { kind: Kind::Range { grows, buckets }, labels }]) => {
                let labels = std::mem::take(labels);
                if *grows { Ok(Shape { kind: instant(*buckets), labels }) } else { Err(format!("{name} of a gauge")) }
            }
            ("changes" | "delta" | "max_over_time", [Shape { kind: Kind::Range { grows, .. }, labels }]) => {
                let labels = std::mem::take(labels);
                if *grows { Err(format!("{name} of no gauge")) } else { Ok(Shape { kind: instant(false), labels }) }
            }
            ("histogram_quantile", [Shape { kind: Kind::Scalar, .. }, Shape { kind, labels }]) => {
                let labels = std::mem::take(labels);
                quantile(&arguments[0], kind, labels)
            }
            ("scalar", [Shape { kind: Kind::Instant { .. }, labels }]) => {
                let own = labels.iter().next();
                own.map_or(Ok(Shape { kind: Kind::Scalar, labels: BTreeSet::new() }), |label| {
                    Err(format!("scalar of what is told apart by `{label}`"))
                })
            }
            ("label_replace", [Shape { kind: Kind::Instant { .. }, labels }, rest @ ..]) if rest.len() == 4 => {
                let labels = std::mem::take(labels);
                replaced(&arguments[1..], labels)
            }
            _ => Err(format!("`{name}` is not understood, or not of {shapes:?}")),
        }
    }

    fn fold(&mut self, name: &str, by: &[String], arguments: &[Expr]) -> Result<Shape, String> {
        let (last, first) = arguments.split_last().ok_or_else(|| format!("{name} of nothing"))?;
        let shape = self.shape(last)?;
        let Kind::Instant { buckets } = shape.kind else { return Err(format!("{name} of {:?}", shape.kind)) };
        if let Some(label) = by.iter().find(|label| !shape.labels.contains(*label)) {
            return Err(format!("{name} by `{label}`, which is no label of what is put together"));
        }
        match (name, first) {
            ("topk" | "bottomk", [Expr::Number(_)]) if by.is_empty() => {
                Ok(Shape { kind: Kind::Instant { buckets: false }, ..shape })
            }
            ("sum", []) => Ok(Shape { kind: Kind::Instant { buckets }, labels: by.iter().cloned().collect() }),
            ("min" | "max" | "avg" | "count", []) => {
                Ok(Shape { kind: Kind::Instant { buckets: false }, labels: by.iter().cloned().collect() })
            }
            _ => Err(format!("{name} with {first:?} is not understood")),
        }
    }

    fn binary(&mut self, operator: &str, left: &Expr, right: &Expr) -> Result<Shape, String> {
        let (left, right) = (self.shape(left)?, self.shape(right)?);
        let (value, scalar) = (Kind::Instant { buckets: false }, Kind::Scalar);
        match (left.kind, right.kind) {
            (Kind::Scalar, _) | (_, Kind::Scalar) if operator == "or" => Err("`or` beside a number".into()),
            (Kind::Scalar, Kind::Scalar) => Ok(Shape { kind: scalar, labels: BTreeSet::new() }),
            (Kind::Instant { .. }, Kind::Scalar) => Ok(Shape { kind: value, labels: left.labels }),
            (Kind::Scalar, Kind::Instant { .. }) => Ok(Shape { kind: value, labels: right.labels }),
            (Kind::Instant { .. }, Kind::Instant { .. }) if left.labels == right.labels => {
                Ok(Shape { kind: value, labels: left.labels })
            }
            // Prometheus pairs series of the same labels, so it would find none.
            _ => Err(format!("{:?} and {:?} do not meet", left.labels, right.labels)),
        }
    }
}

fn quantile(share: &Expr, kind: &Kind, mut labels: BTreeSet<String>) -> Result<Shape, String> {
    if !matches!(share, Expr::Number(share) if (0.0..=1.0).contains(share)) {
        return Err(format!("histogram_quantile for {share:?}"));
    }
    if *kind != (Kind::Instant { buckets: true }) {
        return Err("histogram_quantile of what are no rates of buckets".into());
    }
    if !labels.remove("le") {
        return Err("histogram_quantile of buckets whose `le` is lost".into());
    }
    Ok(Shape { kind: Kind::Instant { buckets: false }, labels })
}

fn replaced(texts: &[Expr], mut labels: BTreeSet<String>) -> Result<Shape, String> {
    let [Expr::Text(to), Expr::Text(_), Expr::Text(from), Expr::Text(_)] = texts else {
        return Err(format!("label_replace with {texts:?}"));
    };
    if !labels.contains(from) {
        return Err(format!("label_replace from `{from}`, which is no label of it"));
    }
    labels.insert(to.clone());
    Ok(Shape { kind: Kind::Instant { buckets: false }, labels })
}

fn selectors(expr: &Expr) -> Vec<&Selector> {
    match expr {
        Expr::Number(_) | Expr::Text(_) => Vec::new(),
        Expr::Select(selector) => vec![selector],
        Expr::Call(_, parts) | Expr::Fold(_, _, parts) => parts.iter().flat_map(selectors).collect(),
        Expr::Binary(_, left, right) => [selectors(left), selectors(right)].concat(),
    }
}

/// Other programs export the same names (`process_*`, and LiteLLM its own): a query must say whose.
fn is_held(selector: &Selector) -> bool {
    let held = |label: &str| {
        let mut matchers = selector.matchers.iter();
        matchers.any(|matcher| matcher.label == label && matcher.value == format!("${label}"))
    };
    TARGET.into_iter().all(held)
}

fn is_range(range: &str) -> bool {
    let number = range.strip_suffix(['s', 'm', 'h', 'd']).and_then(|number| number.parse::<u32>().ok());
    RANGES.contains(&range) || number.is_some_and(|number| number > 0)
}
