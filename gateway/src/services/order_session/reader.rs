//! From the client to the account, in the order of the stream.

use super::answer::{Shape, Way};
use super::{End, Incoming, MAX_COMMANDS, Session};
use crate::audit::{Auditor, Message};
use crate::services::order_command;
use crate::status;
use apex_bus::audit::Ticket;
use apex_bus::message::{AccountCommand, CommandError};
use apex_domain::order::{AmendOrder, OrderKey};
use apex_domain::{ClientOrderId, InstrumentId};
use apex_proto::convert::order as wire;
use apex_proto::v1;
use prost::Message as _;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;
use tokio::sync::mpsc;
use tonic::{Code, Status};
use v1::order_session_command::Command;
use v1::order_session_request::Message as Asked;

/// Orders of the session whose instrument is remembered, so that an amend needs no question first.
/// Full: all are forgotten, and asked for.
const REMEMBERED: usize = 16_384;

/// What goes to the writer, in order.
pub(super) enum Handed {
    /// So many commands follow that are of one record, or have none.
    Part {
        commands: usize,
        record: Option<(Message, Ticket)>,
    },
    Command {
        command_id: u64,
        /// It takes exposure away, and its answer is not held up by the audit.
        essential: bool,
        way: Way,
    },
}

/// Reads until the client is done or breaks the protocol.
pub(super) async fn run(
    session: &Session,
    incoming: &mut Incoming,
    handed: mpsc::Sender<Handed>,
) -> End {
    let mut reader = Reader {
        session,
        handed,
        defined: BTreeSet::new(),
        instruments: HashMap::new(),
    };
    loop {
        let message = match incoming.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return End::Gone,
            Err(status) => return broken(status),
        };
        session.pulse.beat();
        let taken = match message.message {
            Some(Asked::Commands(batch)) => reader.take(batch.commands).await,
            Some(Asked::Heartbeat(_)) => Ok(()),
            Some(Asked::Goodbye(goodbye)) => {
                reader.note(goodbye);
                return End::Goodbye;
            }
            Some(Asked::Hello(_)) => Err(End::Cut(status::invalid_field(
                "hello",
                "must be the first message, and the only one of its kind",
            ))),
            // A message of a later version of the protocol.
            None => Err(End::Cut(status::undecodable())),
        };
        if let Err(end) = taken {
            return end;
        }
        // The writer is of the same task, and has its turn even where messages never cease.
        tokio::task::yield_now().await;
    }
}

/// Returns what a stream that breaks off is: most often its client is gone.
fn broken(status: Status) -> End {
    match status.code() {
        // What the codec says of bytes that are no message.
        Code::Internal => End::Cut(status::undecodable()),
        Code::OutOfRange | Code::ResourceExhausted => End::Cut(status),
        _ => End::Gone,
    }
}

struct Reader<'a> {
    session: &'a Session,
    handed: mpsc::Sender<Handed>,
    /// Instruments that the account knows.
    defined: BTreeSet<InstrumentId>,
    instruments: HashMap<ClientOrderId, InstrumentId>,
}

