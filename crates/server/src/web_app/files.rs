//! The files of the web app that are in this binary, and what is said about each.

/// A file of the web app. Its bytes are pages of the executable: what nobody asks for is never read into memory.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Where it is served, with the leading slash.
    pub path: &'static str,
    /// Changes when its bytes do.
    pub tag: &'static str,
    /// As it was built.
    pub plain: &'static [u8],
    /// Compressed with brotli, where that makes it smaller.
    pub brotli: Option<&'static [u8]>,
    /// Compressed with gzip, where that makes it smaller.
    pub gzip: Option<&'static [u8]>,
}

/// What was built when this binary was; empty when the web app had not been.
pub static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/web_app_files.rs"));

/// The document that every screen of the app opens with.
pub const DOCUMENT: &str = "/index.html";
/// The folder whose files have a hash of themselves in their names.
pub const HASHED: &str = "/assets/";

impl File {
    /// Whether its name changes with its bytes, so that it may be kept for ever.
    pub fn is_immutable(&self) -> bool {
        self.path.starts_with(HASHED)
    }

    /// Its media type, by its name.
    pub fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "html" => "text/html; charset=utf-8",
            "js" | "mjs" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "json" | "map" => "application/json",
            "webmanifest" => "application/manifest+json",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "ico" => "image/vnd.microsoft.icon",
            "woff2" => "font/woff2",
            "txt" => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        }
    }
}
