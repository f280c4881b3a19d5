//! stub
use super::Problem;
pub fn upstream_problem(status: u16, _: &[u8]) -> Problem {
    Problem { status, message: "x".into() }
}
