//! Owns what a field of a request is, for documents: its kind with its limits, its default, what
//! it does, and whether it is applied. The readers in `request/` decide; a test holds both equal.

use serde_json::{Value, json};

/// What a field may hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Text of at most so many bytes.
    Text(usize),
    /// An http or https address.
    Address,
    /// A colour in hexadecimal.
    Color,
    /// A whole number.
    Int(i64, i64),
    /// A number.
    Number(f64, f64),
    /// true or false.
    Flag,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// At most so many texts.
    Texts(usize),
    /// One to so many ids of runs.
    Runs(usize),
    /// An object with these fields.
    Object(&'static [Field]),
    /// An object with any texts.
    Map,
    /// At most so many objects with these fields.
    Objects(usize, &'static [Field]),
    /// At most so many cookies: text or object.
    Cookies(usize),
    /// A CSS length, or a number of pixels.
    Length,
    /// A CSS length for all sides, or an object with one for each.
    Margin,
    /// The id of something.
    Id,
    /// A SHA-256 in lower-case hexadecimal.
    Digest,
    /// A place in a trace, as W3C Trace Context writes it.
    Trace,
    /// An object with at most so many fields of the caller's own.
    Open(usize),
    /// Steps of a sequence.
    Steps,
    /// Steps of a recording.
    Film,
    /// Anything.
    Any,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// It does what it says.
    Applied,
    /// It is accepted, listed in `ignored`, and does nothing.
    Ignored,
    /// It is accepted in place of another spelling, and that is put on record.
    Alias,
    /// It is no field here.
    Refused,
}

impl Support {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Applied => "yes",
            Self::Ignored => "ignored",
            Self::Alias => "alias",
            Self::Refused => "–",
        }
    }
}

/// A field of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The default, as it stands in a document; empty when there is none.
    pub(super) default: &'static str,
    pub(super) about: &'static str,
    pub(super) support: Support,
}

/// A field that is applied.
pub(super) const fn field(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> Field {
    Field { name, kind, default, about, support: Support::Applied }
}

/// A field that is accepted and does nothing.
pub(super) const fn ignored(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, default: "", about, support: Support::Ignored }
}

/// Another spelling of a field.
pub(super) const fn alias(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, default: "", about, support: Support::Alias }
}

impl Field {
    /// Its JSON schema (2020-12).
    pub(super) fn schema(&self) -> Value {
        let mut schema = self.kind.schema();
        if !self.about.is_empty() {
            schema["description"] = json!(self.about);
        }
        if let Ok(default) = serde_json::from_str::<Value>(self.default) {
            schema["default"] = default;
        }
        schema
    }
}

/// The schema of an object with these fields and no others.
pub(super) fn object(fields: &[Field]) -> Value {
    let properties: serde_json::Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), field.schema())).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

impl Kind {
    fn schema(self) -> Value {
        let hex = "^#?([0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})$";
        match self {
            Self::Text(most) => json!({ "type": "string", "maxLength": most }),
            Self::Address => {
                json!({ "type": "string", "format": "uri", "pattern": "^https?://[^@]+$",
                        "maxLength": 8192 })
            }
            Self::Color => json!({ "type": "string", "pattern": hex }),
            Self::Int(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Self::Number(least, most) => {
                json!({ "type": "number", "minimum": least, "maximum": most })
            }
            Self::Flag => json!({ "type": "boolean" }),
            Self::Choice(words) => json!({ "type": "string", "enum": words }),
            Self::Texts(most) => {
                let text = json!({ "type": "string", "minLength": 1, "maxLength": 2000 });
                json!({ "type": "array", "maxItems": most, "items": text })
            }
            Self::Runs(most) => json!({
                "type": "array", "minItems": 1, "maxItems": most,
                "items": { "type": "string", "format": "uuid" },
            }),
            Self::Object(fields) => object(fields),
            Self::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            Self::Objects(most, fields) => {
                json!({ "type": "array", "maxItems": most, "items": object(fields) })
            }
            Self::Cookies(most) => {
                let pair = json!({ "type": "string", "pattern": "^[^=;\\s]+=[^;\\s]*$" });
                let cookie = json!({ "$ref": "#/components/schemas/Cookie" });
                json!({ "type": "array", "maxItems": most, "items": { "oneOf": [pair, cookie] } })
            }
            Self::Length => json!({ "oneOf": [
                { "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,3})?(px|in|cm|mm|pt|pc)?$" },
                { "type": "number", "minimum": 0, "maximum": 19200 },
            ] }),
            Self::Margin => {
                let side = Self::Length.schema();
                json!({ "oneOf": [side, {
                    "type": "object", "additionalProperties": false,
                    "properties": { "top": side, "right": side, "bottom": side, "left": side },
                }] })
            }
            Self::Id => json!({ "type": "string", "format": "uuid" }),
            Self::Digest => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
            Self::Trace => json!({
                "type": "string", "pattern": "^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$",
            }),
            Self::Open(most) => json!({ "type": "object", "maxProperties": most }),
            Self::Steps => json!({
                "type": "array", "minItems": 1, "maxItems": 100,
                "items": { "$ref": "#/components/schemas/Step" },
            }),
            Self::Film => json!({
                "type": "array", "minItems": 1, "maxItems": 50,
                "items": { "$ref": "#/components/schemas/FilmStep" },
            }),
            Self::Any => json!({}),
        }
    }

    /// What it may hold, for people.
    pub(super) fn words(self) -> String {
        let fields = |fields: &[Field]| {
            let told =
                fields.iter().map(|field| format!("`{}` {}", field.name, field.kind.words()));
            told.collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Text(most) => format!("text, at most {most} bytes"),
            Self::Address => "an http or https address without user and password".to_owned(),
            Self::Color => "a colour in hexadecimal, `#1f6feb`".to_owned(),
            Self::Int(least, most) => format!("a whole number, {least} to {most}"),
            Self::Number(least, most) => format!("a number, {least} to {most}"),
            Self::Flag => "true or false".to_owned(),
            Self::Choice(words) => format!("`{}`", words.join("`, `")),
            Self::Texts(most) => format!("a list of at most {most} texts"),
            Self::Runs(most) => format!("a list of 1 to {most} ids of runs"),
            Self::Object(inner) => format!("an object: {}", fields(inner)),
            Self::Map => "an object, name → text".to_owned(),
            Self::Objects(most, inner) => {
                format!("a list of at most {most} objects: {}", fields(inner))
            }
            Self::Cookies(most) => format!(
                "a list of at most {most}: `\"name=value\"`, or an object (`name`, `value`, \
                 `domain`, `path`, `url`, `secure`, `httpOnly`, `sameSite`, `expires`, \
                 `expirationDate`; other keys are passed over)"
            ),
            Self::Length => "a CSS length (`10mm`, `1in`, `2.5cm`, `72pt`), or pixels".to_owned(),
            Self::Margin => {
                "a CSS length for all sides, or `{top, right, bottom, left}`".to_owned()
            }
            Self::Id => "an id that was answered".to_owned(),
            Self::Digest => "64 lower-case hexadecimal digits".to_owned(),
            Self::Trace => "`00-<32 hexadecimal digits>-<16>-<2>`".to_owned(),
            Self::Open(most) => format!("an object with at most {most} fields of your own"),
            Self::Steps => "a list of 1 to 100 steps".to_owned(),
            Self::Film => "a list of 1 to 50 steps".to_owned(),
            Self::Any => "anything".to_owned(),
        }
    }
}