impl Reader<'_> {
    /// Records a goodbye, for which nobody waits.
    fn note(&self, goodbye: v1::OrderSessionGoodbye) {
        let message = v1::OrderSessionRequest {
            message: Some(Asked::Goodbye(goodbye)),
        };
        if let Some((auditor, origin)) = &self.session.wire.records {
            // It counts what it cannot take.
            drop(auditor.session_message(origin, &message, true));
        }
    }

    async fn take(&mut self, mut commands: Vec<v1::OrderSessionCommand>) -> Result<(), End> {
        if commands.len() > MAX_COMMANDS {
            let description = format!("must be at most {MAX_COMMANDS}");
            return Err(End::Cut(status::invalid_field("commands", description)));
        }
        for command in &mut commands {
            self.address(command);
        }
        for part in parts(commands) {
            let unrecorded = self.record(&part).await?;
            for command in part {
                self.command(command, unrecorded.as_ref()).await?;
            }
        }
        Ok(())
    }

    /// Writes the account of the session where a command names none.
    fn address(&self, command: &mut v1::OrderSessionCommand) {
        let Some(named) = command.command.as_mut().map(account_of) else {
            return;
        };
        if named.is_empty() {
            named.push_str(self.session.account.account_id().as_str());
        }
    }

    /// Records commands. Returns why those that need their record must not be carried out.
    async fn record(&self, part: &[v1::OrderSessionCommand]) -> Result<Option<Status>, End> {
        let commands = part.len();
        let Some((auditor, origin)) = &self.session.wire.records else {
            let record = None;
            self.hand(Handed::Part { commands, record }).await?;
            return Ok(None);
        };
        let essential = part.iter().all(is_essential);
        let message = request(part.to_vec());
        let (record, refusal) = match auditor.session_message(origin, &message, essential) {
            Ok(record) => (Some(record), None),
            Err(error) => {
                // What is carried out all the same.
                let essential = part.iter().filter(|it| is_essential(it));
                let essential: Vec<_> = essential.cloned().collect();
                let record = (!essential.is_empty()).then(|| {
                    let message = request(essential);
                    auditor.session_message(origin, &message, true).ok()
                });
                (record.flatten(), Some(status::audit_down(&error)))
            }
        };
        self.hand(Handed::Part { commands, record }).await?;
        Ok(refusal)
    }

    async fn command(
        &mut self,
        command: v1::OrderSessionCommand,
        unrecorded: Option<&Status>,
    ) -> Result<(), End> {
        self.wait_for_room().await;
        let (command_id, essential) = (command.command_id, is_essential(&command));
        let way = match unrecorded {
            Some(status) if !essential => Err(status.clone()),
            _ => self.hand_over(command).await,
        };
        self.hand(Handed::Command {
            command_id,
            // Nor is that of what was not carried out.
            essential: essential || way.is_err(),
            way,
        })
        .await
    }

    /// Waits while as many commands are unanswered as may be. The stream is not read meanwhile, so
    /// the client is not silent.
    async fn wait_for_room(&self) {
        let window = &self.session.window;
        let place = match window.try_acquire() {
            Ok(place) => place,
            Err(_) => {
                self.session.pulse.listen(false);
                let place = window.acquire().await;
                self.session.pulse.listen(true);
                // It is never closed.
                let Ok(place) = place else { return };
                place
            }
        };
        // The writer gives it back with the answer.
        place.forget();
    }

    async fn hand(&self, handed: Handed) -> Result<(), End> {
        self.handed.send(handed).await.map_err(|_| End::Gone)
    }

    async fn hand_over(&mut self, command: v1::OrderSessionCommand) -> Way {
        let shared = &self.session.wire.server.shared;
        if command.command_id == 0 {
            return Err(status::invalid_field("command_id", "must be above zero"));
        }
        let user_id = &self.session.wire.caller.user_id;
        if let Err(wait) = shared.rate.take(user_id, None, Instant::now()) {
            return Err(status::too_fast(wait));
        }
        let Some(mut command) = command.command else {
            return Err(status::invalid_field("command", "is required"));
        };
        let named = account_of(&mut command);
        if named.as_str() != self.session.account.account_id().as_str() {
            return Err(status::invalid_field(
                "account_id",
                "is another one than the session's: leave it out, or begin a session for it",
            ));
        }
        match command {
            Command::Submit(request) => self.submit(&request).await,
            Command::SubmitList(request) => self.submit_list(request).await,
            Command::Amend(request) => self.amend(&request).await,
            Command::Cancel(request) => self.cancel(&request),
            Command::CancelAll(request) => {
                let (server, caller) = (&self.session.wire.server, &self.session.wire.caller);
                let (_, command) = server.read_cancel_all(caller, &request).await?;
                self.begin(Shape::AllCanceled, command)
            }
        }
    }

    fn begin(&self, shape: Shape, command: AccountCommand) -> Way {
        let of_session = matches!(
            command,
            AccountCommand::Submit(_) | AccountCommand::SubmitList(_) | AccountCommand::Amend(_)
        );
        let guard = self.session.guard.filter(|_| of_session);
        let session = guard.map(|guard| guard.session);
        let begun = self.session.account.begin(command, session);
        begun
            .map(|under_way| (shape, under_way))
            .map_err(|error| status::command(&error))
    }

    async fn submit(&mut self, request: &v1::SubmitOrderRequest) -> Way {
        let (server, caller) = (&self.session.wire.server, &self.session.wire.caller);
        let (_, order) = server.read_submit(caller, request)?;
        self.define(&order.instrument_id).await;
        self.remember(&order.client_order_id, &order.instrument_id);
        self.begin(Shape::Submitted, AccountCommand::Submit(order))
    }

    async fn submit_list(&mut self, request: v1::SubmitOrderListRequest) -> Way {
        let (server, caller) = (&self.session.wire.server, &self.session.wire.caller);
        let (_, list) = server.read_list(caller, &request)?;
        for order in &list.orders {
            self.define(&order.instrument_id).await;
            self.remember(&order.client_order_id, &order.instrument_id);
        }
        let shape = Shape::Listed(request.order_list_id);
        self.begin(shape, AccountCommand::SubmitList(list))
    }

    async fn amend(&mut self, request: &v1::AmendOrderRequest) -> Way {
        let draft = order_command::read_amend(request)?;
        let amend = self.amend_of(&draft).await?;
        self.begin(Shape::Changed, AccountCommand::Amend(amend))
    }

    /// Reads an amend's numbers by the instrument of its order.
    async fn amend_of(&self, draft: &wire::AmendDraft) -> Result<AmendOrder, Status> {
        let (server, caller) = (&self.session.wire.server, &self.session.wire.caller);
        let known = match &draft.order.key {
            OrderKey::ClientOrderId(id) => self.instruments.get(id).cloned(),
            OrderKey::OrderId(_) => None,
        };
        let instrument_id = match known {
            Some(instrument_id) => instrument_id,
            None => {
                let (_, order) = server.find(caller, &draft.order).await?;
                order.request.instrument_id
            }
        };
        let mut definitions = server.shared.definitions();
        order_command::amend_at(draft, definitions.get(&instrument_id)?)
    }

    fn cancel(&self, request: &v1::CancelOrderRequest) -> Way {
        let read = wire::read_cancel(request);
        let (order, request_id) = read.map_err(|errors| status::invalid(&errors))?;
        let command = order_command::cancel(order.key, request_id);
        self.begin(Shape::Changed, command)
    }

    fn remember(&mut self, id: &ClientOrderId, instrument_id: &InstrumentId) {
        if self.instruments.len() >= REMEMBERED {
            self.instruments.clear();
        }
        self.instruments.insert(id.clone(), instrument_id.clone());
    }

    /// Makes an instrument known to the account before its first order. The same definition again
    /// changes nothing; where it is not taken, the order's own answer says why.
    async fn define(&mut self, instrument_id: &InstrumentId) {
        if self.defined.contains(instrument_id) {
            return;
        }
        let market = &self.session.wire.server.shared.platform.market;
        let Some(instrument) = market.instrument(instrument_id) else {
            return;
        };
        let define = AccountCommand::DefineInstrument(Box::new(instrument));
        let defined = self.session.account.command(define).await;
        if matches!(defined, Ok(_) | Err(CommandError::Refused(_))) {
            self.defined.insert(instrument_id.clone());
        }
    }
}

