//! Images: made from words, or from other images, whole or with unfinished ones first.
//!
//! All of these calls are paid, and none leaves a trace that could be looked up: one whose answer is lost stays
//! unknown. Start at [`OpenAi::generate_image`].

use super::OpenAi;
use super::error::OpenAiError;
use super::files::Upload;
use super::form::Form;
use super::response::Problem;
use super::sse::Frames;
use super::transport::Call;
use super::usage::Usage;
use crate::policy::Grant;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A request for images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImageRequest {
    /// Its id.
    pub model: String,
    /// What is to be seen.
    pub prompt: String,
    /// `WIDTHxHEIGHT` in pixels, both multiples of 16, or `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// `low`, `medium`, `high`, `xhigh`, `max`, `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// `png`, `webp`, `jpeg`, `gif`, `svg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// `transparent`, `opaque`, `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
}

/// An image.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} bytes)", self.bytes.len())
    }
}

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Encoded {
            b64_json: String,
        }
        let encoded = Encoded::deserialize(deserializer)?.b64_json;
        let bytes = STANDARD.decode(encoded).map_err(|_| serde::de::Error::custom("an image is no base64"))?;
        Ok(Self { bytes })
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Images {
    /// One at least.
    pub data: Vec<Image>,
    /// `png` ...
    #[serde(default)]
    pub output_format: Option<String>,
    /// The real size.
    #[serde(default)]
    pub size: Option<String>,
    /// The real quality.
    #[serde(default)]
    pub quality: Option<String>,
    /// What it cost.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// What happens while images are made.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageEvent {
    /// One that is not finished.
    Partial {
        /// From 0.
        idx: u32,
        /// As far as it is.
        image: Image,
    },
    /// One that is.
    Done {
        /// Itself.
        image: Image,
        /// What it cost.
        usage: Option<Usage>,
    },
}

/// The events of images that are being made.
pub struct ImageEvents {
    frames: Frames,
    /// Images that are still to come.
    n_left: u32,
}

/// A request, and how it is to be answered.
#[derive(Serialize)]
struct Asked<'a> {
    #[serde(flatten)]
    request: &'a ImageRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_images: Option<u32>,
}

impl OpenAi {
    /// Makes images from words. Paid.
    pub async fn generate_image(&self, request: &ImageRequest, grant: &Grant) -> Result<Images, OpenAiError> {
        self.images(&generate(request, None)?, grant).await
    }

    /// As [`generate_image`](Self::generate_image), with up to three unfinished ones first.
    pub async fn stream_image(
        &self,
        request: &ImageRequest,
        n_partial: u32,
        grant: &Grant,
    ) -> Result<ImageEvents, OpenAiError> {
        self.image_events(generate(request, Some(n_partial))?, request, grant).await
    }

    /// Makes an image from others; a mask's transparent part is what changes of the first. Paid.
    pub async fn edit_image(
        &self,
        request: &ImageRequest,
        images: &[Upload],
        mask: Option<&Upload>,
        grant: &Grant,
    ) -> Result<Images, OpenAiError> {
        self.images(&self.edit(request, images, mask, None), grant).await
    }

    /// As [`edit_image`](Self::edit_image), with up to three unfinished ones first.
    pub async fn stream_edited_image(
        &self,
        request: &ImageRequest,
        images: &[Upload],
        mask: Option<&Upload>,
        n_partial: u32,
        grant: &Grant,
    ) -> Result<ImageEvents, OpenAiError> {
        self.image_events(self.edit(request, images, mask, Some(n_partial)), request, grant).await
    }

    async fn images(&self, call: &Call<'_>, grant: &Grant) -> Result<Images, OpenAiError> {
        let images: Images = self.value(call, grant).await?;
        match images.data.is_empty() {
            true => Err(OpenAiError::Malformed { what: format!("{}: no image in the answer", call.name) }),
            false => Ok(images),
        }
    }

    async fn image_events(
        &self,
        call: Call<'_>,
        request: &ImageRequest,
        grant: &Grant,
    ) -> Result<ImageEvents, OpenAiError> {
        let call = call.streamed();
        let body = self.answered(&call, grant).await?;
        Ok(ImageEvents { frames: Frames::new(self, &call, body), n_left: request.n.unwrap_or(1) })
    }

    fn edit(
        &self,
        request: &ImageRequest,
        images: &[Upload],
        mask: Option<&Upload>,
        n_partial: Option<u32>,
    ) -> Call<'static> {
        let number = |n: Option<u32>| n.map(|n| n.to_string());
        let mut form = Form::new(&*self.0.world.random)
            .text("model", &request.model)
            .text("prompt", &request.prompt)
            .maybe("size", request.size.as_deref())
            .maybe("quality", request.quality.as_deref())
            .maybe("output_format", request.output_format.as_deref())
            .maybe("background", request.background.as_deref())
            .maybe("n", number(request.n).as_deref())
            .maybe("stream", n_partial.map(|_| "true"))
            .maybe("partial_images", number(n_partial).as_deref());
        for image in images {
            form = form.file("image[]", image);
        }
        if let Some(mask) = mask {
            form = form.file("mask", mask);
        }
        Call::new("to edit an image", "POST", &["images", "edits"]).paid().form(form.finish())
    }
}

fn generate(request: &ImageRequest, n_partial: Option<u32>) -> Result<Call<'static>, OpenAiError> {
    let asked = Asked { request, stream: n_partial.map(|_| true), partial_images: n_partial };
    Call::new("to make an image", "POST", &["images", "generations"]).paid().json(&asked)
}

impl ImageEvents {
    /// The next event; `None` after the last image. A stream that breaks off before is an error.
    pub async fn next(&mut self) -> Result<Option<ImageEvent>, OpenAiError> {
        #[derive(Deserialize)]
        struct Partial {
            partial_image_index: u32,
            #[serde(flatten)]
            image: Image,
        }
        #[derive(Deserialize)]
        struct Done {
            #[serde(flatten)]
            image: Image,
            #[serde(default)]
            usage: Option<Usage>,
        }
        #[derive(Deserialize)]
        struct Bad {
            error: Problem,
        }
        while self.n_left > 0 {
            let Some(frame) = self.frames.next().await? else { return Err(self.frames.cut()) };
            match frame.kind.as_str() {
                "image_generation.partial_image" | "image_edit.partial_image" => {
                    let partial: Partial = frame.content()?;
                    return Ok(Some(ImageEvent::Partial { idx: partial.partial_image_index, image: partial.image }));
                }
                "image_generation.completed" | "image_edit.completed" => {
                    self.n_left -= 1;
                    let done: Done = frame.content()?;
                    return Ok(Some(ImageEvent::Done { image: done.image, usage: done.usage }));
                }
                "error" => {
                    let bad: Bad = frame.content()?;
                    return Err(OpenAiError::failed_or_policy(&bad.error));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}
