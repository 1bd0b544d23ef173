//! The notation that people type: reading it.
//!
//! ```text
//! query   = part *( ["AND"] part ) *( "OR" … )      words beside each other are all wanted; OR binds less
//! part    = ("-" / "NOT") part / "(" query ")" / word / field
//! word    = characters up to a space, parenthesis or quotation mark / '"' characters '"'
//! field   = name ":" value / name sign value         sign: = != < <= > >=
//! name    = text, type, … (see `Field`) / letters and digits of an attribute / "@" attribute
//! value   = word / value ".." value / "(" query of values ")"
//! ```
use super::moment::Moment;
use super::pattern::Pattern;
use super::phrase::Phrase;
use super::query::{Clause, Comparison, Field, Operand, Query, QueryError, QueryFault, Tree};
use crate::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX};
use std::str::FromStr;

impl Query {
    /// Reads the notation that people type, such as
    /// `type:chat.message author:ada text:"hel*" created:>2026-11-01 -deleted (a OR b) size:10..20`.
    ///
    /// * A word is looked for in the payload; `"several words"` one after the other. `*` stands for any run of characters,
    ///   `?` for one. `*` alone is every record.
    /// * All parts are wanted, `OR` makes it any of them, `-` or `NOT` before a part the contrary. Parentheses group.
    /// * `name:value` asks a field; a name that is none of those in [`Field`] is an attribute's, and `@name` always is.
    ///   Words are looked for in the text of an attribute. If the value is a number, a date, `true` or `false`, an attribute
    ///   of that kind is found as well, unless it stands between quotation marks.
    /// * `name=value`, and `!=`, `<`, `<=`, `>`, `>=`, with or without a colon before them, compare exactly. Words are
    ///   texts there, `10` and `1.5` are numbers, `2026-11-01` is a date, `2026Y` a year, and `"10"` is a text.
    /// * `10..20` is a range with both ends, `10..` and `..20` have one. `name:(a OR b)` is short for
    ///   `(name:a OR name:b)`. `name:*` says that there is one.
    ///
    /// # Errors
    /// [`QueryError`], with the place in characters.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError { at: 0, fault: QueryFault::TooLong });
        }
        let mut parser = Parser { text, at: 0 };
        let query = parser.whole();
        query.map_err(|(at, fault)| QueryError { at: text[..at].chars().count(), fault })
    }
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Query {
    type Error = QueryError;

    fn try_from(text: String) -> Result<Self, QueryError> {
        Self::parse(&text)
    }
}

/// The outcome of reading something: a fault comes with its place in bytes.
type Read<T> = Result<T, (usize, QueryFault)>;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