/// Cuts commands into parts that one record keeps each. A larger one is recorded without its text,
/// as it is of a unary call.
fn parts(commands: Vec<v1::OrderSessionCommand>) -> Vec<Vec<v1::OrderSessionCommand>> {
    // What the messages around a command cost.
    const FRAME: usize = 16;
    let (mut parts, mut bytes) = (vec![Vec::new()], FRAME);
    for command in commands {
        let size = command.encoded_len() + FRAME;
        let last = parts.len() - 1;
        if bytes + size > Auditor::kept_bytes() && !parts[last].is_empty() {
            parts.push(vec![command]);
            bytes = FRAME + size;
        } else {
            parts[last].push(command);
            bytes += size;
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn request(commands: Vec<v1::OrderSessionCommand>) -> v1::OrderSessionRequest {
    v1::OrderSessionRequest {
        message: Some(Asked::Commands(v1::OrderSessionCommands { commands })),
    }
}

fn account_of(command: &mut Command) -> &mut String {
    match command {
        Command::Submit(request) => &mut request.account_id,
        Command::SubmitList(request) => &mut request.account_id,
        Command::Amend(request) => &mut request.account_id,
        Command::Cancel(request) => &mut request.account_id,
        Command::CancelAll(request) => &mut request.account_id,
    }
}

fn is_essential(command: &v1::OrderSessionCommand) -> bool {
    matches!(
        command.command,
        Some(Command::Cancel(_) | Command::CancelAll(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(command_id: u64, bytes: usize) -> v1::OrderSessionCommand {
        v1::OrderSessionCommand {
            command_id,
            command: Some(Command::Submit(v1::SubmitOrderRequest {
                tags: "x".repeat(bytes),
                ..Default::default()
            })),
        }
    }

    #[test]
    fn each_part_fits_its_record_and_none_is_lost_or_moved() {
        let commands: Vec<_> = (1..=256).map(|id| tagged(id, 1_000)).collect();
        let parts = parts(commands.clone());
        assert!(parts.len() > 1);
        for part in &parts {
            let message = request(part.clone());
            assert!(message.encoded_len() <= Auditor::kept_bytes());
        }
        assert_eq!(parts.concat(), commands);
    }

    #[test]
    fn one_that_fits_no_record_has_one_of_its_own() {
        let large = Auditor::kept_bytes();
        let parts = parts(vec![tagged(1, 1), tagged(2, large), tagged(3, 1)]);
        let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 1, 1]);
        assert!(super::parts(Vec::new()).is_empty());
    }
}
