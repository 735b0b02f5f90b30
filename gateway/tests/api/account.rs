//! An account actor for tests: the real account, records that are durable at once, and a venue
//! that accepts everything, fills market orders whole, and lets the rest lie.

use crate::harness::{MemoryJournals, btc};
use apex_bus::clock::Clock;
use apex_bus::market::MarketHub;
use apex_bus::message::{
    AccountAnswer, AccountCommand, AccountEvent, AccountMessage, AccountQuery, AccountSummary,
    ClosingAnswer, CommandError, Page, ReconcileState, VenueLink,
};
use apex_bus::topic::Topic;
use apex_domain::account::{Account, AccountInput, Effects, Reply, SessionRef};
use apex_domain::event::AccountMode;
use apex_domain::order::{OrderType, SubmitList};
use apex_domain::risk::{MarketRef, ReasonCode};
use apex_domain::venue::{EndReason, Execution, VenueCommand, VenueEnd, VenueReport};
use apex_domain::{
    AccountId, ClientOrderId, Currency, ExecId, InstrumentId, Money, Price, Quantity, VenueOrderId,
};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::BTreeMap;
use std::sync::Arc;

pub async fn start_account(
    id: &AccountId,
    market: &MarketHub,
    events: &Topic<AccountEvent>,
    records: &Arc<MemoryJournals>,
) -> ActorRef<AccountMessage> {
    let mut state = TestState {
        id: id.clone(),
        account: Account::new(),
        market: market.clone(),
        events: events.clone(),
        records: records.clone(),
        venue_connected: true,
        reports: 0,
        unheard: Vec::new(),
    };
    let usdt = Currency::new("USDT").unwrap();
    let base_currency = usdt.clone();
    let (account_id, mode) = (id.clone(), AccountMode::Paper);
    let amount = Money::parse("1000000").unwrap();
    let reason = String::new();
    for input in [
        AccountInput::Open {
            account_id,
            base_currency,
            mode,
        },
        AccountInput::AdjustCash {
            request_id: None,
            currency: usdt,
            amount,
            reason,
        },
        AccountInput::DefineInstrument(Box::new(btc())),
    ] {
        state.decide(input);
    }
    Actor::spawn(None, TestAccount, state).await.unwrap().0
}

struct TestAccount;

struct TestState {
    id: AccountId,
    account: Account,
    market: MarketHub,
    events: Topic<AccountEvent>,
    records: Arc<MemoryJournals>,
    venue_connected: bool,
    reports: u64,
    /// Answers that are kept back until the account is told that all is durable.
    unheard: Vec<(Answerer, Result<Reply, CommandError>)>,
}

type Answerer = RpcReplyPort<Result<Reply, CommandError>>;

fn is_unheard(answer: &Option<Reply>) -> bool {
    matches!(answer, Some(Reply::Order(order))
        if order.request.client_order_id.as_str().starts_with("unheard"))
}

impl Actor for TestAccount {
    type Msg = AccountMessage;
    type State = TestState;
    type Arguments = TestState;

    async fn pre_start(
        &self,
        _myself: ActorRef<AccountMessage>,
        state: TestState,
    ) -> Result<TestState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<AccountMessage>,
        message: AccountMessage,
        state: &mut TestState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AccountMessage::Command(command, _, reply) => state.command(None, command, reply),
            AccountMessage::SessionCommand(session, command, _, reply) => {
                state.command(Some(session), command, reply);
            }
            AccountMessage::Tick => {
                let (_, commands) = state.decide(AccountInput::Tick);
                for command in commands {
                    state.at_the_venue(command);
                }
            }
            AccountMessage::Query(query, reply) => drop(reply.send(state.answer(&query))),
            AccountMessage::Barrier(reply) => drop(reply.send(())),
            AccountMessage::Room => {}
            AccountMessage::Durable { .. } => {
                for (reply, answer) in state.unheard.drain(..) {
                    let _ = reply.send(answer);
                }
            }
            AccountMessage::Link(VenueLink::Snapshot(snapshot)) => {
                state.decide(AccountInput::Reconcile { snapshot });
            }
            AccountMessage::Link(link) => {
                state.venue_connected = link == VenueLink::Ready;
                if !state.venue_connected {
                    let reason_code = ReasonCode::NoAnswer;
                    state.decide(AccountInput::SessionLost { reason_code });
                }
            }
            AccountMessage::Step { .. }
            | AccountMessage::Report { .. }
            | AccountMessage::Journal(_)
            | AccountMessage::Share(_)
            | AccountMessage::Market { .. } => {}
        }
        Ok(())
    }
}

