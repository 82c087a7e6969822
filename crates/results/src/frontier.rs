//! Which of several choices nobody would leave out: those that no other beats in cost and accuracy at once.

/// Positions of the (cost, accuracy) pairs on the frontier, from the cheapest to the most accurate: no other pair costs less or
/// as little and is at least as accurate, except an equal one that comes later. Pairs with a number that is not finite are left out.
pub fn frontier(choices: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> =
        (0..choices.len()).filter(|&i| choices[i].0.is_finite() && choices[i].1.is_finite()).collect();
    order.sort_by(|&i, &j| choices[i].0.total_cmp(&choices[j].0).then(choices[j].1.total_cmp(&choices[i].1)));
    let mut best = f64::NEG_INFINITY;
    order.retain(|&i| {
        let stays = choices[i].1 > best;
        best = best.max(choices[i].1);
        stays
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frontier_by_hand() {
        assert_eq!(frontier(&[(3.0, 0.9), (1.0, 0.5), (2.0, 0.5), (4.0, 0.8), (1.0, 0.5)]), [1, 0]);
        assert_eq!(frontier(&[(f64::NAN, 1.0), (1.0, 0.1)]), [1]);
        assert_eq!(frontier(&[]), Vec::<usize>::new());
    }

    proptest! {
        #[test]
        fn nobody_on_it_is_beaten_and_everybody_else_is(choices in proptest::collection::vec((0..9u8, 0..9u8), 0..20)) {
            let choices: Vec<(f64, f64)> = choices.iter().map(|&(c, a)| (c.into(), a.into())).collect();
            let on = frontier(&choices);
            let beats = |a: (f64, f64), b: (f64, f64)| a.0 <= b.0 && a.1 >= b.1 && a != b;
            for (i, &choice) in choices.iter().enumerate() {
                let beaten = choices.iter().any(|&other| beats(other, choice));
                let twin = on.iter().any(|&j| j != i && choices[j] == choice);
                prop_assert_eq!(on.contains(&i), !beaten && !twin);
            }
        }
    }
}
