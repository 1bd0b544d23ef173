//! The tree of a query, and what keeps it well formed.
use super::moment::Moment;
use super::pattern::Pattern;
use super::phrase::Phrase;
use super::print;
use crate::limits::{ATTRIBUTE_NAME_MAX, QUERY_BYTES_MAX, QUERY_CLAUSES_MAX, QUERY_DEPTH_MAX};
use std::cmp::Ordering;
use std::fmt;

/// A question about the records of a group: which of them?
///
/// It is read from text ([`parse`](Self::parse)) or JSON ([`from_json`](Self::from_json)), or built from clauses. It is well
/// formed: operators have operands, and each comparison fits its field.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct Query {
    pub(crate) tree: Tree,
}

/// A query, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// Every record.
    All,
    /// At least two.
    And(Vec<Self>),
    /// At least two.
    Or(Vec<Self>),
    Not(Box<Self>),
    Clause(Clause),
}

/// A question about one field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Clause {
    /// Whether the words of a field have these words among them, one after the other.
    Has(Field, Phrase),
    /// Whether a value of the field compares so.
    Compare(Field, Comparison, Operand),
    /// Whether a value of the field is at or after the first one and at or before the second.
    Within(Field, Operand, Operand),
    /// Whether the field has a value at all.
    Exists(Field),
}

/// A thing that a clause can ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Field {
    /// The words of the payload: all strings of JSON, or all of a text.
    Text,
    /// The type.
    Type,
    /// The id.
    Id,
    /// The member who made it: the peer id, or the friendly name.
    Creator,
    /// The member who changed it last, if one did: as above.
    Modifier,
    /// When it was made.
    Created,
    /// When it was changed last.
    Modified,
    /// When it ends.
    Expires,
    /// Its version.
    Version,
    /// Whether it is a tombstone. Groups show none.
    Deleted,
    /// How many bytes it has, all told.
    Size,
    /// An attribute.
    Attribute(AttributeName),
}

/// The name of an attribute. Letters count as the same in upper and lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeName(String);

/// How a value compares to the one of a clause. Numbers compare with numbers, moments with dates, texts with texts, truth
/// values with truth values; a value of another kind satisfies no comparison, not even [`NotEqual`](Self::NotEqual). Of a
/// field with several values one is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// It is the same; of a moment, within it.
    Equal,
    /// It is another.
    NotEqual,
    /// It is lower; of a moment, before it.
    Less,
    /// It is not higher; of a moment, not after its end.
    LessOrEqual,
    /// It is higher; of a moment, after its end.
    Greater,
    /// It is not lower; of a moment, not before it.
    GreaterOrEqual,
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operand {
    /// A text, character by character.
    Text(String),
    /// Any text of this pattern. Only for [`Comparison::Equal`] and [`Comparison::NotEqual`].
    Like(Pattern),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Real(f64),
    /// A span of time.
    Date(Moment),
    /// A truth value.
    Boolean(bool),
}

