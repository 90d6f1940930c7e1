//! Three people, a talk of two of them, their group, and what has to be as it was.

use banter_model::ConversationId;
use serde_json::{Value, json};

use crate::support::socket::Socket;
use crate::support::{Person, Settings, World, direct};

pub struct Scene {
    pub world: World,
    pub ada: Person,
    pub bob: Person,
    pub eve: Person,
    /// Of ada and bob, with one message of ada's.
    pub talk: ConversationId,
    /// Of ada and bob, with one message of ada's at place 2.
    pub group: ConversationId,
    /// A session of bob's that nothing may disturb.
    bystander: Socket,
    before: Value,
}

impl Scene {
    pub async fn set() -> Scene {
        Scene::set_with(Settings::default()).await
    }

    pub async fn set_with(settings: Settings) -> Scene {
        let world = World::start_with(settings).await;
        let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
        let talk = direct(&ada, &bob);
        let group = world.group(&ada, &[&bob], false).await;
        let mut writer = Socket::open(&world, &ada).await;
        writer.say(1, talk, "good").await;
        writer.say(1, group, "good").await;
        let bystander = Socket::open(&world, &bob).await;
        let mut scene = Scene { world, ada, bob, eve, talk, group, bystander, before: Value::Null };
        scene.before = scene.state().await;
        scene
    }

    /// Everything that anybody can see of the three.
    async fn state(&self) -> Value {
        let mut state = Vec::new();
        for person in [&self.ada, &self.bob, &self.eve] {
            for path in ["profile", "settings", "friends", "blocks", "conversations"] {
                state.push(self.world.api(person, "GET", &format!("/v1/{path}"), None).await);
            }
        }
        for conversation in [self.talk, self.group] {
            state.push(json!(self.world.events(&self.ada, conversation).await));
            state.push(self.world.api(&self.ada, "GET", &format!("/v1/conversations/{conversation}/markers"), None).await);
        }
        state.push(json!(self.world.metric("events_total").await));
        json!(state)
    }

    /// Nothing has changed, and others are served.
    pub async fn is_as_it_was(&mut self) {
        assert_eq!(self.state().await, self.before);
        self.bystander.quiet().await;
    }

    pub async fn refused(&self, code: &str) -> u64 {
        self.world.metric(&format!("refused_total{{code=\"{code}\"}}")).await
    }

    pub async fn closed(&self, code: u16) -> u64 {
        self.world.metric(&format!("closed_total{{code=\"{code}\"}}")).await
    }

    /// Sends a text on a new session of a person's: it has to be refused with `code`, counted, and the session goes on.
    pub async fn refuses(&self, who: &Person, text: &str, code: &str) -> Value {
        let shown: String = text.chars().take(200).collect();
        let before = self.refused(code).await;
        let mut socket = Socket::open(&self.world, who).await;
        socket.send_text(text).await;
        let error = socket.expect("error").await;
        assert_eq!(error["code"], code, "{shown}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.is_empty() && message.chars().count() < 500, "{shown}: {message}");
        assert_eq!(error.get("retry_after"), None, "{shown}");
        socket.quiet().await;
        assert_eq!(self.refused(code).await, before + 1, "{shown}");
        error
    }

    /// Sends bytes on a new session of ada's: it has to be closed with `code`, and counted.
    pub async fn closes(&self, bytes: &[u8], code: u16) {
        let before = self.closed(code).await;
        let mut socket = Socket::open(&self.world, &self.ada).await;
        socket.send_raw(bytes).await;
        assert_eq!(socket.closed().await, code, "{:x?}", &bytes[..bytes.len().min(20)]);
        assert_eq!(self.closed(code).await, before + 1, "{:x?}", &bytes[..bytes.len().min(20)]);
    }
}
