//! A graph of nodes in the making; every value has a name.

use super::protobuf::Message;
use crate::error::InterchangeError;
use bakeoff_core::Operation;

/// Types of numbers, by onnx.proto3's `TensorProto.DataType`.
pub(super) const FLOAT: u64 = 1;
pub(super) const UINT8: u64 = 2;
/// Types of attributes, by `AttributeProto.AttributeType`.
const ATTRIBUTE_FLOAT: u64 = 1;
const ATTRIBUTE_INT: u64 = 2;

#[derive(Default)]
pub(super) struct Graph {
    nodes: Vec<Message>,
    weights: Vec<Message>,
}

impl Graph {
    /// Adds a node; the name of its output.
    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[Message]) -> String {
        let output = format!("{}_{}", operator.to_lowercase(), self.nodes.len());
        self.named(operator, inputs, attributes, &output);
        output
    }

    /// Adds a node with this output.
    pub(super) fn named(&mut self, operator: &str, inputs: &[&str], attributes: &[Message], output: &str) {
        let node = inputs.iter().fold(Message::new(), |node, input| node.text(1, input));
        let node = node.text(2, output).text(3, output).text(4, operator).messages(5, attributes);
        self.nodes.push(node);
    }

    /// Adds steps behind a value; the name of the last one's output.
    pub(super) fn steps(&mut self, steps: &[Operation], input: String) -> Result<String, InterchangeError> {
        steps.iter().try_fold(input, |value, step| self.step(step, &value))
    }

    fn step(&mut self, step: &Operation, x: &str) -> Result<String, InterchangeError> {
        Ok(match step {
            Operation::Divide(by) => self.with_weights("Div", x, &[*by], &[]),
            Operation::Subtract(values) => self.with_weights("Sub", x, &values.to_vec(), &[values.len()]),
            Operation::Multiply(values) => self.with_weights("Mul", x, &values.to_vec(), &[values.len()]),
            Operation::Affine { w, b } => {
                let weights: Vec<f32> = w.iter().copied().collect();
                let w = self.weight(&weights, &[w.nrows(), w.ncols()]);
                let b = self.weight(&b.to_vec(), &[b.len()]);
                self.node("Gemm", &[x, &w, &b], &[whole("transB", 1)])
            }
            Operation::Relu => self.node("Relu", &[x], &[]),
            Operation::LeakyRelu { slope } => self.node("LeakyRelu", &[x], &[float("alpha", *slope)]),
            Operation::Sigmoid => self.node("Sigmoid", &[x], &[]),
            Operation::Tanh => self.node("Tanh", &[x], &[]),
            Operation::Softplus => self.node("Softplus", &[x], &[]),
            Operation::Elu { alpha } => self.node("Elu", &[x], &[float("alpha", *alpha)]),
            Operation::Gelu => self.node("Gelu", &[x], &[]),
            Operation::LayerNorm { scale, offset, epsilon } => {
                let n = [scale.len()];
                let (scale, offset) = (self.weight(&scale.to_vec(), &n), self.weight(&offset.to_vec(), &n));
                self.node("LayerNormalization", &[x, &scale, &offset], &[float("epsilon", *epsilon)])
            }
            Operation::Residual(steps) => {
                let inner = self.steps(steps, x.to_owned())?;
                self.node("Add", &[x, &inner], &[])
            }
            other => return Err(InterchangeError::refused(format!("no ONNX form of {other:?}"))),
        })
    }

    fn with_weights(&mut self, operator: &str, x: &str, values: &[f32], shape: &[usize]) -> String {
        let weight = self.weight(values, shape);
        self.node(operator, &[x, &weight], &[])
    }

    /// Adds constant numbers; their name.
    fn weight(&mut self, values: &[f32], shape: &[usize]) -> String {
        let name = format!("weight_{}", self.weights.len());
        let tensor = shape.iter().fold(Message::new(), |tensor, &side| tensor.number(1, side as u64));
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.weights.push(tensor.number(2, FLOAT).text(8, &name).bytes(9, &bytes));
        name
    }

    /// The graph without its inputs and outputs.
    pub(super) fn finish(self, name: &str) -> Message {
        Message::new().messages(1, &self.nodes).text(2, name).messages(5, &self.weights)
    }
}

/// An attribute that is a whole number.
pub(super) fn whole(name: &str, value: u64) -> Message {
    Message::new().text(1, name).number(3, value).number(20, ATTRIBUTE_INT)
}

fn float(name: &str, value: f32) -> Message {
    Message::new().text(1, name).float(2, value).number(20, ATTRIBUTE_FLOAT)
}

/// An input or output: N of these sides.
pub(super) fn value(name: &str, kind: u64, sides: &[usize]) -> Message {
    let batch = Message::new().text(2, "N");
    let shape = Message::new().message(1, &batch);
    let shape = sides.iter().fold(shape, |shape, &side| shape.message(1, &Message::new().number(1, side as u64)));
    let tensor = Message::new().number(1, kind).message(2, &shape);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}
