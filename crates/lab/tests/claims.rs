//! Every claim of every page, with its numbers, at the short effort and from seed 0. Pages are made once for all tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bakeoff_lab::{CATALOGUE, Claim, Curve, Effort, Page, Setting, index, named, rendered};
use serde_json::Value;
use std::sync::OnceLock;

static PAGES: [OnceLock<Page>; CATALOGUE.len()] = [const { OnceLock::new() }; CATALOGUE.len()];

fn short() -> Setting<'static> {
    Setting { effort: Effort::Short, ..Setting::default() }
}

/// A page and its numbers; every claim of it holds.
fn page(name: &str) -> &'static Page {
    let place = CATALOGUE.iter().position(|known| known.name == name).unwrap();
    let page = PAGES[place].get_or_init(|| (CATALOGUE[place].show)(&short()).unwrap());
    assert!(!page.claims.is_empty() && page.holds(), "{name}: {:#?}", page.claims);
    page
}

fn numbers(name: &str) -> &'static Value {
    &page(name).numbers
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn floats(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(float).collect()
}

#[test]
fn a_ring_is_separable_in_polar_coordinates_only() {
    let m = numbers("feature-transform");
    assert!(float(&m["plane"]["test"]) < 0.75);
    assert!(float(&m["polar"]["test"]) > 0.99 && float(&m["polar"]["train"]) == 1.0);
    let radius = float(&m["boundary"]["radius"]);
    assert!((1.0..1.5).contains(&radius) && float(&m["boundary"]["off_a_circle"]) < 0.1, "{radius}");
}

#[test]
fn features_see_their_cues_and_no_others() {
    let m = numbers("image-features");
    assert_eq!(m["hog_numbers"], 10_800);
    let within = |name: &str, cue: &str| {
        let feature = m["features"].as_array().unwrap().iter().find(|feature| feature["name"] == name).unwrap();
        let found = feature["cues"].as_array().unwrap().iter().find(|pair| pair[0] == cue).unwrap();
        float(&found[1])
    };
    assert!(within("color histogram", "color only") > 0.95);
    assert!((within("color histogram", "global shape") - 0.5).abs() < 0.14);
    assert!(within("HoG", "global shape") > 0.9 && (within("HoG", "color only") - 0.5).abs() < 0.14);
    let robustness = m["robustness"].as_array().unwrap();
    assert_eq!(robustness.len(), 5);
    for change in robustness {
        let (strengths, lines) = (floats(&change["strengths"]), change["accuracies"].as_array().unwrap());
        assert!(lines.len() == 6 && lines.iter().all(|line| floats(&line[1]).len() == strengths.len()), "{change}");
    }
}

#[test]
fn words_count_every_patch_and_forget_where_it_was() {
    let m = numbers("words");
    assert_eq!((float(&m["patches"]), float(&m["counted"])), (625.0, 625.0));
    assert_eq!(float(&m["shuffle"]["histogram_difference"]), 0.0);
    assert!(float(&m["shuffle"]["pixel_difference"]) > 5.0);
    assert!(float(&m["parts_by_words"]) > 0.85 && float(&m["parts_by_pixels"]) < 0.7);
}

#[test]
fn the_chain_of_2011_has_its_dimensions() {
    let m = numbers("imagenet-2011");
    let systems = m["systems"].as_array().unwrap();
    for (system, numbers) in systems.iter().zip([128, 96]) {
        let counts = ["numbers", "reduced", "gaussians", "regions", "fisher_numbers", "code_bytes", "code_length"];
        let found = counts.map(|key| system[key].as_u64().unwrap());
        assert_eq!(found, [numbers, 64, 1024, 4, 524_288, 65_536, 65_536]);
        assert_eq!(system["float_bytes"], 4 * 524_288);
    }
    assert_eq!(systems.len(), 2);
}

#[test]
fn a_hidden_layer_holds_two_modes_and_a_template_does_not() {
    let m = numbers("templates");
    assert!(float(&m["linear"]["pair"]) < 0.65);
    assert!(float(&m["net"]["pair"]) > 0.9 && float(&m["net"]["left"]) > 0.85 && float(&m["net"]["right"]) > 0.85);
    assert!(float(&m["left_from_own_units"]) > 0.5 && float(&m["right_from_own_units"]) > 0.5);
    assert!(m["fashion_mnist"].is_null(), "tests have no data but their own");
    assert!(page("templates").parts.iter().any(|part| part.body.0.contains("was not at hand")));
}

