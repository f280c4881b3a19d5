//! What ends a connection when nothing else does: time, and a client that has left.
//!
//! Pingora sees a client leave by reading from it, which it does not do while it connects, or while an upstream takes no more
//! of an upload. The law: whatever a request is waiting for, a client that has left ends it within a second; a head that is not
//! whole in time, an idle connection, a body that trickles and an answer that nobody takes end too.
//!
//! How: an alarm that is kept from request to request. While a request is served it rings every [`STEP`], and the kernel is
//! asked whether the other side has closed, which it knows even when unread bytes stand before the end. Most requests are over
//! before the first time, and an alarm that is set already costs them nothing.

use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::libc::linger;
use nix::sys::epoll::{EpollCreateFlags, EpollEvent, EpollFlags, EpollOp, epoll_create1, epoll_ctl, epoll_wait};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::time::{Instant, Sleep, sleep};

use crate::downstream::{Rate, Vitals};
use crate::proxy::Load;

/// How often the kernel is asked; twice this is well within the second that is allowed.
const STEP: Duration = Duration::from_millis(250);

/// How long a client may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// For a whole head, from its first byte; for a TLS handshake; for what a proxy announces.
    pub head: Duration,
    /// To begin another request.
    pub idle: Duration,
    /// To take anything of an answer.
    pub write: Duration,
    /// For a body.
    pub body: Rate,
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first byte of a request.
    Idle,
    /// The rest of its head.
    Head,
    /// The end of its answer.
    Serving,
    /// The end of the connection, whose requests have each an end of its own.
    Sharing,
}

/// Why a connection should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing was asked for.
    Idle,
    /// A head did not become whole.
    Head,
    /// The client has left.
    Gone,
    /// The client takes nothing.
    Stalled,
    /// The process ends. A connection that is shared goes on, for those who still have time.
    Cut,
}

/// The watch over one connection.
pub(super) struct Watch {
    times: Times,
    socket: RawFd,
    vitals: Arc<Vitals>,
    load: Arc<Load>,
    alarm: Pin<Box<Sleep>>,
    /// Whether the alarm knows whom to wake: the connection's task, which is the same for all requests on it.
    armed: bool,
    phase: Phase,
    due: Instant,
    kernel: Option<Kernel>,
}

impl Watch {
    /// A watch over the client of `socket`, which has said nothing yet.
    pub(super) fn new(times: Times, socket: RawFd, vitals: Arc<Vitals>, load: Arc<Load>) -> Self {
        let due = Instant::now() + times.idle;
        Self {
            times,
            socket,
            vitals,
            load,
            alarm: Box::pin(sleep(times.idle)),
            armed: false,
            phase: Phase::Idle,
            due,
            kernel: None,
        }
    }

    /// Another wait begins.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.due = Instant::now()
            + match phase {
                Phase::Idle => self.times.idle,
                Phase::Head => self.times.head,
                Phase::Serving | Phase::Sharing => STEP,
            };
        self.kernel = None;
    }

    /// Bytes of a head have come; its time counts from the first.
    pub(super) fn begin_head(&mut self) {
        if self.phase != Phase::Head {
            self.enter(Phase::Head);
        }
    }

    /// Ready when the connection should end.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if self.alarm.deadline() > self.due {
                self.alarm.as_mut().reset(self.due);
                self.armed = false;
            }
            if self.armed && !self.alarm.is_elapsed() {
                return Poll::Pending;
            }
            self.armed = true;
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = false;
            if Instant::now() >= self.due {
                match self.phase {
                    Phase::Idle => return Poll::Ready(End::Idle),
                    Phase::Head => return Poll::Ready(End::Head),
                    Phase::Serving | Phase::Sharing => {
                        if let Some(end) = self.look(cx) {
                            return Poll::Ready(end);
                        }
                        self.due = Instant::now() + STEP;
                    }
                }
            }
            self.alarm.as_mut().reset(self.due);
        }
    }

    fn look(&mut self, cx: &Context<'_>) -> Option<End> {
        if self.is_closed() {
            return Some(End::Gone);
        }
        if self.phase == Phase::Sharing && self.load.cuts_any() {
            return Some(End::Cut);
        }
        if self.phase == Phase::Serving && self.load.cuts(self.vitals.fate.is_stream()) {
            self.vitals.fate.cut();
            self.reset();
            return Some(End::Cut);
        }
        if self.vitals.pace.stalled_for() >= self.times.write {
            return Some(End::Stalled);
        }
        if self.vitals.pace.judge(&self.times.body) {
            // Whoever waits for the body in this task asks again, and is told.
            cx.waker().wake_by_ref();
        }
        None
    }

    /// An orderly end of the connection could be taken for the answer's.
    fn reset(&self) {
        let now = linger { l_onoff: 1, l_linger: 0 };
        if let Err(error) = setsockopt(self.socket, sockopt::Linger, &now) {
            log::debug!("a connection that is cut could not be reset: {error}");
        }
    }

    fn is_closed(&mut self) -> bool {
        if self.kernel.is_none() {
            self.kernel = Kernel::over(self.socket)
                .inspect_err(|error| log::warn!("a client's connection cannot be watched: {error}"))
                .ok();
        }
        self.kernel.as_ref().is_some_and(Kernel::says_closed)
    }
}

