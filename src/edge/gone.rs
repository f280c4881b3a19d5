//! Has the client left, or nothing more to say? Asked of the kernel and of the clock, not of the stream.
//!
//! Pingora sees a client leave by reading from it, which it does not do while it connects, or while an upstream takes no more
//! of an upload. The law: whatever a request is waiting for, a client that has left ends it within a second; and a connection
//! that has been idle for [`IDLE`] is closed.
//!
//! How: once a request has been served for [`STEP`], the kernel is asked every [`STEP`] whether the other side has closed,
//! which it knows even when unread bytes stand before the end. Most requests are over before the first time, and an alarm
//! that is kept from request to request costs them nothing.

use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::epoll::{EpollCreateFlags, EpollEvent, EpollFlags, EpollOp, epoll_create1, epoll_ctl, epoll_wait};

use tokio::time::{Instant, Sleep, sleep};

use crate::silence::Silence;

/// How often the kernel is asked; twice this is well within the second that is allowed.
const STEP: Duration = Duration::from_millis(250);

/// How long a connection is kept between requests.
const IDLE: Duration = Duration::from_secs(75);

/// The watch over one connection.
pub(super) struct Gone {
    socket: RawFd,
    silence: Arc<Silence>,
    alarm: Pin<Box<Sleep>>,
    state: State,
    watch: Option<Watch>,
}

/// What the alarm is set for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing: no request has come yet, and Pingora waits for the first no longer than a minute.
    New,
    /// Nothing yet: the first request has been answered within one turn, which was too short to be seen.
    Answered,
    /// To ask the kernel.
    Serving,
    /// To end an idle connection.
    Idle,
}

impl Gone {
    /// A watch over the client of `socket`.
    pub(super) fn new(socket: RawFd, silence: Arc<Silence>) -> Self {
        Self { socket, silence, alarm: Box::pin(sleep(STEP)), state: State::New, watch: None }
    }

    /// A request has ended, and the next is waited for.
    pub(super) fn rest(&mut self) {
        self.watch = None;
        if self.state == State::New {
            self.state = State::Answered;
        }
    }

    /// Ready when the connection should end. Polled after the request itself, it sees the request begin in the same turn.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let serving = self.silence.is_serving();
            let rang = matches!(self.state, State::Serving | State::Idle) && self.alarm.is_elapsed();
            let wait = match (self.state, serving) {
                (State::New, false) => return Poll::Pending,
                (State::New | State::Answered | State::Idle, true) => STEP,
                (State::Answered, false) => IDLE,
                (State::Serving, true) if rang && self.is_closed() => return Poll::Ready(()),
                (State::Serving, true) if rang => STEP,
                (State::Serving | State::Idle, false) if rang => match IDLE.checked_sub(self.silence.lasts()) {
                    Some(left) if !left.is_zero() => left,
                    _ => return Poll::Ready(()),
                },
                _ => return Poll::Pending,
            };
            self.state = if serving { State::Serving } else { State::Idle };
            self.alarm.as_mut().reset(Instant::now() + wait);
            // Whom to wake is told once: the connection's task, which is the same for all requests on it.
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn is_closed(&mut self) -> bool {
        if self.watch.is_none() {
            self.watch = Watch::over(self.socket)
                .inspect_err(|error| log::warn!("a client's connection cannot be watched: {error}"))
                .ok();
        }
        self.watch.as_ref().is_some_and(Watch::is_closed)
    }
}

/// An epoll of one socket.
struct Watch(RawFd);

impl Watch {
    fn over(socket: RawFd) -> nix::Result<Self> {
        let watch = Self(epoll_create1(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let closed = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        epoll_ctl(watch.0, EpollOp::EpollCtlAdd, socket, &mut EpollEvent::new(closed, 0))?;
        Ok(watch)
    }

    fn is_closed(&self) -> bool {
        epoll_wait(self.0, &mut [EpollEvent::empty()], 0).is_ok_and(|count| count > 0)
    }
}

impl Drop for Watch {
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

    async fn idle_for(gone: &mut Gone) -> Duration {
        let begun = Instant::now();
        poll_fn(|cx| gone.poll(cx)).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_answered_at_once_ends_too() {
        let (socket, _other) = UnixStream::pair().expect("pair");
        let silence = Arc::new(Silence::new());
        let mut gone = Gone::new(socket.as_raw_fd(), Arc::clone(&silence));
        silence.begin();
        silence.end();
        gone.rest();
        assert_eq!(idle_for(&mut gone).await.as_secs(), IDLE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_counts_from_the_last_answer() {
        let (socket, _other) = UnixStream::pair().expect("pair");
        let silence = Arc::new(Silence::new());
        let mut gone = Gone::new(socket.as_raw_fd(), Arc::clone(&silence));
        for _ in 0..3 {
            silence.begin();
            let serving = tokio::time::timeout(Duration::from_secs(100), poll_fn(|cx| gone.poll(cx)));
            assert!(serving.await.is_err(), "a request may take its time while its client is there");
            silence.end();
            gone.rest();
            let waiting = tokio::time::timeout(Duration::from_secs(70), poll_fn(|cx| gone.poll(cx)));
            assert!(waiting.await.is_err(), "a pause shorter than the limit is no end");
        }
        silence.begin();
        silence.end();
        assert_eq!(idle_for(&mut gone).await.as_secs(), IDLE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_closed_is_seen_within_a_second() {
        let (socket, other) = UnixStream::pair().expect("pair");
        let silence = Arc::new(Silence::new());
        let mut gone = Gone::new(socket.as_raw_fd(), Arc::clone(&silence));
        silence.begin();
        drop(other);
        assert!(idle_for(&mut gone).await < Duration::from_secs(1));
    }
}
