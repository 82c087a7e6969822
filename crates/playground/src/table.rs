//! Points from a table: two columns of numbers and one of classes, separated by commas, semicolons or tabs, with or without a
//! header.

use crate::Refused;
use crate::point::{MOST_CLASSES, MOST_POINTS, Point, REACH};
use csv::{Position, ReaderBuilder, StringRecord, Trim};

/// What a table holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// Its points, on the plane.
    pub(crate) points: Vec<Point>,
    /// What a person should know: how coordinates were changed, which label is which class.
    pub(crate) told: String,
}

/// The share of the plane that a table which does not fit it is scaled to.
const FILLED: f64 = 0.9;

/// Reads a table. Coordinates beyond the plane are moved and scaled, the same both ways, until all of them fit.
pub(crate) fn read(text: &str) -> Result<Table, Refused> {
    // A byte-order mark is no part of the first number.
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    let separator = [b'\t', b';', b','].into_iter().find(|&s| first.as_bytes().contains(&s)).unwrap_or(b',');
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let (mut rows, mut labels) = (Vec::new(), Vec::<String>::new());
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(|error| Refused::Table { line: i as u64 + 1, reason: error.to_string() })?;
        let line = record.position().map_or(i as u64 + 1, |position| line_of(text, position));
        let fail = |reason: String| Refused::Table { line, reason };
        match row(&record) {
            // Words where numbers should be are a header in the first line and nowhere else.
            Err(_)
                if i == 0 && record.len() == 3 && record.iter().take(2).all(|field| field.parse::<f64>().is_err()) => {}
            Err(reason) => return Err(fail(reason)),
            Ok((x, y, label)) => {
                let class = class_of(label, &mut labels).map_err(fail)?;
                rows.push((x, y, class));
            }
        }
        if rows.len() > MOST_POINTS {
            return Err(Refused::TooManyPoints { found: rows.len() });
        }
    }
    if rows.is_empty() {
        return Err(Refused::Table { line: 1, reason: "expected rows of x, y, class, found none".to_owned() });
    }
    let (points, moved) = onto_the_plane(&rows);
    let named: Vec<String> = labels.iter().enumerate().map(|(i, label)| format!("{} is “{label}”", i + 1)).collect();
    Ok(Table { points, told: format!("{} points; class {}{moved}", rows.len(), named.join(", ")) })
}

/// The line of a record. Its position is where the one before ended: empty lines follow there.
fn line_of(text: &str, position: &Position) -> u64 {
    let rest = text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| b"\r\n".contains(byte)).filter(|&&byte| byte == b'\n');
    position.line() + empty.count() as u64
}

fn row(record: &StringRecord) -> Result<(f64, f64, &str), String> {
    let [x, y, label] = [0, 1, 2].map(|i| record.get(i).unwrap_or_default());
    if record.len() != 3 || label.is_empty() {
        return Err(format!("expected three columns (x, y, class), found {}", record.len()));
    }
    let number = |name: &str, field: &str| {
        let value = field.parse::<f64>().ok().filter(|value| value.is_finite() && value.abs() <= 1e100);
        value.ok_or_else(|| format!("expected a number for {name}, found {:?}", shortened(field)))
    };
    Ok((number("x", x)?, number("y", y)?, label))
}