#[test]
fn a_net_without_activation_collapses() {
    let m = numbers("activations");
    assert!(float(&m["collapse"]["largest_difference"]) < 1e-4 * float(&m["collapse"]["largest_score"]));
    assert_eq!(m["collapse"]["same_classes"], m["test_images"]);
    let mean = |name: &str| {
        float(&m["nets"].as_array().unwrap().iter().find(|net| net["activation"] == name).unwrap()["mean"])
    };
    assert!(mean("ReLU") > mean("none") + 0.05, "{} {}", mean("ReLU"), mean("none"));
}

#[test]
fn twenty_lines_learn_what_numpy_learns() {
    let m = numbers("twenty-lines");
    assert!((1..20).contains(&m["lines"].as_u64().unwrap()));
    assert!(float(&m["largest_relative_difference"]) < 1e-8 && m["numpy"].as_array().unwrap().len() >= 8);
}

#[test]
fn only_a_fold_makes_the_clouds_separable() {
    let m = numbers("space-warp");
    assert!(float(&m["plane"]) < 1.0 && float(&m["linear"]) < 1.0 && float(&m["random_linear_best"]) < 1.0);
    assert_eq!((float(&m["relu"]), m["random_linear_separable"].as_u64()), (1.0, Some(0)));
    assert_eq!(m["trained_nets_right"], m["trained_hidden_separable"]);
}

#[test]
fn units_give_capacity_and_the_penalty_takes_it() {
    let m = numbers("capacity");
    let train = |units: u64, lambda: f64| {
        let nets = m["nets"].as_array().unwrap();
        let net = nets.iter().find(|net| net["units"] == units && float(&net["lambda"]) == lambda).unwrap();
        float(&net["train_error"])
    };
    assert!(train(3, 0.001) > train(6, 0.001) && train(6, 0.001) > train(20, 0.001));
    assert!(train(20, 0.001) < train(20, 0.01) && train(20, 0.01) < train(20, 0.1));
}

#[test]
fn bumps_approximate_as_1_over_k_and_are_not_learned() {
    let m = numbers("universal-approximation");
    assert!((float(&m["steep_slope"]) + 1.0).abs() < 0.25, "{}", m["steep_slope"]);
    assert!((float(&m["sloping_slope"]) + 2.0).abs() < 0.25, "{}", m["sloping_slope"]);
    assert!((float(&m["nearest_slope"]) + 1.0).abs() < 0.25, "{}", m["nearest_slope"]);
    assert_eq!(m["bumps_constructed"], 8);
    assert!(floats(&m["bumps_trained"]).iter().all(|bumps| *bumps <= 4.0), "{}", m["bumps_trained"]);
}

#[test]
fn linear_losses_are_convex_and_a_nets_is_not() {
    let m = numbers("convexity");
    let linear = m["linear"].as_array().unwrap();
    assert!(linear.len() == 6 && linear.iter().all(|of| of["violations"] == 0), "{linear:?}");
    // One is enough, if it is none of rounding: a loss is about 1 and f64 has sixteen digits.
    assert!(m["net"]["violations"].as_u64().unwrap() > 0 && float(&m["net"]["worst"]) > 1e-6, "{}", m["net"]);
    let moods = m["moods"].as_array().unwrap();
    assert!(moods.len() == 4 && moods.iter().all(|mood| mood["count"].as_u64().unwrap() > 0));
}

#[test]
fn gradients_are_those_of_differences() {
    let m = numbers("gradients");
    for group in m["groups"].as_array().unwrap() {
        assert!(float(&group["worst_relative_error"]) < 1e-6, "{group}");
    }
    let slope = |name: &str| float(&m["slopes"][name]);
    assert!((slope("central") - 2.0).abs() < 0.2 && (slope("one_sided") - 1.0).abs() < 0.1);
    assert!((slope("rounding") + 1.0).abs() < 0.25);
}

