//! The orders and lists that clients draw: every type, every time in force, every contingency.

use super::{Clients, side};
use crate::instruments;
use crate::setting::Funds;
use apex_domain::market::Side;
use apex_domain::order::{
    Contingency, OrderTerms, OrderType, PositionSide, ReleaseRule, SubmitList, SubmitOrder,
    TimeInForce, TrailingOffset, TriggerType,
};
use apex_domain::time::NANOS_PER_SECOND;
use apex_domain::{ClientOrderId, InstrumentId, OrderListId, Price, Quantity, StrategyId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A GTD order of a run ends at most this long after the run began, faults and healing included.
const LAST_END_NS: i64 = 30 * NANOS_PER_SECOND;

impl Clients {
    /// Orders of a hedging account name the position of a contract that they mean. A few of any
    /// account name what it does not take.
    fn position_side(&self, instrument_id: &InstrumentId, rng: &mut ChaCha8Rng) -> PositionSide {
        let spot = [instruments::SPOT, instruments::COARSE].contains(&instrument_id.as_str());
        let fits = rng.random_bool(0.98);
        match (self.setting.hedging && !spot) == fits {
            false => PositionSide::Net,
            true if rng.random_bool(0.5) => PositionSide::Long,
            true => PositionSide::Short,
        }
    }

    pub(super) fn new_order(&self, rng: &mut ChaCha8Rng) -> SubmitOrder {
        let instrument_id = self.instrument(rng);
        self.draw(self.asked.len(), instrument_id, side(rng), rng)
    }

    /// Returns an instrument to trade. Where one opens or closes in the run, most look at that.
    fn instrument(&self, rng: &mut ChaCha8Rng) -> &InstrumentId {
        let mut all = self.instruments.iter();
        let bare = all.find(|id| id.as_str() == instruments::BARE);
        match bare.filter(|_| self.setting.sessions && rng.random_bool(0.5)) {
            Some(bare) => bare,
            None => &self.instruments[rng.random_range(0..self.instruments.len())],
        }
    }

    /// Draws an order with the id of `number`.
    fn draw(
        &self,
        number: usize,
        instrument_id: &InstrumentId,
        side: Side,
        rng: &mut ChaCha8Rng,
    ) -> SubmitOrder {
        let id = ClientOrderId::new(&format!("c{number}"));
        let order_type = if rng.random_bool(0.5) {
            OrderType::Limit
        } else {
            OrderType::ALL[rng.random_range(0..OrderType::ALL.len())]
        };
        let time_in_force = self.time_in_force(instrument_id, order_type, rng);
        let quantity = Quantity(5 * rng.random_range(1..200));
        // Where the venue has none the account shows them part by part.
        let rests = order_type == OrderType::Limit
            && time_in_force != TimeInForce::Ioc
            && !time_in_force.is_auction();
        let cut = instrument_id.as_str() == instruments::BARE && rests && rng.random_bool(0.4);
        let shown = cut.then(|| Quantity(quantity.0 / rng.random_range(1..=4)));
        SubmitOrder {
            client_order_id: id.expect("client order id is well formed"),
            strategy_id: if rng.random_bool(0.7) {
                StrategyId::manual()
            } else {
                StrategyId::new("other").expect("strategy id is well formed")
            },
            instrument_id: instrument_id.clone(),
            side,
            order_type,
            quantity,
            limit_price: order_type.has_limit().then(|| price(rng)),
            time_in_force,
            post_only: false,
            reduce_only: rng.random_bool(0.05),
            tags: String::new(),
            misfit: None,
            terms: OrderTerms {
                position_side: self.position_side(instrument_id, rng),
                display_quantity: shown.filter(|shown| shown.0 > 0),
                ..self.terms(order_type, time_in_force, rng)
            },
        }
    }

    /// Returns a list of orders. Each leg of one position may cover the whole of it, and a venue
    /// may fill two before the account cancels one: where every order has to be covered, there
    /// are batches only.
    pub(super) fn new_list(&self, rng: &mut ChaCha8Rng) -> SubmitList {
        let contingency = [
            Contingency::None,
            Contingency::Oco,
            Contingency::Oto,
            Contingency::Ouo,
            Contingency::Bracket,
        ][rng.random_range(0..5)];
        let contingency = match self.setting.funds {
            Funds::Cash => Contingency::None,
            _ => contingency,
        };
        let (instrument_id, entry) = (self.instrument(rng), side(rng));
        let size = match contingency {
            Contingency::Bracket => 3,
            Contingency::None => rng.random_range(1..7),
            _ => rng.random_range(2..4),
        };
        let first = self.asked.len();
        let mut orders: Vec<SubmitOrder> = (0..size)
            .map(|at| {
                let leaves = contingency == Contingency::Bracket && at > 0;
                let side = if leaves { entry.opposite() } else { entry };
                self.draw(first + at, instrument_id, side, rng)
            })
            .collect();
        // Legs of one position have its quantity.
        let quantity = orders[0].quantity;
        for order in &mut orders {
            order.quantity = quantity;
            let shown = &mut order.terms.display_quantity;
            *shown = shown.filter(|shown| *shown <= quantity);
        }
        let id = OrderListId::new(&format!("l{}", self.lists.len()));
        SubmitList {
            list_id: id.expect("list id is well formed"),
            contingency,
            release: if rng.random_bool(0.5) {
                ReleaseRule::Full
            } else {
                ReleaseRule::Partial
            },
            cascade: rng.random_bool(0.7),
            orders,
        }
    }

    fn time_in_force(
        &self,
        instrument_id: &InstrumentId,
        order_type: OrderType,
        rng: &mut ChaCha8Rng,
    ) -> TimeInForce {
        let plain = matches!(order_type, OrderType::Market | OrderType::Limit);
        let opens = self.setting.sessions && instrument_id.as_str() == instruments::BARE;
        if plain && opens && rng.random_bool(0.5) {
            return if rng.random_bool(0.4) {
                TimeInForce::AtOpen
            } else {
                TimeInForce::AtClose
            };
        }
        match rng.random_range(0..10) {
            // A conditional order that is immediate would be so from its trigger on.
            0 | 1 if !order_type.is_conditional() => TimeInForce::Ioc,
            2 => TimeInForce::Gtd,
            3 => TimeInForce::Day,
            _ => TimeInForce::Gtc,
        }
    }

    fn terms(
        &self,
        order_type: OrderType,
        time_in_force: TimeInForce,
        rng: &mut ChaCha8Rng,
    ) -> OrderTerms {
        let trails = order_type == OrderType::TrailingStop;
        let stops = order_type.is_conditional() && !trails;
        let dated = time_in_force == TimeInForce::Gtd;
        let last_end = self.setting.start.plus(LAST_END_NS);
        OrderTerms {
            stop_price: stops.then(|| price(rng)),
            trailing: trails.then(|| {
                if rng.random_bool(0.5) {
                    TrailingOffset::Price(Price(rng.random_range(1..500)))
                } else {
                    TrailingOffset::Bps(rng.random_range(1..500))
                }
            }),
            activation_price: (trails && rng.random_bool(0.3)).then(|| price(rng)),
            trigger: if rng.random_bool(0.5) {
                TriggerType::Last
            } else {
                TriggerType::BidAsk
            },
            expire_at: dated.then(|| last_end.plus(-rng.random_range(0..12) * NANOS_PER_SECOND)),
            ..OrderTerms::default()
        }
    }
}

fn price(rng: &mut ChaCha8Rng) -> Price {
    Price(5 * rng.random_range(1_800..2_200))
}
