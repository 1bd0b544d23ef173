//! The notation for programs: a query as JSON.
//!
//! ```text
//! part    = {"all": true} / {"and": [part, …]} / {"or": [part, …]} / {"not": part}
//!         / {"text": words}
//!         / {which, "has": words} / {which, comparison: value} / {which, "within": [value, value]} / {which, "exists": true}
//! which   = "field": name / "attribute": name
//! words   = a string with the wildcards * and ?; a backslash takes their meaning away
//! value   = string, as it is / {"like": a string with wildcards} / number / true / false / {"date": string}
//! comparison = "equal" / "notequal" / "less" / "lessorequal" / "greater" / "greaterorequal"
//! ```
//!
//! The two keys of a clause may come in either order. A number with a fraction or an exponent is a real one. JavaScript writes `1` for 1.0; that makes no difference, since whole
//! and real numbers compare with each other.
use super::json::{Malformed, Reader, Token, write_string};
use super::moment::Moment;
use super::pattern::Pattern;
use super::phrase::Phrase;
use super::query::{Clause, Comparison, Field, Operand, Query, QueryError, QueryFault, Tree};
use crate::limits::{QUERY_BYTES_MAX, QUERY_CLAUSES_MAX, QUERY_DEPTH_MAX};
use std::borrow::Cow;

/// How many times as long as in text a query may be in JSON. Source: a control character takes six, and the names of
/// comparisons are long.
const TIMES_TEXT: usize = 8;

impl Query {
    /// Reads the notation for programs, such as
    /// `{"and": [{"field": "type", "equal": "chat.message"}, {"text": "hel*"}]}`.
    ///
    /// # Errors
    /// [`QueryError`], with the place in characters.
    pub fn from_json(json: &str) -> Result<Self, QueryError> {
        if json.len() > TIMES_TEXT * QUERY_BYTES_MAX {
            return Err(QueryError { at: 0, fault: QueryFault::TooLong });
        }
        let mut parser = Parser { reader: Reader::new(json), clauses: 0 };
        let query = parser.whole();
        query.map_err(|(at, fault)| QueryError { at: json[..at].chars().count(), fault })
    }

    /// The query in the notation for programs.
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        write_part(&self.tree, &mut json);
        json
    }
}

/// The outcome of reading something: a fault comes with its place in bytes.
type Read<T> = Result<T, (usize, QueryFault)>;

struct Parser<'a> {
    reader: Reader<'a>,
    clauses: usize,
}

