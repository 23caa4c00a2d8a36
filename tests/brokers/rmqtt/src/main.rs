//! RMQTT on 127.0.0.1, with the plugin that tells of its clients under `$SYS`.
//!
//! `rmqtt-broker PORT`. Whoever comes as `alice` needs the password `right`; everyone else may connect.
//! It writes `running` when it listens.
#![forbid(unsafe_code)]

use async_trait::async_trait;
use rmqtt::Result;
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use rmqtt::net::Builder;
use rmqtt::server::MqttServer;
use rmqtt::types::AuthResult;

/// Refuses `alice` without her password.
struct Passwords;

#[async_trait]
impl Handler for Passwords {
    async fn hook(&self, parameter: &Parameter, before: Option<HookResult>) -> ReturnType {
        if let Parameter::ClientAuthenticate(connect) = parameter
            && connect.username().is_some_and(|name| &**name == "alice")
            && connect.password().map(|word| &word[..]) != Some(b"right".as_slice())
        {
            let refused = HookResult::AuthResult(AuthResult::BadUsernameOrPassword);
            return (false, Some(refused));
        }
        (true, before)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let port = std::env::args().nth(1).unwrap_or_default();
    let address = format!("127.0.0.1:{port}").parse()?;
    let context = ServerContext::new().build().await;
    rmqtt_sys_topic::register(&context, true, false).await?;
    let register = context.extends.hook_mgr().register();
    register
        .add(Type::ClientAuthenticate, Box::new(Passwords))
        .await;
    register.start().await;
    let listener = Builder::new()
        .name("tcp")
        .laddr(address)
        .allow_anonymous(true)
        .bind()?
        .tcp()?;
    eprintln!("running");
    MqttServer::new(context)
        .listener(listener)
        .build()
        .run()
        .await
}