/// Why a text, a JSON value or a tree is no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum QueryFault {
    /// There is nothing, or an operator has no operands.
    #[error("there is nothing to look for; write a word, or * for everything")]
    Empty,
    /// More bytes than [`QUERY_BYTES_MAX`](crate::limits::QUERY_BYTES_MAX).
    #[error("it is too long; ask for less at once")]
    TooLong,
    /// Deeper than [`QUERY_DEPTH_MAX`].
    #[error("too much is inside each other; take some parentheses away")]
    TooDeep,
    /// More clauses than [`QUERY_CLAUSES_MAX`].
    #[error("it has too many parts; ask for less at once")]
    TooManyClauses,
    /// More words than [`PHRASE_WORDS_MAX`](crate::limits::PHRASE_WORDS_MAX).
    #[error("the phrase has too many words; take a part of it")]
    TooManyWords,
    /// A backslash before another character than `*`, `?`, itself, and in text a quotation mark.
    #[error(r#"a backslash stands before *, ?, " or another one only; write \\ for one"#)]
    StrayBackslash,
    /// A text without end.
    #[error("the quotation mark is not closed; add another, or write \\\" for one")]
    OpenQuotation,
    /// A parenthesis without end.
    #[error("the parenthesis is not closed; add )")]
    OpenParenthesis,
    /// An end without parenthesis.
    #[error("there is no parenthesis to close; take ) away, or put it between quotation marks")]
    NoParenthesis,
    /// `AND`, `OR`, `NOT` or `-` without what belongs to it.
    #[error("something is missing here; add it, or put AND, OR or NOT between quotation marks")]
    MissingOperand,
    /// A field without a value.
    #[error("the value is missing; add one, or * for any")]
    MissingValue,
    /// Nothing but marks and wildcards where words are looked for.
    #[error("there is no letter or digit to look for; write a word")]
    NoWord,
    /// Not the name of an attribute.
    #[error("the name of an attribute has 1 to 40 letters and digits of ASCII")]
    BadName,
    /// Not a date.
    #[error("a date is written as 2026, 2026-11, 2026-11-01 or 2026-11-01T09:30Z, from 1970 on")]
    NotAMoment,
    /// Not a whole number that fits.
    #[error("this field is compared with whole numbers, such as 10")]
    NotAnInteger,
    /// Not a number.
    #[error("this is no number that can be used; put a text between quotation marks")]
    NotANumber,
    /// Not a truth value.
    #[error("this field is true or false")]
    NotATruth,
    /// Another value where a text belongs.
    #[error("this field is compared with a text; put it between quotation marks")]
    NotAText,
    /// A comparison that the field does not have.
    #[error("this field can only be equal to a value or not")]
    NoOrder,
    /// An order of what has none.
    #[error("a pattern can only be equal to a value or not; take the wildcards away")]
    PatternHasNoOrder,
    /// Words are had, not compared.
    #[error("words are looked for with text:word; they have no other comparison")]
    WordsHaveNoOrder,
    /// Words of what has none.
    #[error("this field has no words; compare it with a value")]
    NoWords,
    /// Two kinds of values.
    #[error("both ends of a range are of one kind")]
    MixedRange,
    /// JSON that cannot be read.
    #[error("this is no JSON")]
    NotJson,
    /// A JSON value that is none of the forms.
    #[error(
        "a part of a query is an object with one of and, or, not, all, text, or a field with one comparison"
    )]
    NotAForm,
    /// A key that is unknown, or that does not belong here.
    #[error("this key is unknown here, or one too many")]
    UnknownKey,
    /// The name of no field.
    #[error("there is no such field; attributes are named with attribute")]
    UnknownField,
}

/// A text or a JSON value that is no query, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {}: {fault}", .at + 1)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct QueryError {
    /// How many characters come before the place.
    pub at: usize,
    /// Why.
    pub fault: QueryFault,
}

impl AttributeName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`QueryFault::BadName`] for anything but 1–40 ASCII letters and digits.
    pub fn new(name: &str) -> Result<Self, QueryFault> {
        let legal = (1..=ATTRIBUTE_NAME_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if legal { Ok(Self(name.to_ascii_lowercase())) } else { Err(QueryFault::BadName) }
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an attribute of a record has this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.0)
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Field {
    /// Their names, the one that is written first. The last ones are those that Windows had.
    const NAMES: [(&'static str, Self); 19] = [
        ("text", Self::Text),
        ("type", Self::Type),
        ("id", Self::Id),
        ("creator", Self::Creator),
        ("author", Self::Creator),
        ("modifier", Self::Modifier),
        ("editor", Self::Modifier),
        ("created", Self::Created),
        ("modified", Self::Modified),
        ("expires", Self::Expires),
        ("version", Self::Version),
        ("deleted", Self::Deleted),
        ("size", Self::Size),
        ("peerrecordtype", Self::Type),
        ("peerrecordid", Self::Id),
        ("peercreatorid", Self::Creator),
        ("peerlastmodifiedby", Self::Modifier),
        ("peercreationtime", Self::Created),
        ("peerlastmodificationtime", Self::Modified),
    ];

    /// The attribute, if it is one.
    pub(crate) fn attribute_name(&self) -> Option<&AttributeName> {
        if let Self::Attribute(name) = self { Some(name) } else { None }
    }

    /// The field of this name, attributes left out; in whatever case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut names = Self::NAMES.iter();
        names.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, field)| field.clone())
    }

    /// Its name, if it is no attribute.
    pub(crate) fn name(&self) -> Option<&'static str> {
        Self::NAMES.iter().find(|(_, field)| field == self).map(|(name, _)| *name)
    }

    /// The attribute of this name.
    ///
    /// # Errors
    /// [`QueryFault::BadName`].
    pub fn attribute(name: &str) -> Result<Self, QueryFault> {
        AttributeName::new(name).map(Self::Attribute)
    }

    /// Whether it has words to look for.
    pub(crate) fn has_words(&self) -> bool {
        matches!(self, Self::Text | Self::Creator | Self::Modifier | Self::Attribute(_))
    }

    /// Whether a record may be without it.
    pub(crate) fn may_lack(&self) -> bool {
        matches!(self, Self::Modifier | Self::Attribute(_))
    }

    fn check_operand(&self, operand: &Operand) -> Result<(), QueryFault> {
        let fits = match self {
            Self::Text => return Err(QueryFault::WordsHaveNoOrder),
            Self::Type | Self::Id | Self::Creator | Self::Modifier => operand.is_text(),
            Self::Created | Self::Modified | Self::Expires => matches!(operand, Operand::Date(_)),
            Self::Version | Self::Size => matches!(operand, Operand::Integer(_)),
            Self::Deleted => matches!(operand, Operand::Boolean(_)),
            Self::Attribute(_) => true,
        };
        if fits { Ok(()) } else { Err(self.wants()) }
    }

    /// The fault of an operand of another kind.
    pub(crate) fn wants(&self) -> QueryFault {
        match self {
            Self::Text => QueryFault::WordsHaveNoOrder,
            Self::Type | Self::Id | Self::Creator | Self::Modifier | Self::Attribute(_) => {
                QueryFault::NotAText
            }
            Self::Created | Self::Modified | Self::Expires => QueryFault::NotAMoment,
            Self::Version | Self::Size => QueryFault::NotAnInteger,
            Self::Deleted => QueryFault::NotATruth,
        }
    }

    /// Whether its values have an order.
    fn is_ordered(&self) -> bool {
        !matches!(self, Self::Type | Self::Id | Self::Creator | Self::Modifier | Self::Deleted)
    }
}

