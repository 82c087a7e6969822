//! Bounds of groups of rows and panels of columns: what is in them, and who computes them.

mod plain;
#[cfg(target_arch = "x86_64")]
mod vnni;

/// Rows of a tile.
pub(super) const GROUP: usize = 6;
/// Vectors of a tile's row.
const VECTORS: usize = 2;
const LANES: usize = 16;
/// Columns of a panel.
pub(super) const PANEL: usize = VECTORS * LANES;

/// Four bytes of each of six rows.
pub(super) type Group = [i32; GROUP];

/// Four bytes (from 1 to 255: 128 more than they mean) of each of 32 columns.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
pub(super) struct Step([[i32; LANES]; VECTORS]);

impl Step {
    /// Writes the four bytes of a column.
    pub(super) fn set(&mut self, column: usize, bytes: i32) {
        self.0[column / LANES][column % LANES] = bytes;
    }

    /// The four bytes of a column.
    fn get(&self, column: usize) -> i32 {
        self.0[column / LANES][column % LANES]
    }
}

/// What bounds of a row need.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OfRow {
    /// What a step of its bytes is worth.
    pub(super) scale: f32,
    /// ‖x − x̂‖ at most.
    pub(super) residual: f32,
    /// ‖x̂‖ at most.
    pub(super) norm: f32,
    /// Where its sums of bytes start: −128 Σ bytes takes the 128 of the columns off.
    pub(super) start: i32,
}

/// What bounds of a panel's columns need; 16 and 16 of each.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct OfPanel {
    /// What a step of their bytes is worth.
    pub(super) scale: [f32; PANEL],
    /// −½‖c‖²; −∞ where there is no column.
    pub(super) offset: [f32; PANEL],
    /// ‖c‖ at most.
    pub(super) norm: [f32; PANEL],
    /// ‖c − ĉ‖ at most.
    pub(super) residual: [f32; PANEL],
    /// More than the rounding errors that grow with the column.
    pub(super) slack: [f32; PANEL],
}

/// Panels of columns, each some steps.
#[derive(Debug)]
pub(super) struct Panels {
    pub(super) steps: Vec<Step>,
    pub(super) of: Vec<OfPanel>,
}

/// Whether this processor has the instructions that make bounds worth their while.
pub(super) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return vnni::available();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Writes the upper bounds of all columns for six rows (row after row), and gives the greatest lower bound of each row.
pub(super) fn bounds(panels: &Panels, rows: &[Group], of: &[OfRow; GROUP], uppers: &mut [f32]) -> [f32; GROUP] {
    #[cfg(target_arch = "x86_64")]
    if available() {
        return vnni::bounds(panels, rows, of, uppers);
    }
    plain::bounds(panels, rows, of, uppers)
}

/// The columns whose upper bound is not less than `limit` (or is not a number), lowest first.
pub(super) fn not_below(uppers: &[f32], limit: f32, out: &mut Vec<u32>) {
    #[cfg(target_arch = "x86_64")]
    if available() {
        return vnni::not_below(uppers, limit, out);
    }
    plain::not_below(uppers, limit, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_bound_as_plain_loops_do() {
        let byte = |i: usize| ((i * 37 + i / 7 * 11) % 255) as u8;
        for (n_panels, steps) in [(1, 1), (3, 5), (2, 40)] {
            let mut panels = Panels { steps: vec![Step::default(); n_panels * steps], of: Vec::new() };
            for (t, step) in panels.steps.iter_mut().enumerate() {
                for column in 0..PANEL {
                    step.set(
                        column,
                        i32::from_le_bytes(std::array::from_fn(|b| byte(t * 131 + column * 4 + b).max(1))),
                    );
                }
            }
            let some = |salt: usize| std::array::from_fn(|j| ((j * 7 + salt) % 13) as f32 * 0.25);
            let of_panel = |p: usize| OfPanel {
                scale: some(p + 1),
                offset: some(p + 2),
                norm: some(p + 3),
                residual: some(p + 4),
                slack: some(p + 5),
            };
            panels.of = (0..n_panels).map(of_panel).collect();
            let rows: Vec<Group> = (0..steps)
                .map(|t| std::array::from_fn(|r| i32::from_le_bytes(std::array::from_fn(|b| byte(t * 29 + r * 5 + b)))))
                .collect();
            let of: [OfRow; GROUP] = std::array::from_fn(|r| OfRow {
                scale: 0.25 * r as f32,
                residual: 0.5 + r as f32,
                norm: 2.0,
                start: -100 * r as i32,
            });
            let mut uppers = [vec![0.0; GROUP * n_panels * PANEL], vec![0.0; GROUP * n_panels * PANEL]];
            let [fast, slow] = &mut uppers;
            assert_eq!(bounds(&panels, &rows, &of, fast), plain::bounds(&panels, &rows, &of, slow));
            assert_eq!(fast, slow);
            fast[1] = f32::NAN;
            let mut left = [Vec::new(), Vec::new()];
            not_below(fast, slow[4], &mut left[0]);
            plain::not_below(fast, slow[4], &mut left[1]);
            assert_eq!(left[0], left[1]);
            assert!(left[0].contains(&1) && left[0].contains(&4));
        }
    }
}
