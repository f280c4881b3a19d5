//! Has the client left? Asked of the kernel, not of the stream.
//!
//! Pingora sees a client leave by reading from it, which it does not do while it connects, or while an upstream takes no more
//! of an upload. The law: whatever a request is waiting for, a client that has left ends it within a second.
//!
//! How: once a request has been served for [`STEP`], the kernel is asked every [`STEP`] whether the other side has closed,
//! which it knows even when unread bytes stand before the end. Most requests are over before the first time.

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

/// The watch over one connection, kept from request to request so that a short one costs no timer.
pub(super) struct Gone {
    socket: RawFd,
    silence: Arc<Silence>,
    alarm: Pin<Box<Sleep>>,
    armed: bool,
    watch: Option<Watch>,
}

impl Gone {
    /// A watch over the client of `socket`.
    pub(super) fn new(socket: RawFd, silence: Arc<Silence>) -> Self {
        Self { socket, silence, alarm: Box::pin(sleep(STEP)), armed: false, watch: None }
    }

    /// The next request begins.
    pub(super) fn rest(&mut self) {
        self.watch = None;
    }

    /// Ready when the client has left while a request of it is being served. Polled after the request itself, it sees the
    /// request begin in the same turn.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.silence.is_serving() && !self.armed {
                return Poll::Pending;
            }
            if !self.armed {
                self.armed = true;
                self.alarm.as_mut().reset(Instant::now() + STEP);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = false;
            if self.silence.is_serving() && self.is_closed() {
                return Poll::Ready(());
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