impl Comparison {
    /// Each with its sign in text and its name in JSON.
    pub(crate) const NAMES: [(&'static str, &'static str, Self); 6] = [
        ("=", "equal", Self::Equal),
        ("!=", "notequal", Self::NotEqual),
        ("<=", "lessorequal", Self::LessOrEqual),
        ("<", "less", Self::Less),
        (">=", "greaterorequal", Self::GreaterOrEqual),
        (">", "greater", Self::Greater),
    ];

    pub(crate) fn names(self) -> (&'static str, &'static str) {
        let mut names = Self::NAMES.iter();
        let found = names.find(|(_, _, comparison)| *comparison == self);
        found.map_or(("=", "equal"), |(sign, name, _)| (sign, name))
    }

    /// Whether a value that stands so to the operand satisfies the comparison.
    pub(crate) fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        }
    }

    /// Whether it needs no order.
    pub(crate) fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

impl Operand {
    /// The text of a pattern, or all texts of one.
    pub(crate) fn of_pattern(pattern: Pattern) -> Self {
        match pattern.as_literal() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Like(pattern),
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Like(_))
    }

    /// Whether a range may reach from one to the other.
    fn is_range(&self, end: &Self) -> bool {
        let is_number = |it: &Self| matches!(it, Self::Integer(_) | Self::Real(_));
        match self {
            Self::Text(_) => matches!(end, Self::Text(_)),
            Self::Integer(_) | Self::Real(_) => is_number(end),
            Self::Date(_) => matches!(end, Self::Date(_)),
            Self::Like(_) | Self::Boolean(_) => false,
        }
    }

    fn check(&self) -> Result<(), QueryFault> {
        match self {
            Self::Real(number) if !number.is_finite() => Err(QueryFault::NotANumber),
            // One form each.
            Self::Like(pattern) if pattern.as_literal().is_some() => Err(QueryFault::NotAText),
            Self::Text(_) | Self::Like(_) | Self::Integer(_) | Self::Real(_) => Ok(()),
            Self::Date(_) | Self::Boolean(_) => Ok(()),
        }
    }
}

impl Clause {
    /// Checks that everything fits.
    pub(crate) fn check(&self) -> Result<(), QueryFault> {
        match self {
            Self::Has(field, _) if field.has_words() => Ok(()),
            Self::Has(..) => Err(QueryFault::NoWords),
            Self::Compare(field, comparison, operand) => {
                field.check_operand(operand)?;
                operand.check()?;
                match comparison.is_equality() {
                    true => Ok(()),
                    false if !field.is_ordered() => Err(QueryFault::NoOrder),
                    false if matches!(operand, Operand::Like(_)) => {
                        Err(QueryFault::PatternHasNoOrder)
                    }
                    false => Ok(()),
                }
            }
            Self::Within(field, from, to) => {
                [from, to].into_iter().try_for_each(|it| field.check_operand(it))?;
                [from, to].into_iter().try_for_each(Operand::check)?;
                match from.is_range(to) {
                    true if field.is_ordered() => Ok(()),
                    true => Err(QueryFault::NoOrder),
                    false => Err(QueryFault::MixedRange),
                }
            }
            Self::Exists(field) if field.may_lack() => Ok(()),
            Self::Exists(_) => Err(QueryFault::UnknownField),
        }
    }
}

