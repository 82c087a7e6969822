//! Learned arrays as a file that is damaged, cut or of something else would give them. Included by the conformance tests
//! of the crates that learn.

use bakeoff_core::{Tensor, Tensors, Values};

/// What is wrong, and the arrays.
pub(crate) fn damaged(learned: &Tensors) -> Vec<(String, Tensors)> {
    let mut found = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut Tensors)| {
        let mut tensors = learned.clone();
        change(&mut tensors);
        found.push((what, tensors));
    };
    let extra = Tensor::new(vec![1], Values::F32(vec![0.5])).unwrap();
    add("an unknown tensor".to_owned(), &|tensors| {
        tensors.insert("no_such_part.w", extra.clone());
    });
    for (name, tensor) in learned.iter() {
        let shape = tensor.shape().to_vec();
        let last = shape.len() - 1;
        add(format!("{name} missing"), &|tensors| {
            tensors.remove(name);
        });
        add(format!("{name} renamed"), &|tensors| {
            let tensor = tensors.remove(name).unwrap();
            tensors.insert(format!("{name}s"), tensor);
        });
        let mut put = |what: &str, shape: Vec<usize>, values: Values| {
            let tensor = Tensor::new(shape, values).unwrap();
            add(format!("{name} {what}"), &|tensors| {
                tensors.insert(name, tensor.clone());
            });
        };
        let resized = |mut shape: Vec<usize>, side: usize, to: usize| {
            shape[side] = to;
            let values = resized(tensor.values(), shape.iter().product());
            (shape, values)
        };
        let (longer, values) = resized(shape.clone(), last, shape[last] + 1);
        put("longer", longer, values);
        let (cut, values) = resized(shape.clone(), 0, shape[0] - 1);
        put("cut", cut, values);
        put("with one more side", shape.iter().copied().chain([1]).collect(), tensor.values().clone());
        put("of another type", shape.clone(), of_another_type(tensor.values()));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            if let Some(values) = with_last(tensor.values(), bad) {
                put(&format!("with {bad}"), shape.clone(), values);
            }
        }
    }
    found
}

fn resized(values: &Values, n: usize) -> Values {
    fn of<T: Copy>(values: &[T], n: usize) -> Vec<T> {
        values.iter().copied().cycle().take(n).collect()
    }
    match values {
        Values::F32(values) => Values::F32(of(values, n)),
        Values::F64(values) => Values::F64(of(values, n)),
        Values::U8(values) => Values::U8(of(values, n)),
        Values::U16(values) => Values::U16(of(values, n)),
        Values::U32(values) => Values::U32(of(values, n)),
        Values::I64(values) => Values::I64(of(values, n)),
        other => panic!("{}", other.type_name()),
    }
}

fn of_another_type(values: &Values) -> Values {
    match values {
        Values::F32(values) => Values::F64(values.iter().copied().map(f64::from).collect()),
        other => Values::F32(vec![0.5; other.len()]),
    }
}

fn with_last(values: &Values, bad: f32) -> Option<Values> {
    let mut values = values.clone();
    match &mut values {
        Values::F32(values) => *values.last_mut()? = bad,
        Values::F64(values) => *values.last_mut()? = f64::from(bad),
        _ => return None,
    }
    Some(values)
}