/// A word as it stands there.
struct Word<'a> {
    at: usize,
    /// With its escapes, without quotation marks.
    raw: &'a str,
    pattern: Pattern,
    quoted: bool,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Read<Query> {
        self.skip_space();
        if self.rest().is_empty() {
            return Err((0, QueryFault::Empty));
        }
        let tree = self.any(None, 0)?;
        self.skip_space();
        match self.rest() {
            "" => Query::of_tree(tree).map_err(|fault| (0, fault)),
            _ => Err((self.at, QueryFault::NoParenthesis)),
        }
    }

    /// Parts between which there may be `OR`.
    fn any(&mut self, field: Option<&Field>, depth: usize) -> Read<Tree> {
        let mut parts = vec![self.all(field, depth)?];
        while self.keyword("OR") {
            parts.push(self.all(field, depth)?);
        }
        Tree::joined(parts, Tree::Or).ok_or((self.at, QueryFault::Empty))
    }

    /// Parts between which there may be `AND`.
    fn all(&mut self, field: Option<&Field>, depth: usize) -> Read<Tree> {
        let mut parts = vec![self.part(field, depth)?];
        loop {
            let before = self.at;
            self.skip_space();
            if self.rest().is_empty() || self.rest().starts_with(')') || self.keyword("OR") {
                self.at = before;
                return Tree::joined(parts, Tree::And).ok_or((self.at, QueryFault::Empty));
            }
            self.keyword("AND");
            parts.push(self.part(field, depth)?);
        }
    }

    fn part(&mut self, field: Option<&Field>, depth: usize) -> Read<Tree> {
        self.skip_space();
        let begin = self.at;
        let rest = self.rest();
        let ends = rest.is_empty() || rest.starts_with(')');
        if ends || self.keyword("OR") || self.keyword("AND") {
            return Err((begin, QueryFault::MissingOperand));
        }
        let negative = field.is_some() && is_number(rest);
        let minus = rest.starts_with('-') && !negative;
        if minus || self.keyword("NOT") {
            self.at += usize::from(minus);
            let depth = deeper(depth, begin)?;
            if minus && self.rest().starts_with(char::is_whitespace) {
                return Err((begin, QueryFault::MissingOperand));
            }
            return Ok(Tree::Not(Box::new(self.part(field, depth)?)));
        }
        if self.take("(") {
            return self.group(begin, field, depth);
        }
        match field {
            Some(field) => self.asked(field, begin, depth),
            None => match self.field()? {
                Some((field, sign)) => match sign {
                    Some(comparison) => self.compared(&field, comparison),
                    None => self.asked(&field, begin, depth),
                },
                None => self.bare(),
            },
        }
    }

    /// The part between parentheses, of which the first is read.
    fn group(&mut self, begin: usize, field: Option<&Field>, depth: usize) -> Read<Tree> {
        let depth = deeper(depth, begin)?;
        self.skip_space();
        if self.rest().starts_with(')') {
            return Err((self.at, QueryFault::Empty));
        }
        let tree = self.any(field, depth)?;
        self.skip_space();
        if self.take(")") { Ok(tree) } else { Err((begin, QueryFault::OpenParenthesis)) }
    }

    /// A word that belongs to no field.
    fn bare(&mut self) -> Read<Tree> {
        let word = self.word(false)?;
        if !word.quoted && word.pattern.is_any() {
            return Ok(Tree::All);
        }
        if !word.quoted && word.raw == "deleted" {
            let is_deleted = Operand::Boolean(true);
            let clause = Clause::Compare(Field::Deleted, Comparison::Equal, is_deleted);
            return Ok(Tree::Clause(clause));
        }
        has(&Field::Text, word)
    }

    /// The part behind the colon of a field.
    fn asked(&mut self, field: &Field, begin: usize, depth: usize) -> Read<Tree> {
        self.skip_space();
        if self.take("(") {
            return self.group(begin, Some(field), depth);
        }
        if let Some(comparison) = self.sign() {
            return self.compared(field, comparison);
        }
        if has_ranges(field)
            && let Some(range) = self.range(field)?
        {
            return Ok(range);
        }
        let word = self.value(false)?;
        if !word.quoted && word.pattern.is_any() && field.may_lack() {
            return Ok(Tree::Clause(Clause::Exists(field.clone())));
        }
        if !field.has_words() {
            return compare(field, Comparison::Equal, &word);
        }
        if !matches!(field, Field::Attribute(_)) || word.quoted {
            return has(field, word);
        }
        match infer(&word) {
            Operand::Text(_) | Operand::Like(_) => has(field, word),
            operand @ (Operand::Integer(_)
            | Operand::Real(_)
            | Operand::Date(_)
            | Operand::Boolean(_)) => {
                let same = Clause::Compare(field.clone(), Comparison::Equal, operand);
                Ok(Tree::Or(vec![Tree::Clause(same), has(field, word)?]))
            }
        }
    }

    /// The part behind the sign of a field.
    fn compared(&mut self, field: &Field, comparison: Comparison) -> Read<Tree> {
        self.skip_space();
        if comparison == Comparison::Equal
            && has_ranges(field)
            && let Some(range) = self.range(field)?
        {
            return Ok(range);
        }
        let word = self.value(false)?;
        compare(field, comparison, &word)
    }

    /// A range, if one begins here. If not, nothing is read.
    fn range(&mut self, field: &Field) -> Read<Option<Tree>> {
        let begin = self.at;
        let from = if self.rest().starts_with("..") { None } else { Some(self.value(true)?) };
        if !self.take("..") {
            self.at = begin;
            return Ok(None);
        }
        let ends = |rest: &str| rest.is_empty() || rest.starts_with([')', ' ', '\t', '\r', '\n']);
        let to = if ends(self.rest()) { None } else { Some(self.value(true)?) };
        let clause = match (from, to) {
            (None, None) => return Err((begin, QueryFault::MissingValue)),
            (Some(from), None) => {
                return compare(field, Comparison::GreaterOrEqual, &from).map(Some);
            }
            (None, Some(to)) => return compare(field, Comparison::LessOrEqual, &to).map(Some),
            (Some(from), Some(to)) => {
                Clause::Within(field.clone(), operand(field, &from)?, operand(field, &to)?)
            }
        };
        clause.check().map_err(|fault| (begin, fault))?;
        Ok(Some(Tree::Clause(clause)))
    }

    /// The name of a field with its colon, or with the comparison that follows it. If there is none, nothing is read.
    fn field(&mut self) -> Read<Option<(Field, Option<Comparison>)>> {
        let begin = self.at;
        let attribute = self.take("@");
        let letters = self.rest().bytes().take_while(u8::is_ascii_alphanumeric).count();
        let name = &self.text[self.at..self.at + letters];
        self.at += letters;
        let is_name = attribute || name.starts_with(|char: char| char.is_ascii_alphabetic());
        let colon = is_name && !self.rest().starts_with("://") && self.take(":");
        let sign = match colon {
            true => None,
            false => {
                self.skip_space();
                self.sign().filter(|_| is_name)
            }
        };
        if !colon && sign.is_none() {
            self.at = begin;
            return Ok(None);
        }
        let field = match Field::named(name).filter(|_| !attribute) {
            Some(field) => field,
            None => Field::attribute(name).map_err(|fault| (begin, fault))?,
        };
        Ok(Some((field, sign)))
    }

    fn sign(&mut self) -> Option<Comparison> {
        let mut names = Comparison::NAMES.into_iter();
        names.find(|(sign, ..)| self.take(sign)).map(|(_, _, comparison)| comparison)
    }

    /// A word where a value belongs. One of a range ends before two points.
    fn value(&mut self, of_range: bool) -> Read<Word<'a>> {
        let begin = self.at;
        let word = self.word(of_range)?;
        match word.raw.is_empty() && !word.quoted {
            true => Err((begin, QueryFault::MissingValue)),
            false => Ok(word),
        }
    }

    fn word(&mut self, of_range: bool) -> Read<Word<'a>> {
        let quoted = self.take("\"");
        let begin = self.at;
        let mut pattern = Pattern::default();
        let mut chars = self.text[begin..].char_indices();
        while let Some((at, char)) = chars.next() {
            let at = begin + at;
            let ends = match quoted {
                true => char == '"',
                false => {
                    char.is_whitespace()
                        || ['(', ')', '"'].contains(&char)
                        || of_range && self.text[at..].starts_with("..")
                }
            };
            if ends {
                self.at = at + usize::from(quoted);
                return Ok(Word { at: begin, raw: &self.text[begin..at], pattern, quoted });
            }
            match char {
                '\\' => match chars.next() {
                    Some((_, char @ ('*' | '?' | '\\' | '"'))) => pattern.push(char),
                    Some(_) | None => return Err((at, QueryFault::StrayBackslash)),
                },
                '*' => pattern.push_any(),
                '?' => pattern.push_one(),
                char => pattern.push(char),
            }
        }
        if quoted {
            return Err((begin - 1, QueryFault::OpenQuotation));
        }
        self.at = self.text.len();
        Ok(Word { at: begin, raw: &self.text[begin..], pattern, quoted })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Takes these characters, if they come next.
    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    /// Takes a word in capitals, if it comes next and stands alone.
    fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest().trim_start();
        let after = rest.strip_prefix(word);
        let alone = |after: &str| !after.starts_with(|char| !is_end(char));
        let Some(after) = after.filter(|after| alone(after)) else { return false };
        self.at = self.text.len() - after.len();
        true
    }
}