impl Tree {
    fn clauses(&self) -> usize {
        match self {
            Self::All | Self::Clause(_) => 1,
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::clauses).sum(),
            Self::Not(part) => part.clauses(),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::All | Self::Clause(_) => 0,
            Self::And(parts) | Self::Or(parts) => {
                1 + parts.iter().map(Self::depth).max().unwrap_or_default()
            }
            Self::Not(part) => 1 + part.depth(),
        }
    }

    /// Parts under an operator that takes several: one alone needs none.
    pub(crate) fn joined(mut parts: Vec<Self>, operator: fn(Vec<Self>) -> Self) -> Option<Self> {
        match parts.len() {
            0 | 1 => parts.pop(),
            _ => Some(operator(parts)),
        }
    }
}

impl Query {
    /// A tree whose clauses were checked when they were made.
    pub(crate) fn of_tree(tree: Tree) -> Result<Self, QueryFault> {
        if tree.clauses() > QUERY_CLAUSES_MAX {
            return Err(QueryFault::TooManyClauses);
        }
        if tree.depth() > QUERY_DEPTH_MAX {
            return Err(QueryFault::TooDeep);
        }
        if print::written(&tree).len() > QUERY_BYTES_MAX {
            return Err(QueryFault::TooLong);
        }
        Ok(Self { tree })
    }

    fn of_clause(clause: Clause) -> Result<Self, QueryFault> {
        clause.check()?;
        Self::of_tree(Tree::Clause(clause))
    }

    /// Every record.
    pub fn all() -> Self {
        Self { tree: Tree::All }
    }

    /// The records that have these words in a field, one after the other. A word may have the wildcards of a
    /// [`Pattern`].
    ///
    /// # Errors
    /// [`QueryFault`] if there is no word or a stray backslash, or if the field has no words.
    pub fn has(field: Field, words: &str) -> Result<Self, QueryFault> {
        Self::of_clause(Clause::Has(field, Phrase::new(Pattern::parse(words)?)?))
    }

    /// The records in which a value of the field compares so.
    ///
    /// # Errors
    /// [`QueryFault`] if they do not fit together.
    pub fn compare(
        field: Field,
        comparison: Comparison,
        operand: Operand,
    ) -> Result<Self, QueryFault> {
        Self::of_clause(Clause::Compare(field, comparison, operand))
    }

    /// The records in which a value of the field is at or after `from` and at or before `to`.
    ///
    /// # Errors
    /// [`QueryFault`] if they do not fit together.
    pub fn within(field: Field, from: Operand, to: Operand) -> Result<Self, QueryFault> {
        Self::of_clause(Clause::Within(field, from, to))
    }

    /// The records that have the field: an attribute, or [`Field::Modifier`].
    ///
    /// # Errors
    /// [`QueryFault::UnknownField`] for a field that every record has.
    pub fn exists(field: Field) -> Result<Self, QueryFault> {
        Self::of_clause(Clause::Exists(field))
    }

    /// The records of all of these queries.
    ///
    /// # Errors
    /// [`QueryFault::Empty`] without any, [`QueryFault::TooManyClauses`], [`QueryFault::TooDeep`].
    pub fn and(queries: impl IntoIterator<Item = Self>) -> Result<Self, QueryFault> {
        let parts = queries.into_iter().map(|query| query.tree).collect();
        Self::of_tree(Tree::joined(parts, Tree::And).ok_or(QueryFault::Empty)?)
    }

    /// The records of any of these queries.
    ///
    /// # Errors
    /// As [`and`](Self::and).
    pub fn or(queries: impl IntoIterator<Item = Self>) -> Result<Self, QueryFault> {
        let parts = queries.into_iter().map(|query| query.tree).collect();
        Self::of_tree(Tree::joined(parts, Tree::Or).ok_or(QueryFault::Empty)?)
    }

    /// The records that this query does not find.
    ///
    /// # Errors
    /// [`QueryFault::TooDeep`].
    pub fn negated(self) -> Result<Self, QueryFault> {
        Self::of_tree(Tree::Not(Box::new(self.tree)))
    }
}
