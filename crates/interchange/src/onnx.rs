//! Pipelines as ONNX graphs: image bytes in, scores out, preprocessing included.
//!
//! Input `images`, uint8 (N, height, width, channels); output `scores`, float (N, k), added over branches as [`crate::Card`]'s pipeline does
//! it, and where they are logits of one branch `probabilities`, their softmax. Class names are in the metadata. Operators of
//! opset 20; field numbers are those of onnx.proto3.

mod graph;
mod protobuf;

use crate::card::Card;
use crate::error::InterchangeError;
use bakeoff_core::Operation;
use graph::Graph;
use protobuf::Message;

/// The version of the operators.
const OPSET: u64 = 20;
/// The version of the file format that came with them (ONNX 1.15).
const IR_VERSION: u64 = 9;
/// Bytes that a protocol buffer may have, less some for everything but the weights.
const MOST_BYTES: usize = (1 << 31) - (1 << 20);

/// The model of a card whose branches compute these steps, each from the bytes of an image in a row.
///
/// # Errors
/// [`InterchangeError::Refused`] when there is no branch, the weights take more than 2 GB, or a step is one that this
/// version does not know.
pub fn write(card: &Card, branches: &[Vec<Operation>], with_probabilities: bool) -> Result<Vec<u8>, InterchangeError> {
    let weights: usize = branches.iter().flatten().map(bytes_of).sum();
    if weights > MOST_BYTES {
        return Err(InterchangeError::refused(format!("weights of {weights} bytes; an ONNX file holds {MOST_BYTES}")));
    }
    let (height, width, channels) = card.shape();
    let mut graph = Graph::default();
    let numbers = graph.node("Cast", &["images"], &[graph::whole("to", graph::FLOAT)]);
    let rows = graph.node("Flatten", &[&numbers], &[graph::whole("axis", 1)]);
    let mut sum: Option<String> = None;
    for branch in branches {
        let scores = graph.steps(branch, rows.clone())?;
        sum = Some(match sum {
            Some(sum) => graph.node("Add", &[&sum, &scores], &[]),
            None => scores,
        });
    }
    let scores = sum.ok_or_else(|| InterchangeError::refused("a model without branches"))?;
    graph.named("Identity", &[&scores], &[], "scores");
    let k = card.classes.len();
    let mut outputs = vec![graph::value("scores", graph::FLOAT, &[k])];
    if with_probabilities {
        graph.named("Softmax", &["scores"], &[graph::whole("axis", 1)], "probabilities");
        outputs.push(graph::value("probabilities", graph::FLOAT, &[k]));
    }
    let graph = graph
        .finish("bakeoff")
        .message(11, &graph::value("images", graph::UINT8, &[height, width, channels]))
        .messages(12, &outputs);
    model(card, &graph)
}

fn model(card: &Card, graph: &Message) -> Result<Vec<u8>, InterchangeError> {
    let classes = serde_json::to_string(&card.classes).map_err(|e| InterchangeError::card(e.to_string()))?;
    let entry = |key: &str, value: &str| Message::new().text(1, key).text(2, value);
    let opset = Message::new().text(1, "").number(2, OPSET);
    let model = Message::new()
        .number(1, IR_VERSION)
        .text(2, &card.program)
        .text(6, &format!("{}, trained on {}", card.pipeline, card.dataset.name))
        .message(7, graph)
        .message(8, &opset)
        .messages(14, &[entry("classes", &classes), entry("fit", &card.images.fit)]);
    Ok(model.into_bytes())
}

fn bytes_of(step: &Operation) -> usize {
    let numbers = match step {
        Operation::Subtract(values) | Operation::Multiply(values) => values.len(),
        Operation::Affine { w, b } => w.len() + b.len(),
        Operation::LayerNorm { scale, offset, .. } => scale.len() + offset.len(),
        Operation::Residual(steps) => return steps.iter().map(bytes_of).sum(),
        _ => 1,
    };
    numbers * size_of::<f32>()
}