/// Classes are numbered as their labels come.
fn class_of(label: &str, labels: &mut Vec<String>) -> Result<usize, String> {
    if let Some(class) = labels.iter().position(|known| known == &shortened(label)) {
        return Ok(class);
    }
    if labels.len() == MOST_CLASSES {
        return Err(format!(
            "expected {MOST_CLASSES} classes at most, found {:?} besides {labels:?}",
            shortened(label)
        ));
    }
    labels.push(shortened(label));
    Ok(labels.len() - 1)
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn onto_the_plane(rows: &[(f64, f64, usize)]) -> (Vec<Point>, String) {
    if rows.iter().all(|&(x, y, _)| x.abs() <= REACH && y.abs() <= REACH) {
        return (rows.iter().map(|&(x, y, class)| Point::nearest(x, y, class)).collect(), String::new());
    }
    let range = |values: &dyn Fn(&(f64, f64, usize)) -> f64| {
        let values = rows.iter().map(values);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (xs, ys) = (range(&|row| row.0), range(&|row| row.1));
    let (cx, cy) = (xs.0 + (xs.1 - xs.0) / 2.0, ys.0 + (ys.1 - ys.0) / 2.0);
    let widest = (xs.1 - xs.0).max(ys.1 - ys.0);
    // All points in one place have no width to be scaled by.
    let factor = if widest > 0.0 { 2.0 * FILLED * REACH / widest } else { 1.0 };
    let point = |&(x, y, class): &(f64, f64, usize)| Point::nearest((x - cx) * factor, (y - cy) * factor, class);
    let told = format!("; moved by ({:.4}, {:.4}) and scaled by {factor:.4} to fit the plane", -cx, -cy);
    (rows.iter().map(point).collect(), told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str) -> Vec<(f64, f64, usize)> {
        read(text).unwrap().points.iter().map(|p| (p.x, p.y, p.class)).collect()
    }

    #[test]
    fn tables_of_all_usual_kinds_are_read() {
        let expected = [(1.0, 2.5, 0), (-1.0, 0.5, 1), (0.0, 0.0, 0)];
        assert_eq!(points("x,y,class\n1,2.5,a\n-1,0.5,b\n0,0,a\n"), expected);
        assert_eq!(points("1;2.5;red\r\n-1;5e-1;\"blue\"\r\n\r\n0;0;red"), expected);
        assert_eq!(points("\u{feff}1\t2.5\t7\n -1 \t 0.5 \t8\n0\t0\t7"), expected);
        let told = read("x,y,class\n1,2.5,a\n-1,0.5,b\n").unwrap().told;
        assert_eq!(told, "2 points; class 1 is “a”, 2 is “b”");
    }

    #[test]
    fn what_does_not_fit_the_plane_is_scaled_alike_both_ways() {
        let table = read("x,y,c\n100,10,a\n120,20,b\n110,15,a\n").unwrap();
        // Centre (110, 15), width 20: the factor is 9 / 20.
        let found: Vec<_> = table.points.iter().map(|p| (p.x, p.y)).collect();
        assert_eq!(found, [(-4.5, -2.25), (4.5, 2.25), (0.0, 0.0)]);
        assert!(table.told.contains("moved by (-110.0000, -15.0000) and scaled by 0.4500"), "{}", table.told);
        assert_eq!(points("1e99,1e99,a\n1e99,1e99,b\n"), [(0.0, 0.0, 0), (0.0, 0.0, 1)]);
    }

    #[test]
    fn bad_tables_are_told_with_their_line() {
        let many = (0..4).map(|i| format!("1,1,{i}\n")).chain(["1,1,z\n".to_owned()]).collect::<Vec<_>>().concat();
        for (text, line, part) in [
            ("", 1, "found none"),
            ("x,y,class\n", 1, "found none"),
            ("1,2\n", 1, "three columns"),
            ("1,2,\n", 1, "three columns"),
            ("1,2,a,b\n", 1, "found 4"),
            ("1,2,a\n1,two,b\n", 2, "\"two\""),
            ("1,2,a\nx,y,class\n", 2, "number for x"),
            ("1,2,a\n\n1,NaN,b\n", 3, "NaN"),
            ("1,2,a\r\n\r\n\r\n1,NaN,b\r\n", 4, "NaN"),
            ("1,2,a\r\n1,inf,b\r\n", 2, "inf"),
            ("1,x,a\n1,2,b\n", 1, "number for y"),
            (&many, 5, "4 classes at most"),
        ] {
            let error = read(text).unwrap_err();
            assert!(matches!(&error, Refused::Table { line: found, .. } if *found == line), "{text:?}: {error}");
            assert!(error.to_string().contains(part), "{text:?}: {error}");
        }
        let long = "1,1,a\n".repeat(MOST_POINTS + 1);
        assert_eq!(read(&long).unwrap_err(), Refused::TooManyPoints { found: MOST_POINTS + 1 });
        // A label without end is cut and not kept.
        assert!(read(&format!("1,1,{}\n", "a".repeat(100_000))).unwrap().told.len() < 200);
    }
}
