//! A share of a plan's cells, for job arrays.

use crate::error::RunnerError;
use std::fmt;
use std::str::FromStr;

/// Shards at most.
const MOST: usize = 100_000;

/// Share `index` of `of`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// Whether the cell at this position of the plan belongs to this shard. Cells are dealt out in turn, each round one
    /// place further: slow pipelines lie at equal distances in a plan, and no shard is to get all cells of one.
    pub fn takes(self, position: usize) -> bool {
        (position + position / self.of) % self.of == self.index - 1
    }

    /// Whether it is the whole plan.
    pub fn is_whole(self) -> bool {
        self.of == 1
    }
}

impl FromStr for Shard {
    type Err = RunnerError;

    fn from_str(text: &str) -> Result<Self, RunnerError> {
        let bad = || RunnerError::BadShard { found: text.to_owned() };
        let (index, of) = text.split_once('/').ok_or_else(bad)?;
        let (index, of): (usize, usize) = (index.parse().map_err(|_| bad())?, of.parse().map_err(|_| bad())?);
        if index < 1 || index > of || of > MOST {
            return Err(bad());
        }
        Ok(Self { index, of })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_together_take_every_cell_once() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].iter().map(|s| s.parse().unwrap()).collect();
        for position in 0..10 {
            assert_eq!(shards.iter().filter(|shard| shard.takes(position)).count(), 1);
        }
        assert!(Shard::WHOLE.is_whole() && Shard::WHOLE.takes(7));
    }

    #[test]
    fn a_slow_pipeline_is_shared_out() {
        // Three pipelines, three shards, four seeds: the pipeline at 0, 3, 6, 9 goes to shards 1, 2, 3, 1.
        let of = |position| (1..=3).find(|&index| Shard { index, of: 3 }.takes(position)).unwrap();
        assert_eq!([0, 3, 6, 9].map(of), [1, 2, 3, 1]);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "1", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "1/99999999999999999999"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("2/8".parse::<Shard>().unwrap().to_string(), "2/8");
    }
}
