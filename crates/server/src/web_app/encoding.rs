//! Which of a file's encodings a browser gets (RFC 9110, section 12.5.3).

use axum::http::{HeaderMap, header};

use super::files::File;

/// How the bytes of an answer are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// brotli (RFC 7932).
    Brotli,
}

impl Encoding {
    /// Its name in `Content-Encoding`; none where nothing was encoded.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Brotli => Some("br"),
        }
    }
}

/// The smallest form of `file` that the request takes, and its bytes. Whoever refuses even the plain form gets it all the same:
/// it is the one that everybody can read.
pub fn choose(file: &File, request: &HeaderMap) -> (Encoding, &'static [u8]) {
    if let Some(brotli) = file.brotli
        && takes(request, "br")
    {
        return (Encoding::Brotli, brotli);
    }
    if let Some(gzip) = file.gzip
        && takes(request, "gzip")
    {
        return (Encoding::Gzip, gzip);
    }
    (Encoding::Identity, file.plain)
}

/// Whether `Accept-Encoding` has `coding`, or else `*`, with a weight above 0. Finer weights are not compared: nobody who
/// takes brotli at all is served better by gzip.
fn takes(request: &HeaderMap, coding: &str) -> bool {
    let mut any = false;
    for value in request.get_all(header::ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or_default().split(',') {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case(coding) {
                return is_wanted(parameters);
            }
            if name == "*" {
                any = is_wanted(parameters);
            }
        }
    }
    any
}

/// Whether a weight is above 0; what is no weight counts as none given.
fn is_wanted(parameters: &str) -> bool {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, weight) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("q") { weight.trim().parse::<f32>().ok() } else { None }
    });
    weight.is_none_or(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: File = File { path: "/a.js", tag: "1", plain: b"plain", brotli: Some(b"br"), gzip: Some(b"gz") };

    fn chosen(file: &File, accept: &[&'static str]) -> Encoding {
        let mut request = HeaderMap::new();
        for value in accept {
            request.append(header::ACCEPT_ENCODING, value.parse().unwrap());
        }
        choose(file, &request).0
    }

    #[test]
    fn the_smallest_that_is_taken() {
        for (accept, encoding) in [
            (&[][..], Encoding::Identity),
            (&[""], Encoding::Identity),
            (&["gzip, deflate, br, zstd"], Encoding::Brotli),
            (&["gzip, deflate"], Encoding::Gzip),
            (&["GZIP"], Encoding::Gzip),
            (&["deflate", "br"], Encoding::Brotli),
            (&["br;q=0, gzip;q=0.5"], Encoding::Gzip),
            (&["br ; Q=0.0, gzip;q=0"], Encoding::Identity),
            (&["*"], Encoding::Brotli),
            (&["*;q=0"], Encoding::Identity),
            (&["br;q=0, *"], Encoding::Gzip),
            (&["*, br;q=0"], Encoding::Gzip),
            (&["br;q=nonsense"], Encoding::Brotli),
            (&["brotli, xgzip"], Encoding::Identity),
            (&["identity;q=0"], Encoding::Identity),
        ] {
            assert_eq!(chosen(&FILE, accept), encoding, "{accept:?}");
        }
    }

    #[test]
    fn only_what_is_there() {
        let plain = File { brotli: None, gzip: None, ..FILE };
        assert_eq!(choose(&plain, &HeaderMap::new()), (Encoding::Identity, &b"plain"[..]));
        assert_eq!(chosen(&plain, &["br, gzip"]), Encoding::Identity);
        assert_eq!(chosen(&File { brotli: None, ..FILE }, &["br, gzip"]), Encoding::Gzip);
    }
}
