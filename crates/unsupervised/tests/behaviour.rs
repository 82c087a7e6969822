//! What every method does with bad, odd and repeated rows, and that threads change nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::params::NonNegative;
use bakeoff_core::seed::Seed;
use bakeoff_unsupervised::{
    Codebook, Codes, Engine, Gmm, Init, KMeans, ProductQuantiser, Quantiser, Reduction, UnsupervisedError,
};
use ndarray::{Array2, ArrayView2, array, s};
use proptest::prelude::*;
use std::num::NonZeroUsize;

fn nz(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap()
}

fn rough(n: usize, d: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, d), |(i, j)| ((i * 31 + j * 17 + i * i % 7 * j) % 101) as f32 * 0.02 - 1.0)
}

fn kmeans(k: usize) -> KMeans {
    KMeans { k: nz(k), ..KMeans::default() }
}

fn all_kmeans(k: usize) -> [KMeans; 5] {
    let plain = kmeans(k);
    [
        plain,
        KMeans { init: Init::RandomSample, ..plain },
        KMeans { spherical: true, ..plain },
        KMeans { minibatch: 50, ..plain },
        KMeans { engine: Engine::Linfa, ..plain },
    ]
}

#[test]
fn two_lumps_on_a_line_give_their_means() {
    // Rows 0, 1 and 10, 12: from centres 0 and 1 the second takes 1, 10, 12 (mean 23/3), then 10, 12 (mean 11).
    let x = array![[0.0f32], [1.0], [10.0], [12.0]];
    let settings = KMeans { tolerance: NonNegative::literal(0.0), ..kmeans(2) };
    let codebook = settings.fit_from(x.view(), array![[0.0], [1.0]].view(), Seed(0)).unwrap();
    assert_eq!(codebook.centers(), array![[0.5], [11.0]]);
    assert_eq!(codebook.nearest(array![[5.75], [5.76], [-100.0]].view()), [0, 1, 0]);
    assert_eq!(codebook.inertia(x.view()), 0.25 + 0.25 + 1.0 + 1.0);
    // Rounds 1 and 2 move centres, round 3 changes nothing.
    assert!(codebook.converged() && codebook.iterations() == 3, "{}", codebook.iterations());
}

#[test]
fn spherical_centres_are_directions_without_sign() {
    // All rows lie along two lines through the origin, on both sides of it.
    let x = array![[3.0f32, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -5.0]];
    let settings = KMeans { spherical: true, ..kmeans(2) };
    let codebook = settings.fit_from(x.view(), array![[1.0, 0.2], [0.1, 1.0]].view(), Seed(0)).unwrap();
    let centers = codebook.centers();
    assert!((centers[[0, 0]] - 1.0).abs() < 1e-6 && (centers[[1, 1]] - 1.0).abs() < 1e-6, "{centers}");
    assert_eq!(codebook.nearest(x.view()), [0, 0, 1, 1]);
}

#[test]
fn rows_far_from_the_origin_are_told_apart() {
    // In f32, x·c − ½‖c‖² taken plainly has steps of 8 here.
    let x = rough(300, 4).mapv(|v| v + 10_000.0);
    let near = rough(300, 4);
    let settings = KMeans { tolerance: NonNegative::literal(0.0), ..kmeans(5) };
    let far = settings.fit_from(x.view(), x.slice(s![..5, ..]), Seed(0)).unwrap();
    let close = settings.fit_from(near.view(), near.slice(s![..5, ..]), Seed(0)).unwrap();
    let same = far.nearest(x.view()).iter().zip(close.nearest(near.view())).filter(|(a, b)| **a == *b).count();
    assert!(same >= 295, "{same} of 300");
}