fn is_end(char: char) -> bool {
    char.is_whitespace() || ['(', ')', '"'].contains(&char)
}

fn deeper(depth: usize, at: usize) -> Read<usize> {
    if depth < QUERY_DEPTH_MAX { Ok(depth + 1) } else { Err((at, QueryFault::TooDeep)) }
}

/// Whether a negative number begins here.
fn is_number(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_digit()))
}

/// Whether two points in a value make a range.
fn has_ranges(field: &Field) -> bool {
    match field {
        Field::Created
        | Field::Modified
        | Field::Expires
        | Field::Version
        | Field::Size
        | Field::Attribute(_) => true,
        Field::Text
        | Field::Type
        | Field::Id
        | Field::Creator
        | Field::Modifier
        | Field::Deleted => false,
    }
}

fn has(field: &Field, word: Word<'_>) -> Read<Tree> {
    let phrase = Phrase::new(word.pattern).map_err(|fault| (word.at, fault))?;
    Ok(Tree::Clause(Clause::Has(field.clone(), phrase)))
}

fn compare(field: &Field, comparison: Comparison, word: &Word<'_>) -> Read<Tree> {
    let clause = Clause::Compare(field.clone(), comparison, operand(field, word)?);
    clause.check().map_err(|fault| (word.at, fault))?;
    Ok(Tree::Clause(clause))
}