fn is_base64(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "+/=".contains(letter)
}

#[test]
fn every_page_has_its_parts_and_the_site_links_them() {
    let pages: Vec<Page> = CATALOGUE.iter().map(|known| page(known.name).clone()).collect();
    for page in &pages {
        let name = page.demonstration.name;
        assert!(!page.formulas.is_empty() && page.parts.len() + page.tries.len() >= 4, "{name}");
        assert!(page.tries.iter().all(|hint| hint.matches('`').count() % 2 == 0), "{name}: {:?}", page.tries);
        for Claim { statement, measured, .. } in &page.claims {
            // The figures stand above the page without the statements: each sentence says what it is of.
            let is_of_something = !["it ", "its ", "they ", "their "].iter().any(|word| measured.starts_with(word));
            assert!(is_of_something && statement.ends_with('.') && !measured.ends_with('.'), "{name}: {measured}");
            assert!(!measured.contains("−0.0 ") && !measured.contains("NaN"), "{name}: {measured}");
        }
        let html = rendered(page, true, "1");
        for part in
            ["class=\"verdict\"", "class=\"formulas\"", "id=\"measured\"", "id=\"try\"", "id=\"numbers\"", "<svg"]
        {
            // Templates are pictures of pixels; the chain of 2011 is a table.
            let otherwise = part == "<svg" && (name == "imagenet-2011" || html.contains("src=\"data:image/png"));
            assert!(html.contains(part) || otherwise, "{name}: {part}");
        }
        // Any three letters can stand in the base64 of a picture.
        let words: String =
            html.split("data:image/png;base64,").map(|part| part.trim_start_matches(is_base64)).collect();
        assert!(!words.contains("could not be drawn") && !words.contains("NaN"), "{name}");
        let tried = html.split("id=\"try\"").nth(1).and_then(|rest| rest.split("</ul>").next()).unwrap();
        assert!(!tried.contains('`'), "{name}: {tried}");
        let start = html.split("type=\"application/json\">").nth(1).unwrap();
        let embedded: Value = serde_json::from_str(start.split("</script>").next().unwrap()).unwrap();
        assert_eq!(embedded, page.json(), "{name}");
        assert!(html.len() < 1_000_000, "{name} has {} bytes", html.len());
        assert!(!rendered(page, false, "1").contains("index.html"), "{name}");
    }
    let index = index(&pages, "1");
    // What has no page is told, too: every row of the lecture is there.
    let rows = [("A1 to A4", 5..=7), ("B", 1..=7), ("C", 1..=10)];
    for (letter, numbers) in rows {
        assert!(index.contains(letter));
        for number in numbers {
            let row = format!("{}{number}", &letter[..1]);
            assert!(index.contains(&row), "{row}");
        }
    }
    let places: Vec<usize> = CATALOGUE.iter().map(|of| index.find(&format!("{}.html", of.name)).unwrap()).collect();
    assert!(places.is_sorted(), "pages are in the lecture's order");
    let second = rendered(&pages[1], true, "1");
    assert!(
        second.contains("rel=\"prev\" href=\"feature-transform.html\"")
            && second.contains("rel=\"next\" href=\"words.html\"")
    );
}

#[test]
fn the_same_seed_gives_the_same_page() {
    for name in ["feature-transform", "gradients"] {
        let again = (named(name).unwrap().show)(&short()).unwrap();
        assert_eq!(rendered(&again, true, "1"), rendered(page(name), true, "1"), "{name}");
        let other = Setting { seed: bakeoff_core::Seed(1), ..short() };
        assert_ne!((named(name).unwrap().show)(&other).unwrap().numbers, page(name).numbers, "{name}");
    }
}

#[test]
fn a_curve_of_the_users_own_is_approximated() {
    let setting = Setting { curve: Curve::parse("abs(x - 0.4) + 0.2*x").unwrap(), ..short() };
    let page = (named("universal-approximation").unwrap().show)(&setting).unwrap();
    let steep = page.numbers["steep"].as_array().unwrap();
    assert_eq!(page.numbers["curve"], "abs(x - 0.4) + 0.2*x");
    assert!(float(&steep[steep.len() - 1]["greatest_error"]) < 0.01, "{steep:?}");
}
