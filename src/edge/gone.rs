//! Has the client left? Asked of the kernel, not of the stream.
//!
//! Pingora sees a client leave by reading from it, which it does not do while it connects, or while an upstream takes no more
//! of an upload. The law: whatever a request is waiting for, a client that has left ends it within a second.
//!
//! How: once a request has been served for [`STEP`], the kernel is asked every [`STEP`] whether the other side has closed,
//! which it knows even when unread bytes stand before the end. Most requests are over before the first time.

use std::future::poll_fn;
use std::os::fd::RawFd;
use std::task::Poll;
use std::time::Duration;

use nix::sys::epoll::{EpollCreateFlags, EpollEvent, EpollFlags, EpollOp, epoll_create1, epoll_ctl, epoll_wait};

use crate::silence::Silence;

/// How often the kernel is asked; twice this is well within the second that is allowed.
const STEP: Duration = Duration::from_millis(250);

/// Resolves when the client of `socket` has left while a request of it is being served. Polled after the request itself,
/// it sees the request begin in the same turn.
pub(super) async fn gone(socket: RawFd, silence: &Silence) {
    poll_fn(|_| if silence.is_serving() { Poll::Ready(()) } else { Poll::Pending }).await;
    tokio::time::sleep(STEP).await;
    let watch = match Watch::over(socket) {
        Ok(watch) => watch,
        Err(error) => {
            log::warn!("a client's connection cannot be watched: {error}");
            return std::future::pending().await;
        }
    };
    while !(watch.is_closed() && silence.is_serving()) {
        tokio::time::sleep(STEP).await;
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
