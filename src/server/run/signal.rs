//! What the operating system's signals ask of a server.
//!
//! [`Trapped`] and [`Trapped::order`] are pure; [`Signals`] listens.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::server::Life;

/// A signal that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trapped {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    Hangup,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Close everything and exit with code 0.
    Stop,
    /// Read the configuration again.
    Reload,
    /// Open the log file again.
    Reopen,
    /// Take no new clients, and close those there are little by little.
    LameDuck,
}

impl Trapped {
    /// As the log names it: `Trapped "hangup" signal`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Terminate => "terminated",
            Self::Hangup => "hangup",
            Self::User1 => "user defined signal 1",
            Self::User2 => "user defined signal 2",
        }
    }

    /// What it asks of a server that has come to `life`. A lame duck that is told to terminate goes on,
    /// since whoever manages processes says so to hurry; an interrupt ends it. A second lame duck
    /// order does nothing, and a server that stops obeys nothing more.
    pub const fn order(self, life: Life) -> Option<Order> {
        match (self, life) {
            (_, Life::Stopping | Life::Stopped) => None,
            (Self::Terminate | Self::User2, Life::LameDuck) => None,
            (Self::Interrupt, _) | (Self::Terminate, Life::Running) => Some(Order::Stop),
            (Self::User2, Life::Running) => Some(Order::LameDuck),
            (Self::Hangup, _) => Some(Order::Reload),
            (Self::User1, _) => Some(Order::Reopen),
        }
    }
}

/// Listens for all signals that a server understands. While one exists, none of them ends the process.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// Starts listening; within a runtime. An error is the system's.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next signal; of several that wait the gentlest, as the system doesn't tell which came first.
    /// May be dropped and called again without losing one.
    pub async fn next(&mut self) -> Trapped {
        tokio::select! {
            biased;
            _ = self.user1.recv() => Trapped::User1,
            _ = self.hangup.recv() => Trapped::Hangup,
            _ = self.user2.recv() => Trapped::User2,
            _ = self.terminate.recv() => Trapped::Terminate,
            _ = self.interrupt.recv() => Trapped::Interrupt,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Number, getpid, kill_process};

    use super::*;

    #[track_caller]
    fn check(trapped: Trapped, life: Life, want: Option<Order>) {
        assert_eq!(trapped.order(life), want, "{trapped:?} {life:?}");
    }

    #[test]
    fn each_signal_has_its_order() {
        check(Trapped::Interrupt, Life::Running, Some(Order::Stop));
        check(Trapped::Terminate, Life::Running, Some(Order::Stop));
        check(Trapped::Hangup, Life::Running, Some(Order::Reload));
        check(Trapped::User1, Life::Running, Some(Order::Reopen));
        check(Trapped::User2, Life::Running, Some(Order::LameDuck));
    }

    #[test]
    fn a_lame_duck_goes_on_when_told_to_terminate_and_ends_when_interrupted() {
        check(Trapped::Terminate, Life::LameDuck, None);
        check(Trapped::Interrupt, Life::LameDuck, Some(Order::Stop));
        check(Trapped::Hangup, Life::LameDuck, Some(Order::Reload));
        check(Trapped::User1, Life::LameDuck, Some(Order::Reopen));
    }

    #[test]
    fn a_second_lame_duck_order_does_nothing() {
        check(Trapped::User2, Life::LameDuck, None);
    }

    #[test]
    fn a_server_that_stops_obeys_nothing_more() {
        for trapped in
            [Trapped::Interrupt, Trapped::Terminate, Trapped::Hangup, Trapped::User1, Trapped::User2]
        {
            check(trapped, Life::Stopping, None);
            check(trapped, Life::Stopped, None);
        }
    }

    #[test]
    fn signals_are_named_as_the_reference_names_them() {
        assert_eq!(Trapped::Interrupt.name(), "interrupt");
        assert_eq!(Trapped::Terminate.name(), "terminated");
        assert_eq!(Trapped::Hangup.name(), "hangup");
        assert_eq!(Trapped::User1.name(), "user defined signal 1");
        assert_eq!(Trapped::User2.name(), "user defined signal 2");
    }

    #[tokio::test]
    async fn signals_of_the_system_arrive() {
        let mut signals = Signals::listen().unwrap();
        for (number, want) in
            [(Number::HUP, Trapped::Hangup), (Number::USR1, Trapped::User1), (Number::USR2, Trapped::User2)]
        {
            kill_process(getpid(), number).unwrap();
            assert_eq!(signals.next().await, want);
        }
    }
}
