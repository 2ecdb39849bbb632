//! One scenario from connecting to its outcome.

use std::time::{Duration, Instant};

use super::connections::{self, Connecting, Crowd, LogIns, Storm};
use super::fixed;
use super::load::{Amount, Effort, Fleet, LoadError};
use super::plan;
use super::report::{Latency, Outcome, ServerCost, Setup, per_second, ratio};
use super::request::{self, Conversation};
use super::scenario::{self, Kind, Scenario, Shape};
use super::server_figures::{self, ProcessFigures};
use super::shared::Failure;
use super::wire::Target;

/// What a client library of the official kind gathers before it writes, times two.
const BLOCK_BYTES: usize = 64 * 1024;
/// Bytes on their way to one subscriber that keep a server busy. More makes a server work on its
/// backlog instead of its messages (the reference then costs up to twice as much).
const WINDOW_BYTES_EACH: u64 = 256 * 1024;
/// Less than the pending bytes that make a server drop a subscriber (64 MiB unless configured).
const WINDOW_BYTES_MAX: u64 = 32 << 20;
const WINDOW_BYTES_MIN: u64 = 4 << 20;
/// Protocol bytes around a payload, roughly.
const LINE_BYTES: u64 = 40;
/// Messages of a warm-up when a scenario runs for a time.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long idle connections are left alone before and while they are measured.
const IDLE: Duration = Duration::from_secs(2);
/// Messages a second of the fan-out beside a request/reply.
const FLOOD_RATE: u64 = 20_000;
/// How long one phase of it is.
const FLOOD_STEP: Duration = Duration::from_millis(200);
/// A thread that was busy for more of the time held the server up.
const BUSY: f64 = 0.9;
/// A rate that was reached to less is said.
const REACHED: f64 = 0.98;

/// What holds for all scenarios of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server.
    pub target: Target,
    /// Its process on this machine.
    pub server_pid: Option<u32>,
    /// Run for so long instead of the scenario's number of messages.
    pub duration: Option<Duration>,
    /// Messages a second, all publishers together; none: as fast as possible.
    pub rate: Option<u64>,
    /// Bytes that a publisher writes at once.
    pub block_bytes: usize,
    /// Bytes that may be on their way to all subscribers; none: by their number.
    pub window_bytes: Option<u64>,
    /// Receiving threads.
    pub receivers: usize,
}

impl Settings {
    /// The defaults against `target`.
    pub const fn new(target: Target) -> Self {
        Self {
            target,
            server_pid: None,
            duration: None,
            rate: None,
            block_bytes: BLOCK_BYTES,
            window_bytes: None,
            receivers: 1,
        }
    }

    /// The effort for `scenario`.
    pub fn effort(&self, scenario: &Scenario) -> Effort {
        let by_number =
            (WINDOW_BYTES_EACH * scenario.subscribers as u64).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
        let size = ((scenario.size.start() + scenario.size.end()) / 2) as u64;
        Effort {
            block_bytes: self.block_bytes,
            window: self.window_bytes.unwrap_or(by_number) / (size + LINE_BYTES),
            rate: self.rate,
            receivers: self.receivers,
            patience: self.target.patience,
        }
    }
}

/// Figures of both processes at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    server: Option<ProcessFigures>,
    own: ProcessFigures,
}

impl Moment {
    fn now(settings: &Settings) -> Result<Self, LoadError> {
        let failed = |error: server_figures::FiguresError| LoadError::Broken(error.to_string());
        let server = settings.server_pid.map(server_figures::of_process).transpose().map_err(failed)?;
        Ok(Self { server, own: server_figures::of_self().map_err(failed)? })
    }
}

/// What a scenario's measured part was about, before it is made into an outcome.
struct Measured {
    idle: Moment,
    before: Moment,
    after: Moment,
    setup: Duration,
    published: u64,
    delivered: u64,
    /// What CPU time is divided by.
    counted: u64,
    elapsed: Duration,
    /// How long the busiest thread of ours was busy.
    busiest: Duration,
    /// What memory is divided by.
    things: Option<u64>,
    subscriptions: u64,
    connections: u64,
    latency: Option<Latency>,
    notes: Vec<String>,
}