/// Reads a value as one of a field.
fn operand(field: &Field, word: &Word<'_>) -> Read<Operand> {
    let operand = match field {
        Field::Attribute(_) => Some(infer(word)),
        Field::Text | Field::Type | Field::Id | Field::Creator | Field::Modifier => {
            Some(Operand::of_pattern(word.pattern.clone()))
        }
        Field::Created | Field::Modified | Field::Expires => moment(word.raw).map(Operand::Date),
        Field::Version | Field::Size => word.raw.parse().ok().map(Operand::Integer),
        Field::Deleted => word.raw.parse().ok().map(Operand::Boolean),
    };
    operand.ok_or((word.at, field.wants()))
}

/// The kind of value that a word looks like.
fn infer(word: &Word<'_>) -> Operand {
    let text = || Operand::of_pattern(word.pattern.clone());
    if word.quoted {
        return text();
    }
    let raw = word.raw;
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    if !digits.starts_with(|char: char| char.is_ascii_digit()) {
        return raw.parse().map_or_else(|_| text(), Operand::Boolean);
    }
    if let Ok(number) = raw.parse() {
        return Operand::Integer(number);
    }
    if let Some(moment) = moment(raw) {
        return Operand::Date(moment);
    }
    let is_real = raw.bytes().all(|it| it.is_ascii_digit() || b"+-.eE".contains(&it))
        && raw.contains(['.', 'e', 'E'])
        && raw.ends_with(|char: char| char.is_ascii_digit());
    match raw.parse::<f64>() {
        Ok(number) if is_real && number.is_finite() => Operand::Real(number),
        Ok(_) | Err(_) => text(),
    }
}

/// A moment. A year may have its mark, without which it would be a number.
fn moment(raw: &str) -> Option<Moment> {
    let year = raw.strip_suffix('Y').filter(|year| year.len() == 4);
    Moment::parse(year.unwrap_or(raw)).ok()
}
