//! Intervals and tests against scipy and statsmodels; `reference/statistics.py` made the values.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_results::interval::{Crossed, IntervalKind, wilson};
use bakeoff_results::test::{holm, mcnemar};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    wilson: Vec<(usize, usize, f64, f64, f64)>,
    mcnemar: Vec<(usize, usize, f64)>,
    holm: Vec<(Vec<f64>, Vec<f64>)>,
    tables: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    a: Vec<Vec<u8>>,
    b: Vec<Vec<u8>>,
    accuracy: Table,
    difference: Table,
}

#[derive(Deserialize)]
struct Table {
    mean: f64,
    mean_squares: Squares,
    interval: (f64, f64),
    standard_error: f64,
    p_value: f64,
}

#[derive(Deserialize)]
struct Squares {
    seeds: f64,
    images: f64,
    rest: f64,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference/statistics.json")).unwrap()
}

fn close(found: f64, wanted: f64, tolerance: f64) -> bool {
    (found - wanted).abs() <= tolerance * wanted.abs().max(1e-3)
}

#[test]
fn wilson_agrees_with_statsmodels() {
    for (right, of, confidence, lo, hi) in reference().wilson {
        let found = wilson(right, of, confidence);
        assert!(
            (found.lo - lo).abs() < 1e-12 && (found.hi - hi).abs() < 1e-12,
            "{right} of {of}: {found:?}, {lo} {hi}"
        );
    }
    assert_eq!(<[f64; 2]>::from(wilson(0, 0, 0.95)), [0.0, 1.0]);
}

#[test]
fn mcnemar_agrees_with_statsmodels() {
    for (b, c, p) in reference().mcnemar {
        let found = mcnemar(b, c);
        assert!((found - p).abs() <= 1e-9 * p + 1e-300, "{b} and {c}: {found}, {p}");
    }
}

#[test]
fn holm_agrees_with_statsmodels() {
    for (p_values, wanted) in reference().holm {
        let found = holm(&p_values, 0);
        assert!(found.iter().zip(&wanted).all(|(f, w)| (f - w).abs() < 1e-14), "{found:?}, {wanted:?}");
    }
}

#[test]
fn two_way_tables_agree_with_statsmodels_and_scipy() {
    for pair in reference().tables {
        let (a, b) = (bools(&pair.a), bools(&pair.b));
        check(&Crossed::accuracy(&slices(&a)).unwrap(), &pair.accuracy);
        let difference = Crossed::difference(&slices(&a), &slices(&b)).unwrap();
        check(&difference, &pair.difference);
        let p = difference.p_value();
        assert!(close(p, pair.difference.p_value, 0.01), "p {p}, {}", pair.difference.p_value);
    }
}

fn check(crossed: &Crossed, wanted: &Table) {
    assert!((crossed.mean() - wanted.mean).abs() < 1e-15);
    let squares = crossed.mean_squares();
    assert!(close(squares.seeds, wanted.mean_squares.seeds, 1e-9), "{squares:?}");
    assert!(close(squares.images, wanted.mean_squares.images, 1e-9), "{squares:?}");
    assert!(close(squares.rest, wanted.mean_squares.rest, 1e-9), "{squares:?}");
    let error = (crossed.seed_variance() + crossed.image_variance()).sqrt();
    assert!(close(error, wanted.standard_error, 1e-9), "{error}, {}", wanted.standard_error);
    // Percentiles of 200,000 draws; Student's t with one degree of freedom has far percentiles with a large error.
    let found = crossed.interval_of(0.95, 200_000, 11);
    let room = 0.02 * (wanted.interval.1 - wanted.interval.0) + 1e-9;
    let (lo, hi) = wanted.interval;
    assert!((found.lo - lo.max(-1.0)).abs() < room && (found.hi - hi.min(1.0)).abs() < room, "{found:?}, {lo} {hi}");
}

fn bools(rows: &[Vec<u8>]) -> Vec<Vec<bool>> {
    rows.iter().map(|row| row.iter().map(|&v| v == 1).collect()).collect()
}

fn slices(rows: &[Vec<bool>]) -> Vec<&[bool]> {
    rows.iter().map(Vec::as_slice).collect()
}

#[test]
fn the_kind_of_an_interval_is_told() {
    let seed: &[bool] = &[true, false];
    assert_eq!(Crossed::accuracy(&[seed]).unwrap().kind(), IntervalKind::ImageBootstrap);
    assert_eq!(Crossed::accuracy(&[seed, seed]).unwrap().kind(), IntervalKind::TwoWayBootstrap);
    assert!(Crossed::accuracy(&[]).is_none() && Crossed::accuracy(&[&[], &[]]).is_none());
}

#[test]
fn models_that_never_differ_get_no_interval_of_width_zero() {
    let right = vec![true; 50];
    let both: Vec<&[bool]> = vec![&right, &right, &right];
    let accuracy = Crossed::accuracy(&both).unwrap().interval(0.95);
    assert!(accuracy.hi == 1.0 && (0.88..0.96).contains(&accuracy.lo), "{accuracy:?}");
    let same = Crossed::difference(&both, &both).unwrap();
    let interval = same.interval(0.95);
    assert!(interval.lo < -0.02 && interval.hi > 0.02 && interval.contains(0.0), "{interval:?}");
    assert_eq!(same.p_value(), 1.0);
}

#[test]
fn the_order_of_seeds_and_images_changes_no_bit() {
    let pair = &reference().tables[2];
    let (a, b) = (bools(&pair.a), bools(&pair.b));
    let turned = |rows: &[Vec<bool>]| -> Vec<Vec<bool>> {
        rows.iter().rev().map(|row| row.iter().rev().copied().collect()).collect()
    };
    let one = Crossed::difference(&slices(&a), &slices(&b)).unwrap();
    let other = Crossed::difference(&slices(&turned(&a)), &slices(&turned(&b))).unwrap();
    assert_eq!((one.interval(0.95), one.p_value()), (other.interval(0.95), other.p_value()));
}