impl Measured {
    /// Between two moments, of which the first is also that before anybody had connected: nothing yet.
    const fn between(idle: Moment, after: Moment, elapsed: Duration) -> Self {
        Self {
            idle,
            before: idle,
            after,
            setup: Duration::ZERO,
            published: 0,
            delivered: 0,
            counted: 0,
            elapsed,
            busiest: Duration::ZERO,
            things: None,
            subscriptions: 0,
            connections: 0,
            latency: None,
            notes: Vec::new(),
        }
    }
}

/// Runs `scenario`; `progress` is called with the share that is done.
pub fn run_scenario(
    settings: &Settings,
    scenario: &Scenario,
    progress: &mut dyn FnMut(f64),
) -> Result<Outcome, LoadError> {
    let measured = match scenario.kind {
        Kind::PubSub(shape) => pub_sub(settings, scenario, shape, progress),
        Kind::Request { flood } => requests(settings, scenario, flood, progress),
        Kind::Connections => idle_connections(settings, scenario, progress),
        Kind::Storm => storm(settings, scenario, progress),
        Kind::AuthStorm => auth_storm(settings, scenario, progress),
        Kind::Fixed => fixed_script(settings, scenario, progress),
    }?;
    Ok(outcome(scenario, measured, settings))
}

fn pub_sub(
    settings: &Settings,
    scenario: &Scenario,
    shape: Shape,
    progress: &mut dyn FnMut(f64),
) -> Result<Measured, LoadError> {
    let amount = super::amount(scenario, settings.duration);
    let plan = plan::plan(scenario, shape, amount, settings.block_bytes)?;
    let idle = Moment::now(settings)?;
    let begun = Instant::now();
    let mut fleet = Fleet::start(&settings.target, &plan, settings.effort(scenario))?;
    let setup = begun.elapsed();
    let ready = Moment::now(settings)?;
    let warm_up = match amount {
        Amount::Messages(messages) => Amount::Messages((messages / 10).max(1)),
        Amount::Time(_) => Amount::Time(WARM_UP),
    };
    fleet.phase(warm_up, &mut |_| ())?;
    let mut before = Moment::now(settings)?;
    let phase = fleet.phase(amount, progress)?;
    let after = Moment::now(settings)?;
    fleet.finish()?;
    let distinct = shape == Shape::Distinct;
    if let (Some(before), Some(ready)) = (&mut before.server, ready.server) {
        before.rss_bytes = ready.rss_bytes;
    }
    Ok(Measured {
        before,
        setup,
        published: phase.published,
        delivered: phase.delivered,
        counted: phase.published + phase.delivered,
        busiest: phase.busiest,
        things: distinct.then_some(plan.subscriptions),
        subscriptions: plan.subscriptions,
        ..Measured::between(idle, after, phase.elapsed)
    })
}

fn requests(
    settings: &Settings,
    scenario: &Scenario,
    flood: bool,
    progress: &mut dyn FnMut(f64),
) -> Result<Measured, LoadError> {
    let conversation = Conversation {
        requesters: scenario.publishers,
        responders: scenario.subscribers,
        size: *scenario.size.end(),
        amount: super::amount(scenario, settings.duration),
        warm_up: true,
        rate: settings.rate,
    };
    let idle = Moment::now(settings)?;
    let begun = Instant::now();
    let (mut before, mut after) = (Ok(idle), Ok(idle));
    let mut setup = Duration::ZERO;
    let mut measured = |ended: bool| {
        if ended {
            after = Moment::now(settings);
        } else {
            setup = begun.elapsed();
            before = Moment::now(settings);
        }
    };
    let mut notes = Vec::new();
    let failure = Failure::default();
    let mut talk = || request::converse(&settings.target, &conversation, &failure, &mut measured, progress);
    let answers = if flood {
        let (answers, note) = beside_a_flood(settings, &failure, talk)?;
        notes.push(note);
        answers
    } else {
        talk()?
    };
    let count = answers.latency.len();
    Ok(Measured {
        before: before?,
        setup,
        published: count,
        delivered: count,
        counted: count,
        busiest: answers.busiest,
        subscriptions: (conversation.requesters + conversation.responders) as u64,
        latency: Some(Latency::from(&answers.latency)),
        notes,
        ..Measured::between(idle, after?, answers.elapsed)
    })
}