#[test]
fn rows_that_cannot_be_learned_from_are_refused() {
    let mut x = rough(20, 3);
    x[[7, 1]] = f32::NAN;
    let infinite = array![[f32::INFINITY, 0.0], [0.0, 0.0]];
    for settings in all_kmeans(2) {
        assert_eq!(settings.fit(x.view(), Seed(0)).unwrap_err(), UnsupervisedError::NotFinite { row: 7 });
        assert_eq!(settings.fit(infinite.view(), Seed(0)).unwrap_err(), UnsupervisedError::NotFinite { row: 0 });
        let message = settings.fit(rough(1, 3).view(), Seed(0)).unwrap_err().to_string();
        assert_eq!(message, "k-means with k = 2 needs at least 2 rows, found 1");
        assert_eq!(settings.fit(rough(5, 0).view(), Seed(0)).unwrap_err(), UnsupervisedError::NoColumns);
    }
    let gmm = Gmm { components: nz(2), ..Gmm::default() };
    assert_eq!(gmm.fit(x.view(), Seed(0)).unwrap_err(), UnsupervisedError::NotFinite { row: 7 });
    assert!(gmm.fit(rough(1, 3).view(), Seed(0)).unwrap_err().to_string().contains("at least 2 rows, found 1"));
    for reduction in
        [Reduction::Pca { dimensions: nz(1), whiten: true }, Reduction::Zca { epsilon: NonNegative::literal(0.1) }]
    {
        assert_eq!(reduction.fit(x.view()).unwrap_err(), UnsupervisedError::NotFinite { row: 7 });
        assert!(reduction.fit(rough(1, 3).view()).is_err());
    }
    let codes = ProductQuantiser::default();
    assert_eq!(codes.fit(x.view(), Seed(0)).unwrap_err(), UnsupervisedError::NotFinite { row: 7 });
    assert!(codes.fit(rough(0, 3).view(), Seed(0)).is_err());
    let wide = ProductQuantiser { group: nz(9), bits: nz(2), ..codes };
    assert!(wide.fit(rough(5, 9).view(), Seed(0)).unwrap_err().to_string().contains("at most 16 bits"));
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let x = rough(50, 3);
    let linfa = KMeans { engine: Engine::Linfa, ..kmeans(2) };
    for settings in [
        KMeans { spherical: true, ..linfa },
        KMeans { minibatch: 10, ..linfa },
        KMeans { spherical: true, minibatch: 10, ..kmeans(2) },
    ] {
        assert!(matches!(settings.fit(x.view(), Seed(0)), Err(UnsupervisedError::Refused { .. })), "{settings:?}");
    }
    let pca = |dimensions| Reduction::Pca { dimensions: nz(dimensions), whiten: false };
    let refused = |reduction: Reduction, x: ArrayView2<'_, f32>| reduction.fit(x).unwrap_err().to_string();
    assert!(refused(pca(4), x.view()).contains("4 dimensions are asked for, 3 are there (rows have 3 columns)"));
    assert!(refused(pca(5), rough(5, 9).view()).contains("5 rows span at most 4"));
    let zca = Reduction::Zca { epsilon: NonNegative::literal(0.1) };
    assert!(refused(zca, rough(3, 3000).view()).contains("reduce by pca"));
}

#[test]
fn alike_rows_give_finite_results() {
    let constant = Array2::from_elem((30, 4), 7.5f32);
    for settings in all_kmeans(5) {
        let codebook = settings.fit(constant.view(), Seed(1)).unwrap();
        assert!(codebook.centers().iter().all(|v| v.is_finite()), "{settings:?}");
        assert!(codebook.nearest(constant.view()).iter().all(|&id| id < 5));
    }
    let mixture = Gmm { components: nz(5), ..Gmm::default() }.fit(constant.view(), Seed(1)).unwrap();
    let mut posteriors = Array2::zeros((30, 5));
    mixture.posteriors_here(constant.view(), posteriors.view_mut());
    assert!(posteriors.outer_iter().all(|row| (row.sum() - 1.0).abs() < 1e-5));
    for whiten in [false, true] {
        let reducer = Reduction::Pca { dimensions: nz(2), whiten }.fit(constant.view()).unwrap();
        assert!(reducer.apply(constant.view()).iter().all(|&v| v == 0.0));
    }
    for epsilon in [0.0, 0.1] {
        let reducer = Reduction::Zca { epsilon: NonNegative::literal(epsilon) }.fit(constant.view()).unwrap();
        assert!(reducer.apply(constant.view()).iter().all(|&v| v == 0.0));
    }
    let quantiser =
        ProductQuantiser { group: nz(2), bits: nz(2), iterations: 5 }.fit(constant.view(), Seed(1)).unwrap();
    let mut decoded = Array2::zeros((30, 4));
    quantiser.decode_into(quantiser.encode(constant.view()).range(0, 30), decoded.view_mut());
    assert_eq!(decoded, constant);
}

#[test]
fn fewer_distinct_rows_than_centres_are_all_found() {
    // Three different rows, forty times each, and eight centres.
    let x = Array2::from_shape_fn((120, 2), |(i, j)| ((i % 3) * 10 + j) as f32);
    for init in [Init::KMeansPlusPlus, Init::RandomSample] {
        let codebook = KMeans { init, ..kmeans(8) }.fit(x.view(), Seed(3)).unwrap();
        assert_eq!(codebook.inertia(x.view()), 0.0, "{init:?}");
    }
}

#[test]
fn an_empty_cluster_takes_the_farthest_row() {
    // Centre 100 is nobody's: it takes 9, the row farthest from centre 1 (of 0, 1, 2, 9).
    let x = array![[0.0f32], [1.0], [2.0], [9.0]];
    let settings = KMeans { iterations: 1, ..kmeans(2) };
    let codebook = settings.fit_from(x.view(), array![[1.0], [100.0]].view(), Seed(0)).unwrap();
    assert_eq!(codebook.centers(), array![[1.0], [9.0]]);
}

