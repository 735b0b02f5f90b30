//! Which commands must still get through when there are too many of them.

use super::account::AccountCommand;
use apex_domain::risk::TradingState;

/// How urgent a command is. Each class has places of its own under way, so that a flood of one
/// never shuts out a more urgent one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Adds exposure, or may, or changes a setting.
    Ordinary,
    /// Takes exposure away: cancels and closings.
    Protective,
    /// Keeps new exposure away from here on.
    KillSwitch,
}

impl Urgency {
    /// Every class, the least urgent first.
    pub const ALL: [Urgency; 3] = [Urgency::Ordinary, Urgency::Protective, Urgency::KillSwitch];

    /// Commands of this class that one account may have under way. A group commit holds the
    /// answers of a few milliseconds: at 100,000 orders/s that is some hundred. Kill switches
    /// are pulled by people and by rules, a few at a time.
    pub const fn under_way(self) -> usize {
        match self {
            Urgency::Ordinary | Urgency::Protective => 4_096,
            Urgency::KillSwitch => 256,
        }
    }
}

impl AccountCommand {
    pub fn urgency(&self) -> Urgency {
        match self {
            AccountCommand::Halt { .. } => Urgency::KillSwitch,
            AccountCommand::SetTradingState { state, .. } => match state {
                TradingState::Active => Urgency::Ordinary,
                TradingState::Reducing | TradingState::Halted => Urgency::KillSwitch,
            },
            AccountCommand::Cancel { .. }
            | AccountCommand::CancelAll { .. }
            | AccountCommand::CancelOrders { .. }
            | AccountCommand::Close { .. }
            | AccountCommand::CancelForeign(_)
            | AccountCommand::ResolveOrder(_)
            | AccountCommand::KeepSession(_)
            | AccountCommand::EndSession { .. } => Urgency::Protective,
            AccountCommand::Submit(_)
            | AccountCommand::Amend(_)
            | AccountCommand::SubmitList(_)
            | AccountCommand::SetLimits { .. }
            | AccountCommand::SetPositionMode { .. }
            | AccountCommand::AdjustCash { .. }
            | AccountCommand::DefineInstrument(_)
            | AccountCommand::Split(_)
            | AccountCommand::ResetPaper(_)
            | AccountCommand::GuardSession(_) => Urgency::Ordinary,
        }
    }
}
