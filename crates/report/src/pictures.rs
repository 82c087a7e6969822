//! Pictures that a report shows besides its plots. Who has pixels and models makes them; here they are bytes and texts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// In the order of the page.
    pub galleries: Vec<Gallery>,
}

/// Pictures that belong together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gallery {
    /// Above them.
    pub title: String,
    /// What is to be seen in them, in sentences; or why there are none.
    pub caption: String,
    /// The pictures.
    pub pictures: Vec<Picture>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// A PNG file.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub png: Vec<u8>,
    /// (height, width) in pixels.
    pub size: (usize, usize),
    /// What it shows, for those who do not see it.
    pub alt: String,
    /// Under it, a line or several.
    pub caption: String,
    /// Strokes over it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strokes: Vec<Stroke>,
}

/// A straight stroke over a picture, in shares of its width and height.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stroke {
    /// (x, y) where it begins.
    pub from: (f32, f32),
    /// (x, y) where it ends.
    pub to: (f32, f32),
    /// How strong it is, from 0 to 1.
    pub weight: f32,
}

impl Picture {
    /// The bytes as an address.
    pub(crate) fn address(&self) -> String {
        format!("data:image/png;base64,{}", STANDARD.encode(&self.png))
    }
}

fn as_text<S: Serializer>(png: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(png))
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_back_from_json() {
        let stroke = Stroke { from: (0.0, 0.5), to: (1.0, 0.25), weight: 0.5 };
        let picture = Picture {
            png: vec![137, 80, 78, 71, 0, 255],
            size: (2, 3),
            alt: "<b>".to_owned(),
            caption: String::new(),
            strokes: vec![stroke],
        };
        let gallery = Gallery { title: "t".to_owned(), caption: "c".to_owned(), pictures: vec![picture] };
        let pictures = Pictures { galleries: vec![gallery] };
        let text = serde_json::to_string(&pictures).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Pictures>(&text).ok(), Some(pictures));
        assert!(serde_json::from_str::<Pictures>(r#"{"galleries":[{"title":"","caption":"","pictures":[{"png":"%","size":[1,1],"alt":"","caption":""}]}]}"#).is_err());
    }
}