/// Runs `talk` while a fan-out 1:20 goes on at a steady rate. That of the two which fails ends the other:
/// the talk by its `failure`.
fn beside_a_flood<T>(
    settings: &Settings,
    failure: &Failure,
    talk: impl FnOnce() -> Result<T, LoadError>,
) -> Result<(T, String), LoadError> {
    use std::sync::atomic::{AtomicBool, Ordering};
    let flood = Scenario { subscribers: 20, ..scenario::base() };
    let amount = Amount::Time(FLOOD_STEP);
    let plan = plan::plan(&flood, Shape::Plain, amount, settings.block_bytes)?;
    let effort = Effort { rate: Some(FLOOD_RATE), ..settings.effort(&flood) };
    let mut fleet = Fleet::start(&settings.target, &plan, effort)?;
    let over = AtomicBool::new(false);
    let (talked, flooded) = std::thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            let flood = || {
                let mut delivered = 0;
                while !over.load(Ordering::Relaxed) {
                    delivered += fleet.phase(amount, &mut |_| ())?.delivered;
                }
                fleet.finish()?;
                Ok::<u64, LoadError>(delivered)
            };
            flood().inspect_err(|error| failure.set(format!("the fan-out beside it: {error}")))
        });
        let talked = talk();
        over.store(true, Ordering::Relaxed);
        (talked, flooding.join())
    });
    let talked = talked?;
    let delivered = flooded.map_err(|_| LoadError::Broken("the flood's thread ended early".to_owned()))??;
    let note = format!(
        "server CPU includes the fan-out beside it: {delivered} deliveries, {FLOOD_RATE} messages a second to 20 subscribers"
    );
    Ok((talked, note))
}

fn idle_connections(
    settings: &Settings,
    scenario: &Scenario,
    progress: &mut dyn FnMut(f64),
) -> Result<Measured, LoadError> {
    let possible = connections::connections_possible(scenario.connections);
    let idle = Moment::now(settings)?;
    let (crowd, connecting) = Crowd::gather(&settings.target, possible, progress)?;
    std::thread::sleep(IDLE);
    let before = Moment::now(settings)?;
    std::thread::sleep(IDLE);
    let after = Moment::now(settings)?;
    let delivering = crowd.deliver_to_each()?;
    let count = crowd.count();
    let mut notes = Vec::new();
    if possible < scenario.connections {
        notes.push(format!(
            "{possible} instead of {} connections: the limit of open files",
            scenario.connections
        ));
    }
    notes.push(format!("server CPU is that of {IDLE:?} of idling; each connection then got a message, within {delivering:.0?}"));
    Ok(Measured {
        before,
        setup: connecting.elapsed,
        counted: count,
        things: Some(count),
        subscriptions: count,
        connections: count,
        latency: Some(Latency::from(&connecting.latency)),
        notes,
        ..Measured::between(idle, after, IDLE)
    })
}

fn storm_of(settings: &Settings, scenario: &Scenario) -> Storm {
    Storm {
        amount: settings.duration.map_or(Amount::Messages(scenario.connections as u64), Amount::Time),
        at_once: connections::connections_possible(scenario.publishers),
        rate: settings.rate,
    }
}

fn storm(
    settings: &Settings,
    scenario: &Scenario,
    progress: &mut dyn FnMut(f64),
) -> Result<Measured, LoadError> {
    let idle = Moment::now(settings)?;
    let Connecting { latency, elapsed, busiest } =
        storm_of(settings, scenario).rage(&settings.target, progress)?;
    Ok(Measured {
        published: latency.len(),
        counted: latency.len(),
        connections: latency.len(),
        busiest,
        latency: Some(Latency::from(&latency)),
        notes: vec!["sent/s is connects a second".to_owned()],
        ..Measured::between(idle, Moment::now(settings)?, elapsed)
    })
}

