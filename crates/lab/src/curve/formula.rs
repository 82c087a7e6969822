//! Formulas of one variable x, by recursive descent: sum, product, power with the usual precedence, functions by name.
//!
//! exmex reads more, but brings regex and four crates with it, ten seconds of a clean build, for this one setting.

use std::f64::consts::PI;
use std::iter::Peekable;
use std::str::Chars;

/// A formula that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Formula {
    X,
    Number(f64),
    Negative(Box<Self>),
    Binary(char, Box<[Self; 2]>),
    Call(&'static str, Box<Self>),
}

/// A function with its name.
type Named = (&'static str, fn(f64) -> f64);

/// Functions by name.
const FUNCTIONS: &[Named] = &[
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("exp", f64::exp),
    ("log", f64::ln),
    ("sqrt", f64::sqrt),
    ("abs", f64::abs),
    ("tanh", f64::tanh),
    ("floor", f64::floor),
    ("sign", f64::signum),
];

/// Parentheses and signs within each other at most.
const DEEPEST: usize = 40;

impl Formula {
    /// The formula of a text, or what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text.chars().peekable(), depth: 0 };
        let formula = reader.sum()?;
        match reader.next_char() {
            None => Ok(formula),
            Some(c) => Err(format!("{c:?} was not expected")),
        }
    }

    /// Its value at x.
    pub(super) fn at(&self, x: f64) -> f64 {
        match self {
            Self::X => x,
            Self::Number(value) => *value,
            Self::Negative(of) => -of.at(x),
            Self::Call(name, of) => {
                FUNCTIONS.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, f)| f(of.at(x)))
            }
            Self::Binary(sign, sides) => {
                let (a, b) = (sides[0].at(x), sides[1].at(x));
                match sign {
                    '+' => a + b,
                    '-' => a - b,
                    '*' => a * b,
                    '/' => a / b,
                    _ => a.powf(b),
                }
            }
        }
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
}

impl Reader<'_> {
    /// The next character that is no space, left where it is.
    fn next_char(&mut self) -> Option<char> {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn take(&mut self, wanted: &[char]) -> Option<char> {
        let found = self.next_char().filter(|c| wanted.contains(c))?;
        self.rest.next();
        Some(found)
    }

    fn sum(&mut self) -> Result<Formula, String> {
        let mut left = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            left = Formula::Binary(sign, Box::new([left, self.product()?]));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Formula, String> {
        let mut left = self.signed()?;
        while let Some(sign) = self.take(&['*', '/']) {
            left = Formula::Binary(sign, Box::new([left, self.signed()?]));
        }
        Ok(left)
    }

    /// −x² is −(x²), and 2^−x has a sign in its exponent.
    fn signed(&mut self) -> Result<Formula, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("more than {DEEPEST} parentheses or signs within each other"));
        }
        let read = if self.take(&['-']).is_some() {
            Formula::Negative(Box::new(self.signed()?))
        } else {
            let base = self.atom()?;
            match self.take(&['^']) {
                Some(sign) => Formula::Binary(sign, Box::new([base, self.signed()?])),
                None => base,
            }
        };
        self.depth -= 1;
        Ok(read)
    }

    fn atom(&mut self) -> Result<Formula, String> {
        match self.next_char() {
            None => Err("the formula ends too soon".to_owned()),
            Some('(') => self.bracketed(),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.word(),
            Some(c) => Err(format!("{c:?} was not expected")),
        }
    }

    fn bracketed(&mut self) -> Result<Formula, String> {
        if self.take(&['(']).is_none() {
            return Err("a function needs an argument in parentheses".to_owned());
        }
        let inside = self.sum()?;
        if self.take(&[')']).is_none() {
            return Err("a parenthesis is not closed".to_owned());
        }
        Ok(inside)
    }

    /// Digits, with the sign of an exponent: 1.5e-3.
    fn number(&mut self) -> Result<Formula, String> {
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|&c| {
            c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || (matches!(c, '-' | '+') && text.ends_with(['e', 'E']))
        }) {
            text.push(c);
        }
        text.parse().map(Formula::Number).map_err(|_| format!("{text:?} is no number"))
    }

    fn word(&mut self) -> Result<Formula, String> {
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(char::is_ascii_alphanumeric) {
            word.push(c);
        }
        match word.as_str() {
            "x" => Ok(Formula::X),
            "pi" => Ok(Formula::Number(PI)),
            _ => {
                let Some((name, _)) = FUNCTIONS.iter().find(|(known, _)| *known == word) else {
                    let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
                    return Err(format!("{word:?} is neither x nor pi nor one of {}", names.join(", ")));
                };
                Ok(Formula::Call(name, Box::new(self.bracketed()?)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, x: f64) -> f64 {
        Formula::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}")).at(x)
    }

    #[test]
    fn precedence_is_the_usual_one() {
        assert_eq!(at("1 + 2*x^2", 3.0), 19.0);
        assert_eq!(at("-x^2", 3.0), -9.0);
        assert_eq!(at("2^-x", 1.0), 0.5);
        assert_eq!(at("2^3^2", 0.0), 512.0);
        assert_eq!(at("8 - 2 - 1 - -x", 1.0), 6.0);
        assert_eq!(at("12 / 2 / (1 + x)", 1.0), 3.0);
        assert!((at("sin(pi*x) + 1.5e-3", 0.5) - 1.0015).abs() < 1e-15);
        assert_eq!(at("sqrt(abs(-x)) * floor(2.7)", 4.0), 4.0);
    }

    #[test]
    fn what_is_no_formula_is_told() {
        for (text, expected) in [
            ("", "ends too soon"),
            ("1 +", "ends too soon"),
            ("(x", "not closed"),
            ("x x", "was not expected"),
            ("1..2", "no number"),
            ("y", "neither x nor pi"),
            ("sin x", "argument in parentheses"),
            ("x é", "was not expected"),
            ("3e", "no number"),
        ] {
            let told = Formula::parse(text).unwrap_err();
            assert!(told.contains(expected), "{text:?}: {told}");
        }
        assert!(Formula::parse(&"(".repeat(390)).unwrap_err().contains("within each other"));
        assert!(Formula::parse(&"-".repeat(390)).unwrap_err().contains("within each other"));
    }
}
