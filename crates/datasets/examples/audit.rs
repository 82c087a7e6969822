use bakeoff_datasets::{Source, audit, open, preview};
use std::path::Path;
fn main() {
    for arg in std::env::args().skip(1) {
        let splits = open(&Source::from_name_or_path(&arg), &[]).unwrap().load(Path::new("/tmp/data")).unwrap();
        let start = std::time::Instant::now();
        let found = audit::audit(&splits);
        let took = start.elapsed();
        println!(
            "{arg}: {took:?} exact {:?} near {:?} conflicts {} constant {} pairs {}",
            found.exact,
            found.near,
            found.conflicts,
            found.constant,
            found.pairs.len()
        );
        let near: Vec<_> = found.pairs.iter().filter(|p| !p.exact).cloned().collect();
        if near.is_empty() {
            continue;
        }
        let n = near.len();
        let pick: Vec<_> = (0..n.min(96)).map(|i| near[i * n / n.min(96)].clone()).collect();
        let sheet = preview::draw_pairs(&splits, &pick, 12).unwrap();
        preview::save_sheet(&sheet, Path::new(&format!("/tmp/doors/audit-{}.png", arg.replace('/', "_")))).unwrap();
    }
}
