//! An order of classes in which those that are taken for one another stand together.

use crate::row::Confusion;

/// Class ids so that classes which are often confused are neighbours: the leaves of a tree that joins, again and again, the
/// two groups with the greatest mean rate of confusion (average linkage, Sokal and Michener 1958), each turned so that the
/// more similar ends meet. The rate of two classes is the mean of the shares of each that was taken for the other; classes without
/// images have rate 0. Among equals the order of ids decides. The time is cubic in the number of classes.
pub fn by_similarity(confusion: &Confusion) -> Vec<usize> {
    let rates = rates(confusion);
    let mut groups: Vec<Vec<usize>> = (0..rates.len()).map(|i| vec![i]).collect();
    while groups.len() > 1 {
        let (mut best, mut joined) = (f64::NEG_INFINITY, (0, 1));
        for i in 0..groups.len() {
            for j in i + 1..groups.len() {
                let rate = mean_rate(&rates, &groups[i], &groups[j]);
                if rate > best {
                    (best, joined) = (rate, (i, j));
                }
            }
        }
        let second = groups.remove(joined.1);
        let first = std::mem::take(&mut groups[joined.0]);
        groups[joined.0] = end_to_end(&rates, first, second);
    }
    groups.pop().unwrap_or_default()
}

fn rates(confusion: &Confusion) -> Vec<Vec<f64>> {
    let counts = &confusion.counts;
    let share = |t: usize, p: usize| counts[t][p] as f64 / counts[t].iter().sum::<usize>().max(1) as f64;
    let k = counts.len();
    (0..k).map(|i| (0..k).map(|j| f64::midpoint(share(i, j), share(j, i))).collect()).collect()
}

fn mean_rate(rates: &[Vec<f64>], a: &[usize], b: &[usize]) -> f64 {
    let sum: f64 = a.iter().flat_map(|&i| b.iter().map(move |&j| rates[i][j])).sum();
    sum / (a.len() * b.len()) as f64
}

/// Both groups in a row, each as it is or turned round, whichever puts the most similar ends beside each other.
fn end_to_end(rates: &[Vec<f64>], a: Vec<usize>, b: Vec<usize>) -> Vec<usize> {
    let turned = |group: &[usize]| group.iter().rev().copied().collect::<Vec<_>>();
    let ways = [(a.clone(), b.clone()), (a.clone(), turned(&b)), (turned(&a), b.clone()), (turned(&a), turned(&b))];
    let meeting = |(a, b): &(Vec<usize>, Vec<usize>)| match (a.last(), b.first()) {
        (Some(&i), Some(&j)) => rates[i][j],
        _ => 0.0,
    };
    // The first of equals, so that nothing is turned without need.
    let best = ways.into_iter().reduce(|best, way| if meeting(&way) > meeting(&best) { way } else { best });
    best.map(|(a, b)| [a, b].concat()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confused_classes_stand_together() {
        // 0 and 3 are confused most, then 1 and 4, then 3 and 1; 2 with nobody.
        let mut counts = vec![vec![0; 5]; 5];
        for (i, row) in counts.iter_mut().enumerate() {
            row[i] = 100;
        }
        (counts[0][3], counts[1][4], counts[3][1]) = (50, 40, 20);
        assert_eq!(by_similarity(&Confusion { counts }), [0, 3, 1, 4, 2]);
    }

    #[test]
    fn every_class_stays() {
        assert_eq!(by_similarity(&Confusion { counts: Vec::new() }), Vec::<usize>::new());
        assert_eq!(by_similarity(&Confusion { counts: vec![vec![0; 3]; 3] }), [0, 1, 2]);
        let counts = (0..7usize).map(|i| (0..7usize).map(|j| (i * 31 + j * 17) % 23).collect()).collect();
        let mut order = by_similarity(&Confusion { counts });
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
    }
}
