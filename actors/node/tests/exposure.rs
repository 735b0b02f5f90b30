//! The keeper of the platform's exposure limit fails while a node runs.

use apex_bus::exposure::ExposureHandle;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, ExposureError};
use apex_domain::account::Reply;
use apex_domain::market::Side;
use apex_domain::matching::SimInstrument;
use apex_domain::number::Decimal;
use apex_domain::order::{OrderStatus, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::risk::ReasonCode;
use apex_domain::risk::platform::{PlatformChange, PlatformLimit};
use apex_domain::{ClientOrderId, Currency, Money, RequestId, StrategyId};
use apex_node::sim::{self, Live};
use apex_node::up::NodeOptions;

struct Rig {
    live: Live,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let options = NodeOptions::in_folder(&folder.path().join("data"));
        let live = sim::inside(&options, 7, SimInstrument::defaults(), None)
            .await
            .unwrap();
        let mut rig = Rig {
            live,
            _folder: folder,
        };
        rig.first_price().await;
        rig
    }

    fn keeper(&self) -> &ExposureHandle {
        self.live.node.platform.exposure.as_ref().unwrap()
    }

    fn account(&self) -> AccountHandle {
        let accounts = self.live.node.platform.accounts.all();
        accounts.values().next().unwrap().clone()
    }

    /// Asks for orders until one is no longer refused for want of a market.
    async fn first_price(&mut self) {
        for number in 0.. {
            let order = self.submit(&format!("first-{number}"), 1).await;
            match order {
                Ok(OrderStatus::Submitted) => return,
                other => assert!(number < 10_000, "{other:?}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Buys so many lots far below the market.
    async fn submit(&self, client: &str, lots: i64) -> Result<OrderStatus, Option<ReasonCode>> {
        let market = &self.live.node.platform.market;
        let instrument = market.instruments().remove(0);
        let price = apex_domain::Price(instrument.price_increment.0 * 1_000);
        let request = SubmitOrder {
            client_order_id: ClientOrderId::new(client).unwrap(),
            strategy_id: StrategyId::manual(),
            instrument_id: instrument.instrument_id.clone(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            quantity: apex_domain::Quantity(instrument.quantity_increment.0 * 1_000 * lots),
            limit_price: Some(price),
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
            tags: String::new(),
            misfit: None,
            terms: OrderTerms::default(),
        };
        let command = AccountCommand::Submit(Box::new(request));
        match self.account().command(command).await {
            Ok(Reply::Order(order)) if order.status == OrderStatus::Denied => {
                Err(order.reason_code)
            }
            Ok(Reply::Order(order)) => Ok(order.status),
            other => panic!("{other:?}"),
        }
    }

    async fn limit(&self, id: &str, exposure: Decimal) {
        let change = PlatformChange {
            request_id: RequestId::new(id).unwrap(),
            limit: Some(PlatformLimit {
                currency: Currency::new("USDT").unwrap(),
                max_exposure: Money(exposure),
            }),
            expected_sequence: None,
        };
        let view = self.keeper().change(change).await.unwrap();
        assert!(view.in_force, "{view:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_that_is_killed_comes_back_and_orders_go_on_meanwhile() {
    let rig = Rig::start().await;
    // What one lot uses, as the account measures it, and room for a hundred.
    rig.limit("wide", Decimal::from(1_000_000_000)).await;
    let used = rig.keeper().view().await.unwrap().accounts[0].exposure;
    let lot = used.filter(|used| *used > Money::ZERO).expect("measured").0;
    rig.limit("hundred", lot * Decimal::from(100)).await;

    let killed = rig.keeper().actor().unwrap();
    killed.kill_and_wait(None).await.unwrap();
    // Who asks for the limit itself is told: the next one comes after a pause.
    let refused = rig.keeper().view().await;
    assert_eq!(refused, Err(ExposureError::Stopped));
    // Within the share at once; beyond it as soon as there is a keeper again.
    assert_eq!(rig.submit("small", 1).await, Ok(OrderStatus::Submitted));
    assert_eq!(rig.submit("large", 60).await, Ok(OrderStatus::Submitted));
    let view = rig.keeper().view().await.unwrap();
    assert!(view.in_force && view.handed_out.0 >= lot * Decimal::from(60));
    assert_ne!(rig.keeper().actor().unwrap().get_id(), killed.get_id());
    // The limit is what it was.
    let denied = rig.submit("over", 60).await;
    assert_eq!(denied, Err(Some(ReasonCode::ExposureLimit)));
    rig.live.stop().await;
}
