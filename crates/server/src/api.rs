//! The HTTP API: one file for each subject. What goes wrong is an [`ErrorBody`](banter_protocol::ErrorBody), always.

mod accounts;
mod blocks;
mod conversations;
mod devices;
mod discovery;
pub mod errors;
pub mod extract;
mod friends;
mod groups;
mod health;
mod history;
mod observe;
pub mod openapi;
mod presence;
mod profile;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use banter_protocol::ErrorCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::node::Node;
use crate::origins::answer_pages;
use errors::ApiError;

/// The whole API, for a process without a gateway.
pub fn router(node: Arc<Node>) -> Router {
    finish(&node, routes(&node))
}

/// The routes of the API alone, to be merged with others before [`finish`].
pub fn routes(node: &Arc<Node>) -> Router {
    described().split_for_parts().0.with_state(Arc::clone(node))
}

/// The routes that every node answers, whatever it does.
pub fn operation_routes(node: &Arc<Node>) -> Router {
    let routes =
        OpenApiRouter::new().routes(routes!(health::health)).routes(routes!(health::ready)).routes(routes!(health::metrics));
    routes.split_for_parts().0.with_state(Arc::clone(node))
}

/// Around all routes: answers for unknown paths and methods, pages of other origins, panics become answers, refusals are counted,
/// headers for safety.
pub fn finish(node: &Arc<Node>, routes: Router) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(node), answer_pages))
        .layer(from_fn_with_state(Arc::clone(node), observe::observe))
}

/// Every route with its description.
fn described() -> OpenApiRouter<Arc<Node>> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(accounts::sign_up))
        .routes(routes!(accounts::login))
        .routes(routes!(accounts::refresh))
        .routes(routes!(discovery::servers))
        .routes(routes!(accounts::logout))
        .routes(routes!(accounts::change_password))
        .routes(routes!(accounts::delete_account))
        .routes(routes!(devices::devices))
        .routes(routes!(devices::revoke_device))
        .routes(routes!(profile::profile, profile::change_profile))
        .routes(routes!(profile::settings, profile::change_settings))
        .routes(routes!(profile::users))
        .routes(routes!(profile::user_by_handle))
        .routes(routes!(friends::friends))
        .routes(routes!(friends::request_friend, friends::remove_friend))
        .routes(routes!(friends::accept_friend))
        .routes(routes!(blocks::blocks))
        .routes(routes!(blocks::block, blocks::unblock))
        .routes(routes!(presence::presence))
        .routes(routes!(groups::create_group))
        .routes(routes!(groups::change_group))
        .routes(routes!(groups::add_members))
        .routes(routes!(groups::remove_member))
        .routes(routes!(groups::set_role))
        .routes(routes!(groups::leave_group))
        .routes(routes!(conversations::conversations))
        .routes(routes!(conversations::conversation))
        .routes(routes!(conversations::markers))
        .routes(routes!(conversations::mark_read))
        .routes(routes!(history::events))
        .routes(routes!(openapi::document))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}

async fn not_found(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(100).collect();
    ApiError::new(ErrorCode::NotFound, format!("there is no {path} here"))
}

async fn method_not_allowed(method: Method) -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed, format!("{method} is not among the methods of this path, which `Allow` lists"))
}