#[test]
fn a_component_that_dies_comes_back() {
    let x = rough(200, 2);
    let settings = Gmm { components: nz(3), iterations: 20, ..Gmm::default() };
    // The third component is so far away that no row is ever its own.
    let means = array![[-0.5f32, -0.5], [0.5, 0.5], [1e4, 1e4]];
    let third = ndarray::Array1::from_elem(3, 1.0 / 3.0);
    let mixture = settings.fit_from(x.view(), third.view(), means.view(), Array2::ones((3, 2)).view()).unwrap();
    assert!(mixture.means().iter().all(|v| v.abs() < 2.0), "{}", mixture.means());
    assert!(mixture.weights().iter().all(|&w| w > 0.01), "{:?}", mixture.weights());
}

#[test]
fn the_bits_do_not_depend_on_threads() {
    let x = rough(5000, 9);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let centers: Vec<Array2<f32>> =
                all_kmeans(20).iter().map(|s| s.fit(x.view(), Seed(5)).unwrap().centers().to_owned()).collect();
            let mixture = Gmm { components: nz(6), ..Gmm::default() }.fit(x.view(), Seed(5)).unwrap();
            let mixture = (mixture.weights().to_vec(), mixture.means().to_owned(), mixture.variances().to_owned());
            let pca = Reduction::Pca { dimensions: nz(4), whiten: true }.fit(x.view()).unwrap().apply(x.view());
            let zca = Reduction::Zca { epsilon: NonNegative::literal(0.1) }.fit(x.view()).unwrap().apply(x.view());
            let quantiser = ProductQuantiser { group: nz(4), ..ProductQuantiser::default() };
            let codes = quantiser.fit(x.view(), Seed(5)).unwrap().encode(x.view());
            (centers, mixture, pca, zca, codes)
        })
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn a_row_alone_has_the_bits_of_a_row_in_company() {
    let x = rough(300, 13);
    let codebook = kmeans(40).fit(x.view(), Seed(0)).unwrap();
    let mixture = Gmm { components: nz(5), iterations: 5, ..Gmm::default() }.fit(x.view(), Seed(0)).unwrap();
    let reducer = Reduction::Zca { epsilon: NonNegative::literal(0.01) }.fit(x.view()).unwrap();
    let quantiser = ProductQuantiser::default().fit(x.view(), Seed(0)).unwrap();
    let all = |x: ArrayView2<'_, f32>| {
        let (mut posteriors, mut reduced) = (Array2::zeros((x.nrows(), 5)), Array2::zeros((x.nrows(), 13)));
        mixture.posteriors_here(x, posteriors.view_mut());
        reducer.apply_here(x, reduced.view_mut());
        (codebook.nearest(x), posteriors, reduced, quantiser.encode(x))
    };
    let whole = all(x.view());
    for i in [0, 1, 63, 64, 131, 299] {
        let (ids, posteriors, reduced, codes) = all(x.slice(s![i..=i, ..]));
        assert_eq!(ids, [whole.0[i]]);
        assert_eq!(posteriors.row(0), whole.1.row(i));
        assert_eq!(reduced.row(0), whole.2.row(i));
        assert_eq!(codes, whole.3.select(&[i]));
    }
}

#[test]
fn strided_rows_are_read_as_they_stand() {
    let x = rough(400, 6);
    let (columns, copy) = (x.slice(s![.., 1..5]), x.slice(s![.., 1..5]).to_owned());
    let (a, b) = (kmeans(9).fit(columns, Seed(0)).unwrap(), kmeans(9).fit(copy.view(), Seed(0)).unwrap());
    assert_eq!(a.centers(), b.centers());
    assert_eq!(a.nearest(columns), b.nearest(copy.view()));
}

#[test]
fn settings_are_written_and_read() {
    let settings: KMeans = toml::from_str("k = 400\ninit = 'random-sample'\nengine = 'linfa'").unwrap();
    assert_eq!((settings.k.get(), settings.init, settings.engine), (400, Init::RandomSample, Engine::Linfa));
    assert_eq!(toml::from_str::<KMeans>(&toml::to_string(&settings).unwrap()).unwrap(), settings);
    assert!(toml::from_str::<KMeans>("k = 0").is_err());
    assert!(toml::from_str::<KMeans>("centres = 4").is_err());
    let reduction: Reduction = toml::from_str("kind = 'pca'\ndimensions = 64").unwrap();
    assert_eq!(reduction, Reduction::Pca { dimensions: nz(64), whiten: false });
    assert_eq!(toml::from_str::<Reduction>("kind = 'none'").unwrap(), Reduction::None {});
    for wrong in ["kind = 'none'\nepsilon = 1.0", "kind = 'pca'", "kind = 'zca'\nwhiten = true", "kind = 'ica'"] {
        assert!(toml::from_str::<Reduction>(wrong).is_err(), "{wrong}");
    }
    assert_eq!(toml::from_str::<ProductQuantiser>("bits = 2").unwrap().bits, nz(2));
    assert!(toml::from_str::<Gmm>("variance_floor = 0.0").is_err());
}

