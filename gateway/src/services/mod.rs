//! The services of the API, one file an area. Each method reads its request, asks the platform,
//! and writes the answer; what goes wrong becomes a status in [`crate::status`].

pub mod account;
mod account_desk;
pub mod account_stream;
mod alert_stream;
pub(crate) mod alerts;
pub mod audit;
pub mod auth;
mod closing;
pub mod instrument;
pub mod market_data;
pub mod market_history;
pub mod order;
mod order_batch;
mod order_book;
mod order_command;
mod order_session;
pub mod order_stream;
mod past;
pub mod preferences;
mod reconcile;
pub mod risk;
mod risk_changes;
pub(crate) mod risk_platform;
pub mod strategy;
mod strategy_changes;
mod strategy_events;
mod strategy_lists;
mod strategy_names;
mod strategy_wire;
pub mod system;

use crate::shared::Shared;
use apex_proto::v1;
use tonic::service::Routes;

/// What [`routes`] needs beyond what the services share.
pub(crate) struct Parts {
    pub shared: Shared,
    pub system: system::SystemServer,
    pub strategies: strategy::StrategyServer,
}

/// Puts the services together, each with the bound on the size of a client's message.
pub(crate) fn routes(parts: Parts) -> Routes {
    use v1::account_service_server::AccountServiceServer;
    use v1::audit_service_server::AuditServiceServer;
    use v1::auth_service_server::AuthServiceServer;
    use v1::instrument_service_server::InstrumentServiceServer;
    use v1::market_data_service_server::MarketDataServiceServer;
    use v1::order_service_server::OrderServiceServer;
    use v1::preferences_service_server::PreferencesServiceServer;
    use v1::risk_service_server::RiskServiceServer;
    use v1::strategy_service_server::StrategyServiceServer;
    use v1::system_service_server::SystemServiceServer;

    let Parts {
        shared,
        system,
        strategies,
    } = parts;
    let bytes = shared.limits.message_bytes;
    macro_rules! server {
        ($server:ident, $service:expr) => {
            $server::new($service).max_decoding_message_size(bytes)
        };
    }
    Routes::new(server!(
        OrderServiceServer,
        order::OrderServer::new(shared.clone())
    ))
    .add_service(server!(
        AccountServiceServer,
        account::AccountServer::new(shared.clone())
    ))
    .add_service(server!(
        MarketDataServiceServer,
        market_data::MarketDataServer::new(shared.clone())
    ))
    .add_service(server!(
        InstrumentServiceServer,
        instrument::InstrumentServer::new(shared.clone())
    ))
    .add_service(server!(
        AuditServiceServer,
        audit::AuditServer::new(shared.clone())
    ))
    .add_service(server!(
        PreferencesServiceServer,
        preferences::PreferencesServer::new(shared.clone())
    ))
    .add_service(server!(
        RiskServiceServer,
        risk::RiskServer::new(shared.clone())
    ))
    .add_service(server!(SystemServiceServer, system))
    .add_service(server!(AuthServiceServer, auth::AuthServer::new(shared)))
    .add_service(server!(StrategyServiceServer, strategies))
}
