//! The notation that people type: writing it, so that it is read as the same query.
use super::pattern::{Part, Pattern};
use super::query::{Clause, Comparison, Field, Operand, Query, Tree};
use std::fmt;

/// As [`Query::parse`] reads it.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(&self.tree))
    }
}

impl From<Query> for String {
    fn from(query: Query) -> Self {
        query.to_string()
    }
}

/// A tree in the notation that people type.
pub(crate) fn written(tree: &Tree) -> String {
    let mut text = String::new();
    write_tree(tree, &mut text);
    text
}

fn write_tree(tree: &Tree, text: &mut String) {
    match tree {
        Tree::All => text.push('*'),
        Tree::And(parts) => write_parts(parts, " ", text),
        Tree::Or(parts) => write_parts(parts, " OR ", text),
        Tree::Not(part) => {
            text.push('-');
            write_part(part, text);
        }
        Tree::Clause(clause) => write_clause(clause, text),
    }
}

fn write_parts(parts: &[Tree], between: &str, text: &mut String) {
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            text.push_str(between);
        }
        write_part(part, text);
    }
}

fn write_part(part: &Tree, text: &mut String) {
    let groups = matches!(part, Tree::And(_) | Tree::Or(_));
    if groups {
        text.push('(');
    }
    write_tree(part, text);
    if groups {
        text.push(')');
    }
}

fn write_clause(clause: &Clause, text: &mut String) {
    match clause {
        Clause::Has(Field::Text, phrase) => match phrase.pattern().as_literal() {
            Some("deleted" | "AND" | "OR" | "NOT") => write_quoted(phrase.pattern(), text),
            Some(_) | None => write_pattern(phrase.pattern(), false, text),
        },
        Clause::Has(field, phrase) => {
            write_name(field, text);
            text.push(':');
            write_pattern(phrase.pattern(), false, text);
        }
        Clause::Compare(field, comparison, operand) => {
            write_name(field, text);
            let is_plain = *comparison == Comparison::Equal && !field.has_words();
            text.push_str(if is_plain { ":" } else { comparison.names().0 });
            write_operand(field, operand, text);
        }
        Clause::Within(field, from, to) => {
            write_name(field, text);
            text.push(if field.has_words() { '=' } else { ':' });
            write_operand(field, from, text);
            text.push_str("..");
            write_operand(field, to, text);
        }
        Clause::Exists(field) => {
            write_name(field, text);
            text.push_str(":*");
        }
    }
}

fn write_name(field: &Field, text: &mut String) {
    let Field::Attribute(name) = field else {
        text.push_str(field.name().unwrap_or_default());
        return;
    };
    let begins = name.as_str().starts_with(|char: char| char.is_ascii_alphabetic());
    if !begins || Field::named(name.as_str()).is_some() {
        text.push('@');
    }
    text.push_str(name.as_str());
}

fn write_operand(field: &Field, operand: &Operand, text: &mut String) {
    match operand {
        Operand::Text(literal) => write_pattern(&Pattern::literal(literal), true, text),
        Operand::Like(pattern) => write_pattern(pattern, true, text),
        Operand::Integer(number) => text.push_str(&number.to_string()),
        Operand::Real(number) => text.push_str(&format!("{number:?}")),
        Operand::Date(moment) => {
            text.push_str(&moment.to_string());
            if moment.is_year() && matches!(field, Field::Attribute(_)) {
                text.push('Y');
            }
        }
        Operand::Boolean(truth) => text.push_str(if *truth { "true" } else { "false" }),
    }
}

/// Writes a text, without quotation marks if it is read as the same one then. A value may have some marks inside.
fn write_pattern(pattern: &Pattern, is_value: bool, text: &mut String) {
    let word = match pattern.parts() {
        [Part::Text(word)] | [Part::Text(word), Part::Any] => word.as_str(),
        _ => "",
    };
    let inside = |char: char| char.is_alphanumeric() || is_value && ['.', '-', '_'].contains(&char);
    let plain = word.starts_with(char::is_alphabetic)
        && word.ends_with(char::is_alphanumeric)
        && word.chars().all(inside)
        && !word.contains("..")
        && !["true", "false"].contains(&word);
    if plain {
        text.push_str(&pattern.written(&[]));
    } else {
        write_quoted(pattern, text);
    }
}

fn write_quoted(pattern: &Pattern, text: &mut String) {
    text.push('"');
    text.push_str(&pattern.written(&['"']));
    text.push('"');
}
