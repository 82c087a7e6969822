//! ONNX files, read back by a reader of the wire format that shares nothing with the writer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::Operation;
use bakeoff_interchange::{Card, DatasetCard, FORMAT, ImageCard, onnx};
use ndarray::array;
use serde_json::json;

/// A field's value: a number, or the bytes of a text, a message or a float.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// All (field number, value) of a message.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        panic!("a number of more than 64 bits")
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            wire @ (2 | 5) => {
                let length = if wire == 2 { varint(&mut bytes) as usize } else { 4 };
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(value.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, field));
    }
    found
}

fn all(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let of_number = fields(message).into_iter().filter(|(found, _)| *found == number);
    of_number
        .map(|(_, field)| match field {
            Field::Bytes(bytes) => bytes,
            Field::Number(number) => number.to_le_bytes().to_vec(),
        })
        .collect()
}

fn texts(message: &[u8], number: u64) -> Vec<String> {
    all(message, number).into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
}

fn numbers(message: &[u8], number: u64) -> Vec<u64> {
    all(message, number).into_iter().map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn card() -> Card {
    Card {
        format: FORMAT,
        program: "bakeoff 0.1.0".to_owned(),
        pipeline: "p".to_owned(),
        settings: json!({}),
        images: ImageCard { height: 1, width: 3, channels: 1, fit: "stretch".to_owned() },
        classes: vec!["a".to_owned(), "b".to_owned()],
        dataset: DatasetCard { name: "d".to_owned(), sha256: String::new() },
        seed: 0,
        n_train: 1,
        accuracy: None,
        created: String::new(),
    }
}

fn affine() -> Operation {
    Operation::Affine { w: array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], b: array![0.5, -0.5] }
}

/// (operator, inputs, outputs) of every node.
fn nodes(graph: &[u8]) -> Vec<(String, Vec<String>, Vec<String>)> {
    all(graph, 1).iter().map(|node| (texts(node, 4).remove(0), texts(node, 1), texts(node, 2))).collect()
}

/// Every input of a node is a constant, the graph's input, or what a node before gave.
fn assert_sorted(graph: &[u8]) {
    let mut known: Vec<String> = all(graph, 5).iter().flat_map(|weight| texts(weight, 8)).collect();
    known.extend(all(graph, 11).iter().flat_map(|input| texts(input, 1)));
    for (operator, inputs, outputs) in nodes(graph) {
        assert!(inputs.iter().all(|input| known.contains(input)), "{operator} of {inputs:?} among {known:?}");
        assert!(outputs.iter().all(|output| !known.contains(output)), "{outputs:?} stands twice");
        known.extend(outputs);
    }
    assert!(all(graph, 12).iter().all(|output| known.contains(&texts(output, 1)[0])));
}

