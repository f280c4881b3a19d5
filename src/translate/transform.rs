//! stub
use bytes::Bytes;

use super::{Problem, Refusal, Stream};

pub trait Transform: Send {
    fn data(&mut self, bytes: &Bytes, out: &mut Vec<u8>) -> Result<(), Refusal>;
    fn quiet(&mut self, out: &mut Vec<u8>);
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal>;
    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>);
}
#[derive(Default)]
pub struct Identity;
pub struct Translating;
impl Translating {
    pub fn new(_: Box<dyn Stream>) -> Self {
        Self
    }
}
impl Transform for Identity {
    fn data(&mut self, bytes: &Bytes, out: &mut Vec<u8>) -> Result<(), Refusal> {
        out.extend_from_slice(bytes);
        Ok(())
    }
    fn quiet(&mut self, _: &mut Vec<u8>) {}
    fn end(&mut self, _: &mut Vec<u8>) -> Result<(), Refusal> {
        Ok(())
    }
    fn fail(&mut self, _: &Problem, _: &mut Vec<u8>) {}
}
impl Transform for Translating {
    fn data(&mut self, bytes: &Bytes, out: &mut Vec<u8>) -> Result<(), Refusal> {
        out.extend_from_slice(bytes);
        Ok(())
    }
    fn quiet(&mut self, _: &mut Vec<u8>) {}
    fn end(&mut self, _: &mut Vec<u8>) -> Result<(), Refusal> {
        Ok(())
    }
    fn fail(&mut self, _: &Problem, _: &mut Vec<u8>) {}
}