/// An epoll of one socket.
struct Kernel(RawFd);

impl Kernel {
    fn over(socket: RawFd) -> nix::Result<Self> {
        let kernel = Self(epoll_create1(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let closed = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        epoll_ctl(kernel.0, EpollOp::EpollCtlAdd, socket, &mut EpollEvent::new(closed, 0))?;
        Ok(kernel)
    }

    fn says_closed(&self) -> bool {
        epoll_wait(self.0, &mut [EpollEvent::empty()], 0).is_ok_and(|count| count > 0)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = nix::unistd::close(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    const TIMES: Times = Times {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        write: Duration::from_secs(60),
        body: Rate { bytes: 240.0, window: Duration::from_secs(20) },
    };

    fn watched() -> (UnixStream, UnixStream, Arc<Vitals>, Watch) {
        let (socket, other) = UnixStream::pair().expect("pair");
        let vitals = Arc::new(Vitals::default());
        let watch = Watch::new(TIMES, socket.as_raw_fd(), Arc::clone(&vitals), Arc::new(Load::new(1)));
        (socket, other, vitals, watch)
    }

    async fn ends(watch: &mut Watch) -> (End, u64) {
        let begun = Instant::now();
        let end = poll_fn(|cx| watch.poll(cx)).await;
        (end, begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection() {
        let (_socket, _other, _, mut watch) = watched();
        assert_eq!(ends(&mut watch).await, (End::Idle, 75), "a new connection may wait like one between requests");
        watch.enter(Phase::Idle);
        assert_eq!(ends(&mut watch).await, (End::Idle, 75));
        watch.enter(Phase::Head);
        assert_eq!(ends(&mut watch).await, (End::Head, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_counts_from_the_last_answer() {
        let (_socket, _other, _, mut watch) = watched();
        for _ in 0..3 {
            watch.enter(Phase::Serving);
            let serving = tokio::time::timeout(Duration::from_secs(100), poll_fn(|cx| watch.poll(cx)));
            assert!(serving.await.is_err(), "a request may take its time while its client is there");
            watch.enter(Phase::Idle);
            let waiting = tokio::time::timeout(Duration::from_secs(70), poll_fn(|cx| watch.poll(cx)));
            assert!(waiting.await.is_err(), "a pause shorter than the limit is no end");
        }
        watch.enter(Phase::Serving);
        watch.enter(Phase::Idle);
        assert_eq!(ends(&mut watch).await, (End::Idle, 75), "also after an answer that took no time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_closed_is_seen_within_a_second() {
        let (_socket, other, _, mut watch) = watched();
        watch.enter(Phase::Serving);
        drop(other);
        assert_eq!(ends(&mut watch).await, (End::Gone, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (_socket, _other, vitals, mut watch) = watched();
        watch.enter(Phase::Serving);
        vitals.pace.wrote(false);
        assert_eq!(ends(&mut watch).await, (End::Stalled, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_found_late() {
        let (_socket, _other, vitals, mut watch) = watched();
        watch.enter(Phase::Serving);
        vitals.pace.starve();
        let serving = tokio::time::timeout(Duration::from_secs(30), poll_fn(|cx| watch.poll(cx)));
        assert!(serving.await.is_err() && vitals.pace.is_late());
    }
}
