//! Where a client is, by what is known of its request.

use axum::http::{HeaderMap, HeaderName};
use banter_model::discovery::{ClientPlace, Coordinates};

use super::AddressFile;
use crate::rate_limit::ClientAddress;

/// The header in which a client may say itself where it is: `<latitude>,<longitude>` in degrees, or the name of a region. It is a
/// wish: it changes which servers it is told of, and nothing else.
pub const PLACE_HEADER: HeaderName = HeaderName::from_static("banter-place");

/// Most bytes of a header that says a place.
const PLACE_BYTES: usize = 64;

/// Headers in which the load balancer writes where a client is. It has to remove what clients send under these names.
#[derive(Debug, Clone, Default)]
pub struct PlaceHeaders {
    /// Names a region, as [`banter_store::cluster::NodeProfile::region`] does.
    pub region: Option<HeaderName>,
    /// Holds `<latitude>,<longitude>`, or the latitude alone.
    pub latitude: Option<HeaderName>,
    /// Holds the longitude, where it has a header of its own.
    pub longitude: Option<HeaderName>,
}

/// Finds out where clients are. The load balancer knows best, then the client itself, then the file of addresses.
#[derive(Debug, Default)]
pub struct Places {
    headers: PlaceHeaders,
    addresses: Option<AddressFile>,
}

impl Places {
    /// Believes these headers, and looks addresses up in this file.
    pub fn new(headers: PlaceHeaders, addresses: Option<AddressFile>) -> Self {
        Places { headers, addresses }
    }

    /// The place of a client that sends `headers` from `address`.
    pub fn of(&self, headers: &HeaderMap, address: ClientAddress) -> ClientPlace {
        let hint = text(headers, &PLACE_HEADER).unwrap_or_default();
        let hinted = coordinates(hint);
        let region = match self.headers.region.as_ref().and_then(|name| text(headers, name)) {
            Some(region) => region,
            None if hinted.is_none() => hint,
            None => "",
        };
        let found = self.balancer(headers).or(hinted);
        let found = found.or_else(|| self.addresses.as_ref().and_then(|file| file.coordinates(address.ip())));
        ClientPlace { region: region.to_owned(), coordinates: found }
    }

    fn balancer(&self, headers: &HeaderMap) -> Option<Coordinates> {
        let latitude = text(headers, self.headers.latitude.as_ref()?)?;
        match &self.headers.longitude {
            None => coordinates(latitude),
            Some(name) => place(latitude, text(headers, name)?),
        }
    }
}

/// The text of a header, unless it is missing, empty or too long for a place.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty() && text.len() <= PLACE_BYTES).then_some(text)
}

fn coordinates(text: &str) -> Option<Coordinates> {
    let (latitude, longitude) = text.split_once(',')?;
    place(latitude, longitude)
}

fn place(latitude: &str, longitude: &str) -> Option<Coordinates> {
    Coordinates::new(latitude.trim().parse().ok()?, longitude.trim().parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(places: &Places, headers: &[(&'static str, &str)]) -> (String, Option<(f64, f64)>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let found = places.of(&map, ClientAddress::of("192.0.2.1".parse().unwrap()));
        (found.region, found.coordinates.map(|at| (at.latitude, at.longitude)))
    }

    #[test]
    fn a_client_may_say_where_it_is() {
        let places = Places::default();
        assert_eq!(place_of(&places, &[]), (String::new(), None));
        assert_eq!(place_of(&places, &[("banter-place", "48.86, 2.35")]), (String::new(), Some((48.86, 2.35))));
        assert_eq!(place_of(&places, &[("banter-place", "eu-west")]), ("eu-west".to_owned(), None));
        for not_on_earth in ["91,0", "NaN,1", "1,inf"] {
            assert_eq!(place_of(&places, &[("banter-place", not_on_earth)]).1, None);
        }
        assert_eq!(place_of(&places, &[("banter-place", &"x".repeat(PLACE_BYTES + 1))]), (String::new(), None));
        assert_eq!(place_of(&places, &[("x-region", "us")]).0, "", "only headers that are believed");
    }

    #[test]
    fn the_load_balancer_knows_better() {
        let name = |name: &'static str| Some(HeaderName::from_static(name));
        let headers = PlaceHeaders { region: name("x-region"), latitude: name("x-latitude"), longitude: name("x-longitude") };
        let two = Places::new(headers.clone(), None);
        let sent = [("x-region", "eu"), ("x-latitude", "50.1"), ("x-longitude", "8.7"), ("banter-place", "1,2")];
        assert_eq!(place_of(&two, &sent), ("eu".to_owned(), Some((50.1, 8.7))));
        assert_eq!(place_of(&two, &sent[3..]), (String::new(), Some((1.0, 2.0))), "where it says nothing, the client is heard");
        assert_eq!(place_of(&two, &[sent[0], sent[3]]), ("eu".to_owned(), Some((1.0, 2.0))));
        let one = Places::new(PlaceHeaders { longitude: None, ..headers }, None);
        assert_eq!(place_of(&one, &[("x-latitude", "50.1,8.7")]).1, Some((50.1, 8.7)));
    }
}
