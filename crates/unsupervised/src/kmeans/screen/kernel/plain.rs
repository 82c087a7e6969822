//! The same bounds by plain loops: what the vector code is tested against, and what other processors have.

use super::{GROUP, Group, OfRow, PANEL, Panels};

pub(super) fn bounds(panels: &Panels, rows: &[Group], of: &[OfRow; GROUP], uppers: &mut [f32]) -> [f32; GROUP] {
    let stride = panels.of.len() * PANEL;
    let mut lowers = [f32::NEG_INFINITY; GROUP];
    for (p, (steps, columns)) in panels.steps.chunks_exact(rows.len()).zip(&panels.of).enumerate() {
        for (r, of) in of.iter().enumerate() {
            for j in 0..PANEL {
                let mut sum = of.start;
                for (step, group) in steps.iter().zip(rows) {
                    let (column, row) = (step.get(j).to_le_bytes(), group[r].to_le_bytes());
                    let products = column.iter().zip(row).map(|(&c, x)| i32::from(c) * i32::from(x as i8));
                    sum += products.sum::<i32>();
                }
                let value = (sum as f32 * columns.scale[j]).mul_add(of.scale, columns.offset[j]);
                let apart = of.norm.mul_add(columns.residual[j], columns.slack[j]);
                let apart = of.residual.mul_add(columns.norm[j], apart);
                lowers[r] = lowers[r].max(value - apart);
                uppers[r * stride + p * PANEL + j] = value + apart;
            }
        }
    }
    lowers
}

pub(super) fn not_below(uppers: &[f32], limit: f32, out: &mut Vec<u32>) {
    out.extend((0..).zip(uppers).filter(|(_, upper)| !(**upper < limit)).map(|(j, _)| j));
}