/// What an operator asks for, of which the market is no part.
fn operator_input(command: AccountCommand) -> AccountInput {
    match command {
        AccountCommand::Halt {
            request_id,
            cancel,
            flatten,
            by,
            reason,
        } => AccountInput::Halt {
            request_id,
            cancel,
            flatten,
            by,
            reason,
        },
        AccountCommand::SetTradingState {
            request_id,
            state,
            by,
            reason,
        } => AccountInput::SetTradingState {
            request_id,
            state,
            by,
            reason,
        },
        AccountCommand::SetPositionMode {
            request_id,
            mode,
            by,
        } => AccountInput::SetPositionMode {
            request_id,
            mode,
            by,
        },
        AccountCommand::SetLimits {
            request_id,
            limits,
            expected_sequence,
        } => AccountInput::SetLimits {
            request_id,
            limits: Box::new(limits),
            expected_sequence,
        },
        AccountCommand::AdjustCash {
            request_id,
            currency,
            amount,
            reason,
        } => AccountInput::AdjustCash {
            request_id,
            currency,
            amount,
            reason,
        },
        AccountCommand::DefineInstrument(instrument) => AccountInput::DefineInstrument(instrument),
        AccountCommand::CancelForeign(cancel) => AccountInput::CancelForeign(cancel),
        AccountCommand::ResetPaper(reset) => AccountInput::ResetPaper(reset),
        AccountCommand::Split(split) => AccountInput::Split(split),
        AccountCommand::ResolveOrder(resolve) => AccountInput::ResolveOrder(resolve),
        AccountCommand::GuardSession(wish) => AccountInput::GuardSession(wish),
        AccountCommand::KeepSession(session) => AccountInput::KeepSession(session),
        AccountCommand::EndSession { session, outcome } => {
            AccountInput::EndSession { session, outcome }
        }
        other => panic!("{other:?} is an order"),
    }
}

impl TestState {
    fn command(
        &mut self,
        session: Option<SessionRef>,
        command: AccountCommand,
        reply: RpcReplyPort<Result<Reply, CommandError>>,
    ) {
        let adds = matches!(
            &command,
            AccountCommand::Submit(_) | AccountCommand::SubmitList(_) | AccountCommand::Amend(_)
        );
        if adds && !self.venue_connected {
            let _ = reply.send(Err(CommandError::VenueDown));
            return;
        }
        let input = self.input_of(command);
        let (answer, commands) = self.decide(match session {
            Some(session) => AccountInput::OfSession {
                session,
                input: Box::new(input),
            },
            None => input,
        });
        let is_unheard = is_unheard(&answer);
        let answer = match answer {
            Some(Reply::Refused(refusal)) => Err(CommandError::Refused(refusal)),
            Some(answer) => Ok(answer),
            None => Err(CommandError::Stopped),
        };
        if is_unheard {
            self.unheard.push((reply, answer));
        } else {
            let _ = reply.send(answer);
        }
        for command in commands {
            self.at_the_venue(command);
        }
    }

    fn decide(&mut self, input: AccountInput) -> (Option<Reply>, Vec<VenueCommand>) {
        let mut effects = Effects::with_orders();
        self.account.apply(Clock::Wall.now(), input, &mut effects);
        self.records.append(&self.id, &effects.events);
        for (recorded, order) in effects.events.iter().zip(effects.orders) {
            let account_id = self.id.clone();
            let recorded = Arc::new(recorded.clone());
            self.events
                .try_publish(AccountEvent {
                    account_id,
                    recorded,
                    order,
                })
                .unwrap();
        }
        (effects.reply, effects.commands)
    }

    fn reference(&self, id: &InstrumentId) -> MarketRef {
        self.market.reference(id)
    }

    fn submit_list(&self, list: Box<SubmitList>) -> AccountInput {
        let ids = list.orders.iter().map(|order| order.instrument_id.clone());
        let markets = ids.map(|id| (id.clone(), self.reference(&id))).collect();
        AccountInput::SubmitList { list, markets }
    }

    fn input_of(&self, command: AccountCommand) -> AccountInput {
        match command {
            AccountCommand::Submit(request) => {
                let market = self.reference(&request.instrument_id);
                AccountInput::Submit { request, market }
            }
            AccountCommand::Amend(request) => {
                let market = self.reference(&btc().instrument_id);
                AccountInput::Amend { request, market }
            }
            AccountCommand::Cancel {
                key,
                request_id,
                reason_code,
            } => AccountInput::Cancel {
                key,
                request_id,
                reason_code,
            },
            AccountCommand::CancelAll {
                filter,
                request_id,
                reason_code,
            } => AccountInput::CancelAll {
                filter,
                request_id,
                reason_code,
            },
            AccountCommand::CancelOrders {
                keys,
                request_id,
                reason_code,
            } => AccountInput::CancelOrders {
                keys,
                request_id,
                reason_code,
            },
            AccountCommand::SubmitList(list) => self.submit_list(list),
            AccountCommand::Close { scope, request_id } => {
                AccountInput::Close { scope, request_id }
            }
            other => operator_input(other),
        }
    }