fn auth_storm(
    settings: &Settings,
    scenario: &Scenario,
    progress: &mut dyn FnMut(f64),
) -> Result<Measured, LoadError> {
    let idle = Moment::now(settings)?;
    let storm = storm_of(settings, scenario);
    let LogIns { succeeded, failed, failure, others } =
        storm.rage_beside_another(&settings.target, progress)?;
    let Connecting { latency, elapsed, busiest } = succeeded;
    let us = Latency::from(&latency);
    let mut notes = vec![
        "the latency is that of a connection that was there before; sent/s is log-ins a second".to_owned(),
        format!(
            "{} log-ins: p50 {:.0} us, p99 {:.0} us, longest {:.0} us",
            us.count, us.p50_us, us.p99_us, us.max_us
        ),
    ];
    if let Some(failure) = failure {
        notes.push(format!("{failed} log-ins failed, the first with: {failure}"));
    }
    Ok(Measured {
        published: latency.len(),
        counted: latency.len() + failed,
        connections: latency.len() + failed,
        busiest,
        latency: Some(Latency::from(&others)),
        notes,
        ..Measured::between(idle, Moment::now(settings)?, elapsed)
    })
}

fn fixed_script(
    settings: &Settings,
    scenario: &Scenario,
    progress: &mut dyn FnMut(f64),
) -> Result<Measured, LoadError> {
    let idle = Moment::now(settings)?;
    let begun = Instant::now();
    let played = fixed::play(settings, scenario.messages, progress)?;
    let elapsed = begun.elapsed();
    Ok(Measured {
        published: played.published,
        delivered: played.delivered,
        counted: played.published + played.delivered,
        subscriptions: played.subscriptions,
        notes: vec!["goes step by step: its rates mean nothing".to_owned()],
        ..Measured::between(idle, Moment::now(settings)?, elapsed)
    })
}

fn outcome(scenario: &Scenario, measured: Measured, settings: &Settings) -> Outcome {
    let Measured { idle, before, after, .. } = measured;
    let own = after.own.cpu.saturating_sub(before.own.cpu);
    let server = match (idle.server, before.server, after.server) {
        (Some(idle), Some(before), Some(after)) => {
            Some(ServerCost::new(idle, before, after, measured.counted, measured.things))
        }
        _ => None,
    };
    let busiest = ratio(measured.busiest.as_secs_f64(), measured.elapsed.as_secs_f64());
    let bottleneck = busiest > BUSY;
    let mut notes = measured.notes;
    if bottleneck {
        notes.push(format!(
            "the load generator was the bottleneck: one of its threads was busy {:.0} % of the time",
            busiest.min(1.0) * 100.0
        ));
    }
    let published_per_second = per_second(measured.published, measured.elapsed);
    if let Some(rate) = settings.rate.filter(|rate| published_per_second < *rate as f64 * REACHED) {
        notes.push(format!("asked for {rate}/s, reached {published_per_second:.0}/s"));
    }
    if let (Some(cost), Some(pid)) = (server, settings.server_pid)
        && cost.cpu_seconds == 0.0
        && scenario.kind != Kind::Connections
    {
        notes.push(format!("process {pid} used no CPU time: is it the server, and did the run last?"));
    }
    let setup_cpu =
        before.server.zip(idle.server).map(|(ready, idle)| ready.cpu.saturating_sub(idle.cpu).as_secs_f64());
    Outcome {
        scenario: scenario.name.to_owned(),
        publishers: scenario.publishers,
        subscribers: scenario.subscribers,
        subjects: scenario.subjects,
        subscriptions: measured.subscriptions,
        connections: measured.connections,
        size: [*scenario.size.start(), *scenario.size.end()],
        published: measured.published,
        delivered: measured.delivered,
        seconds: measured.elapsed.as_secs_f64(),
        asked_per_second: settings.rate,
        published_per_second,
        delivered_per_second: per_second(measured.delivered, measured.elapsed),
        latency: measured.latency,
        setup: Setup { seconds: measured.setup.as_secs_f64(), server_cpu_seconds: setup_cpu },
        server,
        client_cpu_seconds: own.as_secs_f64(),
        client_busiest_thread: busiest,
        client_is_bottleneck: bottleneck,
        notes,
    }
}
