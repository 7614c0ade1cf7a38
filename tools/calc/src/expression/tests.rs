//! Expressions and what they come to, as tables; every one of them can fail.

use super::*;

fn shown(expression: &str) -> String {
    match evaluate(expression) {
        Ok(value) => value.to_string(),
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn values() {
    let rounded = " (rounded to 30 significant digits)";
    for (expression, expected) in [
        ("23 * 47", "1081"),
        ("0.1 + 0.2", "0.3"),
        ("1/8", "0.125"),
        ("-1/8", "-0.125"),
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("10 - 4 - 3", "3"),
        ("100 / 10 / 2", "5"),
        ("2 ^ 3 ^ 2", "512"),
        ("-2 ^ 2", "-4"),
        ("(-2) ** 2", "4"),
        ("2 ^ -2", "0.25"),
        ("(1/2) ^ -3", "8"),
        ("0 ^ 0", "1"),
        ("(-1) ^ 99999999999999999999", "-1"),
        ("1 ^ 99999999999999999999", "1"),
        ("7 % 3", "1"),
        ("-7 % 3", "2"),
        ("7.5 % 2", "1.5"),
        ("6 × 7 − 8 ÷ 2", "38"),
        ("sqrt(144)", "12"),
        ("sqrt 2.25", "1.5"),
        ("√(16) + 1", "5"),
        ("sqrt(0)", "0"),
        ("1e3 + 1.5E-1", "1000.15"),
        (".5 + 5.", "5.5"),
        ("+-+-3", "3"),
        ("250 * 15 / 100", "37.5"),
        ("2^100", "1267650600228229401496703205376"),
        ("100.00", "100"),
    ] {
        assert_eq!(shown(expression), expected, "{expression}");
    }
    for (expression, expected) in [
        ("1/3", "0.333333333333333333333333333333"),
        ("2/3", "0.666666666666666666666666666667"),
        ("-200/3", "-66.6666666666666666666666666667"),
        ("sqrt(2)", "1.41421356237309504880168872421"),
        ("sqrt(2) ^ 2", "2"),
        ("sqrt(2) - sqrt(2)", "0"),
        ("sqrt(0.5)", "0.707106781186547524400844362105"),
        ("1/3 + sqrt(4)", "2.33333333333333333333333333333"),
        ("10^29 - 1/3", "99999999999999999999999999999.7"),
        ("1 - 1/(3*10^40)", "1"),
        ("10^40/3", "3333333333333333333333333333330000000000"),
        ("10^100/3", "3.33333333333333333333333333333e99"),
        ("1/(3*10^100)", "3.33333333333333333333333333333e-101"),
    ] {
        assert_eq!(shown(expression), format!("{expected}{rounded}"), "{expression}");
    }
}

#[test]
fn faults_say_where() {
    for (expression, expected) in [
        ("1/0", "division by zero"),
        ("1 % (2 - 2)", "division by zero"),
        ("0 ^ -1", "division by zero"),
        ("", "at character 1: expected a number, found the end"),
        ("2 +", "at character 4: expected a number, found the end"),
        ("2 + * 3", "at character 5: expected a number, found '*'"),
        ("2 3", "at character 3: expected an operator, found '3'"),
        ("(1 + 2", "at character 1: this parenthesis is never closed"),
        ("1)", "at character 2: this parenthesis was never opened"),
        ("1,000 + 1", "at character 2: a comma is not part of a number; write 1000 for 1,000"),
        ("2 * pi", "at character 5: \"pi\" is not known here; there are numbers, + - * / % ^ ( ) and sqrt"),
        ("1 + sqrt(-1)", "at character 5: a negative number has no square root"),
        ("2 ^ 0.5", "at character 3: an exponent must be a whole number; for a root use sqrt"),
        ("1e", "at character 3: expected the power of ten of this number"),
        (".", "at character 1: a number needs a digit"),
    ] {
        assert_eq!(shown(expression), format!("! {expected}"), "{expression}");
    }
}

#[test]
fn hostile_expressions_are_refused_or_short() {
    let open = "(".repeat(19_000);
    let minus = "-".repeat(19_000) + "1";
    let tower = "2^".repeat(9_000) + "2";
    let long = "9".repeat(10_001);
    let roots = "sqrt ".repeat(3_000) + "2";
    for expression in [
        "10^1000000",
        "9^9^9^9",
        "2^-999999999999999999999",
        "(1/3)^1000000",
        "10^9999 * 10^9999",
        "1e1000000",
        "1e-99999999999999999999999",
        &open,
        &minus,
        &tower,
        &long,
        &roots,
        "\u{0}",
        "💥 + 1",
        "SELECT 1",
        "2 ^ ^ 3",
        &"1+".repeat(20_000),
    ] {
        assert!(evaluate(expression).is_err(), "{}", expression.chars().take(30).collect::<String>());
    }
    assert_eq!(shown("10^9998").len(), 9_999);
    assert_eq!(shown(&format!("{}1{}", "(".repeat(90), ")".repeat(90))), "1");
    assert_eq!(shown(&("1".to_owned() + &"+1".repeat(5_000))), "5001");
    assert!(shown("sqrt(10^9001)").starts_with("3.16227766016837933199889354443e4500 ("));
    assert!(shown("sqrt(1/(2*10^4000))").starts_with("7.07106781186547524400844362105e-2001 ("));
}