/// A place and what is wrong there.
fn fault<T>(at: usize, fault: QueryFault) -> Read<T> {
    Err((at, fault))
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Read<Query> {
        let tree = self.part(0)?;
        let at = self.reader.at();
        match self.token()? {
            None => Query::of_tree(tree).map_err(|fault| (0, fault)),
            Some(_) => fault(at, QueryFault::NotJson),
        }
    }

    fn part(&mut self, depth: usize) -> Read<Tree> {
        let begin = self.reader.at();
        if depth > QUERY_DEPTH_MAX {
            return fault(begin, QueryFault::TooDeep);
        }
        self.mark_or(b'{', QueryFault::NotAForm)?;
        let (at, key) = self.key()?;
        let tree = match &*key {
            "and" => self.parts(depth, Tree::And)?,
            "or" => self.parts(depth, Tree::Or)?,
            "not" => Tree::Not(Box::new(self.part(depth + 1)?)),
            "all" => {
                self.truth()?;
                self.count(at)?;
                Tree::All
            }
            "text" => self.clause(at, |parser| Ok(Clause::Has(Field::Text, parser.words()?)))?,
            "field" | "attribute" => {
                let field = self.which(&key)?;
                self.mark_or(b',', QueryFault::MissingValue)?;
                let (at, key) = self.key()?;
                self.clause(at, |parser| parser.of_field(at, &key, field))?
            }
            key if is_question(key) => self.turned_round(at, key)?,
            _ => return fault(at, QueryFault::NotAForm),
        };
        self.mark_or(b'}', QueryFault::UnknownKey)?;
        Ok(tree)
    }

    /// A clause in which the field comes last.
    fn turned_round(&mut self, at: usize, key: &str) -> Read<Tree> {
        let value = self.reader.clone();
        self.skip()?;
        self.mark_or(b',', QueryFault::NotAForm)?;
        let (which_at, which) = self.key()?;
        if !["field", "attribute"].contains(&&*which) {
            return fault(which_at, QueryFault::NotAForm);
        }
        let field = self.which(&which)?;
        let after = std::mem::replace(&mut self.reader, value);
        let tree = self.clause(at, |parser| parser.of_field(at, key, field))?;
        self.reader = after;
        Ok(tree)
    }

    /// Goes over a value.
    fn skip(&mut self) -> Read<()> {
        let mut depth = 0_usize;
        loop {
            let at = self.reader.at();
            match self.token()? {
                Some(Token::Mark(b'{' | b'[')) => depth += 1,
                Some(Token::Mark(b'}' | b']')) if depth > 0 => depth -= 1,
                Some(Token::Mark(b',' | b':')) if depth > 0 => {}
                Some(Token::Mark(_)) | None => return fault(at, QueryFault::NotJson),
                Some(_) => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn parts(&mut self, depth: usize, operator: fn(Vec<Tree>) -> Tree) -> Read<Tree> {
        let begin = self.reader.at();
        self.mark_or(b'[', QueryFault::NotAForm)?;
        let mut parts = Vec::new();
        if self.is_next(b']') {
            return fault(begin, QueryFault::Empty);
        }
        loop {
            parts.push(self.part(depth + 1)?);
            if self.is_next(b']') {
                return Tree::joined(parts, operator).ok_or((begin, QueryFault::Empty));
            }
            self.mark_or(b',', QueryFault::NotJson)?;
        }
    }

    fn clause(&mut self, at: usize, read: impl FnOnce(&mut Self) -> Read<Clause>) -> Read<Tree> {
        self.count(at)?;
        let begin = self.reader.at();
        let clause = read(self)?;
        clause.check().map_err(|fault| (begin, fault))?;
        Ok(Tree::Clause(clause))
    }

    /// So that a query with too many clauses is not read to its end.
    fn count(&mut self, at: usize) -> Read<()> {
        self.clauses += 1;
        match self.clauses {
            0..=QUERY_CLAUSES_MAX => Ok(()),
            _ => fault(at, QueryFault::TooManyClauses),
        }
    }

    fn which(&mut self, key: &str) -> Read<Field> {
        let (at, name) = self.string(QueryFault::UnknownField)?;
        let field = match key {
            "field" => Field::named(&name).ok_or(QueryFault::UnknownField),
            _ => Field::attribute(&name),
        };
        field.map_err(|fault| (at, fault))
    }

    fn of_field(&mut self, at: usize, key: &str, field: Field) -> Read<Clause> {
        match key {
            "has" => return Ok(Clause::Has(field, self.words()?)),
            "exists" => {
                self.truth()?;
                return Ok(Clause::Exists(field));
            }
            "within" => {
                self.mark_or(b'[', QueryFault::MixedRange)?;
                let from = self.operand(&field)?;
                self.mark_or(b',', QueryFault::MixedRange)?;
                let to = self.operand(&field)?;
                self.mark_or(b']', QueryFault::MixedRange)?;
                return Ok(Clause::Within(field, from, to));
            }
            _ => {}
        }
        let mut names = Comparison::NAMES.into_iter();
        let found = names.find(|(_, name, _)| *name == key);
        let (.., comparison) = found.ok_or((at, QueryFault::UnknownKey))?;
        let operand = self.operand(&field)?;
        Ok(Clause::Compare(field, comparison, operand))
    }

    fn operand(&mut self, field: &Field) -> Read<Operand> {
        let at = self.reader.at();
        match self.token()? {
            Some(Token::String(text)) => Ok(Operand::Text(text.into_owned())),
            Some(Token::Boolean(truth)) => Ok(Operand::Boolean(truth)),
            Some(Token::Number(text)) => number(text).ok_or((at, QueryFault::NotANumber)),
            Some(Token::Mark(b'{')) => {
                let (key_at, key) = self.key()?;
                let (at, text) = self.string(field.wants())?;
                let operand = match &*key {
                    "like" => Pattern::parse(&text).map(Operand::of_pattern),
                    "date" => Moment::parse(&text).map(Operand::Date),
                    _ => return fault(key_at, QueryFault::UnknownKey),
                };
                self.mark_or(b'}', QueryFault::UnknownKey)?;
                operand.map_err(|fault| (at, fault))
            }
            Some(Token::Mark(_) | Token::Null) | None => fault(at, field.wants()),
        }
    }

    fn words(&mut self) -> Read<Phrase> {
        let (at, text) = self.string(QueryFault::NotAText)?;
        Pattern::parse(&text).and_then(Phrase::new).map_err(|fault| (at, fault))
    }

    /// A name and the colon after it.
    fn key(&mut self) -> Read<(usize, Cow<'a, str>)> {
        let key = self.string(QueryFault::NotAForm)?;
        self.mark_or(b':', QueryFault::NotJson)?;
        Ok(key)
    }

    fn string(&mut self, otherwise: QueryFault) -> Read<(usize, Cow<'a, str>)> {
        let at = self.reader.at();
        match self.token()? {
            Some(Token::String(text)) => Ok((at, text)),
            _ => fault(at, otherwise),
        }
    }

    fn truth(&mut self) -> Read<()> {
        let at = self.reader.at();
        match self.token()? {
            Some(Token::Boolean(true)) => Ok(()),
            _ => fault(at, QueryFault::NotATruth),
        }
    }

    fn mark_or(&mut self, mark: u8, otherwise: QueryFault) -> Read<()> {
        let at = self.reader.at();
        match self.token()? {
            Some(Token::Mark(found)) if found == mark => Ok(()),
            _ => fault(at, otherwise),
        }
    }

    /// Takes a mark, if it comes next.
    fn is_next(&mut self, mark: u8) -> bool {
        let mut ahead = self.reader.clone();
        let found = ahead.next() == Ok(Some(Token::Mark(mark)));
        if found {
            self.reader = ahead;
        }
        found
    }

    fn token(&mut self) -> Read<Option<Token<'a>>> {
        let at = self.reader.at();
        self.reader.next().map_err(|Malformed| (at, QueryFault::NotJson))
    }
}

/// Whether a key says what is asked about a field.
fn is_question(key: &str) -> bool {
    ["has", "exists", "within"].contains(&key)
        || Comparison::NAMES.iter().any(|(_, name, _)| *name == key)
}

/// A number that can be used.
fn number(text: &str) -> Option<Operand> {
    if text.contains(['.', 'e', 'E']) {
        return text.parse().ok().filter(|number: &f64| number.is_finite()).map(Operand::Real);
    }
    text.parse().ok().map(Operand::Integer)
}

fn write_part(tree: &Tree, json: &mut String) {
    match tree {
        Tree::All => json.push_str("{\"all\":true}"),
        Tree::And(parts) => write_parts("and", parts, json),
        Tree::Or(parts) => write_parts("or", parts, json),
        Tree::Not(part) => {
            json.push_str("{\"not\":");
            write_part(part, json);
            json.push('}');
        }
        Tree::Clause(clause) => write_clause(clause, json),
    }
}

fn write_parts(operator: &str, parts: &[Tree], json: &mut String) {
    json.extend(["{\"", operator, "\":["]);
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            json.push(',');
        }
        write_part(part, json);
    }
    json.push_str("]}");
}

