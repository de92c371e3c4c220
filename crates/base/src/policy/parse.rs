//! From `role:admin or (role:member and project_id:%(project_id)s)` to a [`Check`].
//!
//! `not` binds tighter than `and`, `and` tighter than `or`; words in any case, separated by blanks or parentheses.

use super::RuleId;
use super::check::{Check, Credential, FieldValue, Template};
use regex::Regex;

/// Why a text is no check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotACheck {
    #[error("{0:?} is not of the form kind:match")]
    NoColon(String),
    #[error("{0:?} has a % that is neither %(name)s nor %%")]
    Template(String),
    #[error("{0:?} has a quote that does not end")]
    Quote(String),
    #[error("{0:?} is not field:resource:attribute=value")]
    Field(String),
    #[error("{0:?} asks another server, which is not supported")]
    Remote(String),
    #[error("expected a check, found {0}")]
    Expected(String),
    #[error("expected \"and\", \"or\" or the end, found {0}")]
    Trailing(String),
    #[error("parentheses nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// Deeper nesting is no policy but an attack on the stack.
const MAX_DEPTH: usize = 64;

/// `id_of` gives the number of a rule that the check mentions, defined or not yet.
pub(super) fn check(text: &str, id_of: &mut dyn FnMut(&str) -> RuleId) -> Result<Check, NotACheck> {
    if text.trim().is_empty() {
        return Ok(Check::Always);
    }
    let mut parser = Parser { tokens: tokens(text), next: 0, depth: 0, id_of };
    let check = parser.any()?;
    match parser.peek() {
        None => Ok(check),
        Some(t) => Err(NotACheck::Trailing(t.to_string())),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    And,
    Or,
    Not,
    Check(&'a str),
}

impl std::fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open => f.write_str("\"(\""),
            Self::Close => f.write_str("\")\""),
            Self::And => f.write_str("\"and\""),
            Self::Or => f.write_str("\"or\""),
            Self::Not => f.write_str("\"not\""),
            Self::Check(text) => write!(f, "{text:?}"),
        }
    }
}

/// Parentheses count only at the rim of a word: `%(name)s` keeps its own.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let rest = word.trim_start_matches('(');
        let inner = rest.trim_end_matches(')');
        tokens.extend(std::iter::repeat_n(Token::Open, word.len() - rest.len()));
        match inner.to_ascii_lowercase().as_str() {
            "" => {}
            "and" => tokens.push(Token::And),
            "or" => tokens.push(Token::Or),
            "not" => tokens.push(Token::Not),
            _ => tokens.push(Token::Check(inner)),
        }
        tokens.extend(std::iter::repeat_n(Token::Close, rest.len() - inner.len()));
    }
    tokens
}

struct Parser<'a, 'f> {
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
    id_of: &'f mut dyn FnMut(&str) -> RuleId,
}

impl<'a> Parser<'a, '_> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self, token: Token<'_>) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Check, NotACheck> {
        let mut parts = vec![self.all()?];
        while self.take(Token::Or) {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Check::Any(parts) })
    }

    fn all(&mut self) -> Result<Check, NotACheck> {
        let mut parts = vec![self.one()?];
        while self.take(Token::And) {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Check::All(parts) })
    }

    fn one(&mut self) -> Result<Check, NotACheck> {
        let Some(token) = self.peek() else { return Err(NotACheck::Expected("the end".into())) };
        self.next += 1;
        match token {
            Token::Not => self.deeper(Self::one).map(|c| Check::Not(Box::new(c))),
            Token::Open => {
                let check = self.deeper(Self::any)?;
                if self.take(Token::Close) {
                    return Ok(check);
                }
                let found = self.peek().map_or("the end".into(), |t| t.to_string());
                Err(NotACheck::Expected(format!("{found} instead of \")\"")))
            }
            Token::Check(text) => leaf(text, self.id_of),
            other => Err(NotACheck::Expected(other.to_string())),
        }
    }

    fn deeper(&mut self, parse: fn(&mut Self) -> Result<Check, NotACheck>) -> Result<Check, NotACheck> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(NotACheck::TooDeep);
        }
        let check = parse(self);
        self.depth -= 1;
        check
    }
}

/// One `kind:match`.
fn leaf(text: &str, id_of: &mut dyn FnMut(&str) -> RuleId) -> Result<Check, NotACheck> {
    match text {
        "@" => return Ok(Check::Always),
        "!" => return Ok(Check::Never),
        _ => {}
    }
    let (kind, want) = split(text)?;
    Ok(match kind {
        "rule" => Check::Rule(id_of(want)),
        "role" => Check::Role(template(want)?),
        "field" => field(want)?,
        "http" | "https" => return Err(NotACheck::Remote(text.to_owned())),
        "None" => Check::NoValue(template(want)?),
        _ => match literal(kind) {
            Some(value) => Check::Literal(value.to_owned(), template(want)?),
            None => Check::Credential(Credential::named(kind), template(want)?),
        },
    })
}

/// At the first colon that is not inside quotes.
fn split(text: &str) -> Result<(&str, &str), NotACheck> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let start = match quote {
        Some(q) => text[1..].find(q).ok_or_else(|| NotACheck::Quote(text.to_owned()))? + 2,
        None => 0,
    };
    let colon = text[start..].find(':').ok_or_else(|| NotACheck::NoColon(text.to_owned()))? + start;
    Ok((&text[..colon], &text[colon + 1..]))
}

/// Python's own literals: quoted text, numbers, True and False.
fn literal(kind: &str) -> Option<&str> {
    for quote in ['\'', '"'] {
        if let Some(inner) = kind.strip_prefix(quote).and_then(|k| k.strip_suffix(quote)) {
            return Some(inner);
        }
    }
    let number = kind.strip_prefix('-').unwrap_or(kind);
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_number || matches!(kind, "True" | "False")).then_some(kind)
}

/// `networks:shared=True`, `port:device_owner=~^network:`; the attribute may have colons itself.
fn field(text: &str) -> Result<Check, NotACheck> {
    let bad = || NotACheck::Field(format!("field:{text}"));
    let (_resource, rest) = text.split_once(':').ok_or_else(bad)?;
    let (attribute, value) = rest.split_once('=').ok_or_else(bad)?;
    let want = match value.strip_prefix('~') {
        Some(regex) => FieldValue::Match(Regex::new(&format!("^(?:{regex})")).map_err(|_| bad())?),
        None => FieldValue::Text(value.to_owned()),
    };
    Ok(Check::Field { attribute: attribute.to_owned(), want })
}

/// Python's `%(name)s`; `%%` is one `%`.
fn template(text: &str) -> Result<Template, NotACheck> {
    let bad = || NotACheck::Template(text.to_owned());
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        literal.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('%') {
            literal.push('%');
            rest = tail;
            continue;
        }
        let (name, tail) = after.strip_prefix('(').and_then(|a| a.split_once(")s")).ok_or_else(bad)?;
        if !literal.is_empty() {
            parts.push(Template::Text(std::mem::take(&mut literal)));
        }
        parts.push(Template::Attribute(name.to_owned()));
        rest = tail;
    }
    literal.push_str(rest);
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Template::Text(literal));
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Template::Mixed(parts) })
}
