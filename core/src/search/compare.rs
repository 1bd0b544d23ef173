//! How values of records compare with those of a query.
use super::query::{Comparison, Operand};
use crate::record::Value;
use crate::time::WallTime;
use std::cmp::Ordering;

/// Whether a value satisfies a comparison. One of another kind satisfies none.
pub(crate) fn satisfies(value: &Value, comparison: Comparison, operand: &Operand) -> bool {
    if let (Value::String(text), Operand::Like(pattern)) = (value, operand) {
        return comparison.is_equality()
            && pattern.matches(text) == (comparison == Comparison::Equal);
    }
    order(value, operand).is_some_and(|order| comparison.allows(order))
}

/// Whether a value lies between these, both included.
pub(crate) fn is_within(value: &Value, from: &Operand, to: &Operand) -> bool {
    satisfies(value, Comparison::GreaterOrEqual, from)
        && satisfies(value, Comparison::LessOrEqual, to)
}

/// How a value stands to an operand of its kind; nothing if there is no order between them.
fn order(value: &Value, operand: &Operand) -> Option<Ordering> {
    Some(match (value, operand) {
        (Value::String(value), Operand::Text(text)) => value.cmp(text),
        (Value::Integer(value), Operand::Integer(number)) => value.cmp(number),
        (Value::Real(value), Operand::Real(number)) => value.partial_cmp(number)?,
        (Value::Integer(value), Operand::Real(number)) => of_numbers(*value, *number)?,
        (Value::Real(value), Operand::Integer(number)) => of_numbers(*number, *value)?.reverse(),
        (Value::Date(time), Operand::Date(moment)) => match *time {
            time if time < moment.from() => Ordering::Less,
            time if time >= moment.to() => Ordering::Greater,
            WallTime(_) => Ordering::Equal,
        },
        (Value::Boolean(value), Operand::Boolean(truth)) => value.cmp(truth),
        _ => return None,
    })
}

/// Two to the power of 63: above every whole number that a record can have.
const TOO_HIGH: f64 = 9_223_372_036_854_775_808.0;

/// Compares a whole number with another one, exactly.
fn of_numbers(integer: i64, real: f64) -> Option<Ordering> {
    if real.is_nan() {
        return None;
    }
    if real >= TOO_HIGH {
        return Some(Ordering::Less);
    }
    if real < -TOO_HIGH {
        return Some(Ordering::Greater);
    }
    // Its whole part fits.
    let whole = real.trunc();
    let fraction = 0.0_f64.partial_cmp(&(real - whole))?;
    Some(integer.cmp(&(whole as i64)).then(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Moment, Pattern};

    #[test]
    fn numbers_compare_exactly_whatever_their_kind() {
        let is = |value, comparison, operand| satisfies(&value, comparison, &operand);
        let (integer, real) = (Value::Integer, Value::Real);
        assert!(is(integer(3), Comparison::Equal, Operand::Real(3.0)));
        assert!(is(integer(3), Comparison::Less, Operand::Real(3.5)));
        assert!(is(integer(-3), Comparison::Greater, Operand::Real(-3.5)));
        assert!(is(real(3.5), Comparison::Greater, Operand::Integer(3)));
        // As a real number it would be 2^53.
        let odd = (1 << 53) + 1;
        assert!(is(integer(odd), Comparison::Greater, Operand::Real(9_007_199_254_740_992.0)));
        assert!(is(integer(i64::MAX), Comparison::Less, Operand::Real(TOO_HIGH)));
        assert!(is(integer(i64::MIN), Comparison::Equal, Operand::Real(-TOO_HIGH)));
        assert!(is(integer(i64::MIN), Comparison::Greater, Operand::Real(-1e300)));
        assert!(is(real(1e300), Comparison::Greater, Operand::Integer(i64::MAX)));
    }

    #[test]
    fn moments_are_spans_and_kinds_do_not_mix() {
        let day = || Operand::Date(Moment::parse("2026-11-01").unwrap());
        let noon = Value::Date(WallTime(1_793_491_200_000 + 43_200_000));
        let all = Comparison::NAMES.map(|(_, _, comparison)| comparison);
        let which = |value: &Value, operand: &Operand| -> Vec<Comparison> {
            all.into_iter().filter(|it| satisfies(value, *it, operand)).collect()
        };
        use Comparison::{Equal, GreaterOrEqual, LessOrEqual, NotEqual};
        assert_eq!(which(&noon, &day()), [Equal, LessOrEqual, GreaterOrEqual]);
        let text = Value::String("2026".into());
        assert_eq!(which(&text, &day()), []);
        assert_eq!(which(&text, &Operand::Integer(2026)), []);
        assert_eq!(which(&Value::Boolean(true), &Operand::Integer(1)), []);
        let like = Operand::Like(Pattern::parse("20*").unwrap());
        assert_eq!(which(&text, &like), [Equal]);
        assert_eq!(which(&Value::String("x".into()), &like), [NotEqual]);
    }
}