fn write_clause(clause: &Clause, json: &mut String) {
    json.push('{');
    match clause {
        Clause::Has(Field::Text, phrase) => {
            json.push_str("\"text\":");
            write_string(&phrase.pattern().written(&[]), json);
        }
        Clause::Has(field, phrase) => {
            write_key(field, "has", json);
            write_string(&phrase.pattern().written(&[]), json);
        }
        Clause::Compare(field, comparison, operand) => {
            write_key(field, comparison.names().1, json);
            write_operand(operand, json);
        }
        Clause::Within(field, from, to) => {
            write_key(field, "within", json);
            json.push('[');
            write_operand(from, json);
            json.push(',');
            write_operand(to, json);
            json.push(']');
        }
        Clause::Exists(field) => {
            write_key(field, "exists", json);
            json.push_str("true");
        }
    }
    json.push('}');
}

/// Writes which field, and the name of what is asked about it.
fn write_key(field: &Field, key: &str, json: &mut String) {
    let (which, name) = field.attribute_name().map_or_else(
        || ("field", field.name().unwrap_or_default()),
        |name| ("attribute", name.as_str()),
    );
    json.extend(["\"", which, "\":\"", name, "\",\"", key, "\":"]);
}

fn write_operand(operand: &Operand, json: &mut String) {
    match operand {
        Operand::Text(text) => write_string(text, json),
        Operand::Like(pattern) => {
            json.push_str("{\"like\":");
            write_string(&pattern.written(&[]), json);
            json.push('}');
        }
        Operand::Integer(number) => json.push_str(&number.to_string()),
        Operand::Real(number) => json.push_str(&format!("{number:?}")),
        Operand::Date(moment) => json.extend(["{\"date\":\"", &moment.to_string(), "\"}"]),
        Operand::Boolean(truth) => json.push_str(if *truth { "true" } else { "false" }),
    }
}