#[test]
fn a_linear_classifier_on_pixels_is_what_was_meant() {
    let steps = vec![Operation::Divide(255.0), Operation::Subtract(array![0.1, 0.2, 0.3]), affine()];
    let model = onnx::write(&card(), &[steps], true).unwrap();
    assert_eq!((numbers(&model, 1), texts(&model, 2)), (vec![9], vec!["bakeoff 0.1.0".to_owned()]));
    let opset = &all(&model, 8)[0];
    assert_eq!((texts(opset, 1), numbers(opset, 2)), (vec![String::new()], vec![20]));
    let properties: Vec<_> =
        all(&model, 14).iter().map(|entry| (texts(entry, 1)[0].clone(), texts(entry, 2)[0].clone())).collect();
    assert_eq!(properties[0], ("classes".to_owned(), "[\"a\",\"b\"]".to_owned()));
    assert_eq!(properties[1], ("fit".to_owned(), "stretch".to_owned()));
    let graph = &all(&model, 7)[0];
    assert_sorted(graph);
    let operators: Vec<String> = nodes(graph).into_iter().map(|(operator, ..)| operator).collect();
    assert_eq!(operators, ["Cast", "Flatten", "Div", "Sub", "Gemm", "Identity", "Softmax"]);
    let weights = all(graph, 5);
    let found: Vec<_> = weights.iter().map(|weight| (numbers(weight, 1), floats(&all(weight, 9)[0]))).collect();
    assert_eq!(found[0], (vec![], vec![255.0]));
    assert_eq!(found[1], (vec![3], vec![0.1, 0.2, 0.3]));
    assert_eq!(found[2], (vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    assert_eq!(found[3], (vec![2], vec![0.5, -0.5]));
    assert!(weights.iter().all(|weight| numbers(weight, 2) == [1]), "floats");
}

/// The type of a value and its sides behind the first, which is N.
fn value(info: &[u8]) -> (String, u64, Vec<u64>) {
    let tensor = &all(&all(info, 2)[0], 1)[0];
    let sides = all(&all(tensor, 2)[0], 1);
    assert_eq!(texts(&sides[0], 2), ["N"]);
    (texts(info, 1)[0].clone(), numbers(tensor, 1)[0], sides[1..].iter().map(|side| numbers(side, 1)[0]).collect())
}

#[test]
fn bytes_go_in_and_scores_of_added_branches_come_out() {
    let model = onnx::write(&card(), &[vec![affine()], vec![affine()], vec![affine()]], false).unwrap();
    let graph = &all(&model, 7)[0];
    assert_sorted(graph);
    assert_eq!(nodes(graph).iter().filter(|(operator, ..)| operator == "Add").count(), 2);
    assert_eq!(
        all(graph, 11).iter().map(|info| value(info)).collect::<Vec<_>>(),
        [("images".to_owned(), 2, vec![1, 3, 1])]
    );
    assert_eq!(all(graph, 12).iter().map(|info| value(info)).collect::<Vec<_>>(), [("scores".to_owned(), 1, vec![2])]);
    assert!(onnx::write(&card(), &[], false).is_err());
}

#[test]
fn every_step_has_its_operator() {
    let ones = array![1.0f32, 1.0];
    let steps = vec![
        affine(),
        Operation::Relu,
        Operation::LeakyRelu { slope: 0.25 },
        Operation::Sigmoid,
        Operation::Tanh,
        Operation::Softplus,
        Operation::Elu { alpha: 1.5 },
        Operation::Gelu,
        Operation::Multiply(ones.clone()),
        Operation::LayerNorm { scale: ones.clone(), offset: ones.clone(), epsilon: 1e-5 },
        Operation::Residual(vec![Operation::Tanh, Operation::Multiply(ones)]),
    ];
    let model = onnx::write(&card(), &[steps], false).unwrap();
    let graph = &all(&model, 7)[0];
    assert_sorted(graph);
    let operators: Vec<String> = nodes(graph).into_iter().map(|(operator, ..)| operator).collect();
    let expected =
        ["Gemm", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Softplus", "Elu", "Gelu", "Mul", "LayerNormalization"];
    assert_eq!(operators[2..12], expected);
    assert_eq!(operators[12..], ["Tanh", "Mul", "Add", "Identity"]);
    let attribute = |operator: &str| {
        let node = all(graph, 1).into_iter().find(|node| texts(node, 4) == [operator]).unwrap();
        let attribute = all(&node, 5).remove(0);
        (texts(&attribute, 1).remove(0), all(&attribute, 2).first().map(|bytes| floats(bytes)), numbers(&attribute, 3))
    };
    assert_eq!(attribute("LeakyRelu"), ("alpha".to_owned(), Some(vec![0.25]), vec![]));
    assert_eq!(attribute("Elu"), ("alpha".to_owned(), Some(vec![1.5]), vec![]));
    assert_eq!(attribute("LayerNormalization"), ("epsilon".to_owned(), Some(vec![1e-5]), vec![]));
    assert_eq!(attribute("Gemm"), ("transB".to_owned(), None, vec![1]));
    assert_eq!(attribute("Cast"), ("to".to_owned(), None, vec![1]));
}