    fn answer(&self, query: &AccountQuery) -> AccountAnswer {
        let account = &self.account;
        match query {
            AccountQuery::Order(key) => {
                AccountAnswer::Order(account.order(key).cloned().map(Box::new))
            }
            AccountQuery::Orders { filter, page } => {
                let (orders, next) = filter.page(account, page);
                AccountAnswer::Orders { orders, next }
            }
            AccountQuery::Executions {
                page: Page { cursor, limit },
            } => {
                let all = account.executions_after(cursor.unwrap_or(0));
                let executions = all[..(*limit).min(all.len())].to_vec();
                let last = executions.last().map(|one| one.sequence);
                let next = last.filter(|_| all.len() > executions.len());
                AccountAnswer::Executions { executions, next }
            }
            AccountQuery::Preview(request) => {
                let id = &request.instrument_id;
                let definition = self.market.instrument(id);
                let market = self.reference(id);
                let now = Clock::Wall.now();
                let preview = account.preview(now, request, market, definition.as_ref());
                AccountAnswer::Preview(Box::new(preview))
            }
            AccountQuery::Summary => AccountAnswer::Summary(Box::new(self.summary())),
            AccountQuery::Reconciliation => {
                let listed = account.reconciler().external_orders().iter();
                AccountAnswer::Reconciliation(Box::new(ReconcileState {
                    is_reconciled: account.is_reconciled(),
                    report: account.reconciler().report().cloned(),
                    foreign_orders: listed
                        .map(|order| {
                            let canceled = account.is_foreign_cancel(&order.venue_order_id);
                            (order.clone(), canceled)
                        })
                        .collect(),
                }))
            }
            AccountQuery::StrangersIds { prefix } => {
                AccountAnswer::StrangersIds(account.strangers_ids(prefix))
            }
            AccountQuery::Closing(request_id) => {
                let answer = account.closing(request_id).map(|state| ClosingAnswer {
                    positions: account
                        .positions()
                        .filter(|p| !p.is_flat())
                        .cloned()
                        .collect(),
                    in_the_way: account.working_orders().count(),
                    state,
                });
                AccountAnswer::Closing(answer.map(Box::new))
            }
        }
    }

    fn summary(&self) -> AccountSummary {
        let account = &self.account;
        let ids = account
            .positions()
            .map(|position| position.instrument_id.clone());
        let marks: BTreeMap<InstrumentId, Price> = ids
            .filter_map(|id| self.market.mark(&id).map(|mark| (id, mark)))
            .collect();
        let equity = account.equity(&marks);
        AccountSummary {
            venue_connected: self.venue_connected,
            ..AccountSummary::of(account, &equity).unwrap()
        }
    }

    fn report(&mut self, report: VenueReport) {
        self.reports += 1;
        let (_, commands) = self.decide(AccountInput::Report {
            venue_sequence: self.reports,
            report,
        });
        // Lists and closing go on with what a report brings.
        for command in commands {
            self.at_the_venue(command);
        }
    }

    fn at_the_venue(&mut self, command: VenueCommand) {
        let ts_event = Clock::Wall.now();
        let number = self.reports;
        match command {
            // Of these the venue never says anything.
            VenueCommand::New(order) if order.client_order_id.as_str().starts_with("silent") => {}
            VenueCommand::New(order) => {
                self.report(VenueReport::Accepted {
                    client_order_id: order.client_order_id.clone(),
                    venue_order_id: VenueOrderId::new(&format!("V{number}")).unwrap(),
                    ts_event,
                });
                if order.order_type == OrderType::Market {
                    let last_price = self.reference(&order.instrument_id).ask.unwrap();
                    self.report(VenueReport::Filled(Execution {
                        exec_id: ExecId::new(&format!("E{number}")).unwrap(),
                        client_order_id: order.client_order_id,
                        instrument_id: order.instrument_id,
                        side: order.side,
                        last_quantity: order.quantity,
                        last_price,
                        fee: Money::parse("0.5").unwrap(),
                        fee_currency: Currency::new("USDT").unwrap(),
                        maker: false,
                        ts_event,
                    }));
                }
            }
            VenueCommand::Cancel {
                client_order_id, ..
            } => self.report(VenueReport::Ended {
                client_order_id,
                end: VenueEnd::Canceled,
                reason: EndReason::Requested,
                cumulative_quantity: Quantity::ZERO,
                ts_event,
            }),
            VenueCommand::Amend {
                client_order_id,
                quantity,
                limit_price,
                ..
            } => {
                self.report(VenueReport::Amended {
                    client_order_id,
                    quantity,
                    limit_price,
                    ts_event,
                    stop_price: None,
                });
            }
            // A stranger's `V-x` is the order with the client order id `x`.
            VenueCommand::CancelForeign { venue_order_id, .. } => {
                let id = venue_order_id.as_str().trim_start_matches("V-");
                self.report(VenueReport::Ended {
                    client_order_id: ClientOrderId::new(id).unwrap(),
                    end: VenueEnd::Canceled,
                    reason: EndReason::Requested,
                    cumulative_quantity: Quantity::ZERO,
                    ts_event,
                });
            }
            VenueCommand::Query { .. } => {}
        }
    }
}
