//! stub
use super::Chat;
pub fn tokens(_: &str, _: &Chat) -> u64 {
    0
}
