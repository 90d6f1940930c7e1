//! The OpenAPI document, made from the handlers.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use banter_protocol::ErrorBody;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, PathItem, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "banter",
        description = "Accounts, people and history of a banter server. What is live goes over `/v1/socket` or `/v1/sessions` \
                       (see docs/protocol.md)."
    ),
    components(schemas(ErrorBody)),
    security(("bearer" = [])),
    modifiers(&Bearer)
)]
struct Frame;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The access token.")).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document before its paths are added.
pub(super) fn frame() -> OpenApi {
    Frame::openapi()
}

/// The whole document. Every operation may also answer with an error.
pub fn openapi() -> OpenApi {
    let mut document = super::described().split_for_parts().1;
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            for response in operation.responses.responses.values_mut() {
                // OpenAPI 3.1 wants a description; what an answer is, its schema says.
                if let RefOr::T(response) = response
                    && response.description.is_empty()
                {
                    response.description = "As asked.".to_owned();
                }
            }
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
            let refused = ResponseBuilder::new().description("It was refused, and changed nothing.");
            let refused = refused.content("application/json", content).build();
            operation.responses.responses.insert("default".to_owned(), refused.into());
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().filter_map(Option::as_mut)
}

/// The document as text.
pub fn json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| {
        // Made of maps with text keys, which always have a JSON.
        let mut json = openapi().to_pretty_json().expect("an OpenAPI document has a JSON");
        json.push('\n');
        json
    });
    &JSON
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "operation", security(()), responses((status = 200, body = Object)))]
pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")], json())
}
