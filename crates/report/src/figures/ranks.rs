//! The critical-difference diagram: average ranks over datasets, and bars over pipelines that are not told apart (Demšar 2006).

use super::{Figure, listed};
use crate::plot::{Axis, Mark, Plot, Width, both, room_for, shortened};
use bakeoff_results::across::{Across, Diagram};
use maud::Markup;

/// `None` below ten datasets, where such a diagram has no meaning.
pub(crate) fn ranks(across: &Across) -> Option<Figure> {
    let diagram = across.diagram.as_ref()?;
    let cliques: Vec<String> =
        diagram.cliques.iter().map(|names| listed(&names.iter().map(String::as_str).collect::<Vec<_>>())).collect();
    let first = across.pipelines.first()?;
    let told = if cliques.is_empty() { String::new() } else { format!(" Not told apart: {}.", cliques.join("; ")) };
    let finding = format!(
        "Average rank over {} datasets, 1 is best: {} leads with {:.2}. Ranks further apart than {:.2} differ.{told}",
        across.datasets.len(),
        first.name,
        first.average_rank,
        diagram.critical_difference,
    );
    let plot = both(|width| draw(across, diagram, &finding, width));
    Some(Figure { finding, plot, legend: Vec::new() })
}

fn draw(across: &Across, diagram: &Diagram, finding: &str, width: Width) -> Markup {
    let pipelines = &across.pipelines;
    let left = room_for(pipelines.iter().map(|p| p.name.as_str()), width.either(230.0, 128.0));
    let name = |i: f64| pipelines.get(i.round() as usize).map_or_else(String::new, |p| shortened(&p.name, left - 14.0));
    let last = pipelines.len() as f64;
    let plot = Plot {
        width,
        height: 54.0 + 28.0 * (last + diagram.cliques.len() as f64 * 0.5),
        left,
        x: Axis::from_to(0.8, last.max(1.0) + 0.2),
        y: Axis::names(pipelines.len()),
        x_title: "average rank",
        y_title: "",
        x_written: &|v| format!("{v}"),
        y_written: &name,
        label: finding,
    };
    plot.draw(|drawing| {
        // A clique is a bar behind its pipelines, from the best of them to the worst.
        for clique in &diagram.cliques {
            let places: Vec<usize> =
                pipelines.iter().enumerate().filter(|(_, p)| clique.contains(&p.name)).map(|(i, _)| i).collect();
            let (Some(&top), Some(&bottom)) = (places.first(), places.last()) else { continue };
            let ends = (pipelines[top].average_rank, pipelines[bottom].average_rank);
            drawing.group("margin", "", |drawing| {
                drawing.block((ends.0, top as f64 - 0.3), (ends.1, bottom as f64 + 0.3));
            });
        }
        for (i, pipeline) in pipelines.iter().enumerate() {
            let mark = Mark(i);
            let title = format!("{}: average rank {:.2}", pipeline.name, pipeline.average_rank);
            drawing.group(&mark.class(), &title, |drawing| drawing.mark(mark, (pipeline.average_rank, i as f64), 5.0));
        }
    })
}