#[test]
fn a_quantiser_of_few_rows_keeps_them() {
    // 5 rows and 256 centres: every row is its own centre; the last group has one column of seven.
    let x = rough(5, 15);
    let quantiser = ProductQuantiser { group: nz(7), bits: nz(1), iterations: 10 }.fit(x.view(), Seed(0)).unwrap();
    assert_eq!((quantiser.groups(), quantiser.row_bytes()), (3, 3));
    // The last group has one column, so 2 centres of 1 number; the others 5 centres of 7.
    assert_eq!(quantiser.model_bytes(), 4 * (5 * 7 + 5 * 7 + 2));
    let codes = quantiser.encode(x.view());
    let mut decoded = Array2::zeros((5, 15));
    quantiser.decode_into(codes.range(0, 5), decoded.view_mut());
    assert_eq!(decoded.slice(s![.., ..14]), x.slice(s![.., ..14]));
}

#[test]
fn more_than_eight_bits_take_two_bytes() {
    let x = rough(2000, 10);
    let quantiser = ProductQuantiser { group: nz(5), bits: nz(2), iterations: 3 }.fit(x.view(), Seed(0)).unwrap();
    let codes = quantiser.encode(x.view());
    assert!(matches!(codes, Codes::Words(_)));
    assert_eq!((quantiser.row_bytes(), codes.bytes(), codes.rows()), (4, 8000, 2000));
    // Each code is the nearest centre, found plainly.
    let Codes::Words(found) = &codes else { panic!("two bytes") };
    for (row, codes) in x.outer_iter().zip(found.outer_iter()).step_by(97) {
        for (group, &code) in codes.iter().enumerate() {
            let part = row.slice(s![group * 5..group * 5 + 5]);
            let apart = |j: usize| (&quantiser.centers(group).row(j) - &part).mapv(|v| v * v).sum();
            let least = (0..quantiser.centers(group).nrows()).map(apart).fold(f32::INFINITY, f32::min);
            assert!(apart(usize::from(code)) <= least * 1.000_001 + 1e-9);
        }
    }
}

#[test]
fn quantisers_that_do_not_hold_together_are_refused() {
    assert!(Quantiser::of(&[]).is_err());
    assert!(Quantiser::of(&[Array2::zeros((4, 2)), Array2::zeros((3, 2)), Array2::zeros((4, 2))]).is_err());
    assert!(Quantiser::of(&[Array2::zeros((4, 2)), Array2::zeros((4, 3))]).is_err());
    assert!(Quantiser::of(&[Array2::from_elem((4, 2), f32::NAN)]).is_err());
    assert!(Quantiser::of(&[Array2::zeros((4, 2)), Array2::zeros((2, 1))]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_nearest_centre_is_found(n in 1usize..80, k in 1usize..70, d in 1usize..20, salt in 0usize..1000) {
        let value = |i: usize, j: usize| ((i * 37 + j * 11 + salt * (i + 3 * j)) % 199) as f32 * 0.01 - 1.0;
        let centers = Array2::from_shape_fn((k, d), |(i, j)| value(i + 5, j));
        let x = Array2::from_shape_fn((n, d), |(i, j)| value(i, j + 7));
        let ids = Codebook::new(centers.clone()).unwrap().nearest(x.view());
        for (row, id) in x.outer_iter().zip(ids) {
            let apart = |j: usize| (&centers.row(j) - &row).mapv(|v| f64::from(v).powi(2)).sum();
            let least = (0..k).map(apart).fold(f64::INFINITY, f64::min);
            prop_assert!(apart(id as usize) <= least + 1e-5);
        }
    }

    #[test]
    fn more_rounds_never_make_it_worse(k in 1usize..12, seed in 0u64..1000) {
        let x = rough(150, 3);
        let settings = |iterations| KMeans { iterations, tolerance: NonNegative::literal(0.0), ..kmeans(k) };
        let inertia = |rounds| settings(rounds).fit(x.view(), Seed(seed)).unwrap().inertia(x.view());
        let (none, one, many) = (inertia(0), inertia(1), inertia(20));
        prop_assert!(one <= none * 1.000_01 && many <= one * 1.000_01, "{none} {one} {many}");
    }
}
